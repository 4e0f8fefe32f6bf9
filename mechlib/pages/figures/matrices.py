"""Matrices as colours: any matrix, attention patterns, composition scores."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes

from mechlib.pages.figures.arrays import ArrayLike, array, check_labels
from mechlib.pages.figures.axes import Names, axes_or_new, name_axes, panels
from mechlib.pages.figures.style import (
    DIVERGING,
    PALE_DIVERGING,
    PALE_SEQUENTIAL,
    SEQUENTIAL,
)
from mechlib.pages.figures.tokens import tick_tokens, token_label


def _limits(
    values: np.ndarray, diverging: bool | None, vmin: float | int | None, vmax: float | int | None
) -> tuple[bool, float, float]:
    """Colour limits: symmetric about zero when diverging, from zero (or the least) when not."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if diverging is None:
        diverging = low < 0 if vmin is None else vmin < 0
    if diverging:
        ends = [abs(float(v)) for v in (vmin, vmax) if v is not None]
        reach = max(ends or [abs(low), abs(high)]) or 1.0
        return True, -reach, reach
    vmin = min(low, 0.0) if vmin is None else float(vmin)
    vmax = high if vmax is None else float(vmax)
    return False, vmin, vmax if vmax > vmin else vmin + 1.0


def heatmap(
    M: ArrayLike,
    *,
    ax: Axes | None = None,
    xticks: Sequence | None = None,
    yticks: Sequence | None = None,
    diverging: bool | None = None,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    values: bool | str = False,
    colorbar: bool = True,
    colorbar_label: str | None = None,
    aspect: str = "auto",
    rotate: bool | None = None,
    **names: Unpack[Names],
) -> Axes:
    """A matrix (row, column) as colours. Blue is positive, vermillion negative, white zero.

    `diverging` defaults to whether anything is negative. `values=True` (or a format such as
    ".1f") writes each number in its cell. `xticks` and `yticks` are labels, one for each column
    and row; tokens are made visible. NaN is shown as light grey.
    """
    M = array(M, "M", 2)
    rows, columns = M.shape
    check_labels(xticks, columns, "xticks", "columns")
    check_labels(yticks, rows, "yticks", "rows")
    ax = axes_or_new(ax)
    diverging, low, high = _limits(M, diverging, vmin, vmax)
    signed, unsigned = (PALE_DIVERGING, PALE_SEQUENTIAL) if values else (DIVERGING, SEQUENTIAL)
    image = ax.imshow(
        np.ma.masked_invalid(M), cmap=signed if diverging else unsigned, vmin=low, vmax=high,
        aspect=aspect,
    )  # fmt: skip
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
    if xticks is not None:
        crowded = max(len(token_label(t)) for t in xticks) * len(xticks) > 40
        tick_tokens(ax, "x", xticks, crowded if rotate is None else rotate)
    if yticks is not None:
        tick_tokens(ax, "y", yticks, False)
    if values:
        form = ".2f" if values is True else values
        form = f"z{form}" if form.startswith(".") else form  # what rounds to 0 has no sign
        for i, j in np.ndindex(M.shape):
            if np.isfinite(M[i, j]):
                number = format(M[i, j], form)
                ax.text(j, i, number, ha="center", va="center", fontsize=7, color="black")
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
        bar.outline.set_linewidth(0.5)
        if colorbar_label is not None:
            bar.set_label(colorbar_label)
    return name_axes(ax, **names)


def attention(
    pattern: ArrayLike,
    tokens: Sequence | None = None,
    *,
    ax: Axes | None = None,
    titles: Sequence[str] | str | None = None,
    columns: int = 4,
    size: float | int = 3.0,
    causal: bool = True,
) -> Axes | np.ndarray:
    """An attention pattern (query, key), or one panel for each of (head, query, key).

    Rows are the positions that look, columns those that are looked at. With `causal`, keys after
    the query are grey, as the model cannot see them. Returns one axes, or an array of them for
    many heads. Raises ValueError where `tokens` does not match the pattern's last axis.
    """
    pattern = array(pattern, "pattern", (2, 3))
    queries, keys = pattern.shape[-2:]
    check_labels(tokens, keys, "tokens", "keys")
    if causal and queries == keys:
        pattern = np.where(np.tri(keys, dtype=bool), pattern, np.nan)
    options = {
        "xticks": tokens, "yticks": tokens if queries == keys else None, "diverging": False,
        "vmin": 0.0, "aspect": "equal", "xlabel": "key (looked at)",
        "ylabel": "query (looks)", "rotate": None if tokens is None else True,
    }  # fmt: skip
    if pattern.ndim == 2:
        ax = axes_or_new(ax, (size + 0.9, size))
        title = titles if titles is None or isinstance(titles, str) else titles[0]
        return heatmap(pattern, ax=ax, title=title, **options)
    heads = pattern.shape[0]
    if ax is not None:
        raise ValueError("ax takes one pattern (query, key); several heads get their own panels")
    titles = [f"head {h}" for h in range(heads)] if titles is None else titles
    check_labels(titles, heads, "titles", "heads")
    axes = panels(heads, columns, (size, size))
    for h, panel in enumerate(axes):
        heatmap(pattern[h], ax=panel, title=titles[h], colorbar=False, **options)
        panel.label_outer()  # names of the axes on the left and below only
    return axes


def composition(
    scores: ArrayLike,
    earlier: Sequence,
    later: Sequence,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Composition scores (earlier head, later head), each number written in its cell."""
    scores = array(scores, "scores", 2)
    check_labels(earlier, scores.shape[0], "earlier", "rows")
    check_labels(later, scores.shape[1], "later", "columns")
    return heatmap(
        scores, ax=ax, xticks=later, yticks=earlier, values=True,
        colorbar_label="score above baseline", xlabel="later head (reads)",
        ylabel="earlier head (writes)",
    )  # fmt: skip
