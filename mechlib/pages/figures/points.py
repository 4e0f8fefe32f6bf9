"""Points: scatter plots, and eigenvalues in the complex plane."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mechlib.pages.figures.arrays import ArrayLike, array, check_labels
from mechlib.pages.figures.axes import Names, axes_or_new, name_axes
from mechlib.pages.figures.style import CONTROL, CYCLE, GREY, NEGATIVE, POSITIVE
from mechlib.pages.figures.tokens import token_label


def scatter(
    x: ArrayLike,
    y: ArrayLike,
    *,
    ax: Axes | None = None,
    labels: Sequence | None = None,
    groups: Sequence | None = None,
    controls: Iterable[Any] = (),
    size: float | int = 18.0,
    diagonal: bool = False,
    **names: Unpack[Names],
) -> Axes:
    """Points, coloured by `groups` (one for each point; those in `controls` grey), with `labels`.

    An empty label is not drawn. `diagonal` draws x = y. Raises ValueError on unequal lengths.
    """
    x, y = array(x, "x").reshape(-1), array(y, "y").reshape(-1)
    if x.shape != y.shape:
        raise ValueError(f"x has {x.size} points, y has {y.size}")
    check_labels(labels, x.size, "labels", "points")
    check_labels(groups, x.size, "groups", "points")
    ax = axes_or_new(ax, (4.2, 3.6))
    kinds = list(dict.fromkeys(groups)) if groups is not None else [None]
    controls, palette = set(controls), iter(CYCLE * (1 + len(kinds) // len(CYCLE)))
    markers = "osD^vP*X"
    for n, name in enumerate(kinds):
        chosen = [True] * x.size if groups is None else [g == name for g in groups]
        color = CONTROL if name in controls else next(palette)
        ax.scatter(
            x[chosen], y[chosen], s=size, color=color, alpha=0.75, linewidths=0,
            marker=markers[n % len(markers)], label=None if name is None else str(name),
        )  # fmt: skip
    name_axes(ax, **names)
    if diagonal:
        second = (10, 10) if names.get("logx") or names.get("logy") else (2, 2)
        ax.axline((1, 1), second, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    for i, text in enumerate(labels or []):
        if str(text):
            ax.annotate(
                token_label(text), (x[i], y[i]), xytext=(4, 3), textcoords="offset points",
                fontsize=7, parse_math=False,
            )  # fmt: skip
    if groups is not None:
        ax.legend()
    return ax


def complex_plane(
    eigenvalues: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    controls: Iterable[str] = (),
    decades: int = 4,
    title: str | None = None,
) -> Axes:
    """Eigenvalues in the complex plane with a logarithmic radius, as in Elhage et al. (2021).

    The angle is the eigenvalue's own: positive to the right, negative to the left, imaginary up
    and down. The radius is log10 of its size; the centre stands `decades` powers of ten below the
    largest, and what is smaller is drawn there. With one unnamed set, points are coloured by the
    sign of the real part. `ax`, when given, must be polar.
    """
    series = eigenvalues if isinstance(eigenvalues, Mapping) else {"": eigenvalues}
    sets = {k: array(v, f"eigenvalues[{k!r}]").reshape(-1) for k, v in series.items()}
    if decades < 1:
        raise ValueError(f"decades must be at least 1, got {decades}")
    if ax is None:
        ax = plt.subplots(figsize=(3.6, 3.6), subplot_kw={"projection": "polar"})[1]
    elif ax.name != "polar":
        raise ValueError('ax must be polar: plt.subplots(subplot_kw={"projection": "polar"})')
    largest = max((float(np.abs(v).max()) for v in sets.values() if v.size), default=1.0) or 1.0
    top = math.ceil(math.log10(largest))
    low = top - decades
    controls, palette = set(controls), iter(CYCLE * (1 + len(sets) // len(CYCLE)))
    for label, v in sets.items():
        radius = np.log10(np.maximum(np.abs(v), 10.0**low)) - low
        if label == "":
            color = np.where(v.real >= 0, POSITIVE, NEGATIVE)
        else:
            color = CONTROL if label in controls else next(palette)
        ax.scatter(
            np.angle(v), radius, s=14.0, c=color, alpha=0.7, linewidths=0, label=label or None,
            zorder=2 if label in controls else 3,
        )  # fmt: skip
    ax.set_ylim(0, decades)
    shown = range(1, decades + 1)
    ax.set_yticks(list(shown), [f"$10^{{{low + d}}}$" for d in shown], fontsize=7, color="#555555")
    ax.set_xticks([0, np.pi / 2, np.pi, 3 * np.pi / 2], ["+", "+i", "−", "−i"])
    ax.set_rlabel_position(_emptiest(np.angle(np.concatenate([[], *sets.values()]))))
    ax.grid(color="#E0E0E0", linewidth=0.6)
    ax.spines["polar"].set_color("#AAAAAA")
    if title is not None:
        ax.set_title(title)
    if any(sets) and len(sets) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.25), ncols=2)
    return ax


def _emptiest(angles: np.ndarray) -> float:
    """The direction between the axes, in degrees, that has the fewest points within 15 degrees."""
    between = [67.5, 112.5, 22.5, 157.5, 247.5, 292.5, 202.5, 337.5]
    away = np.abs((np.rad2deg(angles)[:, None] - between + 180) % 360 - 180)
    return between[int((away < 15).sum(0).argmin())]
