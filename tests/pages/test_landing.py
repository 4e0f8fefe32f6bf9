"""The map on the landing page says what the chapters say of themselves."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| \[(\d+)\. (.+?)\]\(\.\./notebooks/(\S+?)\) \| .+? \| (.+?) \| (\d+) \|", PAGE, re.M
)


def test_every_chapter_stands_in_the_map():
    chapters = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert [row[2] for row in ROWS] == chapters


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_title_and_minutes_are_the_chapter_s_own(row):
    number, title, name, needs, minutes = row
    cells = nbformat.read(ROOT / "notebooks" / name, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert f"# {number}. {title}\n" in text
    assert re.search(rf"\*\*Time:\*\* {minutes} minutes to read", text)
    asked = re.search(r"\*\*You need:\*\*(.*)", text)[1]
    for need in needs.split(", "):
        assert need == "nothing" or need in re.findall(r"\d+", asked), (need, asked)
