"""The palette and the style that every figure of the course is drawn in.

The colours are Okabe and Ito's, which stay apart for the common kinds of colour blindness.
Signs have fixed colours everywhere: blue is positive, vermillion is negative.
"""

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib_inline.backend_inline import set_matplotlib_formats

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
YELLOW = "#F0E442"
BROWN = "#8C510A"
BLACK = "#1A1A1A"
GREY = "#767676"
LIGHT = "#D0D0D0"

POSITIVE, NEGATIVE = BLUE, VERMILLION
CONTROL = GREY  # controls and baselines are grey in every figure
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, BROWN)

_MISSING = "#E4E4E4"  # NaN is a light grey, never a colour of the scale
DIVERGING = LinearSegmentedColormap.from_list(
    "mechlib_diverging", ["#7A2F00", NEGATIVE, "#F7F7F7", POSITIVE, "#003A5C"]
).with_extremes(bad=_MISSING)
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "mechlib_sequential", ["#FFFFFF", "#9CCFEA", BLUE, "#00263D"]
).with_extremes(bad=_MISSING)


def _part(whole: LinearSegmentedColormap, low: float, high: float) -> LinearSegmentedColormap:
    colors = whole(np.linspace(low, high, 65))
    pale = LinearSegmentedColormap.from_list(whole.name + "_pale", colors)
    return pale.with_extremes(bad=_MISSING)


# Under written numbers: so far that black ones stand out by 4.5 to 1, on white and turned over.
PALE_DIVERGING, PALE_SEQUENTIAL = _part(DIVERGING, 0.36, 0.64), _part(SEQUENTIAL, 0.0, 0.44)

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
    # the first is what figures are laid out with; the others stand in for it where it is missing
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Bitstream Vera Sans", "Arial"],
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


def use_style() -> None:
    """Set the course's style for every figure drawn after it: vector graphics on white."""
    plt.rcParams.update(_STYLE)
    if getattr(get_ipython(), "kernel", None) is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})


def ink(color: str) -> str:
    """A colour for letters: the same hue, darkened until it stands out from white by 4.5 to 1.

    A line or a bar may be lighter than a letter and still be seen. In the dark the book turns
    figures over, and there such letters stand out by more than that.

    Source: WCAG 2.2, success criterion 1.4.3.
    """
    steps = (np.array(to_rgb(color)) * share for share in np.linspace(1, 0, 101))
    return next(to_hex(step) for step in steps if 1.05 / (_luminance(step) + 0.05) >= 4.5)


def _luminance(rgb: np.ndarray) -> float:
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
