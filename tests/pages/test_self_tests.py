"""Each box "Check yourself" has one right choice, and a reason behind every choice."""

import re
from collections import Counter
from pathlib import Path

import pytest
from stored import notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TITLE = "} Check yourself"
BOX = re.compile(
    r":::\{admonition\} Check yourself\n:class: check-yourself\n\n(.+?)\n:::", re.DOTALL
)
# blank lines around the explanation, so that it is read as Markdown everywhere
CHOICE = re.compile(
    r"\n\n<details>\n<summary>([^\n]+)</summary>\n\n(Yes|No)\. ([^\n]{40,})\n\n</details>"
    r"(?=\n\n|\n?\Z)"
)


def boxes(path: Path) -> list[str]:
    """The cells that hold a self-test, as text."""
    cells = notebook(path).cells
    return [c.source for c in cells if c.cell_type == "markdown" and TITLE in c.source]


def choices(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The question, and (choice, Yes or No, reason) of each choice. ValueError for another form."""
    found = BOX.fullmatch(text)
    if not found:
        raise ValueError(f"one box fills the cell, got {text[:80]!r}")
    parts = CHOICE.findall(found[1])
    question, _, _ = found[1].partition("\n\n<details>")
    if CHOICE.sub("", found[1]) != question:
        raise ValueError(f"a choice is not in the form that is known: {found[1]}")
    return question, parts


ASKED = [(path, text) for path in NOTEBOOKS for text in boxes(path)]
each = pytest.mark.parametrize(("path", "text"), ASKED, ids=lambda x: getattr(x, "stem", ""))


@each
def test_one_choice_is_right_and_every_choice_has_its_reason(path, text):
    question, found = choices(text)
    assert question.rstrip().endswith("?")
    assert 3 <= len(found) <= 4
    assert [verdict for _, verdict, _ in found].count("Yes") == 1
    assert len({choice for choice, _, _ in found}) == len(found)
    assert len({reason for _, _, reason in found}) == len(found)
    # formulas and Markdown are not read inside of a line of HTML
    assert not any(re.search(r"[$`]|\*\w", choice) for choice, _, _ in found)


@each
def test_a_box_ends_its_section(path, text):
    cells = notebook(path).cells
    at = next(i for i, cell in enumerate(cells) if cell.source == text)
    following = cells[at + 1]
    assert following.cell_type == "markdown"
    assert re.match(r"(\([\w-]+\)=\n)?#{2,4} ", following.source)


@each
def test_a_number_in_a_box_stands_in_the_chapter(path, text):
    cells = notebook(path).cells
    chapter = "\n".join(
        cell.source
        + "".join(
            str(o.get("text", "")) + str(o.get("data", {}).get("text/plain", ""))
            for o in cell.get("outputs", [])
        )
        for cell in cells
        if cell.source != text
    )
    there = set(re.findall(r"\d[\d.,]*\d|\d", chapter))
    assert set(re.findall(r"\d[\d.,]*\d|\d", text)) <= there


def test_a_chapter_with_self_tests_has_at_least_two():
    count = Counter(path.name for path, _ in ASKED)
    assert len(count) >= 8
    assert min(count.values()) >= 2, count


def test_the_place_of_the_right_choice_gives_nothing_away():
    places = Counter(
        [verdict for _, verdict, _ in choices(text)[1]].index("Yes") for _, text in ASKED
    )
    assert max(places.values()) <= 0.55 * len(ASKED), places


def test_the_length_of_the_right_choice_gives_nothing_away():
    longest = 0
    for _, text in ASKED:
        found = choices(text)[1]
        longest += max(found, key=lambda part: len(part[0]))[1] == "Yes"
    assert longest <= 0.7 * len(ASKED), (longest, len(ASKED))


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace("\n\nNo. ", "\nNo. ", 1),
        lambda text: text.replace("\n\n</details>", "\n</details>", 1),
        lambda text: text.replace("Yes. ", "Perhaps. ", 1),
        lambda text: text + "\n\nMore.",
    ],
)
def test_a_box_of_another_form_would_be_seen(changed):
    with pytest.raises(ValueError, match=r"form that is known|one box"):
        choices(changed(ASKED[0][1]))
