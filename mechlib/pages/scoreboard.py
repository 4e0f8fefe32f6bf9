"""The replication scoreboard: every claim of the course, read out of the stored notebooks.

    python -m mechlib.pages.scoreboard            # write book/scoreboard.md and book/margins.md
    python -m mechlib.pages.scoreboard --check    # exit 1 when they are not what the notebooks say

`claim(...)` leaves its record in the metadata of the output that shows it, under "mechlib_claim".
This module collects the records and writes two pages. The scoreboard has totals, then the claims
that stand beside a paper's number, those that did not replicate first, then all of them, folded by
chapter. The other has the margins (`mechlib.pages.margins`).
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mechlib.pages import margins
from mechlib.pages.claims import line, notes, statement
from mechlib.pages.notebooks import all_notebooks, write

PAGE = Path("book") / "scoreboard.md"
MARGINS = Path("book") / "margins.md"
RECORD = "mechlib_claim"

HEAD = """\
(scoreboard)=
# Replication scoreboard

Whenever a chapter states a fact about a model, it checks the fact in the next cell.
The check leaves a record: what was measured, the bound it had to reach, the same measurement where
the fact should *not* hold (the control), and the paper's number where there is one.
This page is made from those records, as they lie in the stored notebooks.
A check that fails stops its notebook, so every line below passed its own bound.
That is not yet a replication: the models here are far smaller than the papers', and some effects
come out weaker in them, or differently.
How far each claim is from failing, and what its check says to its control, has
[a page of its own](margins.md).
"""

# What a reader of a replication wants to see first comes first.
VERDICTS = {
    "differs": "the effect is not the paper's",
    "weaker": "it has the paper's direction and passed its bound, but falls short of the number",
    "replicates": (
        "the paper's number lies within the range of our seeds, widened by a tenth of the number "
        "and by its reading error; or all our seeds lie beyond it, on the side where the effect "
        "is stronger"
    ),
    "not comparable": "the two cannot be set side by side, and the line says why",
}


@dataclass(frozen=True)
class Chapter:
    """One notebook: its path from the root, its title, and its claims' records in order."""

    path: str
    title: str
    records: list[dict]


def chapters(root: Path) -> list[Chapter]:
    """The claims of every notebook under `root` that makes any, in reading order."""
    found = []
    for path in all_notebooks(root):
        nb = nbformat.read(path, as_version=4)
        records = [
            _current(output.metadata[RECORD])
            for cell in nb.cells
            for output in cell.get("outputs", [])
            if RECORD in output.get("metadata", {})
        ]
        if records:
            found.append(Chapter(path.relative_to(root).as_posix(), _title(nb, path), records))
    return found


def page(found: list[Chapter]) -> str:
    """The whole text of book/scoreboard.md."""
    everything = [(chapter, record) for chapter in found for record in chapter.records]
    beside = [(c, r) for c, r in everything if r["paper"] is not None]
    controlled = sum(r["control"] is not None for _, r in everything)
    parts = [
        HEAD,
        f"There are {len(everything)} claims in {len(found)} notebooks. {controlled} have a "
        f"control that fails the bound. {len(beside)} stand beside a paper's number:\n",
        "".join(
            f"- **{_count(beside, verdict)} {verdict}**: {rule}.\n"
            for verdict, rule in VERDICTS.items()
        ),
        "The rule was fixed for the whole course beforehand. Numbers are compared in like units.\n",
    ]
    for verdict in VERDICTS:
        chosen = [(c, r) for c, r in beside if r["paper"]["verdict"] == verdict]
        if chosen:
            items = (_beside(chapter, record) for chapter, record in chosen)
            parts.append(f"## {verdict[0].upper()}{verdict[1:]}\n\n" + "".join(items))
    if found:
        parts.append("## Every claim\n")
    for chapter in found:
        lines = "".join(f"- {_text(line(record))}\n" for record in chapter.records)
        parts.append(
            f":::{{dropdown}} {_text(chapter.title)}: {len(chapter.records)} claims\n"
            f"{_link(chapter)}\n\n{lines}:::\n"
        )
    return "\n".join(parts)


def margins_page(found: list[Chapter]) -> str:
    """The whole text of book/margins.md."""
    numbered = re.compile(r"\d+")
    entries = []
    for chapter in found:
        number = numbered.match(chapter.title)
        name = number[0] if number else chapter.title
        link = _link(chapter).replace(f"[{_text(chapter.title)}]", f"[{_text(name)}]")
        entries += [(link, record) for record in chapter.records]
    return margins.page(entries, _text)


def _count(beside: list[tuple[Chapter, dict]], verdict: str) -> int:
    return sum(record["paper"]["verdict"] == verdict for _, record in beside)


def _beside(chapter: Chapter, record: dict) -> str:
    """One entry: ours, then the paper's number, then what was demanded and where it stands."""
    paper = record["paper"]
    theirs = f"{paper['source']}: {paper['text']}"
    rest = [text for kind, text in notes(record) if kind != "paper"]
    why = f" *Not comparable: {_text(paper['unlike'])}.*" if paper["unlike"] else ""
    return (
        f"- **{_text(statement(record))}.** {_text(theirs)}.{why}"
        f" {_text('; '.join(rest)[:1].upper() + '; '.join(rest)[1:])}{'.' if rest else ''}"
        f" ({_link(chapter)})\n"
    )


def _current(record: dict) -> dict:
    """The record in today's form; notebooks of an older form named no control and no source."""
    if "values" in record:
        return record
    control, paper = record.get("control"), record.get("paper")
    if control is not None:
        control = {"name": "control", "value": control, "values": [control]}
    if paper is not None:
        paper = {
            "source": "the paper", "text": str(paper), "unlike": "not yet judged",
            "verdict": "not comparable",
        }  # fmt: skip
    old = {"values": None, "digits": 4, "of": None, "unit": None, "holds": True}
    return old | record | {"control": control, "paper": paper}


def _title(nb: nbformat.NotebookNode, path: Path) -> str:
    for cell in nb.cells:
        heading = re.search(r"^# +(.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and heading:
            return heading[1].strip()
    return path.stem


def _link(chapter: Chapter) -> str:
    folder, name = chapter.path.split("/")
    return f"[{_text(chapter.title)}]({name if folder == 'book' else '../' + chapter.path})"


def _text(value: object) -> str:
    """Plain text made safe for a line of Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", " ".join(str(value).split()))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mechlib.pages.scoreboard", description="Write the page of claims."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when out of date")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    found, status = chapters(root), 0
    for path, text in ((PAGE, page(found)), (MARGINS, margins_page(found))):
        if not options.check:
            print(f"{path.as_posix()}: {'written' if write(root / path, text) else 'unchanged'}")
            continue
        current = (root / path).is_file() and (root / path).read_text(encoding="utf-8") == text
        print(f"{path.as_posix()}: {'current' if current else 'out of date, run make scoreboard'}")
        status = status if current else 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
