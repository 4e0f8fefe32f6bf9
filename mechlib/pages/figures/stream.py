"""A diagram of the residual stream."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from mechlib.pages.figures.axes import axes_or_new, name_axes
from mechlib.pages.figures.style import BLACK, BLUE, GREEN, NEGATIVE, POSITIVE, VERMILLION


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
    ax = axes_or_new(ax, (4.4, 0.75 * len(parts) + 0.4))
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
    return name_axes(ax, title=title)
