"""What a program can see of how the pages look: in the sources, and in the built book."""

import html
import json
import re
from pathlib import Path

import finish
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb")) + sorted(ROOT.glob("book/*.ipynb"))
PAGES = sorted(ROOT.glob("book/**/*.md"))
LEGIBLE = 4.5  # contrast of letters with what is under them (WCAG 2.2, 1.4.3)


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


# Each letter of a drawing, the colour it is written in, and that of what lies under its middle.
LETTERS = """async () => {
  const drawings = new Map();
  for (const image of document.querySelectorAll("svg image")) {
    const drawn = new Image();
    drawn.src = image.href.baseVal;
    await drawn.decode();
    const canvas = new OffscreenCanvas(drawn.naturalWidth, drawn.naturalHeight);
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(drawn, 0, 0);
    drawings.set(image, [context, drawn.naturalWidth, drawn.naturalHeight]);
  }
  const numbers = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const paint = (element, x, y) => {  // red, green, blue, and how much of it covers
    if (drawings.has(element)) {
      const at = new DOMPoint(x, y).matrixTransform(element.getScreenCTM().inverse());
      const box = element.getBBox(), [context, wide, high] = drawings.get(element);
      const pixel = context.getImageData(
        Math.min(wide - 1, Math.floor((at.x - box.x) / box.width * wide)),
        Math.min(high - 1, Math.floor((at.y - box.y) / box.height * high)), 1, 1).data;
      return [...pixel.slice(0, 3), pixel[3] / 255];
    }
    const style = getComputedStyle(element);
    if (style.fill === "none") return [0, 0, 0, 0];
    const [red, green, blue, alpha = 1] = numbers(style.fill);
    return [red, green, blue, alpha * style.fillOpacity * style.opacity];
  };
  return [...document.querySelectorAll("text")].filter((text) => text.textContent.trim())
    .map((text) => {
      text.scrollIntoView({block: "center"});
      const box = text.getBoundingClientRect();
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      let ground = [255, 255, 255];
      for (const element of document.elementsFromPoint(x, y).reverse()) {
        if (!element.matches("path, rect, circle, ellipse, polygon, use, image")) continue;
        const [red, green, blue, alpha] = paint(element, x, y);
        ground = [red, green, blue].map((part, i) => alpha * part + (1 - alpha) * ground[i]);
      }
      return [text.textContent.trim(), numbers(getComputedStyle(text).fill).slice(0, 3), ground];
    });
}"""


def luminance(rgb: np.ndarray) -> float:
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def as_it_is(rgb: list[float]) -> np.ndarray:
    return np.array(rgb) / 255


def turned_over(rgb: list[float]) -> np.ndarray:
    """What the dark theme's filter makes of a colour: invert(0.92) hue-rotate(180deg)."""
    inverted = 0.92 - 0.84 * np.array(rgb) / 255
    gray = inverted @ [0.213, 0.715, 0.072]
    return np.clip(2 * gray - inverted, 0, 1)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_dark_theme_turns_figures_over_as_the_test_of_their_letters_does():
    css = (ROOT / "book" / "_static" / "css" / "book.css").read_text("utf-8")
    assert css.count("filter: invert(0.92) hue-rotate(180deg)") == 1
    assert turned_over([255, 255, 255]) == pytest.approx([0.08, 0.08, 0.08])
    assert turned_over([0, 0, 0]) == pytest.approx([0.92, 0.92, 0.92])


def faint(page, svg: str) -> list[tuple]:
    """Letters of a figure that stand out from their ground by less than 4.5, in either theme."""
    page.set_content(f"<body style='margin:0'>{svg[svg.index('<svg') :]}")
    found = []
    for text, ink, ground in page.evaluate(LETTERS):
        for theme, seen in (("light", as_it_is), ("dark", turned_over)):
            if (ratio := contrast(seen(ink), seen(ground))) < LEGIBLE:
                found.append((theme, text, round(ratio, 2), ink, [round(part) for part in ground]))
    return found


@pytest.mark.browser
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_letters_in_a_figure_stand_out_from_their_ground_in_both_themes(browser, path):
    page = browser.new_page()
    found = {}
    for number, cell in enumerate(cells(path)):
        for output in cell.get("outputs", []):
            if svg := "".join(output.get("data", {}).get("image/svg+xml", "")):
                found[number] = found.get(number, []) + faint(page, svg)
    page.close()
    assert {number: letters for number, letters in found.items() if letters} == {}


@pytest.mark.browser
def test_faint_letters_are_found_on_white_on_shapes_and_on_pictures(browser):
    """Green is too light for letters; white stands out from the blue square, not from the page."""
    page = browser.new_page()
    blue = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNg"
        "KNoEAAGaASV50pT6AAAAAElFTkSuQmCC"
    )  # one pixel, #0072b2
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40" font-size="12">'
        '<rect x="60" width="60" height="40" fill="#0072b2"/>'
        f'<image x="120" width="60" height="40" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{blue}"/>'
        '<text x="5" y="25" fill="#009e73">green</text><text x="65" y="25" fill="#fff">shape</text>'
        '<text x="125" y="25" fill="#fff">picture</text>'
        '<text x="185" y="25" fill="#fff">nowhere</text></svg>'
    )
    assert {(theme, text) for theme, text, *_ in faint(page, drawn)} == {
        ("light", "green"), ("light", "nowhere"), ("dark", "nowhere"),
    }  # fmt: skip
    page.close()


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


@pytest.mark.browser
def test_no_page_has_two_places_of_one_name():
    built("search.html")
    for page in (p for p in HTML.rglob("*.html") if "_static" not in p.parts):
        text = re.sub(r"<script.*?</script>", "", page.read_text("utf-8"), flags=re.DOTALL)
        names = re.findall(r'\sid="([^"]+)"', text)
        assert len(names) == len(set(names)), page.name


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


OPEN_CODE = """() => {
  const height = (element) => element.getBoundingClientRect().height;
  const code = [...document.querySelectorAll(".bd-article .cell_input")]
    .filter((cell) => !cell.closest("details:not([open])"))
    .reduce((sum, cell) => sum + height(cell), 0);
  return code / height(document.querySelector(".bd-article"));
}"""


@pytest.mark.browser
@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=name)
def test_open_code_takes_at_most_a_quarter_of_a_chapter_s_height(open_page, path):
    share = open_page(f"notebooks/{path.stem}.html", width=1440).evaluate(OPEN_CODE)
    assert 0 < share <= 0.25


BEYOND = """() => [...document.querySelectorAll(".prev-next-area p, footer p, h1")]
  .filter((element) => element.getBoundingClientRect().right > window.innerWidth)
  .map((element) => element.textContent.trim())"""


@pytest.mark.browser
@pytest.mark.parametrize("page", ["book/index.html", "notebooks/02_attention.html"])
def test_the_links_to_the_pages_around_stay_inside_a_phone(open_page, page):
    assert open_page(page, width=360).evaluate(BEYOND) == []


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_system_s_theme_is_there_from_the_first_moment(open_page, theme):
    page = open_page("book/corpus.html", theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.dataset.mode") == "auto"


CARDS = """() => [...document.querySelectorAll(".text_html:has(> .mechlib-still[hidden])")]
  .map((card) => card.getBoundingClientRect().height)"""


@pytest.mark.browser
def test_no_empty_card_stands_above_a_widget_in_the_dark(open_page):
    heights = open_page("notebooks/13_fourier_circuit.html", theme="dark").evaluate(CARDS)
    assert heights == [0] * len(heights) != []


@pytest.mark.browser
def test_on_paper_stands_the_text_alone(open_page):
    page = open_page("notebooks/06_one_layer.html")
    page.emulate_media(media="print")
    for unwanted in (".bd-sidebar-primary", ".bd-header-article", "details.hide:not([open])"):
        assert not page.locator(unwanted).first.is_visible(), unwanted
    assert page.locator("h1:visible").first.inner_text() == "6. One layer: two circuits per head"
    assert page.locator(".bd-article .claim").first.is_visible()
