"""Axes to draw on: one, or rows of panels, and the names of their axes."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def name_axes(
    ax: Axes,
    xlabel: str | None,
    ylabel: str | None,
    title: str | None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    if xlabel is not None:
        ax.set_xlabel(xlabel)
    if ylabel is not None:
        ax.set_ylabel(ylabel)
    if title is not None:
        ax.set_title(title)
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
