"""Bars for each label beside their controls, and histograms over shared bins."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np
from matplotlib.axes import Axes

from mechlib.pages.figures.arrays import ArrayLike, array
from mechlib.pages.figures.axes import Names, axes_or_new, name_axes
from mechlib.pages.figures.style import BLACK, BLUE, CONTROL, CYCLE, GREY, LIGHT
from mechlib.pages.figures.tokens import tick_tokens, token_label


def bars(
    values: Mapping[str, Any],
    *,
    ax: Axes | None = None,
    controls: Mapping[str, Any] | None = None,
    control_label: str = "control",
    label: str = "measured",
    errors: Mapping[str, Any] | None = None,
    baseline: float | int | None = None,
    baseline_label: str = "baseline",
    horizontal: bool = False,
    log: bool = False,
    **names: Unpack[Names],
) -> Axes:
    """A bar for each label; its control (grey) beside it, where `controls` has one.

    `errors[label]` is half a bar's length, or (below, above). `baseline` draws a level such as
    chance; with `log` the lengths are on a logarithmic axis. Raises ValueError where a control or
    an error names no bar.
    """
    ax = axes_or_new(ax)
    for name, other in (("controls", controls), ("errors", errors)):
        for key in other or {}:
            if key not in values:
                raise ValueError(f"{name} names {key!r}, which is no bar; bars: {list(values)}")
    keys = list(values)
    at = np.arange(len(keys), dtype=float)
    width = 0.4 if controls else 0.7
    draw = ax.barh if horizontal else ax.bar
    thick = "height" if horizontal else "width"
    heights = [float(array(values[k], f"values[{k!r}]", 0)) for k in keys]
    error = None
    if errors:
        pairs = [np.broadcast_to(array(errors.get(k, np.nan), f"errors[{k!r}]"), 2) for k in keys]
        error = {"xerr" if horizontal else "yerr": np.stack(pairs, axis=1)}
    shift = width / 2 if controls else 0.0
    draw(
        at - shift, heights, color=BLUE, label=label, ecolor=BLACK, capsize=2, **{thick: width},
        **(error or {}),
    )  # fmt: skip
    if controls:
        shown = [k in controls for k in keys]
        grey = [float(array(controls[k], f"controls[{k!r}]", 0)) for k in keys if k in controls]
        draw(at[shown] + shift, grey, color=LIGHT, edgecolor=GREY, hatch="///",
             label=control_label, **{thick: width})  # fmt: skip
    if baseline is not None:
        line = ax.axvline if horizontal else ax.axhline
        line(baseline, color=BLACK, linewidth=1, linestyle="--", label=baseline_label)
    crowded = not horizontal and sum(len(token_label(k)) for k in keys) > 60
    tick_tokens(ax, "y" if horizontal else "x", keys, crowded)
    if horizontal:
        ax.invert_yaxis()  # first bar on top, as in a table
    if controls or baseline is not None:
        ax.legend()
    return name_axes(ax, **{"logx" if horizontal else "logy": log} | names)


def histogram(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    bins: int | ArrayLike = 40,
    density: bool = False,
    controls: Iterable[str] = (),
    vlines: Mapping | None = None,
    **names: Unpack[Names],
) -> Axes:
    """Counts (or densities) of values, all labels over the same bins; controls in grey."""
    series = values if isinstance(values, Mapping) else {"": values}
    arrays = {label: array(v, f"values[{label!r}]").reshape(-1) for label, v in series.items()}
    if any(v.size == 0 or not np.isfinite(v).all() for v in arrays.values()):
        raise ValueError("values must be finite, with at least one for each label")
    ax = axes_or_new(ax)
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
    controls, palette = set(controls), iter(CYCLE * (1 + len(arrays) // len(CYCLE)))
    for label, v in arrays.items():
        color = CONTROL if label in controls else next(palette)
        ax.hist(v, edges, density=density, color=color, alpha=0.55, label=label or None)
        ax.hist(v, edges, density=density, color=color, histtype="step", linewidth=1.2)
    for name, at in (vlines or {}).items():
        ax.axvline(at, color=BLACK, linewidth=1, linestyle="--", label=name)
    if len(arrays) > 1 or vlines:
        ax.legend()
    return name_axes(ax, **{"ylabel": "density" if density else "count"} | names)
