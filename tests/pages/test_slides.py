"""Slides say what the chapters say, fit on a screen, and need no network."""

import io
import re
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

from mechlib.pages import figures
from mechlib.pages.scoreboard import RECORD
from mechlib.pages.slides.deck import Deck, build, parts
from mechlib.pages.slides.sources import NotThere, Sources, quoted

ROOT = Path(__file__).parents[2]
DECKS = sorted((ROOT / "slides").glob("*.md"))
# Numbers that are names: of a session, of chapters, of a layer.
NAMES = r"(Session|[Cc]hapters?|[Ll]ayer|[Ee]xercise) \d+( (and|to) \d+)?"


def record(**changes) -> dict:
    full = {
        "sentence": "{} of the heads copy",
        "value": 7,
        "values": None,
        "op": ">=",
        "bound": 4,
        "of": 8,
        "unit": None,
        "digits": 3,
        "control": {"name": "untrained", "value": 1, "values": [1]},
        "paper": None,
        "holds": True,
    }
    return full | changes


@cache
def two_panels() -> str:
    """The SVG of a figure of 300 by 400 points with one panel above another."""
    figures.use_style()
    figure, (above, below) = plt.subplots(2, 1, figsize=(300 / 72, 400 / 72))
    above.set_title("upper title")
    below.set(title="lower title", xlabel="lower label")
    with io.StringIO() as file:
        figure.savefig(file, format="svg", bbox_inches=None)
        plt.close(figure)
        return file.getvalue()


@pytest.fixture
def course(tmp_path) -> Path:
    """A course of one chapter with two claims and two figures, one of them without an alt text."""
    cells = [nbformat.v4.new_code_cell("...") for _ in range(4)]
    cells[0].outputs = [
        nbformat.v4.new_output("display_data", data={"text/plain": "x"}, metadata={RECORD: each})
        for each in (record(), record(sentence="{} of the tokens copy", value=3, control=None))
    ]
    for cell, name, alt, svg in (
        (cells[1], "fig-good", "a line", "<svg/>"),
        (cells[2], "fig-silent", "", "<svg/>"),
        (cells[3], "fig-two", "two lines", two_panels()),
    ):
        cell.outputs = [nbformat.v4.new_output("display_data", data={"image/svg+xml": svg})]
        cell.metadata["mystnb"] = {"figure": {"name": name}, "image": {"alt": alt}}
    for folder in ("notebooks", "book", "slides"):
        (tmp_path / folder).mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "05_x.ipynb")
    return tmp_path


def deck(course: Path, text: str) -> str:
    path = course / "slides" / "one.md"
    path.write_text(f"---\ntitle: A deck\n---\n# Start\n---\n{text}", encoding="utf-8")
    return Deck(path, Sources(course)).html()


def test_a_slide_quotes_the_record(course):
    page = deck(course, "- {claim}`05: heads copy`\n- {number}`05: TOKENS`\n- {control}`05: heads`")
    assert re.findall(r'class="record"[^>]*>([^<]*)<', page) == [
        "7 of 8 of the heads copy",
        "3 of 8",
        "untrained: 1",
    ]
    assert 'href="../notebooks/05_x.html"' in page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{claim}`05: neurons`", "slide 2: 0 claims of chapter 05"),
        ("{claim}`05: of the`", "2 claims of chapter 05"),
        ("{claim}`06: heads`", "there is no chapter '06', but 05"),
        ("{claim}`heads copy`", "a claim is named"),
        ("{control}`05: tokens`", "has no control"),
        ("{paper}`05: heads`", "has no paper"),
        ("{value}`05: heads`", "knows the roles"),
        (":::{figure} fig-none\n:::", "no notebook has a figure 'fig-none'"),
        (":::{figure} fig-silent\n:::", "has no text alternative"),
        (":::{figure} fig-two\npanels: 3\n:::", "its panels are 1, 2; asked for [3]"),
        (":::{figure} fig-two\nleft half\n:::", "may hold 'panels: 1 2', not 'left half'"),
        (":::{box}\n:::", "knows the boxes"),
    ],
)
def test_what_no_chapter_has_stops_the_build(course, text, says):
    with pytest.raises(NotThere, match=re.escape(says)):
        deck(course, text)


def test_a_figure_comes_with_its_text_and_its_bytes(course):
    page = deck(course, "## One\n\n:::{figure} fig-good\n:::\n:::{notes}\nSay *this*.\n:::\n")
    assert '<img src="figures/fig-good.svg" alt="a line">' in page
    assert '<aside class="notes">\n<p>Say <em>this</em>.</p>' in page
    build(course, course / "slides", course / "out")
    assert (course / "out" / "figures" / "fig-good.svg").read_bytes() == b"<svg/>"
    assert (course / "out" / "assets" / "reveal.js").stat().st_size > 50_000


def test_a_panel_is_cut_out_with_all_its_text_and_nothing_of_the_other(course):
    page = deck(course, ":::{figure} fig-two\npanels: 2\n:::")
    assert '<img src="figures/fig-two-2.svg" alt="Panels 2 of: two lines">' in page
    build(course, course / "slides", course / "out")
    svg = (course / "out" / "figures" / "fig-two-2.svg").read_text(encoding="utf-8")
    assert "lower title" in svg
    assert "upper title" not in svg
    _, top, width, height = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    assert width == 300
    for text in ("lower title", "lower label"):
        y = float(re.search(rf'y="([\d.]+)"[^>]*>{text}<', svg)[1])
        assert top < y - 8
        assert y < top + height
    assert 150 < height < 220


def test_parts_of_a_figure_stand_side_by_side_below_the_text(course):
    page = deck(course, ":::{figure} fig-two\npanels: 1 | 2\n:::")
    assert page.count("<img") == 2
    assert '<section class="figure-below">' in page
    assert '<section class="figure-beside">' in deck(course, ":::{figure} fig-two\n:::")


def test_a_fact_without_a_number_gives_none():
    with pytest.raises(NotThere, match="has no number"):
        quoted("number", record(sentence="It works", value=True, op="==", bound=True, of=None))


def test_mathematics_is_left_to_mathjax(course):
    page = deck(course, "$a < b$\n\n$$x_i$$\n")
    assert r"\(a &lt; b\)" in page
    assert r"\[x_i\]" in page


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(ROOT)


@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_every_claim_and_figure_of_a_deck_is_there(path, sources):
    assert "class=" in Deck(path, sources).html()


@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_no_slide_writes_a_number_of_its_own(path):
    for slide in parts(path.read_text(encoding="utf-8"))[1]:
        shown = re.sub(r":::\{notes\}.*?:::", "", slide, flags=re.DOTALL)
        shown = re.sub(r":::\{figure\}.*(\npanels:.*)?", "", shown)
        shown = re.sub(r"\{\w+\}`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|" + NAMES, "", shown)
        assert not re.search(r"\d", shown), shown


def test_a_number_of_its_own_would_be_seen():
    assert re.search(r"\d", re.sub(NAMES, "", "In layer 0 they are 97 of them"))


@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_every_deck_asks_for_a_guess_and_says_what_is_open(path):
    text = path.read_text(encoding="utf-8")
    assert "## Guess, then look" in text
    assert text.count(":::{notes}") >= 1


# -- in the browser --------------------------------------------------------------------------------

READY = "window.Reveal && Reveal.isReady() && [...document.images].every(e => e.complete)"
EDGES = """() => {
  const shown = [...Reveal.getCurrentSlide().querySelectorAll('.body *')]
    .filter(e => !e.closest('aside')).map(e => e.getBoundingClientRect());
  return [Math.max(...shown.map(r => r.right)), Math.max(...shown.map(r => r.bottom))];
}"""
# how many pixels of the screen one point of each figure takes
SCALES = """() => [...Reveal.getCurrentSlide().querySelectorAll('img')].map(e => {
  const box = e.getBoundingClientRect();
  return Math.min(box.width / e.naturalWidth, box.height / e.naturalHeight) * 4 / 3;
})"""
LEGIBLE = 1.35
BARE = """() => [...document.images].filter(e => !e.alt || !e.naturalWidth).map(e => e.src)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("slides")
    build(ROOT, ROOT / "slides", out)
    return out


def opened(page, file: Path, query: str = ""):
    page.goto(file.as_uri() + query)
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate("MathJax.startup.promise")
    return page


@pytest.mark.browser
@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_nothing_leaves_the_screen(path, browser, folder):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    asked, wrong = [], []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    opened(page, folder / f"{path.stem}.html")
    assert page.evaluate(BARE) == []
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({number})")
        right, bottom = page.evaluate(EDGES)
        assert right <= 1280, (number + 1, right)
        assert bottom <= 720, (number + 1, bottom)
        # letters of 8 points are then 11 of 720 pixels high, and more in most figures
        assert all(scale >= LEGIBLE for scale in page.evaluate(SCALES)), number + 1
    context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.browser
def test_a_slide_that_is_too_long_would_be_seen(browser, folder):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = opened(context.new_page(), folder / f"{DECKS[0].stem}.html")
    page.evaluate(
        "document.querySelector('.body').insertAdjacentHTML('beforeend', '<p>x</p>'.repeat(30))"
    )
    assert page.evaluate(EDGES)[1] > 720
    context.close()


@pytest.mark.browser
def test_a_deck_prints_one_page_a_slide(browser, folder):
    context = browser.new_context()
    page = opened(context.new_page(), folder / f"{DECKS[0].stem}.html", "?print-pdf")
    page.wait_for_selector(".pdf-page")
    slides = len(parts(DECKS[0].read_text(encoding="utf-8"))[1])
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    context.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == slides
