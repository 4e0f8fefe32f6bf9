"""Named spans along a figure's horizontal axis: the phases of a training run.

Names stand above the axes, where no curve can run through them.
Chapters 12 and 14.
"""

from collections.abc import Mapping

from matplotlib.axes import Axes

SHADES = ("#E8F1F8", "#FFFFFF", "#F6EEDD", "#FFFFFF")


def spans(ax: Axes, ends: Mapping[str, float | int], start: float | int = 0) -> Axes:
    """Shade an axis from `start` to each end in turn, with the name of each span above it.

    Raises ValueError where the ends do not rise, naming the span.
    """
    left = start
    for i, (name, right) in enumerate(ends.items()):
        if not right > left:
            raise ValueError(f"ends: {name!r} ends at {right}, not after {left}")
        ax.axvspan(left, right, color=SHADES[i % len(SHADES)], zorder=0, linewidth=0)
        ax.axvline(right, color="#767676", linewidth=1, linestyle=":", zorder=1)
        ax.annotate(
            name, ((left + right) / 2, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", color="#444444", fontsize=8,
        )  # fmt: skip
        left = right
    return ax
