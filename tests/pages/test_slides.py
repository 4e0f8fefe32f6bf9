"""Slides say what the chapters say, fit on a screen, and need no network."""

import re
from pathlib import Path

import nbformat
import pytest

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


@pytest.fixture
def course(tmp_path) -> Path:
    """A course of one chapter with two claims and two figures, one of them without an alt text."""
    cells = [nbformat.v4.new_code_cell("...") for _ in range(3)]
    cells[0].outputs = [
        nbformat.v4.new_output("display_data", data={"text/plain": "x"}, metadata={RECORD: each})
        for each in (record(), record(sentence="{} of the tokens copy", value=3, control=None))
    ]
    for cell, name, alt in ((cells[1], "fig-good", "a line"), (cells[2], "fig-silent", "")):
        cell.outputs = [nbformat.v4.new_output("display_data", data={"image/svg+xml": "<svg/>"})]
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
        shown = re.sub(r"\{\w+\}`[^`]*`|:::\{figure\}.*|\$\$.*?\$\$|\$[^$]*\$|" + NAMES, "", shown)
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
