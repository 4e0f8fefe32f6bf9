"""Tables whose colours carry numbers."""

import html as _html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mechlib.pages.figures.arrays import ArrayLike, array
from mechlib.pages.figures.html import EDGE, MONO, Html, panel, reach_of, tint, written
from mechlib.pages.figures.tokens import token_label

# What stands in a column of numbers: one number, "3 of 8", "0.2 to 0.4", or a dash.
_NUMBER = r"[-+−]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?( ?%)?"
_COLUMN_OF_NUMBERS = re.compile(rf"{_NUMBER}( (of|to) {_NUMBER})?|[-–—∅]")


def table(
    rows: Sequence[Sequence],
    columns: Sequence,
    *,
    intensity: ArrayLike | None = None,
    vmax: float | int | None = None,
    digits: int = 3,
    caption: str | None = None,
) -> Html:
    """A table whose colours carry numbers, in the manner of the papers' skip-trigram tables.

    A cell is text, a number, or a list whose items are tokens or (token, strength) pairs; a
    pair's background is its strength as a share of the largest in its column (or of `vmax`).
    `intensity` (row, column) colours whole cells instead; NaN leaves a cell plain. Columns of
    numbers, written or not, stand right; all others left.
    Raises ValueError where a row has not one cell for each column.
    """
    columns, rows = list(columns), [list(r) if not isinstance(r, str) else r for r in rows]
    if any(not isinstance(c, str) for c in columns) or any(isinstance(r, str) for r in rows):
        raise ValueError("table takes (rows, columns): rows of cells first, then column names")
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {i} has {len(row)} cells, there are {len(columns)} columns")
    shades = None
    if intensity is not None:
        shades = array(intensity, "intensity", 2)
        if shades.shape != (len(rows), len(columns)):
            raise ValueError(
                f"intensity has shape {shades.shape}, the table is {(len(rows), len(columns))}"
            )
    whole = reach_of(shades, vmax, "vmax") if shades is not None else 1.0
    reach = [
        reach_of(np.array([v for row in rows for v in _strengths(row[c])] or [0.0]), vmax, "vmax")
        for c in range(len(columns))
    ]
    cell_style = f"padding:.3em .6em;border-bottom:1px solid {EDGE};vertical-align:top;"
    align = [_alignment([row[c] for row in rows], digits) for c in range(len(columns))]
    head = "".join(
        f'<th scope="col" style="{cell_style}{align[c]}">{_html.escape(name)}</th>'
        for c, name in enumerate(columns)
    )
    body = []
    for r, row in enumerate(rows):
        cells = []
        for c, cell in enumerate(row):
            shade = tint(float(shades[r, c]), -whole, whole) if shades is not None else ""
            inner = _cell_html(cell, reach[c], digits)
            cells.append(f'<td style="{cell_style}{align[c]}{shade}">{inner}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    grid = (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0;'
        'font-size:.92em;font-variant-numeric:tabular-nums;color:inherit;background:none">'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
    text = "\n".join(
        " | ".join(line)
        for line in [columns, *[[_cell_text(cell, digits) for cell in row] for row in rows]]
    )
    return panel([grid], caption, text)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


def _alignment(cells: list, digits: int) -> str:
    """The style of one column."""
    plain = [not isinstance(cell, list) and not _is_pair(cell) for cell in cells]
    texts = [_cell_text(cell, digits) for cell in cells]
    numbers = all(map(_COLUMN_OF_NUMBERS.fullmatch, texts))
    if all(plain) and numbers and any(map(str.isdigit, "".join(texts))):
        return "text-align:right;"
    return "text-align:left;"


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and _is_number(item[1])


def _strengths(cell: Any) -> list[float]:
    items = cell if isinstance(cell, list) else [cell]
    return [float(item[1]) for item in items if _is_pair(item)]


def _cell_text(cell: Any, digits: int) -> str:
    if isinstance(cell, list):
        return " ".join(token_label(item[0] if _is_pair(item) else item) for item in cell)
    if _is_pair(cell):
        return token_label(cell[0])
    if _is_number(cell):
        return str(cell) if isinstance(cell, int | np.integer) else written(float(cell), digits)
    return token_label(cell)


def _cell_html(cell: Any, reach: float | int, digits: int) -> str:
    if not isinstance(cell, list) and not _is_pair(cell):
        return _html.escape(_cell_text(cell, digits))
    spans = []
    for item in cell if isinstance(cell, list) else [cell]:
        style, title = "", ""
        if _is_pair(item):
            style = tint(float(item[1]), -reach, reach)
            title = f' title="{written(float(item[1]), digits)}"'
        label = _html.escape(token_label(item[0] if _is_pair(item) else item))
        spans.append(
            f'<span{title} style="{MONO}white-space:pre;padding:.05em .3em;border-radius:.2em;'
            f'{style}">{label}</span>'
        )
    return " ".join(spans)
