"""Each discussion question has a model answer, and each answer says where it is settled."""

import re
from pathlib import Path

import pytest
from stored import notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
ANSWERED = re.compile(
    r"^\*\*(\d+)\.\*\* ([^\n]+)\n+"
    r":::\{admonition\} A model answer\n:class: dropdown\n\n(.+?)\n:::$",
    re.DOTALL | re.MULTILINE,
)
ELSEWHERE = re.compile(r"\]\((?:#|\d\d_|\.\./book/)|\b(?:exercise|build) \d", re.IGNORECASE)


def prose(path: Path) -> str:
    cells = notebook(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def questions(text: str) -> list[tuple[str, str, str]]:
    """(number, question, answer) of a chapter. ValueError for a question without an answer."""
    section = re.split(r"^## Discussion questions$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    found = ANSWERED.findall(section)
    left = ANSWERED.sub("", section).strip()
    if left:
        raise ValueError(f"a question without a model answer: {left[:80]!r}")
    return found


def is_settled(answer: str, headings: set[str]) -> bool:
    """Whether an answer names a section, a figure, an equation, an exercise or another chapter."""
    named = {words.rstrip(".?") for words in re.findall(r"\*([^*]+)\*", answer)}
    return bool(named & {each.rstrip(".?") for each in headings} or ELSEWHERE.search(answer))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_question_is_answered_and_settled_somewhere(path):
    text = prose(path)
    headings = set(re.findall(r"^#{2,4} +(.+?) *$", text, re.MULTILINE))
    found = questions(text)
    assert len(found) >= 4
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    for _, _, answer in found:
        assert len(answer.split()) >= 15, answer
        assert is_settled(answer, headings), answer


def test_an_open_question_and_an_answer_from_nowhere_would_be_seen():
    start = "## Discussion questions\n\n**1.** Why?\n\n"
    folded = ":::{admonition} A model answer\n:class: dropdown\n\nBecause. *One* says so.\n:::\n"
    assert questions(start + folded) == [("1", "Why?", "Because. *One* says so.")]
    with pytest.raises(ValueError, match="without a model answer"):
        questions(start)
    with pytest.raises(ValueError, match="without a model answer"):
        questions(start + folded + "\n**2.** And why that?\n")
    assert is_settled("See *One*.", {"One"})
    assert is_settled("[The figure](#fig-one) has it.", set())
    assert not is_settled("It is *obvious*.", {"One"})
