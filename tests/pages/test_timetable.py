"""The guide's minutes are the chapters' own, and they add up."""

import tomllib
from pathlib import Path

import pytest

from mechlib.pages import timetable

ROOT = Path(__file__).parents[2]
KNOWN = {"05": ("05_x.ipynb", {"One": 10, "Exercises": 50})}


def test_the_page_says_what_the_chapters_say():
    stored = (ROOT / timetable.PAGE).read_text(encoding="utf-8")
    assert stored == timetable.page(ROOT), "run python -m mechlib.pages.timetable"


def test_every_session_adds_up_and_every_week_has_slides():
    plans = tomllib.loads((ROOT / timetable.PLANS).read_text(encoding="utf-8"))
    known = timetable.chapters(ROOT)
    for plan in plans["plans"]:
        for session in plan["sessions"]:
            table = timetable.rows(session, known, plans["minutes"], plans["rest"])
            assert sum(minutes for _, minutes in table) == 90
            for chapter, home, room in timetable.before(session, known):
                assert home + room == sum(known[chapter][1].values())
    weeks = len(plans["plans"][0]["sessions"])
    assert len(list((ROOT / "slides").glob("session-*.md"))) == weeks


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
