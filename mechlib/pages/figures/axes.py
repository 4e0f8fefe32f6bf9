"""Axes to draw on: one, or rows of panels, and the names of their axes."""

import math
from typing import Any, TypedDict, Unpack

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


class Names(TypedDict, total=False):
    """What every drawing function takes besides its own: the names of its axes, and log scales."""

    xlabel: str | None
    ylabel: str | None
    title: str | None
    logx: bool
    logy: bool


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def name_axes(ax: Axes, **names: Unpack[Names]) -> Axes:
    """Put names and scales on axes. TypeError where a name is none of `Names`."""
    unknown = sorted(names.keys() - Names.__annotations__.keys())
    if unknown:
        accepted = ", ".join(Names.__annotations__)
        raise TypeError(f"axes have no {', '.join(unknown)}; they take {accepted}")
    if names.get("logx"):
        ax.set_xscale("log")
    if names.get("logy"):
        ax.set_yscale("log")
    if names.get("xlabel") is not None:
        ax.set_xlabel(names["xlabel"])
    if names.get("ylabel") is not None:
        ax.set_ylabel(names["ylabel"])
    if names.get("title") is not None:
        ax.set_title(names["title"])
    return ax


def panels(count: int, columns: int = 3, size: tuple = (3.0, 2.6), **subplots: Any) -> np.ndarray:
    """`count` axes in rows of at most `columns`, each `size` inches; a flat array of axes."""
    if count < 1 or columns < 1:
        raise ValueError(f"count and columns must be at least 1, got {count} and {columns}")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, **subplots
    )
    for spare in axes.flat[count:]:
        spare.remove()
    return axes.reshape(-1)[:count]
