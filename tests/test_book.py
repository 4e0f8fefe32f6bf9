"""The book: its settings, and the built pages in a browser.

The browser tests need a built book (`make test-browser` builds it) and the browser of conftest.py.
"""

import functools
import http.server
import re
import threading
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from firefox import Firefox, firefox

from mechlib.pages import references

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 740}


# -- settings --------------------------------------------------------------------------------------


def toc() -> dict:
    return yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def toc_files() -> list[str]:
    found = [toc()["root"]]
    return found + [chapter["file"] for part in toc()["parts"] for chapter in part["chapters"]]


def test_the_contents_name_every_notebook_once_and_in_order():
    chapters = [name for name in toc_files() if name.startswith("notebooks/")]
    stored = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert chapters == [f"notebooks/{stem}" for stem in stored]


def test_the_contents_name_every_page_of_prose():
    pages = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "book").rglob("*")
        if path.suffix in (".md", ".ipynb") and ".ipynb_checkpoints" not in path.parts
    }
    assert {name for name in toc_files() if name.startswith("book/")} == pages


def test_the_stored_outputs_are_what_is_shown():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert ".venv/**" in config["exclude_patterns"]


def test_every_reference_is_cited_and_every_citation_lands_on_one():
    """Both ways, so that nothing stands in the list that no page uses."""
    bibliography = ROOT / references.BIBLIOGRAPHY
    anchors = {references.anchor(name) for name in references.short_names(bibliography).values()}
    text = "".join(
        path.read_text("utf-8")
        for folder in ("book", "notebooks")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".md", ".ipynb") and ".ipynb_checkpoints" not in path.parts
    )
    assert set(re.findall(r"references\.md#([\w-]+)", text)) == anchors


def test_the_page_of_references_is_what_the_bibliography_says():
    page = (ROOT / references.PAGE).read_text("utf-8")
    assert page == references.page(ROOT / references.BIBLIOGRAPHY)


def test_prose_uses_links_that_work_outside_the_book_too():
    """A role of MyST is a puzzle to who reads in JupyterLab or on a code host."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")) + sorted((ROOT / "book").glob("*.*")):
        if path.suffix in (".md", ".ipynb"):
            roles = re.findall(r"\{(?:cite|eq|numref|ref)[^}]*\}`", path.read_text("utf-8"))
            assert not roles, f"{path.name}: {roles[:3]}"


# -- the built pages -------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _built(request):
    """A browser test of a book that is not built fails: passing over it would look like success."""
    if "browser" in request.keywords and not (HTML / "index.html").exists():
        pytest.fail("no built book: run make book first (make test-browser does)")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    """The address of a server of the built book, on a free port of this machine."""
    handler = functools.partial(Quiet, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def pages() -> list[str]:
    built = [f"{name}.html" for name in toc_files() if (HTML / f"{name}.html").exists()]
    return [*built, "search.html", "genindex.html"]


# One look at a page: what the tests below ask of it. It ends narrow as a phone and dark.
SETTLED = """() => {
  const math = !document.querySelector('.bd-article .math')
    || document.querySelector('.bd-article mjx-container');
  const views = document.querySelectorAll(
    'script[type="application/vnd.jupyter.widget-view+json"]').length;
  const ended = document.querySelectorAll('.widget-mount[data-mounted], .widget-note').length;
  return math && ended >= views;
}"""
FACTS = """async () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  // a picture further down would wait to be scrolled to
  all('.bd-article img[loading]').forEach(e => { e.loading = 'eager'; });
  await Promise.all(all('.bd-article img').map(e => e.decode().catch(() => {})));
  return {
    mathematics: all('mjx-container').length,
    math_errors: all('mjx-merror, [data-mjx-error]').map(e => e.textContent),
    math_left: all('.bd-article span.math, .bd-article div.math')
      .filter(e => !e.querySelector('mjx-container')).map(e => e.textContent),
    widgets: all('script[type="application/vnd.jupyter.widget-view+json"]').length,
    widgets_drawn: all('.widget-mount[data-mounted]').filter(e => e.offsetHeight > 20).length,
    widget_notes: all('.widget-note').map(e => e.textContent),
    images_without_alt: all('.bd-article img:not(.course-map img)').filter(e => !e.alt)
      .map(e => e.src.slice(-60)),
    images_not_loaded: all('.bd-article img').filter(e => !e.naturalWidth)
      .map(e => e.src.slice(-60)),
  };
}"""

CARDS = """() => [...document.querySelectorAll('.bd-article .cell_output img:not([src$=".svg"])')]
  .map(e => getComputedStyle(e).backgroundColor)"""

# The playground is five steps, one below the other.
TALL = """() => [...document.querySelectorAll('.mechlib-widget:not([aria-label="playground"])')]
  .filter(e => e.offsetHeight > 1200).map(e => `${e.ariaLabel}: ${e.offsetHeight} px`)"""


class Visit:
    """One page in a fresh context, with everything it asked for and complained about."""

    def __init__(self, browser, url: str, bypass_csp: bool = False):
        self.outside: list[str] = []
        self.missing: list[str] = []
        self.complaints: list[str] = []
        self.origin = re.match(r"(file://|https?://[^/]+)", url)[0]
        self.context = browser.new_context(
            viewport=DESK, color_scheme="light", bypass_csp=bypass_csp
        )
        self.context.set_default_timeout(120_000)  # a busy machine may be slow, not wrong
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("console", self._console)
        self.page.on("response", self._response)
        self.page.goto(url, wait_until="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def _route(self, route):
        url = route.request.url
        if url.startswith((self.origin, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def _response(self, response):
        if response.status >= 400:
            self.missing.append(response.url)

    def _console(self, message):
        if message.type == "error":
            self._complain(message.text)

    def _complain(self, text: str):
        # file:// pages may not *preload* a font; the icons are then loaded by the style sheet
        preload = self.origin == "file://" and ("CORS policy" in text or "ERR_FAILED" in text)
        if not preload:
            self.complaints.append(text)

    def facts(self) -> dict:
        """Wait until mathematics is set and widgets are mounted or have given up, then look."""
        self.page.wait_for_function(SETTLED)
        found = self.page.evaluate(FACTS)
        self.page.set_viewport_size(PHONE)
        self.page.wait_for_timeout(100)
        found["width_on_a_phone"] = self.page.evaluate("document.documentElement.scrollWidth")
        found["tall_on_a_phone"] = self.page.evaluate(TALL)
        self.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        found["cards_in_the_dark"] = self.page.evaluate(CARDS)
        return found | {
            "outside": self.outside,
            "missing": self.missing,
            "complaints": self.complaints,
        }


def facts_in_firefox(fox, address: str, name: str) -> dict:
    """The same look at a page of the server, in Firefox. It cannot stop a request, only see it."""
    fox.goto(f"{address}/{name}", **DESK)
    fox.wait_for(SETTLED)
    found = fox.evaluate(FACTS)
    fox.resize(**PHONE)
    found["width_on_a_phone"] = fox.evaluate("() => document.documentElement.scrollWidth")
    found["tall_on_a_phone"] = fox.evaluate(TALL)
    fox.evaluate("() => { document.documentElement.dataset.theme = 'dark' }")
    found["cards_in_the_dark"] = fox.evaluate(CARDS)
    asked = [told["request"]["url"] for told in fox.told("network.beforeRequestSent")]
    answered = [told["response"] for told in fox.told("network.responseCompleted")]
    said = [told["text"] for told in fox.told("log.entryAdded") if told["level"] == "error"]
    return found | {
        "outside": [url for url in asked if not url.startswith((address, "data:", "blob:"))],
        "missing": [answer["url"] for answer in answered if answer["status"] >= 400],
        "complaints": said,
    }


@pytest.fixture(scope="module")
def fox():
    """One running Firefox; skipped, with the reason, without."""
    path = firefox()
    if path is None:
        pytest.skip("no Firefox: install one, or name it in the variable FIREFOX")
    started = Firefox(path)
    yield started
    started.close()


@pytest.fixture(scope="module", params=["http", "file", "firefox"])
def book(request, address) -> dict[str, dict]:
    """Every page looked at once, from a server, from the disk and in Firefox: page -> facts."""
    if request.param == "firefox":
        fox = request.getfixturevalue("fox")
        return {name: facts_in_firefox(fox, address, name) for name in pages()}
    browser = request.getfixturevalue("browser")
    base = address if request.param == "http" else HTML.as_uri()
    found = {}
    for name in pages():
        with Visit(browser, f"{base}/{name}") as visit:
            found[name] = visit.facts()
    return found


def pages_with(book: dict[str, dict], *facts: str) -> dict:
    """The pages where one of the facts is not empty."""
    return {
        name: [found[fact] for fact in facts if found[fact]]
        for name, found in book.items()
        if any(found[fact] for fact in facts)
    }


@pytest.mark.browser
def test_every_page_of_the_contents_is_built(browser):
    assert [name for name in toc_files() if not (HTML / f"{name}.html").exists()] == []


@pytest.mark.browser
def test_no_page_asks_the_network_for_anything(book):
    assert pages_with(book, "outside", "missing") == {}


@pytest.mark.browser
def test_no_page_complains(book):
    assert pages_with(book, "complaints") == {}


@pytest.mark.browser
def test_a_request_to_the_network_would_be_seen(browser, address):
    with Visit(browser, f"{address}/book/index.html", bypass_csp=True) as visit:
        visit.page.evaluate("fetch('https://example.org/x.js').catch(() => {})")
        visit.page.wait_for_timeout(500)
        assert visit.outside == ["https://example.org/x.js"]


@pytest.mark.browser
def test_the_browser_itself_refuses_a_request_to_the_network(browser, address):
    with Visit(browser, f"{address}/book/index.html") as visit:
        visit.page.evaluate("fetch('https://example.org/x.js').catch(() => {})")
        visit.page.wait_for_timeout(500)
        assert visit.outside == []
        assert any("Content Security Policy" in text for text in visit.complaints)


@pytest.mark.browser
def test_mathematics_is_set_without_errors(book):
    assert book["book/notation.html"]["mathematics"] > 20
    assert pages_with(book, "math_errors", "math_left") == {}


@pytest.mark.browser
def test_every_widget_is_mounted_and_draws(book):
    assert pages_with(book, "widget_notes") == {}
    wrong = {n: f for n, f in book.items() if f["widgets"] != f["widgets_drawn"]}
    assert wrong == {}


@pytest.mark.browser
def test_no_page_is_wider_than_a_phone(book):
    wide = {n: f["width_on_a_phone"] for n, f in book.items()}
    assert {n: width for n, width in wide.items() if width > PHONE["width"]} == {}


@pytest.mark.browser
def test_no_widget_fills_two_screens_of_a_phone(book):
    assert pages_with(book, "tall_on_a_phone") == {}


@pytest.mark.browser
def test_every_image_has_alt_text_and_is_loaded(book):
    assert pages_with(book, "images_without_alt", "images_not_loaded") == {}


@pytest.mark.browser
def test_pictures_that_are_no_vectors_keep_a_light_card_in_the_dark(book):
    for name, found in book.items():
        assert set(found["cards_in_the_dark"]) <= {"rgb(255, 255, 255)"}, name


@pytest.mark.browser
def test_every_page_refuses_the_network_and_describes_itself(browser):
    for name in pages():
        text = (HTML / name).read_text("utf-8")
        assert text.count("Content-Security-Policy") == 1, name
        assert "fontawesome" not in text, name
        assert "THEBE_JS_URL" not in text, name
        assert len(re.search(r'name="description" content="([^"]*)"', text)[1]) > 40, name


@pytest.mark.browser
def test_search_finds_a_page(browser, address):
    with Visit(browser, f"{address}/search.html?q=eigenvalues") as visit:
        visit.page.wait_for_selector("#search-results li a")
        links = visit.page.locator("#search-results li a").all_text_contents()
        assert any("Errata" in text or "Glossary" in text or "Notation" in text for text in links)
    with Visit(browser, f"{address}/search.html?q=xqzzyv") as visit:
        visit.page.wait_for_selector("#search-results p")
        visit.page.wait_for_timeout(1000)
        assert visit.page.locator("#search-results li a").count() == 0


@pytest.mark.browser
def test_search_finds_the_chapter_first(browser, address):
    chapters = {
        "bigram": "5. Zero layers: bigrams",
        "skip-trigram": "7. Skip-trigrams",
        "induction head": "10. Induction heads",
        "grokking": "12. Grokking, live",
        "Fourier": "13. The Fourier circuit",
        "steering": "16. Steering and patching",
        "how to start": "Circuits You Can Run > How to start",
    }
    for words, title in chapters.items():
        with Visit(browser, f"{address}/search.html?q={words}") as visit:
            first = visit.page.locator("#search-results li > a").first
            first.wait_for()
            assert first.inner_text() == title
            snippet = visit.page.locator("#search-results li p.context").first
            snippet.wait_for()
            assert ".pdf" not in snippet.inner_text()  # the buttons above the text are no text


@pytest.mark.browser
def test_the_theme_button_turns_the_page_dark(browser, address):
    def lightness(page) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(x) for x in re.findall(r"\d+", colour)[:3]) / 765

    with Visit(browser, f"{address}/book/index.html") as visit:
        assert lightness(visit.page) > 0.9
        for _ in range(3):  # the button goes round light, dark and the system's choice
            if visit.page.evaluate("document.documentElement.dataset.theme") == "dark":
                break
            visit.page.locator("button.theme-switch-button").first.click()
        visit.page.wait_for_timeout(500)
        assert lightness(visit.page) < 0.2


@pytest.mark.browser
def test_a_guess_is_answered_by_the_claim_and_kept(browser, address):
    with Visit(browser, f"{address}/notebooks/10_induction.html") as visit:
        box = visit.page.locator(".admonition.guess").first
        assert box.locator(".claim").count() == 0  # nothing is given away
        slider = box.locator("input[type=range]")
        slider.focus()
        visit.page.keyboard.press("ArrowRight")
        guess = box.locator("output").inner_text()
        box.locator("button").click()
        shown = box.locator(".claim-statement").inner_text()
        assert f"You said: {guess}." in box.inner_text()
        low, high = map(float, re.search(r"\((\S+) to (\S+) over", shown).groups())
        assert float(guess.split()[0]) > high
        assert "Your guess lies above all of them." in box.inner_text()
        band, mark = (box.locator(f".guess-{part}").bounding_box() for part in ("spread", "mark"))
        assert band["x"] + band["width"] < mark["x"]
        for key, where in (("Home", "below all of them"), ("ArrowRight", "between them")):
            slider.focus()
            visit.page.keyboard.press(key)
            value = box.locator("output")
            while key == "ArrowRight" and float(value.inner_text().split()[0]) < low:
                visit.page.keyboard.press(key)
            guess = box.locator("output").inner_text()
            box.locator("button").click()
            assert f"Your guess lies {where}." in box.inner_text()
        target = box.locator(".guess-result a").get_attribute("href")
        assert shown in visit.page.locator(f"{target} .claim-statement").all_inner_texts()
        visit.page.reload()
        assert f"You said: {guess}." in visit.page.locator(".admonition.guess").first.inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "page", ["book/index", "notebooks/10_induction", "book/scoreboard", "book/reference/hall"]
)
def test_axe_finds_no_serious_barrier(browser, address, page, theme):
    with Visit(browser, f"{address}/{page}.html", bypass_csp=True) as visit:
        visit.page.emulate_media(color_scheme=theme)
        visit.page.wait_for_timeout(1000)  # the theme's colours fade in
        found = Axe().run(visit.page, options={"resultTypes": ["violations"]}).response
        assert {
            barrier["id"]: [node["html"][:80] for node in barrier["nodes"][:3]]
            for barrier in found["violations"]
            if barrier["impact"] in ("serious", "critical")
        } == {}


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll("text")].filter((text) => text.textContent.trim())
    .map((text) => [text.textContent.trim(), text.getBoundingClientRect()]);
  const pairs = [];
  for (const [i, [one, a]] of boxes.entries())
    for (const [other, b] of boxes.slice(i + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1.5 && wide > 0.15 * Math.min(a.width, b.width) &&
          high > 0.35 * Math.min(a.height, b.height)) pairs.push([one, other]);
    }
  return pairs;
}"""


@pytest.mark.browser
def test_no_two_texts_of_a_figure_overlap(browser, tmp_path):
    page = browser.new_page()
    crossed = tmp_path / "crossed.svg"
    crossed.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30">'
        '<text x="5" y="20">one</text><text x="15" y="22">two</text></svg>'
    )
    page.goto(crossed.as_uri())
    assert page.evaluate(OVERLAPS) == [["one", "two"]]
    overlaps = {}
    for figure in sorted((HTML / "_images").glob("*.svg")):
        page.goto(figure.as_uri())
        overlaps[figure.name] = page.evaluate(OVERLAPS)
    page.close()
    assert {name: pairs for name, pairs in overlaps.items() if pairs} == {}


@pytest.mark.browser
def test_a_self_test_works_without_scripts_and_by_keyboard(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/notebooks/04_residual_stream.html")
    box = page.locator(".admonition.check-yourself").first
    choices = box.locator("details")
    assert choices.count() >= 3
    for choice in choices.all():
        reason = choice.locator("p").first
        assert not reason.is_visible()  # nothing is given away
        choice.locator("summary").focus()
        page.keyboard.press("Enter")
        reason.wait_for(state="visible")
        assert reason.inner_text().startswith(("Yes. ", "No. "))
    context.close()
