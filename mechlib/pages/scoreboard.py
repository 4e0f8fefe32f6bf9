"""The replication scoreboard: every claim of the course, read out of the stored notebooks.

    python -m mechlib.pages.scoreboard            # write book/scoreboard.md
    python -m mechlib.pages.scoreboard --check    # exit 1 when it is not what they say

`claim(...)` leaves its record in the metadata of the output that shows it, under "mechlib_claim".
This module collects the records and writes one page: first the claims that stand beside a paper's
number, then all of them chapter by chapter.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mechlib.pages.claims import ROUNDING
from mechlib.pages.notebooks import all_notebooks, write

PAGE = Path("book") / "scoreboard.md"
RECORD = "mechlib_claim"

HEAD = """\
(scoreboard)=
# Replication scoreboard

This page is made from the notebooks. Whenever a chapter states a fact about a model, it checks the
fact in the next cell, and the check leaves a record: what was measured, the bound it had to reach,
the same number where the fact should *not* hold (the control), and the paper's number where there
is one. Below are those records, as they lie in the stored notebooks.

A check that fails stops its notebook, so a failed one cannot stand here. A result of a paper that
did not come out in our small models is stated as such in the claim's own words. The models here
are far smaller than the papers'; a number beside a paper's number is there to be compared, and it
is the bound that was demanded.
"""


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
            output.metadata[RECORD]
            for cell in nb.cells
            for output in cell.get("outputs", [])
            if RECORD in output.get("metadata", {})
        ]
        if records:
            found.append(Chapter(path.relative_to(root).as_posix(), _title(nb, path), records))
    return found


def page(found: list[Chapter]) -> str:
    """The whole text of book/scoreboard.md."""
    number = sum(len(chapter.records) for chapter in found)
    beside = [(c, r) for c in found for r in c.records if r.get("paper") is not None]
    controlled = sum(r.get("control") is not None for c in found for r in c.records)
    parts = [
        HEAD,
        f"There are {number} claims in {len(found)} notebooks; {controlled} of them have a control "
        f"that fails the bound, and {len(beside)} stand beside a paper's number.\n",
    ]
    if beside:
        rows = [
            [_link(c), _text(r["sentence"]), _text(r["paper"]), *_measured(r), _verdict(r)]
            for c, r in beside
        ]
        parts += [
            "## Beside the papers\n",
            _table(["Chapter", "Claim", "Paper", "Ours", "Needed", "Control", "Verdict"], rows),
        ]
    if found:
        parts.append("## Every claim\n")
    for chapter in found:
        rows = [[_text(r["sentence"]), *_measured(r), _verdict(r)] for r in chapter.records]
        parts += [
            f"### {_link(chapter)}\n",
            _table(["Claim", "Ours", "Needed", "Control", "Verdict"], rows),
        ]
    return "\n".join(parts)


def _title(nb: nbformat.NotebookNode, path: Path) -> str:
    for cell in nb.cells:
        heading = re.search(r"^# +(.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and heading:
            return heading[1].strip()
    return path.stem


def _link(chapter: Chapter) -> str:
    folder, name = chapter.path.split("/")
    return f"[{_text(chapter.title)}]({name if folder == 'book' else '../' + chapter.path})"


def _measured(record: dict) -> list[str]:
    bound = record["bound"]
    # rounding error differs from processor to processor; claims print it in this way, too
    tiny = record["op"] in ("<", "<=") and isinstance(bound, float) and 0 < bound <= ROUNDING
    ours = f"under {_number(bound)}" if tiny else _number(record["value"])
    if record.get("of") is not None:
        ours += f" of {_number(record['of'])}"
    if record.get("unit"):
        ours += f" {record['unit']}"
    if record["op"] == "between":
        needed = f"{_number(bound[0])} to {_number(bound[1])}"
    else:
        needed = f"{record['op']} {_number(bound)}"
    control = record.get("control")
    return [_text(ours), _text(needed), "" if control is None else _text(_number(control))]


def _verdict(record: dict) -> str:
    return "holds" if record.get("holds", True) else "does **not** hold"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(value: object) -> str:
    """Plain text made safe for a cell of a markdown table."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", " ".join(str(value).split()))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mechlib.pages.scoreboard", description="Write the page of claims."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when out of date")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    text = page(chapters(root))
    if options.check:
        current = (root / PAGE).is_file() and (root / PAGE).read_text(encoding="utf-8") == text
        print(f"{PAGE.as_posix()}: {'current' if current else 'out of date, run make scoreboard'}")
        return 0 if current else 1
    print(f"{PAGE.as_posix()}: {'written' if write(root / PAGE, text) else 'unchanged'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
