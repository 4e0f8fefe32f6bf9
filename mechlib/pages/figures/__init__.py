"""Arrays to figures: one palette, one style, for every chapter.

Each drawing function takes arrays or tensors (never a model or a tokenizer), an optional `ax`,
and returns the axes it drew on, so that a notebook can go on from there. Two functions,
`colored_text` and `table`, give HTML instead: tokens and tables whose background carries a number.

style      the palette, `use_style`, `ink`: a colour dark enough for letters
axes       `panels`: several axes in rows
tokens     tokens as labels that can be seen
curves     lines, curves over training, spectra
matrices   heat maps, attention patterns, composition scores
phases     a grid of runs
spans      named stretches of an axis: the phases of one run
counts     bars and histograms
points     scatter plots, eigenvalues in the complex plane
stream     a diagram of the residual stream
colored    text coloured by a number for each token
tables     tables whose colours carry numbers
html       what these two share; `folded`: one of them behind a line that opens on a click
"""

from mechlib.pages.figures.axes import panels
from mechlib.pages.figures.colored import colored_text
from mechlib.pages.figures.counts import bars, histogram
from mechlib.pages.figures.curves import curves_over_training, lines, spectrum
from mechlib.pages.figures.html import folded
from mechlib.pages.figures.matrices import attention, composition, heatmap
from mechlib.pages.figures.phases import phase_diagram
from mechlib.pages.figures.points import complex_plane, scatter
from mechlib.pages.figures.spans import spans
from mechlib.pages.figures.stream import residual_stream
from mechlib.pages.figures.style import (
    BLACK,
    BLUE,
    BROWN,
    CONTROL,
    CYCLE,
    DIVERGING,
    GREEN,
    GREY,
    LIGHT,
    NEGATIVE,
    ORANGE,
    POSITIVE,
    PURPLE,
    SEQUENTIAL,
    SKY,
    VERMILLION,
    YELLOW,
    ink,
    use_style,
)
from mechlib.pages.figures.tables import table
from mechlib.pages.figures.tokens import token_label, token_labels

__all__ = [
    "BLACK",
    "BLUE",
    "BROWN",
    "CONTROL",
    "CYCLE",
    "DIVERGING",
    "GREEN",
    "GREY",
    "LIGHT",
    "NEGATIVE",
    "ORANGE",
    "POSITIVE",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "VERMILLION",
    "YELLOW",
    "attention",
    "bars",
    "colored_text",
    "complex_plane",
    "composition",
    "curves_over_training",
    "folded",
    "heatmap",
    "histogram",
    "ink",
    "lines",
    "panels",
    "phase_diagram",
    "residual_stream",
    "scatter",
    "spans",
    "spectrum",
    "table",
    "token_label",
    "token_labels",
    "use_style",
]
