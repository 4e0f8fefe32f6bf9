"""The palette and the style that every figure of the course is drawn in.

The colours are Okabe and Ito's, which stay apart for the common kinds of colour blindness.
Signs have fixed colours everywhere: blue is positive, vermillion is negative.
"""

import matplotlib.pyplot as plt
from IPython import get_ipython
from matplotlib.colors import LinearSegmentedColormap
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
