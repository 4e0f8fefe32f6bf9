"""Arrays to figures: one palette, one style, for every chapter.

Each drawing function takes arrays or tensors (never a model or a tokenizer), an optional `ax`,
and returns the axes it drew on, so that a notebook can go on from there. Two functions,
`colored_text` and `table`, give HTML instead: tokens and tables whose background carries a number.

The colours are Okabe and Ito's, which stay apart for the common kinds of colour blindness.
Signs have fixed colours everywhere: blue is positive, vermillion is negative.
"""

import html as _html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

# ---- palette and style ----

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
YELLOW = "#F0E442"
BLACK = "#1A1A1A"
GREY = "#767676"
LIGHT = "#D0D0D0"

POSITIVE, NEGATIVE = BLUE, VERMILLION
CONTROL = GREY  # controls and baselines are grey in every figure
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)

_MISSING = "#E4E4E4"  # NaN is a light grey, never a colour of the scale
DIVERGING = LinearSegmentedColormap.from_list(
    "mechlib_diverging", ["#7A2F00", NEGATIVE, "#F7F7F7", POSITIVE, "#003A5C"]
).with_extremes(bad=_MISSING)
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "mechlib_sequential", ["#FFFFFF", "#9CCFEA", BLUE, "#00263D"]
).with_extremes(bad=_MISSING)

_STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.figsize": (6.0, 3.4),
    "figure.constrained_layout.use": True,
    # Opaque white: a dark page shows figures on a light card.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": False,
    "grid.color": "#E6E6E6",
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=CYCLE),
    # Vector figures: text stays text, and ids do not change from run to run.
    "svg.fonttype": "none",
    "svg.hashsalt": "mechlib",
}

ArrayLike = Tensor | np.ndarray | Sequence | float | int


def use_style() -> None:
    """Set the course's style for every figure drawn after it: vector graphics on white."""
    plt.rcParams.update(_STYLE)
    if getattr(get_ipython(), "kernel", None) is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})


def _array(values: Any, name: str, ndim: int | Sequence[int] | None = None) -> np.ndarray:
    """`values` as a numpy array off the graph and the GPU, with its number of axes checked."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.numpy() if values.dtype.is_complex else values.double().numpy()
    elif isinstance(values, list | tuple) and any(isinstance(v, Tensor) for v in values):
        values = [_array(v, name) for v in values]
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers, got dtype {array.dtype}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{name} must have {wanted} axes, got shape {array.shape}")
    return array


def _check_labels(labels: Sequence | None, size: int, name: str, what: str) -> None:
    if labels is not None and len(labels) != size:
        raise ValueError(f"{name} has {len(labels)} labels, but there are {size} {what}")


def _axes(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def _finish(
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


# ---- token labels ----

_GLYPHS = {" ": "␣", "\n": "⏎", "\r": "↵", "\t": "⇥", "": "∅"}


def token_label(token: Any) -> str:
    """A token as text that can be seen: space ␣, newline ⏎, tab ⇥, empty ∅, others by code.

    Only a space at either end of the token is marked, since one inside a word can be seen.
    Anything that is not a string is shown by `str`.
    """
    text = str(token)
    if text == "":
        return _GLYPHS[""]
    inner = text.strip(" ")
    left = len(text) - len(text.lstrip(" "))
    right = 0 if inner == "" else len(text) - len(text.rstrip(" "))
    seen = "".join(
        _GLYPHS[c] if c in "\n\r\t" else c if c.isprintable() else f"\\x{ord(c):02x}" for c in inner
    )
    return "␣" * left + seen + "␣" * right


def token_labels(tokens: Iterable[Any]) -> list[str]:
    """`token_label` of each token."""
    return [token_label(t) for t in tokens]


def _tick_tokens(ax: Axes, axis: str, labels: Sequence, rotate: bool) -> None:
    """Tick labels that are taken literally: a dollar sign in a token starts no formula."""
    setter = ax.set_xticks if axis == "x" else ax.set_yticks
    turn = {"rotation": 90} if rotate else {}
    setter(range(len(labels)), token_labels(labels), parse_math=False, **turn)


# ---- lines and curves ----


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
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    """One line for each label of `ys`, against `x` (one array, or one for each label).

    `bands[label] = (low, high)` shades a spread around a line; labels in `controls` are drawn
    grey and dashed; `hlines` and `vlines` draw named levels (a chance level, a phase boundary).
    Raises ValueError where the lengths of x and y differ, naming the line.
    """
    ax = _axes(ax)
    controls = set(controls)
    for label in [*controls, *(bands or {}), *(colors or {})]:
        if label not in ys:
            raise ValueError(f"no line is called {label!r}; lines: {', '.join(ys)}")
    palette = iter(CYCLE * (1 + len(ys) // len(CYCLE)))
    for label, y in ys.items():
        xs = _array(x[label] if isinstance(x, Mapping) else x, f"x of {label!r}", 1)
        y = _array(y, f"ys[{label!r}]", 1)
        if xs.shape != y.shape:
            raise ValueError(f"ys[{label!r}] has {len(y)} points, x has {len(xs)}")
        control = label in controls
        color = (colors or {}).get(label) or (CONTROL if control else next(palette))
        style = {"linestyle": "--" if control else "-", "marker": "o" if markers else None}
        ax.plot(xs, y, color=color, label=label, markersize=3.5, **style)
        if bands and label in bands:
            low, high = (_array(b, f"bands[{label!r}]", 1) for b in bands[label])
            if low.shape != xs.shape or high.shape != xs.shape:
                raise ValueError(f"bands[{label!r}] must have {len(xs)} points on either side")
            ax.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
    for name, level in (hlines or {}).items():
        ax.axhline(level, color=GREY, linewidth=1, linestyle=":", label=name)
    _finish(ax, xlabel, ylabel, title, logx, logy)
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
    xlabel: str = "training step",
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
    return lines(steps, values, ax=ax, xlabel=xlabel, **line_options)


def spectrum(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    rank: int | None = None,
    controls: Iterable[str] = (),
    logy: bool = True,
    xlabel: str = "index",
    ylabel: str = "singular value",
    title: str | None = None,
) -> Axes:
    """Singular values (or any sorted sizes) by index from 1; `rank` draws a line where one ends."""
    series = values if isinstance(values, Mapping) else {"": values}
    sizes = {label: _array(v, f"values[{label!r}]", 1) for label, v in series.items()}
    index = {label: np.arange(1, len(v) + 1) for label, v in sizes.items()}
    if logy:  # what is zero on paper is 1e-17 here: keep it from stretching the axis
        top = max(float(v.max()) for v in sizes.values())
        sizes = {label: np.maximum(v, top * 1e-12) for label, v in sizes.items()}
    return lines(
        index, sizes, ax=ax, controls=controls, markers=True, logy=logy, xlabel=xlabel,
        ylabel=ylabel, title=title, vlines=None if rank is None else {f"rank {rank}": rank + 0.5},
    )  # fmt: skip


# ---- matrices ----


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
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    aspect: str = "auto",
    rotate: bool | None = None,
) -> Axes:
    """A matrix (row, column) as colours. Blue is positive, vermillion negative, white zero.

    `diverging` defaults to whether anything is negative. `values=True` (or a format such as
    ".1f") writes each number in its cell. `xticks` and `yticks` are labels, one for each column
    and row; tokens are made visible. NaN is shown as light grey.
    """
    M = _array(M, "M", 2)
    rows, columns = M.shape
    _check_labels(xticks, columns, "xticks", "columns")
    _check_labels(yticks, rows, "yticks", "rows")
    ax = _axes(ax)
    diverging, low, high = _limits(M, diverging, vmin, vmax)
    image = ax.imshow(
        np.ma.masked_invalid(M), cmap=DIVERGING if diverging else SEQUENTIAL, vmin=low, vmax=high,
        aspect=aspect,
    )  # fmt: skip
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
    if xticks is not None:
        crowded = max(len(token_label(t)) for t in xticks) * len(xticks) > 40
        _tick_tokens(ax, "x", xticks, crowded if rotate is None else rotate)
    if yticks is not None:
        _tick_tokens(ax, "y", yticks, False)
    if values:
        form = ".2f" if values is True else values
        for i, j in np.ndindex(M.shape):
            if np.isfinite(M[i, j]):
                red, green, blue, _ = image.cmap(image.norm(M[i, j]))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                ax.text(
                    j, i, format(M[i, j], form), ha="center", va="center", fontsize=7,
                    color="white" if dark else BLACK,
                )  # fmt: skip
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
        bar.outline.set_linewidth(0.5)
        if colorbar_label is not None:
            bar.set_label(colorbar_label)
    return _finish(ax, xlabel, ylabel, title)


def attention(
    pattern: ArrayLike,
    tokens: Sequence | None = None,
    *,
    ax: Axes | None = None,
    titles: Sequence[str] | str | None = None,
    columns: int = 4,
    size: float | int = 3.0,
    colorbar: bool | None = None,
    causal: bool = True,
    vmax: float | int | None = None,
) -> Axes | np.ndarray:
    """An attention pattern (query, key), or one panel for each of (head, query, key).

    Rows are the positions that look, columns those that are looked at. With `causal`, keys after
    the query are grey, as the model cannot see them. Returns one axes, or an array of them for
    many heads. Raises ValueError where `tokens` does not match the pattern's last axis.
    """
    pattern = _array(pattern, "pattern", (2, 3))
    queries, keys = pattern.shape[-2:]
    _check_labels(tokens, keys, "tokens", "keys")
    if causal and queries == keys:
        pattern = np.where(np.tri(keys, dtype=bool), pattern, np.nan)
    options = {
        "xticks": tokens, "yticks": tokens if queries == keys else None, "diverging": False,
        "vmin": 0.0, "vmax": vmax, "aspect": "equal", "xlabel": "key (looked at)",
        "ylabel": "query (looks)", "rotate": None if tokens is None else True,
    }  # fmt: skip
    if pattern.ndim == 2:
        ax = _axes(ax, (size + 0.9, size))
        title = titles if titles is None or isinstance(titles, str) else titles[0]
        return heatmap(pattern, ax=ax, title=title, colorbar=colorbar is not False, **options)
    heads = pattern.shape[0]
    if ax is not None:
        raise ValueError("ax takes one pattern (query, key); several heads get their own panels")
    titles = [f"head {h}" for h in range(heads)] if titles is None else titles
    _check_labels(titles, heads, "titles", "heads")
    axes = panels(heads, columns, (size, size))
    for h, panel in enumerate(axes):
        heatmap(pattern[h], ax=panel, title=titles[h], colorbar=bool(colorbar), **options)
        panel.label_outer()  # names of the axes on the left and below only
    return axes


def composition(
    scores: ArrayLike,
    earlier: Sequence,
    later: Sequence,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    label: str = "score above baseline",
    values: bool | str = True,
) -> Axes:
    """Composition scores (earlier head, later head), each number written in its cell."""
    scores = _array(scores, "scores", 2)
    _check_labels(earlier, scores.shape[0], "earlier", "rows")
    _check_labels(later, scores.shape[1], "later", "columns")
    return heatmap(
        scores, ax=ax, xticks=later, yticks=earlier, values=values, colorbar_label=label,
        xlabel="later head (reads)", ylabel="earlier head (writes)", title=title,
    )  # fmt: skip


def phase_diagram(
    grid: ArrayLike,
    x: Sequence,
    y: Sequence,
    *,
    ax: Axes | None = None,
    phases: Sequence[str] | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    label: str | None = None,
    values: bool | str = False,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
) -> Axes:
    """A grid (y, x) of runs, as numbers or, with `phases`, as indices into it.

    The first row stands at the bottom, so both settings grow away from the corner. NaN (no run,
    or it never happened) is grey.
    """
    grid = _array(grid, "grid", 2)
    _check_labels(x, grid.shape[1], "x", "columns")
    _check_labels(y, grid.shape[0], "y", "rows")
    ax = _axes(ax, (5.0, 3.6))
    if phases is None:
        heatmap(
            grid, ax=ax, xticks=x, yticks=y, values=values, colorbar_label=label, vmin=vmin,
            vmax=vmax, xlabel=xlabel, ylabel=ylabel, title=title,
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
        _tick_tokens(ax, "x", x, False)
        _tick_tokens(ax, "y", y, False)
        _finish(ax, xlabel, ylabel, title)
    ax.invert_yaxis()
    return ax


# ---- bars, points, counts ----


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
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    rotate: bool | None = None,
    log: bool = False,
) -> Axes:
    """A bar for each label; its control (grey) beside it, where `controls` has one.

    `errors[label]` is half a bar's length, or (below, above). `baseline` draws a level such as
    chance. Raises ValueError where a control or an error names no bar.
    """
    ax = _axes(ax)
    for name, other in (("controls", controls), ("errors", errors)):
        for key in other or {}:
            if key not in values:
                raise ValueError(f"{name} names {key!r}, which is no bar; bars: {list(values)}")
    keys = list(values)
    at = np.arange(len(keys), dtype=float)
    width = 0.4 if controls else 0.7
    draw = ax.barh if horizontal else ax.bar
    thick = "height" if horizontal else "width"
    heights = [float(_array(values[k], f"values[{k!r}]", 0)) for k in keys]
    error = None
    if errors:
        pairs = [np.broadcast_to(_array(errors.get(k, np.nan), f"errors[{k!r}]"), 2) for k in keys]
        error = {"xerr" if horizontal else "yerr": np.stack(pairs, axis=1)}
    shift = width / 2 if controls else 0.0
    draw(
        at - shift, heights, color=BLUE, label=label, ecolor=BLACK, capsize=2, **{thick: width},
        **(error or {}),
    )  # fmt: skip
    if controls:
        shown = [k in controls for k in keys]
        grey = [float(_array(controls[k], f"controls[{k!r}]", 0)) for k in keys if k in controls]
        draw(at[shown] + shift, grey, color=LIGHT, edgecolor=GREY, hatch="///",
             label=control_label, **{thick: width})  # fmt: skip
    if baseline is not None:
        line = ax.axvline if horizontal else ax.axhline
        line(baseline, color=BLACK, linewidth=1, linestyle="--", label=baseline_label)
    crowded = not horizontal and sum(len(token_label(k)) for k in keys) > 60
    _tick_tokens(ax, "y" if horizontal else "x", keys, crowded if rotate is None else rotate)
    if horizontal:
        ax.invert_yaxis()  # first bar on top, as in a table
    if controls or baseline is not None:
        ax.legend()
    return _finish(ax, xlabel, ylabel, title, logx=log and horizontal, logy=log and not horizontal)


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
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    """Points, coloured by `groups` (one for each point; those in `controls` grey), with `labels`.

    An empty label is not drawn. `diagonal` draws x = y. Raises ValueError on unequal lengths.
    """
    x, y = _array(x, "x").reshape(-1), _array(y, "y").reshape(-1)
    if x.shape != y.shape:
        raise ValueError(f"x has {x.size} points, y has {y.size}")
    _check_labels(labels, x.size, "labels", "points")
    _check_labels(groups, x.size, "groups", "points")
    ax = _axes(ax, (4.2, 3.6))
    names = list(dict.fromkeys(groups)) if groups is not None else [None]
    controls, palette = set(controls), iter(CYCLE * (1 + len(names) // len(CYCLE)))
    markers = "osD^vP*X"
    for n, name in enumerate(names):
        chosen = [True] * x.size if groups is None else [g == name for g in groups]
        color = CONTROL if name in controls else next(palette)
        ax.scatter(
            x[chosen], y[chosen], s=size, color=color, alpha=0.75, linewidths=0,
            marker=markers[n % len(markers)], label=None if name is None else str(name),
        )  # fmt: skip
    _finish(ax, xlabel, ylabel, title, logx, logy)
    if diagonal:
        ax.axline((1, 1), (2, 2) if not (logx or logy) else (10, 10), color=GREY, linewidth=0.8,
                  linestyle=":", zorder=0)  # fmt: skip
    for i, text in enumerate(labels or []):
        if str(text):
            ax.annotate(
                token_label(text), (x[i], y[i]), xytext=(4, 3), textcoords="offset points",
                fontsize=7, parse_math=False,
            )  # fmt: skip
    if groups is not None:
        ax.legend()
    return ax


def histogram(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    bins: int | ArrayLike = 40,
    density: bool = False,
    controls: Iterable[str] = (),
    vlines: Mapping | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    logy: bool = False,
) -> Axes:
    """Counts (or densities) of values, all labels over the same bins; controls in grey."""
    series = values if isinstance(values, Mapping) else {"": values}
    arrays = {label: _array(v, f"values[{label!r}]").reshape(-1) for label, v in series.items()}
    if any(v.size == 0 or not np.isfinite(v).all() for v in arrays.values()):
        raise ValueError("values must be finite, with at least one for each label")
    ax = _axes(ax)
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
    ylabel = ("density" if density else "count") if ylabel is None else ylabel
    return _finish(ax, xlabel, ylabel, title, logy=logy)


def complex_plane(
    eigenvalues: ArrayLike | Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    controls: Iterable[str] = (),
    decades: int = 4,
    size: float | int = 14.0,
    title: str | None = None,
) -> Axes:
    """Eigenvalues in the complex plane with a logarithmic radius, as in Elhage et al. (2021).

    The angle is the eigenvalue's own: positive to the right, negative to the left, imaginary up
    and down. The radius is log10 of its size; the centre stands `decades` powers of ten below the
    largest, and what is smaller is drawn there. With one unnamed set, points are coloured by the
    sign of the real part. `ax`, when given, must be polar.
    """
    series = eigenvalues if isinstance(eigenvalues, Mapping) else {"": eigenvalues}
    sets = {k: _array(v, f"eigenvalues[{k!r}]").reshape(-1) for k, v in series.items()}
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
            np.angle(v), radius, s=size, c=color, alpha=0.7, linewidths=0, label=label or None,
            zorder=2 if label in controls else 3,
        )  # fmt: skip
    ax.set_ylim(0, decades)
    shown = range(1, decades + 1)
    ax.set_yticks(list(shown), [f"$10^{{{low + d}}}$" for d in shown], fontsize=7, color="#555555")
    ax.set_xticks([0, np.pi / 2, np.pi, 3 * np.pi / 2], ["+", "+i", "−", "−i"])
    ax.set_rlabel_position(67.5)
    ax.grid(color="#E0E0E0", linewidth=0.6)
    ax.spines["polar"].set_color("#AAAAAA")
    if title is not None:
        ax.set_title(title)
    if any(sets) and len(sets) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.25), ncols=2)
    return ax


# ---- a diagram of the residual stream ----


def residual_stream(
    parts: Sequence[str],
    *,
    reads: Mapping[tuple[str, str], float | int] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The residual stream as a line going up, with each part reading from it and adding to it.

    The first part only writes (the embedding), the last only reads (the unembedding). `reads`
    maps (earlier part, later part) to a strength; each is an arc whose width is its share of the
    largest. Raises ValueError where it names a part that is not there, or goes downwards.
    """
    parts = list(parts)
    if len(parts) < 2 or len(set(parts)) != len(parts):
        raise ValueError(f"parts must be at least two different names, got {parts}")
    for writer, reader in reads or {}:
        if writer not in parts or reader not in parts:
            raise ValueError(f"reads names {(writer, reader)!r}; parts: {', '.join(parts)}")
        if parts.index(writer) >= parts.index(reader):
            raise ValueError(f"{reader!r} cannot read from {writer!r}, which comes no earlier")
    ax = _axes(ax, (4.4, 0.75 * len(parts) + 0.4))
    ax.plot([0, 0], [-0.1, len(parts) - 0.9], color=BLACK, linewidth=2.5, zorder=1)

    def arrow(start: tuple, end: tuple, **kw: Any) -> None:
        ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **kw))

    for i, name in enumerate(parts):
        box = FancyBboxPatch(
            (0.75, i - 0.2), 1.7, 0.4, boxstyle="round,pad=0.03", facecolor="#EAF4FA",
            edgecolor=BLUE,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(1.6, i, name, ha="center", va="center", parse_math=True)
        thin = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": 1}
        if i > 0:
            arrow((0, i - 0.12), (0.7, i - 0.12), color=GREEN, **thin)
        if i < len(parts) - 1:
            arrow((0.7, i + 0.12), (0, i + 0.12), color=VERMILLION, **thin)
    strongest = max((abs(v) for v in (reads or {}).values()), default=1.0) or 1.0
    for (writer, reader), strength in (reads or {}).items():
        arrow(
            (2.5, parts.index(writer)), (2.5, parts.index(reader)), arrowstyle="-|>",
            mutation_scale=9, connectionstyle="arc3,rad=0.45", alpha=0.85,
            color=POSITIVE if strength >= 0 else NEGATIVE,
            linewidth=0.4 + 4 * abs(strength) / strongest,
        )  # fmt: skip
    ax.set_xlim(-0.3, 3.7)
    ax.set_ylim(-0.5, len(parts) - 0.5)
    ax.axis("off")
    return _finish(ax, None, None, title)


# ---- HTML: coloured text and tables ----

_PANEL = (
    "background:var(--pst-color-background,var(--jp-layout-color0,#fff));"
    "color:var(--pst-color-text-base,var(--jp-content-font-color1,#1a1a1a));"
)
_EDGE = "var(--pst-color-border,var(--jp-border-color1,#c8c8c8))"
# The book's theme puts HTML outputs on a light card in dark mode; these bring their own colours.
_CARD = "<style>.text_html:has(>.mechlib){background:none!important;padding:0!important}</style>"
_MONO = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
_LEVELS = 20  # colour steps: coarse, so that the last bit of a number does not change the output


@dataclass(frozen=True)
class Html:
    """HTML for a notebook, with plain text that stands for it where HTML is not shown."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def _tint(value: float, low: float | int, high: float | int) -> str:
    """A background for a value: blue above zero, vermillion below, as strong as its share.

    The colour is transparent over the page's own, so that text stays legible on light and dark.
    """
    if not math.isfinite(value):
        return ""
    reach = high if value >= 0 else -low
    share = min(abs(value) / reach, 1.0) if reach > 0 else 0.0
    step = round(share * _LEVELS)
    if step == 0:
        return ""
    rgb = "0,114,178" if value >= 0 else "213,94,0"
    return f"background:rgba({rgb},{0.62 * step / _LEVELS:.3f});"


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def _reach(values: np.ndarray, limit: float | int | None, name: str) -> float | int:
    if limit is not None:
        if limit <= 0:
            raise ValueError(f"{name} must be positive, got {limit}")
        return limit
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 1.0


def colored_text(
    tokens: Sequence,
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    present: int | Iterable[int] = (),
    vmax: float | int | None = None,
    digits: int = 2,
    caption: str | None = None,
    unit: str = "",
    newlines: bool = True,
) -> Html:
    """Text whose tokens are coloured by a number each: attention, logit effect, loss.

    `values` is one number for each token, or a mapping from a row's name to such numbers, which
    repeats the text once for each row with a colour scale of its own. Blue is positive,
    vermillion negative, strength is the share of `vmax` (default: the row's largest size).
    `present` are positions to outline: the token the model stands at. The number appears on
    hovering and is spoken by screen readers. A newline token also breaks the line unless
    `newlines` is false. Raises ValueError where lengths differ or `present` is out of range.
    """
    tokens = list(tokens)
    rows = dict(values) if isinstance(values, Mapping) else {"": values}
    outlined = {present} if isinstance(present, int) else set(present)
    for p in outlined:
        if not 0 <= p < len(tokens):
            raise ValueError(f"present holds {p}, but there are {len(tokens)} tokens")
    parts, plain = [], []
    for name, row in rows.items():
        numbers = _array(row, f"values[{name!r}]" if name else "values", 1)
        if numbers.size != len(tokens):
            raise ValueError(f"values has {numbers.size} numbers, there are {len(tokens)} tokens")
        reach = _reach(numbers, vmax, "vmax")
        spans = []
        for i, (token, value) in enumerate(zip(tokens, numbers.tolist(), strict=True)):
            shown = _number(value, digits) + (f" {unit}" if unit else "")
            edge = "outline:2px solid currentColor;outline-offset:-1px;" if i in outlined else ""
            style = _tint(value, -reach, reach) + edge
            spans.append(
                f'<span title="{_html.escape(shown)}" style="padding:.08em .1em;border-radius:.2em;'
                f'white-space:pre;{style}">{_html.escape(token_label(token))}</span>'
                + ("<br>" if newlines and str(token).endswith("\n") else "<wbr>")
            )
        head = f'<div style="font-size:.85em;opacity:.8">{_html.escape(name)}</div>' if name else ""
        parts.append(f'{head}<div style="{_MONO}line-height:1.75">{"".join(spans)}</div>')
        top = [i for i in np.argsort(-np.abs(numbers), kind="stable")[:3] if numbers[i] != 0]
        most = ", ".join(f"{token_label(tokens[i])} {_number(numbers[i], digits)}" for i in top)
        plain.append((f"{name}: " if name else "") + (most or "all zero"))
    return _panel(parts, caption, f"{len(tokens)} tokens; strongest: " + "; ".join(plain))


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
    `intensity` (row, column) colours whole cells instead; NaN leaves a cell plain.
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
        shades = _array(intensity, "intensity", 2)
        if shades.shape != (len(rows), len(columns)):
            raise ValueError(
                f"intensity has shape {shades.shape}, the table is {(len(rows), len(columns))}"
            )
    whole = _reach(shades, vmax, "vmax") if shades is not None else 1.0
    reach = [
        _reach(np.array([v for row in rows for v in _strengths(row[c])] or [0.0]), vmax, "vmax")
        for c in range(len(columns))
    ]
    cell_style = f"padding:.3em .6em;border-bottom:1px solid {_EDGE};vertical-align:top;"
    head = "".join(
        f'<th scope="col" style="{cell_style}text-align:left">{_html.escape(c)}</th>'
        for c in columns
    )
    body = []
    for r, row in enumerate(rows):
        cells = []
        for c, cell in enumerate(row):
            align = "text-align:right;" if _is_number(cell) else "text-align:left;"
            tint = _tint(float(shades[r, c]), -whole, whole) if shades is not None else ""
            inner = _cell_html(cell, reach[c], digits)
            cells.append(f'<td style="{cell_style}{align}{tint}">{inner}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    grid = (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0;'
        f'font-size:.92em;color:inherit;background:none"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
    text = "\n".join(
        " | ".join(line)
        for line in [columns, *[[_cell_text(cell, digits) for cell in row] for row in rows]]
    )
    return _panel([grid], caption, text)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


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
        return str(cell) if isinstance(cell, int | np.integer) else _number(float(cell), digits)
    return token_label(cell)


def _cell_html(cell: Any, reach: float | int, digits: int) -> str:
    if not isinstance(cell, list) and not _is_pair(cell):
        return _html.escape(_cell_text(cell, digits))
    spans = []
    for item in cell if isinstance(cell, list) else [cell]:
        style, title = "", ""
        if _is_pair(item):
            style = _tint(float(item[1]), -reach, reach)
            title = f' title="{_number(float(item[1]), digits)}"'
        label = _html.escape(token_label(item[0] if _is_pair(item) else item))
        spans.append(
            f'<span{title} style="{_MONO}white-space:pre;padding:.05em .3em;border-radius:.2em;'
            f'{style}">{label}</span>'
        )
    return " ".join(spans)


def _panel(parts: Sequence[str], caption: str | None, text: str) -> Html:
    body = "".join(parts)
    if caption:
        body += f'<div style="font-size:.85em;opacity:.8">{_html.escape(caption)}</div>'
    outer = f'<div class="mechlib" style="{_PANEL}padding:.4em .6em;border-radius:.3em">'
    return Html(f"{_CARD}{outer}{body}</div>", (f"{caption}\n" if caption else "") + text)
