"""The map of the chapters on the landing page: the directive `course-map`.

Everything in it is what the chapters say of themselves: title, needs and minutes in their opening
text, question and path in their metadata, the thumbnail from their first figure.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from thumbnails import thumbnail

PATHS = {"circuits": "Circuits", "grokking": "Grokking"}
STANDS = {"circuits": ("circuits",), "grokking": ("grokking",), "both": tuple(PATHS), "beyond": ()}
COLUMN, ROW, NODE = 62, 64, 22  # of the drawing; the radius keeps a finger's size on a phone


@dataclass(frozen=True)
class Chapter:
    """One chapter, as it describes itself.

    needs: the chapters it builds on as a whole; parts: those of which it needs one idea.
    paths: the marked paths it stands on, none where it needs both.
    picture: its opening figure, as SVG.
    """

    number: int
    name: str
    title: str
    question: str
    minutes: int
    needs: tuple[int, ...]
    parts: tuple[int, ...]
    paths: tuple[str, ...]
    picture: str


def read_chapter(path: Path) -> Chapter:
    """A chapter's description of itself. ValueError names the notebook and what it does not say."""
    nb = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    about = nb.metadata.get("mechlib", {})

    def said(pattern: str, what: str) -> tuple[str, ...]:
        found = re.search(pattern, text, re.M)
        if found is None:
            raise ValueError(f"{path.name}: its opening text has no {what}")
        return found.groups()

    number, title = said(r"^# (\d+)\. (.+)$", "title '# 5. Name'")
    (minutes,) = said(r"\*\*Time:\*\* (\d+) minutes to read", "'**Time:** N minutes to read'")
    (asked,) = said(r"\*\*You need:\*\*(.*?)(?:\*\*Time|$)", "'**You need:**'")
    if not about.get("question") or about.get("path") not in STANDS:
        accepted = ", ".join(STANDS)
        raise ValueError(
            f"{path.name}: its metadata wants mechlib.question, and mechlib.path as one of "
            f"{accepted}; got {about.get('question')!r} and {about.get('path')!r}"
        )
    whole, _, part = asked.partition(";")  # after the semicolon stands what is needed in part
    needs = tuple(int(n) for n in re.findall(r"\]\((\d\d)_", whole))
    return Chapter(
        number=int(number),
        name=path.stem,
        title=title.strip(),
        question=about["question"],
        minutes=int(minutes),
        needs=needs,
        parts=tuple(n for n in map(int, re.findall(r"\]\((\d\d)_", part)) if n not in needs),
        paths=STANDS[about["path"]],
        picture=opening_figure(nb),
    )


def opening_figure(nb: Any) -> str:
    """The first figure of a notebook, as SVG. ValueError where there is none."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            svg = output.get("data", {}).get("image/svg+xml")
            if svg is not None:
                return svg
    raise ValueError("a notebook without a figure has no thumbnail")


def read_chapters(folder: Path) -> list[Chapter]:
    """All chapters in reading order."""
    return [read_chapter(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]


# ---- the graph ----


def places(chapters: list[Chapter]) -> dict[int, tuple[int, int]]:
    """Number -> (column, row): a chapter right of all that it needs; grokking in the last row."""
    column: dict[int, int] = {}
    for chapter in chapters:
        before = [column[n] for n in (*chapter.needs, *chapter.parts)]
        column[chapter.number] = max(before, default=-1) + 1
    rows: dict[int, int] = {}
    for chapter in chapters:
        if chapter.paths != ("grokking",):
            at = column[chapter.number]
            rows[chapter.number] = sum(column[n] == at for n in rows)
    last = max(rows.values()) + 1
    return {c.number: (column[c.number], rows.get(c.number, last)) for c in chapters}


def edges(chapters: list[Chapter]) -> list[tuple[int, int, bool]]:
    """(earlier, later, whole) of every need that does not follow from the others."""
    above: dict[int, set[int]] = {}  # everything that a chapter rests on
    for c in chapters:
        direct = {*c.needs, *c.parts}
        above[c.number] = direct.union(*(above[n] for n in direct))
    found = []
    for c in chapters:
        direct = {*c.needs, *c.parts}
        for n in sorted(direct):
            if not any(n in above[other] for other in direct - {n}):
                found.append((n, c.number, n in c.needs))
    return found


def graph(chapters: list[Chapter]) -> str:
    """The needs as a drawing. The list below says the same in words, so it is hidden from readers
    who listen, and the keyboard passes over it."""
    at, known = places(chapters), {c.number: c for c in chapters}
    width = COLUMN * (max(x for x, _ in at.values()) + 1)
    height = ROW * (max(y for _, y in at.values()) + 1)
    parts = []
    for earlier, later, whole in edges(chapters):
        shared = [p for p in PATHS if p in known[earlier].paths and p in known[later].paths]
        kind = shared[0] if len(shared) == 1 else "both" if shared else "beyond"
        dotted = "" if whole else " partly"
        parts.append(f'<path class="on-{kind}{dotted}" d="{stroke(at[earlier], at[later], at)}" />')
    for c in chapters:
        x, y = middle(at[c.number])
        kind = next(key for key, paths in STANDS.items() if paths == c.paths)
        parts.append(
            f'<a class="on-{kind}" href="../notebooks/{c.name}.html" tabindex="-1">'
            f"<title>{html.escape(c.title)}</title>"
            f'<circle cx="{x}" cy="{y}" r="{NODE}" /><text x="{x}" y="{y}">{c.number}</text></a>'
        )
    size = f'viewBox="0 0 {width} {height}"'
    return f'<svg class="needs" {size} aria-hidden="true">{"".join(parts)}</svg>'


def middle(place: tuple[int, int]) -> tuple[int, int]:
    return place[0] * COLUMN + COLUMN // 2, place[1] * ROW + ROW // 2


def stroke(start: tuple[int, int], end: tuple[int, int], at: dict) -> str:
    """A curve from one place to another that passes no chapter in between.

    It leaves for a free height at once, keeps it, and arrives in the last column. Where every row
    has a chapter on the way, it keeps between two rows.
    """
    taken = set(at.values())
    between = range(start[0] + 1, end[0])
    rows = range(max(row for _, row in taken) + 1)
    free = [
        row
        for row in (end[1], start[1], *rows)
        if not any((column, row) in taken for column in between)
    ]
    (x, y), (last_x, last_y) = middle(start), middle(end)
    level = middle((0, free[0]))[1] if free else ROW * max(start[1], end[1], 1)
    if not between:
        bend = (x + last_x) / 2
        return f"M{x} {y}C{bend:.0f} {y} {bend:.0f} {last_y} {last_x} {last_y}"
    first, until, half = x + COLUMN, last_x - COLUMN, COLUMN // 2
    return (
        f"M{x} {y}C{x + half} {y} {x + half} {level} {first} {level}L{until} {level}"
        f"C{until + half} {level} {until + half} {last_y} {last_x} {last_y}"
    )


# ---- the list ----


def item(c: Chapter, known: dict[int, Chapter]) -> str:
    """One chapter of the list: thumbnail, title, question, minutes, needs, paths."""
    _, width, height = thumbnail(c.picture)
    needs = [f'<a href="#map-{n}">{n}</a>' for n in c.needs]
    needs += [f'a part of <a href="#map-{n}">{n}</a>' for n in c.parts]
    wanted = f"needs {_and(needs)}" if needs else "needs no other chapter"
    marks = "".join(f'<span class="path {p}">{PATHS[p]}</span>' for p in c.paths)
    return (
        f'<li id="map-{c.number}" class="{" ".join(c.paths)}">'
        f'<img src="../_images/{picture_name(c)}" alt="" width="{width}" height="{height}" '
        'loading="lazy" decoding="async" />'
        f'<div><a class="title" href="../notebooks/{c.name}.html">{c.number}. '
        f"{html.escape(c.title)}</a>"
        f'<p class="question">{html.escape(c.question)}</p>'
        f'<p class="facts">{c.minutes} minutes, {wanted} {marks}</p></div></li>'
    )


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def picture_name(c: Chapter) -> str:
    return f"map-{c.number:02d}.svg"


def chooser(chapters: list[Chapter]) -> str:
    """Which path to show: works by style alone, without a script."""
    options = [("all", "Every chapter", chapters)]
    options += [(p, f"{PATHS[p]} only", [c for c in chapters if p in c.paths]) for p in PATHS]
    rows = []
    for key, name, chosen in options:
        hours = f"{sum(c.minutes for c in chosen) / 60:.0f} hours of reading"
        checked = " checked" if key == "all" else ""
        rows.append(
            f'<label class="path {key}"><input type="radio" name="path" value="{key}"{checked} />'
            f" {name} <small>{len(chosen)} chapters, {hours}</small></label>"
        )
    return f"<fieldset><legend>Which path?</legend>{''.join(rows)}</fieldset>"


def course_map(chapters: list[Chapter]) -> str:
    """The whole map as HTML."""
    known = {c.number: c for c in chapters}
    items = "".join(item(c, known) for c in chapters)
    choice_and_drawing = chooser(chapters) + graph(chapters)
    return f'<div class="course-map">{choice_and_drawing}<ol role="list">{items}</ol></div>'


class CourseMap(SphinxDirective):
    """`course-map`: no arguments; reads the notebooks."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / "notebooks"
        for path in folder.glob("[0-9][0-9]_*.ipynb"):
            self.env.note_dependency(str(path))
        return [nodes.raw("", course_map(read_chapters(folder)), format="html")]


def write_thumbnails(app: Any, error: Exception | None) -> None:
    """The thumbnails beside the book's other pictures, at the end of a build that succeeded."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir) / "_images"
    out.mkdir(exist_ok=True)
    for c in read_chapters(Path(app.srcdir) / "notebooks"):
        (out / picture_name(c)).write_text(thumbnail(c.picture)[0], "utf-8", newline="\n")


def setup(app: Any) -> dict:
    """Sphinx's hook."""
    app.add_directive("course-map", CourseMap)
    app.connect("build-finished", write_thumbnails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
