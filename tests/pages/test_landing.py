"""The map on the landing page says what the chapters say of themselves."""

import base64
import json
import re
from pathlib import Path

import landing
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| \[(\d+)\. (.+?)\]\(\.\./notebooks/(\S+?)\) \| .+? \| (.+?) \| (\d+) \|", PAGE, re.M
)


def test_every_chapter_stands_in_the_map():
    chapters = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert [row[2] for row in ROWS] == chapters


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_title_and_minutes_are_the_chapter_s_own(row):
    number, title, name, needs, minutes = row
    cells = nbformat.read(ROOT / "notebooks" / name, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert f"# {number}. {title}\n" in text
    assert re.search(rf"\*\*Time:\*\* {minutes} minutes to read", text)
    asked = re.search(r"\*\*You need:\*\*(.*)", text)[1]
    for need in needs.split(", "):
        assert need == "nothing" or need in re.findall(r"\d+", asked), (need, asked)


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
    said = page.locator(".status").inner_text()
    now, whole = re.search(r"Mean loss (\d+\.\d+) nats, with every head (\d+\.\d+)", said).groups()
    assert float(now) > float(whole) + 1
    page.close()
    assert errors == []
