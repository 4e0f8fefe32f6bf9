"""The book on one page: every link leads to a place on it, in the browser and on paper."""

import re
from pathlib import Path

import pytest

from mechlib.pages import paper

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
HEAD = (
    '<link rel="stylesheet" type="text/css" href="../_static/a.css">'
    "<script>window.MathJax = {}</script>"
    '<script defer="defer" src="../_static/mathjax/tex.js"></script>'
)
PAGES = {
    "book/index": '<p id="top">See <a href="../notebooks/05_x.html#loss">the loss</a>, '
    '<a href="../notebooks/05_x.html">the chapter</a>, <a href="#top">the top</a>, '
    '<a href="../slides/one.html">slides</a> and <a href="https://a.org/#b">elsewhere</a>.</p>',
    "notebooks/05_x": '<h2 id="loss">Loss</h2><p id="top">'
    '<img src="../_images/a.svg" loading="lazy" alt="a">'
    '<script>forget("this")</script></p>',
}


@pytest.fixture
def html(tmp_path) -> Path:
    for name, body in PAGES.items():
        path = tmp_path / "html" / f"{name}.html"
        path.parent.mkdir(parents=True)
        article = f'<article class="bd-article">{body}</article>'
        text = f"<html><head>{HEAD}</head><body><nav></nav>{article}</body></html>"
        path.write_text(text, encoding="utf-8")
    return tmp_path / "html"


def test_what_led_to_another_page_leads_to_its_place(html):
    text = paper.one_page(html, list(PAGES))
    assert 'href="#notebooks-05_x--loss"' in text
    assert 'href="#notebooks-05_x--"' in text
    assert 'href="#book-index--top"' in text
    assert text.count('id="book-index--top"') == text.count('id="notebooks-05_x--top"') == 1
    assert paper.dead_ends(text) == []
    # what is no page of the book stays a file, or an address
    assert 'href="html/slides/one.html"' in text
    assert 'href="https://a.org/#b"' in text
    assert 'src="html/_images/a.svg"' in text
    assert 'href="html/_static/a.css"' in text
    assert text.count('src="html/_static/mathjax/tex.js"') == 1
    assert "forget" not in text
    assert "lazy" not in text
    assert "<nav>" not in text


def test_a_dead_end_would_be_seen(html):
    text = paper.one_page(html, list(PAGES)).replace('id="notebooks-05_x--loss"', "")
    assert paper.dead_ends(text) == ["notebooks-05_x--loss"]


def test_a_page_that_is_not_built_is_named(html):
    with pytest.raises(FileNotFoundError, match=r"06_y\.html is missing: build the book"):
        paper.one_page(html, ["notebooks/06_y"])


def test_the_pages_are_those_of_the_contents_without_the_reference():
    pages = paper.contents(ROOT)
    assert pages[0] == "book/index"
    assert {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")} <= {
        page.removeprefix("notebooks/") for page in pages
    }
    assert not any(page.startswith("book/reference/") for page in pages)


@pytest.mark.browser
def test_in_the_built_book_no_link_ends_nowhere():
    text = paper.one_page(HTML, paper.contents(ROOT))
    assert paper.dead_ends(text) == []
    assert len(re.findall(r'href="#', text)) > 1000


@pytest.mark.browser
def test_the_links_are_there_on_paper(browser, html, tmp_path):
    page = tmp_path / "print.html"
    page.write_text(paper.one_page(html, list(PAGES)), encoding="utf-8")
    shown = browser.new_page()
    written = paper.printed(shown, page)
    shown.close()
    assert len(re.findall(rb"/Type\s*/Page\b", written)) == 2
    assert len(re.findall(rb"/Subtype\s*/Link", written)) == 5
    assert len(re.findall(rb"/URI\s*\(", written)) == 2
