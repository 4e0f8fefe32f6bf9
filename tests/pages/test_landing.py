"""The map on the landing page says what the chapters say of themselves."""

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import course_map
import landing
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import thumbnails
from stored import notebook
from test_widgets import settle

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@cache
def chapters() -> list[course_map.Chapter]:
    return course_map.read_chapters(ROOT / "notebooks")


# ---- the map ----


class Map(HTMLParser):
    """The links, the pictures and the text of each chapter's entry in the map."""

    def __init__(self, html: str):
        super().__init__()
        self.entries: dict[str, dict] = {}
        self.entry = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag == "li":
            self.entry = self.entries.setdefault(told["id"], {"links": [], "text": ""})
        elif self.entry is not None and tag == "a":
            self.entry["links"].append(told["href"])
        elif self.entry is not None and tag == "img":
            self.entry["picture"] = told

    def handle_endtag(self, tag):
        if tag == "ol":
            self.entry = None

    def handle_data(self, data):
        if self.entry is not None:
            self.entry["text"] += data


@cache
def entries() -> dict[str, dict]:
    return Map(course_map.course_map(chapters())).entries


def test_every_chapter_stands_in_the_map_of_the_landing_page():
    assert "```{course-map}" in PAGE
    assert [entry["links"][0] for entry in entries().values()] == [
        f"../notebooks/{name}.html" for name in NAMES
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_what_the_chapter_says_of_itself(name):
    (chapter,) = (chapter for chapter in chapters() if chapter.name == name)
    nb = notebook(ROOT / "notebooks" / f"{name}.ipynb")
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    entry = entries()[f"map-{chapter.number}"]
    assert f"# {chapter.number}. {chapter.title}\n" in text
    assert f"{chapter.number}. {chapter.title}" in entry["text"]
    assert nb.metadata.mechlib.question in entry["text"]
    assert nb.metadata.mechlib.question.endswith("?")
    assert f"**Time:** {chapter.minutes} minutes to read" in text
    assert f"{chapter.minutes} minutes, needs" in entry["text"]
    asked = re.findall(r"\]\((\d\d)_", re.search(r"\*\*You need:\*\*(.*)", text)[1])
    assert {f"#map-{int(n)}" for n in asked} == set(entry["links"][1:])
    assert all(int(n) < chapter.number for n in asked)


@pytest.mark.parametrize("path", course_map.PATHS)
def test_a_path_leads_through_all_that_it_needs(path):
    known = {chapter.number: chapter for chapter in chapters()}
    on_path = {number for number, chapter in known.items() if path in chapter.paths}
    for number in on_path:
        assert set(known[number].needs) <= on_path, number


def test_a_chapter_stands_right_of_what_it_needs_and_no_line_crosses_one():
    at = course_map.places(chapters())
    bottom = course_map.ROW * (max(row for _, row in at.values()) + 1)
    assert len(set(at.values())) == len(chapters())
    for earlier, later, _ in course_map.edges(chapters()):
        assert at[earlier][0] < at[later][0]
        drawn = course_map.stroke(at[earlier], at[later], at)
        (level,) = {int(y) for y in re.findall(r"L\d+ (\d+)", drawn)} or {None}
        for column in range(at[earlier][0] + 1, at[later][0]):
            there = [place for place in at.values() if place[0] == column]
            assert level not in [course_map.middle(place)[1] for place in there]
        assert (level or 0) < bottom  # nor does it leave the drawing


def test_what_follows_from_other_needs_is_not_drawn():
    drawn = {(earlier, later) for earlier, later, _ in course_map.edges(chapters())}
    assert (2, 3) in drawn
    assert (2, 4) not in drawn  # 4 needs 2 and a part of 3, which needs 2


def test_a_chapter_that_does_not_say_its_question_is_named(tmp_path):
    nb = nbformat.read(ROOT / "notebooks" / "05_bigrams.ipynb", as_version=4)
    del nb.metadata.mechlib["question"]
    nbformat.write(nb, tmp_path / "05_bigrams.ipynb")
    with pytest.raises(
        ValueError, match=r"05_bigrams\.ipynb: its metadata wants mechlib\.question"
    ):
        course_map.read_chapters(tmp_path)


# ---- the thumbnails ----


def test_all_thumbnails_together_are_small_and_stay_drawings():
    sizes = {}
    for chapter in chapters():
        small, width, height = thumbnails.thumbnail(chapter.picture)
        root = ET.fromstring(small)
        assert root.get("viewBox") == f"0 0 {width} {height}"
        shapes = ("path", "use", "circle", "image", "text")
        assert sum(len(root.findall(f".//{{{thumbnails.SVG}}}{s}")) for s in shapes) > 4, (
            chapter.name
        )
        assert "tick" not in small
        sizes[chapter.name] = len(small.encode())
    assert sum(sizes.values()) < 150_000, sizes


def test_a_circle_is_a_circle_and_near_points_are_one():
    figure, ax = plt.subplots()
    ax.add_patch(plt.Circle((0.5, 0.5), 0.2))
    ax.plot(np.linspace(0, 1, 4000), np.linspace(0, 1, 4000))
    ax.set_aspect("equal")
    out = io.StringIO()
    figure.savefig(out, format="svg")
    plt.close(figure)
    small, *_ = thumbnails.thumbnail(out.getvalue())
    assert small.count("<circle") == 1
    assert len(small) < len(out.getvalue()) / 5
    with pytest.raises(ValueError, match="a viewBox is wanted"):
        thumbnails.thumbnail("<svg></svg>")


# ---- the live model ----


def test_the_live_model_is_there_before_anything_runs():
    """The still picture says what the model says, and no text can end the script that holds it."""
    assert "```{live-model}" in PAGE
    widget = landing.widget()
    widget.caption = "</script><script>alert(1)</script>"
    html = landing.embedded(widget, "../_static/js/")
    still, *scripts = html.split("<script")
    assert "L1H3" in still
    assert re.search(r"<code>i</code></th><td>0\.8\d</td>", still)
    assert len(scripts) == 3  # the view, the state, and what mounts them
    assert "alert(1)</script" not in html
    state = json.loads(re.search(r'state\+json">(.*?)</script>', html, re.S)[1])
    model = state["state"]["live-model"]
    assert model["state"]["text"] == landing.TEXT
    raw = {b["path"][0]: base64.b64decode(b["data"]) for b in model["buffers"]}
    assert raw["weights"] == widget.weights


@pytest.mark.browser
def test_the_live_model_of_the_landing_page_runs(browser):
    """As on the built page: the still picture goes when the widget stands; a cut head costs."""
    script = (ROOT / "book" / "_static" / "js" / "static-anywidget.js").read_text(encoding="utf-8")
    html = landing.embedded(landing.widget(), "")
    html = html.replace('<script src="static-anywidget.js" defer>', f"<script>{script}")
    page, errors = browser.new_page(viewport={"width": 390, "height": 844}), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content(f"<!doctype html><html lang=en><meta charset=utf-8><body>{html}")
    page.locator(".widget-mount[data-mounted]").wait_for()
    assert page.locator(".mechlib-still").is_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    row = page.locator("table.bars tbody tr").first
    assert row.locator("th").inner_text() == "i"
    page.get_by_role("button", name="L0H2").first.click()
    page.get_by_role("button", name="cut L0H2").click()
    assert row.locator("th").inner_text() != "i"
    settle(page)
    said = page.locator(".status").inner_text()
    now, whole = re.search(r"Mean loss (\d+\.\d+) nats, with every head (\d+\.\d+)", said).groups()
    assert float(now) > float(whole) + 1
    page.close()
    assert errors == []
