"""The guide's minutes are the chapters' own, and they add up."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from stored import notebook

from mechlib.pages import timetable

ROOT = Path(__file__).parents[2]
chapters, headings = cache(timetable.chapters), cache(timetable.headings)
KNOWN = {"05": ("05_x.ipynb", {"One": 10, "Exercises": 50})}


def test_the_page_says_what_the_chapters_say():
    stored = (ROOT / timetable.PAGE).read_text(encoding="utf-8")
    assert stored == timetable.page(ROOT), "run python -m mechlib.pages.timetable"


def test_every_session_adds_up():
    plans = tomllib.loads((ROOT / timetable.PLANS).read_text(encoding="utf-8"))
    known = chapters(ROOT)
    for plan in plans["plans"]:
        for session in plan["sessions"]:
            table = timetable.rows(session, known, plans["minutes"], plans["rest"])
            assert sum(minutes for _, minutes in table) == 90
            for chapter, home, room in timetable.before(session, known):
                assert home + room == sum(known[chapter][1].values())


def test_every_session_has_slides_and_every_deck_a_session():
    plans = tomllib.loads((ROOT / timetable.PLANS).read_text(encoding="utf-8"))["plans"]
    named = [deck for plan in plans for each in plan["sessions"] for deck in each["slides"]]
    there = {path.stem for path in (ROOT / timetable.DECKS).glob("*.md")}
    assert set(named) == there
    long = [each["slides"] for plan in plans[:2] for each in plan["sessions"]]
    assert long == [[f"session-{number}"] for number in range(1, len(there) + 1)]


def test_slides_that_are_not_there_are_named(tmp_path):
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "one.md").write_text("---\n", encoding="utf-8")
    found = timetable.slides({"title": "T", "slides": ["one"]}, tmp_path)
    assert found == 'Slides: <a href="../../slides/one.html">one</a>.'
    with pytest.raises(ValueError, match=r"no slides 'two', but \['one'\]"):
        timetable.slides({"title": "T", "slides": ["two"]}, tmp_path)


def test_a_session_that_cannot_add_up_is_refused():
    session = {"title": "T", "room": [{"do": "talk", "minutes": 70}]}
    assert timetable.rows(session, KNOWN, 90, [5, 25])[-1][1] == 20
    session["room"].append({"chapter": "05", "section": "One"})
    assert timetable.rows(session, KNOWN, 90, [5, 25])[-1][1] == 10
    session["room"].append({"do": "more", "minutes": 9})
    with pytest.raises(ValueError, match="1 minutes are left over"):
        timetable.rows(session, KNOWN, 90, [5, 25])


def test_a_section_that_is_not_there_is_named():
    session = {"title": "T", "room": [{"chapter": "05", "section": "Two"}]}
    with pytest.raises(ValueError, match="has no section 'Two'"):
        timetable.rows(session, KNOWN, 90, [5, 25])


def test_every_session_has_what_to_show_and_what_to_answer():
    plans = tomllib.loads((ROOT / timetable.PLANS).read_text(encoding="utf-8"))["plans"]
    for session in (each for plan in plans for each in plan["sessions"]):
        assert len(session["show"]) >= 2, session["title"]
        assert len(session["wrong"]) >= 3, session["title"]
        taken = set(session["chapters"])
        assert {item["chapter"] for item in session["show"] + session["wrong"]} <= taken


def test_the_long_plans_take_up_every_chapter_in_order():
    plans = tomllib.loads((ROOT / timetable.PLANS).read_text(encoding="utf-8"))["plans"]
    evenings = [each for plan in plans[:2] for each in plan["sessions"]]
    taken = [chapter for each in evenings for chapter in each["chapters"]]
    assert taken == sorted(chapters(ROOT))


def test_every_chapter_says_how_long_all_of_it_takes():
    for name, minutes in chapters(ROOT).values():
        assert {"Discussion questions", "Exercises"} <= set(minutes), name


def test_what_to_show_must_stand_in_the_chapter():
    known = {"05": ("05_x.ipynb", ["One"])}
    there = {"chapter": "05", "section": "One", "what": "a widget"}
    lines = timetable.leading({"show": [there]}, known)
    assert "- [chapter 5](../../notebooks/05_x.ipynb), *One*: a widget." in lines
    asked = timetable.leading({"show": [there | {"what": "which row?"}]}, known)
    assert asked[1].endswith("*One*: which row?")
    with pytest.raises(ValueError, match="has no heading 'Two'"):
        timetable.leading({"show": [there | {"section": "Two"}]}, known)


POINTER = re.compile(r"\(\.\./\.\./notebooks/(\d\d)_[\w.]+\)(?:: |, )((?:\*[^*]+\*(?: and |, )?)+)")


def test_the_sections_that_the_wrap_up_points_to_are_there():
    named = headings(ROOT)
    text = (ROOT / "book" / "guide" / "wrap_up.md").read_text(encoding="utf-8")
    pointers = [
        (chapter, section)
        for chapter, sections in POINTER.findall(text)
        for section in re.findall(r"\*([^*]+)\*", sections)
    ]
    assert len(pointers) >= 9
    for chapter, section in pointers:
        assert section in named[chapter][1], (chapter, section)
    answers = text.split("A model answer")[1:]
    assert len(answers) == 7
    assert all("../../notebooks/" in answer for answer in answers)


# Sections of a few lines, which count for nothing.
SHORT = {"What was shown", "Further reading"}


def test_minutes_are_given_for_the_sections_that_there_are():
    for name, minutes in chapters(ROOT).values():
        there = set(re.findall(r"^## +(.+?) *$", prose(name), re.M))
        assert set(minutes) <= there, name
        assert there - set(minutes) <= SHORT, name


def test_a_chapter_takes_as_long_to_read_as_its_sections():
    apart = ("Exercises", "Discussion questions", "Appendix")
    for name, minutes in chapters(ROOT).values():
        reading = sum(n for section, n in minutes.items() if not section.startswith(apart))
        (said,) = re.findall(r"\*\*Time:\*\* (\d+) minutes to read", prose(name))
        assert abs(int(said) - reading) <= 5, (
            f"{name}: says {said}, its sections add up to {reading}"
        )


def prose(name: str) -> str:
    cells = notebook(ROOT / "notebooks" / name).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
