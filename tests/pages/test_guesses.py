"""Each box "Guess first" asks for something that the next claim answers."""

import re
from pathlib import Path

import pytest
from stored import notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
BOX = re.compile(r":::\{admonition\} Guess first\n:class: guess\n(.*?)\n:::", re.DOTALL)
# the same rule as in book/_static/js/guess.js
RANGE = re.compile(r"from ([−-]?[\d.,]+) to ([−-]?[\d.,]+)\s*([^\s.?]*)[.?]?\s*$")


def has_claim(cell) -> bool:
    return any("mechlib_claim" in o.get("metadata", {}) for o in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_box_is_answered_before_the_next_section(path):
    cells = notebook(path).cells
    for at, cell in enumerate(cells):
        if cell.cell_type != "markdown" or "} Guess first" not in cell.source:
            continue
        boxes = BOX.findall(cell.source)
        assert len(boxes) == 1, "one box a cell, in the form that the page knows"
        choices = re.findall(r"^- .+", boxes[0], re.M)
        found = RANGE.search(boxes[0])
        assert bool(found) != bool(choices), boxes[0]
        assert not choices or len(choices) >= 2
        assert not found or float(found[1]) < float(found[2])
        answer = next(i for i in range(at, len(cells)) if has_claim(cells[i]))
        between = "\n".join(c.source for c in cells[at:answer] if c.cell_type == "markdown")
        assert not re.search(r"^## ", between, re.M), between
        assert between.count("} Guess first") == 1
