"""The one file to hand out: the same bytes each time, and it opens from a folder."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from mechlib.pages.offline import NAME, pack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def course(tmp_path) -> Path:
    files = ("_build/html/book/index.html", "_build/html/slides/session-1.html")
    for name in (*files, "notebooks/05_x.ipynb", "LICENSE", "README.md"):
        path = tmp_path / "course" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}", encoding="utf-8")
    return tmp_path / "course"


def test_the_zip_holds_book_slides_and_notebooks(course, tmp_path):
    with zipfile.ZipFile(pack(course, tmp_path / "a.zip")) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.namelist()}
        assert archive.read(f"{NAME}/LICENSE") == b"this is LICENSE"
    assert names == {
        "index.html",
        "book/book/index.html",
        "book/slides/session-1.html",
        "notebooks/05_x.ipynb",
        "LICENSE",
        "README.md",
    }


def test_the_same_book_gives_the_same_bytes_and_the_checksum_is_theirs(course, tmp_path):
    first = pack(course, tmp_path / "a.zip").read_bytes()
    assert pack(course, tmp_path / "b.zip").read_bytes() == first
    said = (tmp_path / "a.zip.sha256").read_text(encoding="utf-8")
    assert said == f"{hashlib.sha256(first).hexdigest()}  a.zip\n"
    (course / "LICENSE").write_text("another", encoding="utf-8")
    assert pack(course, tmp_path / "b.zip").read_bytes() != first


def test_without_a_book_there_is_nothing_to_hand_out(course, tmp_path):
    (course / "_build/html/slides/session-1.html").unlink()
    with pytest.raises(FileNotFoundError, match="make book"):
        pack(course, tmp_path / "a.zip")


@pytest.mark.browser
def test_unpacked_it_opens_without_a_server(browser, tmp_path):
    with zipfile.ZipFile(pack(ROOT, tmp_path / "course.zip")) as archive:
        archive.extractall(tmp_path)
    context, asked, wrong = browser.new_context(), [], []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / NAME / "index.html").as_uri())
    page.wait_for_url("**/book/book/index.html")
    assert "Circuits You Can Run" in page.title()
    page.goto((tmp_path / NAME / "book" / "book" / "guide" / "index.html").as_uri())
    page.locator("a[href$='slides/session-1.html']").first.click()
    page.wait_for_function("() => window.Reveal && Reveal.isReady()")
    page.goto((tmp_path / NAME / "book" / "notebooks" / "05_bigrams.html").as_uri())
    page.wait_for_selector(".widget-mount[data-mounted]")
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    # two messages of the theme's own scripts, without consequence (see test_book.py)
    assert [w for w in wrong if "THEBE" not in w and "theme mode" not in w] == []
