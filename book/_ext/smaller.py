"""The book's scripts and styles without their comments and blanks, at the end of a build.

The source stays as it is written, in the repository and in the notebooks; only what the built book
serves is made smaller. Widgets travel inside the pages, each with its source and style; where two
widgets of a page begin alike, the second names the first (static-anywidget.js reads that). Heavy
numbers become scripts beside the pages, one for all that use the same: a script can be loaded from
a folder without a server.
"""

import base64
import functools
import json
import re
from itertools import takewhile
from pathlib import Path

from rcssmin import cssmin

from mechlib.pages import beside

STATES = re.compile(
    r'(<script type="application/vnd\.jupyter\.widget-state\+json">)(.*?)(</script>)', re.DOTALL
)


@functools.cache
def small(text: str, kind: str) -> str:
    """The same program (kind "js") or style (kind "css") in fewer bytes.

    A program loses the lines that are comments, and what stands before and behind each line. No
    more: minifiers in Python that go further take blanks out of a template inside a template.
    Raises ValueError for a text of several lines in backticks, whose blanks would be lost.
    """
    if kind == "css":
        return cssmin(text)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("//")]
    if any(line.count("`") % 2 for line in lines):
        raise ValueError("text: a template that runs over several lines cannot be made smaller")
    return "\n".join(lines) + "\n"


def small_page(text: str, numbers: dict[str, bytes] | None = None) -> str:
    """A page of the book with the widgets it holds made smaller.

    numbers: where heavy ones are put, by name; without it they stay in the page.
    """
    return STATES.sub(lambda match: match[1] + small_states(match[2], numbers) + match[3], text)


def small_states(text: str, numbers: dict[str, bytes] | None = None) -> str:
    """The state of a page's widgets, as JSON that may stand in a script tag."""
    states = json.loads(text)
    if numbers is not None:
        numbers.update(beside.take_out(states["state"]))
    seen: dict[str, list[tuple[str, str]]] = {"_esm": [], "_css": []}
    for name, model in states["state"].items():
        for trait, kind in (("_esm", "js"), ("_css", "css")):
            source = model["state"].get(trait)
            if not isinstance(source, str):
                continue  # none, or named by an earlier build
            source = small(source, kind)
            model["state"][trait] = _named(source, seen[trait])
            seen[trait].append((name, source))
    return json.dumps(states, separators=(",", ":")).replace("</", "<\\/")


def _beginning(one: str, other: str) -> str:
    """The lines with which two texts begin alike."""
    lines = zip(one.splitlines(keepends=True), other.splitlines(keepends=True), strict=False)
    return "".join(line for line, _ in takewhile(lambda pair: pair[0] == pair[1], lines))


def _named(source: str, seen: list[tuple[str, str]]) -> str | dict:
    """A source, or what it shares with the beginning of an earlier one, and the rest."""
    shared = [(_beginning(source, other), name) for name, other in seen]
    text, first = max(shared, key=lambda pair: len(pair[0]), default=("", ""))
    if len(text) < 1000:
        return source
    length = len(text.encode("utf-16-le")) // 2  # as JavaScript counts
    return {"same": first, "length": length, "more": source[len(text) :]}


def small_all(app, exception) -> None:
    """Every page and every script and style of the book's own, when the build went well."""
    if exception is not None or app.builder.format != "html":
        return
    out, own = Path(app.outdir), Path(app.srcdir) / "book" / "_static"
    numbers = {path.stem: path.read_bytes() for path in Path(app.srcdir).glob("*/widgets/*.bin")}
    for path in sorted(out.rglob("*.html")):
        text = path.read_text("utf-8")
        smaller = small_page(text, numbers)
        if smaller != text:
            path.write_text(smaller, "utf-8")
    scripts = out / "_static" / "widgets"
    scripts.mkdir(exist_ok=True)
    for name, data in numbers.items():
        text = f'mechlibNumbers["{name}"] = "{base64.b64encode(data).decode()}";\n'
        (scripts / f"{name}.js").write_text(text, "utf-8")
    for kind in ("js", "css"):
        for source in sorted((own / kind).glob(f"*.{kind}")):
            built = out / "_static" / kind / source.name
            if built.is_file():
                built.write_text(small(built.read_text("utf-8"), kind), "utf-8")


def setup(app) -> dict:
    """Sphinx's hook; after every other one, which may still write pages."""
    app.connect("build-finished", small_all, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
