"""The whole book on one page, to be printed.

    python -m mechlib.pages.paper       # _build/print.html
    make pdf                            # builds the book first, and prints the page to a PDF

The pages of the table of contents stand there in its order. What leads from one page to another
in the book leads from one place to another on paper: names are made unique by the page's own, and
links follow them.
"""

import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from mechlib.files import write_in_place

ARTICLE = re.compile(r'<article class="bd-article".*?</article>', re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
TAG = re.compile(r"<[a-zA-Z][^<>]*>")
ATTRIBUTE = re.compile(r'\b(id|href|src|for|aria-labelledby|aria-describedby)="([^"]*)"')
STYLES = re.compile(r'<link[^>]*rel="stylesheet"[^>]*>')
MATHEMATICS = re.compile(
    r"<script[^>]*>\s*window\.MathJax.*?</script>|<script[^>]*mathjax/[^>]*></script>"
)
WHOLE = """<!doctype html>
<html lang="en" data-mode="light" data-theme="light">
<head>
<meta charset="utf-8">
<title>Circuits You Can Run</title>
{head}
<style>
article.bd-article {{ max-width: 50rem; margin: 0 auto; }}
article.bd-article ~ article.bd-article {{ break-before: page; }}
</style>
</head>
<body>
{articles}
</body>
</html>
"""
# The names under which a Chromium may be found; the variable CHROMIUM names one by its path.
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def chromium() -> str | None:
    """The path of a Chromium, Chrome or Edge; None when there is none.

    Raises `FileNotFoundError` when the variable CHROMIUM names a file that is not there.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        if not Path(named).exists():
            raise FileNotFoundError(f"CHROMIUM: there is no file {named!r}")
        return named
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    return found or (MAC if Path(MAC).exists() else None)


def contents(root: Path) -> list[str]:
    """Every page of the table of contents in its order, as "notebooks/05_bigrams".

    The reference of the package is left out: two hundred pages that nobody reads on paper.
    """
    table = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found = [table["root"]]

    def visit(node: dict) -> None:
        if "file" in node:
            found.append(node["file"])
        for key in ("parts", "chapters", "sections"):
            for child in node.get(key, []):
                visit(child)

    visit(table)
    return [page for page in found if not page.startswith("book/reference/")]


def one_page(html: Path, pages: list[str]) -> str:
    """The HTML of all `pages` together, for a file that lies beside the folder `html`.

    Raises `FileNotFoundError` when a page is not built.
    """
    articles, head = [], ""
    for page in pages:
        path = html / f"{page}.html"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: build the book first (make book)")
        text = path.read_text(encoding="utf-8")
        found = ARTICLE.search(text)
        if not found:
            raise ValueError(f"{path} has no article")
        # a printer does not scroll, so no picture may wait for that
        body = SCRIPT.sub("", found[0]).replace(' loading="lazy"', "")
        moved = _moved(body, page, set(pages), html.name)
        articles.append(f'<a id="{_place(page, "")}"></a>\n{moved}')
        # a page without formulas does not load what sets them
        if not MATHEMATICS.search(head):
            parts = STYLES.findall(text) + MATHEMATICS.findall(text)
            head = _moved("\n".join(parts), page, set(), html.name)
    return WHOLE.format(head=head, articles="\n".join(articles))


def _place(page: str, name: str) -> str:
    return f"{page.replace('/', '-')}--{name}"


def _moved(text: str, page: str, pages: set[str], folder: str) -> str:
    """Some HTML of `page` with its names and links as they are on the page of all."""

    def change(found: re.Match) -> str:
        key, value = found[1], found[2]
        if key in ("href", "src"):
            return f'{key}="{_link(value, page, pages, folder)}"'
        names = " ".join(_place(page, name) for name in value.split())
        return f'{key}="{names}"'

    return TAG.sub(lambda tag: ATTRIBUTE.sub(change, tag[0]), text)


def _link(address: str, page: str, pages: set[str], folder: str) -> str:
    if re.match(r"[a-z]+:", address):
        return address
    path, _, name = address.partition("#")
    if not path:
        return f"#{_place(page, name)}"
    there = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    if there.removesuffix(".html") in pages:
        return f"#{_place(there.removesuffix('.html'), name)}"
    return f"{folder}/{there}" + (f"#{name}" if name else "")


def dead_ends(text: str) -> list[str]:
    """Links within a page that lead to no name on it, each once."""
    names = set(re.findall(r'\bid="([^"]+)"', text))
    return sorted({to for to in re.findall(r'href="#([^"]+)"', text) if to not in names})


def printed(shown: Any, page: Path) -> bytes:
    """The PDF of a page, made in `shown`, a page of a browser: A4, with bookmarks, links kept."""
    shown.set_default_timeout(0)  # some thousand formulas take as long as they take
    shown.goto(page.resolve().as_uri(), wait_until="load")
    shown.evaluate("window.MathJax && MathJax.startup && MathJax.startup.promise")
    return shown.pdf(format="A4", print_background=True, tagged=True, outline=True)


def written(root: Path) -> Path:
    """Write the page of all beside the built book; returns where it is."""
    page = root / "_build" / "print.html"
    text = one_page(root / "_build" / "html", contents(root))
    write_in_place(page, lambda path: path.write_text(text, "utf-8"))
    return page


def main() -> int:
    """The command line; returns the exit status."""
    print(written(Path.cwd()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
