"""What a program can see of how the pages look: in the sources, and in the built book."""

import html
import json
import re
from pathlib import Path

import finish
import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("book/*.ipynb"))
PAGES = sorted(ROOT.glob("book/**/*.md"))
READABLE = 3.0  # contrast of a drawing's letters with white; numbers within cells are white


def name(path: Path) -> str:
    return path.name


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]


# ---- the sources ----


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=name)
def test_no_prose_holds_a_tab(path):
    r"""In a string of Python, \to and \text become a tab and a word that no formula knows."""
    texts = [path.read_text("utf-8")]
    if path.suffix == ".ipynb":
        texts = ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"]
    for text in texts:
        assert "\t" not in text, text
        assert "\x0c" not in text, text  # \frac
        assert not re.search(r"[\x07\x08\x0b]", text), text  # \alpha, \beta, \vec


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_letters_in_a_figure_stand_out_from_its_ground(path):
    """On white, and so in the dark, where the whole figure is turned over."""
    for cell in cells(path):
        for output in cell.get("outputs", []):
            svg = "".join(output.get("data", {}).get("image/svg+xml", ""))
            for color in set(re.findall(r'<text style="[^"]*fill: (#[0-9a-f]{6})', svg)):
                contrast = 1.05 / (luminance(color) + 0.05)
                assert color == "#ffffff" or contrast >= READABLE, (color, contrast)


# ---- the built book ----


def built(page: str) -> str:
    """A page as it was built; without a build the test fails, for skipping looks like success."""
    path = HTML / page
    if not path.exists():
        pytest.fail("no built book: run make book first (make test-browser does)")
    return path.read_text("utf-8")


@pytest.mark.browser
def test_every_link_inside_the_book_leads_to_a_place_that_is_there():
    built("index.html")
    pages = [p for p in HTML.rglob("*.html") if "_static" not in p.parts]
    places = {p: set(re.findall(r'\bid="([^"]+)"', p.read_text("utf-8"))) for p in pages}
    lost = []
    for page in pages:
        article = page.read_text("utf-8").split("<article", 1)[-1].split("</article>")[0]
        for link in re.findall(r'<a [^>]*href="([^"]*)"', article):
            target, _, anchor = html.unescape(link).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = (page.parent / target).resolve() if target else page
            if not there.exists() or (anchor and anchor not in places.get(there, {anchor})):
                lost.append(f"{page.name}: {link}")
    assert lost == []


@pytest.fixture
def open_page(browser):
    """open_page(path#anchor, width, theme) -> the page, settled."""
    contexts = []

    def go(address: str, width: int = 1280, theme: str = "light"):
        page, _, anchor = address.partition("#")
        mathematics = finish.has_mathematics(built(page))
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        context.set_default_timeout(120_000)
        contexts.append(context)
        shown = context.new_page()
        shown.goto((HTML / page).as_uri() + (f"#{anchor}" if anchor else ""))
        if mathematics:
            shown.wait_for_selector(".bd-article mjx-container", state="attached")
        shown.wait_for_timeout(1500)
        return shown

    yield go
    for context in contexts:
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    "address",
    [
        "notebooks/02_attention.html#exercises",
        "notebooks/04_residual_stream.html#discussion-questions",
        "book/glossary.html#term-induction-head",
    ],
)
def test_a_link_lands_where_it_points(open_page, address):
    page = open_page(address)
    anchor = address.split("#")[1]
    page.wait_for_function(
        f"Math.abs(document.getElementById({anchor!r}).getBoundingClientRect().top - 40) < 90"
    )


SCROLLING = """() => [...document.querySelectorAll('.bd-article mjx-container:not([display])')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth < 300)
  .map((e) => `${e.textContent.trim()}: ${e.scrollWidth} in ${e.clientWidth}`)"""


@pytest.mark.browser
@pytest.mark.parametrize("page", ["notebooks/06_one_layer.html", "book/glossary.html"])
def test_a_short_formula_is_seen_whole_on_a_phone(open_page, page):
    assert open_page(page, width=375).evaluate(SCROLLING) == []


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_system_s_theme_is_there_from_the_first_moment(open_page, theme):
    page = open_page("book/corpus.html", theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.dataset.mode") == "auto"


@pytest.mark.browser
def test_on_paper_stands_the_text_alone(open_page):
    page = open_page("notebooks/06_one_layer.html")
    page.emulate_media(media="print")
    for unwanted in (".bd-sidebar-primary", ".bd-header-article", "details.hide:not([open])"):
        assert not page.locator(unwanted).first.is_visible(), unwanted
    assert page.locator("h1:visible").first.inner_text() == "6. One layer: two circuits per head"
    assert page.locator(".bd-article .claim").first.is_visible()
