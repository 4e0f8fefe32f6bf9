"""A grid of runs over two settings: what came out, or which phase each ended in."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from mechlib.pages.figures.arrays import ArrayLike, array, check_labels
from mechlib.pages.figures.axes import Names, axes_or_new, name_axes
from mechlib.pages.figures.matrices import heatmap
from mechlib.pages.figures.style import GREEN, ORANGE, PURPLE, SKY, VERMILLION, YELLOW
from mechlib.pages.figures.tokens import tick_tokens


def phase_diagram(
    grid: ArrayLike,
    x: Sequence,
    y: Sequence,
    *,
    ax: Axes | None = None,
    phases: Sequence[str] | None = None,
    label: str | None = None,
    values: bool | str = False,
    **names: Unpack[Names],
) -> Axes:
    """A grid (y, x) of runs, as numbers or, with `phases`, as indices into it.

    The first row stands at the bottom, so both settings grow away from the corner. NaN (no run,
    or it never happened) is grey.
    """
    grid = array(grid, "grid", 2)
    check_labels(x, grid.shape[1], "x", "columns")
    check_labels(y, grid.shape[0], "y", "rows")
    ax = axes_or_new(ax, (5.0, 3.6))
    if phases is None:
        heatmap(
            grid, ax=ax, xticks=x, yticks=y, values=values, colorbar_label=label, **names
        )  # fmt: skip
    else:
        known = grid[np.isfinite(grid)]
        if known.size and not np.isin(known, np.arange(len(phases))).all():
            raise ValueError(f"grid must hold indices 0..{len(phases) - 1} of phases, or NaN")
        colors = ["#F1F1F1", SKY, YELLOW, GREEN, PURPLE, ORANGE, VERMILLION][: len(phases)]
        if len(phases) > len(colors):
            raise ValueError(f"at most 7 phases can be told apart, got {len(phases)}")
        cmap = ListedColormap(colors).with_extremes(bad="#BBBBBB")
        norm = BoundaryNorm(np.arange(len(phases) + 1) - 0.5, len(phases))
        image = ax.imshow(np.ma.masked_invalid(grid), cmap=cmap, norm=norm, aspect="auto")
        bar = ax.figure.colorbar(image, ax=ax, ticks=range(len(phases)))
        bar.ax.set_yticklabels(phases)
        tick_tokens(ax, "x", x, False)
        tick_tokens(ax, "y", y, False)
        name_axes(ax, **names)
    ax.invert_yaxis()
    return ax
