"""Lines: against anything, over training, and sizes by their rank."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from matplotlib.axes import Axes

from mechlib.pages.figures.arrays import ArrayLike, array
from mechlib.pages.figures.axes import Names, axes_or_new, name_axes
from mechlib.pages.figures.style import CONTROL, CYCLE, GREY


def _strokes(
    labels: Iterable[str], controls: set[str], colors: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """A colour and a dash for each line, no two the same: solid in eight colours, then dotted.

    Controls are grey, the first of them dashed.
    """
    free = [color for color in CYCLE if color not in colors.values()]
    lines_left = iter([(color, dash) for dash in ("-", ":", "-.") for color in free])
    controls_left = iter([(CONTROL, dash) for dash in ("--", ":", "-.", "-")])
    strokes = {}
    for label in labels:
        if label in colors:
            strokes[label] = (colors[label], "--" if label in controls else "-")
        else:
            strokes[label] = next(controls_left if label in controls else lines_left, None)
        if strokes[label] is None:
            raise ValueError(f"so many lines cannot be told apart: {', '.join(strokes)}")
    return strokes


def lines(
    x: ArrayLike | Mapping[str, ArrayLike],
    ys: Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    colors: Mapping[str, str] | None = None,
    controls: Iterable[str] = (),
    markers: bool = False,
    legend: bool = True,
    hlines: Mapping | None = None,
    vlines: Mapping | None = None,
    **names: Unpack[Names],
) -> Axes:
    """One line for each label of `ys`, against `x` (one array, or one for each label).

    `bands[label] = (low, high)` shades a spread around a line; labels in `controls` are drawn
    grey and dashed; `hlines` and `vlines` draw named levels (a chance level, a phase boundary).
    Raises ValueError where the lengths of x and y differ, naming the line.
    """
    ax = axes_or_new(ax)
    controls = set(controls)
    for label in [*controls, *(bands or {}), *(colors or {})]:
        if label not in ys:
            raise ValueError(f"no line is called {label!r}; lines: {', '.join(ys)}")
    strokes = _strokes(ys, controls, colors or {})
    for label, y in ys.items():
        xs = array(x[label] if isinstance(x, Mapping) else x, f"x of {label!r}", 1)
        y = array(y, f"ys[{label!r}]", 1)
        if xs.shape != y.shape:
            raise ValueError(f"ys[{label!r}] has {len(y)} points, x has {len(xs)}")
        color, dash = strokes[label]
        style = {"linestyle": dash, "marker": "o" if markers else None}
        ax.plot(xs, y, color=color, label=label, markersize=3.5, **style)
        if bands and label in bands:
            low, high = (array(b, f"bands[{label!r}]", 1) for b in bands[label])
            if low.shape != xs.shape or high.shape != xs.shape:
                raise ValueError(f"bands[{label!r}] must have {len(xs)} points on either side")
            ax.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
    for name, level in (hlines or {}).items():
        ax.axhline(level, color=GREY, linewidth=1, linestyle=":", label=name)
    name_axes(ax, **names)
    for i, (name, at) in enumerate((vlines or {}).items()):
        ax.axvline(at, color=GREY, linewidth=1, linestyle=":")
        ax.annotate(  # each name a row lower, for lines may stand close together
            f" {name}", (at, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(0, -10 * i),
            textcoords="offset points", va="top", color="#555555", fontsize=8,
        )  # fmt: skip
    if legend and (len(ys) > 1 or hlines):
        ax.legend()
    return ax


def curves_over_training(
    history: Any,
    names: Sequence[str] | Mapping[str, str],
    *,
    ax: Axes | None = None,
    **line_options: Any,
) -> Axes:
    """Measures over training. `names` lists measures, or maps each measure to its label.

    `history` is anything with `.steps(name)` and `.values(name)`, or a mapping from a name to
    (steps, values). Other keywords go to `lines` (`logx`, `logy`, `vlines`, `controls`, ...).
    """
    labels = dict(names) if isinstance(names, Mapping) else {n: n for n in names}

    def series(name: str) -> tuple[Any, Any]:
        if isinstance(history, Mapping):
            if name not in history:
                raise KeyError(f"no measure {name!r}; measures: {', '.join(map(str, history))}")
            return history[name]
        return history.steps(name), history.values(name)

    both = {label: series(name) for name, label in labels.items()}
    steps = {label: pair[0] for label, pair in both.items()}
    values = {label: pair[1] for label, pair in both.items()}
    return lines(steps, values, ax=ax, **{"xlabel": "training step"} | line_options)


def spectrum(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    rank: int | None = None,
    controls: Iterable[str] = (),
    **names: Unpack[Names],
) -> Axes:
    """Singular values (or any sorted sizes) by index from 1; `rank` draws a line where one ends."""
    series = values if isinstance(values, Mapping) else {"": values}
    sizes = {label: array(v, f"values[{label!r}]", 1) for label, v in series.items()}
    index = {label: np.arange(1, len(v) + 1) for label, v in sizes.items()}
    names = {"xlabel": "index", "ylabel": "singular value", "logy": True} | names
    if names["logy"]:  # what is zero on paper is 1e-17 here: keep it from stretching the axis
        top = max(float(v.max()) for v in sizes.values())
        sizes = {label: np.maximum(v, top * 1e-12) for label, v in sizes.items()}
    return lines(
        index, sizes, ax=ax, controls=controls, markers=True,
        vlines=None if rank is None else {f"rank {rank}": rank + 0.5}, **names,
    )  # fmt: skip
