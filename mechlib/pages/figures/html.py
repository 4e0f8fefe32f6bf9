"""What the figures that are HTML share: tints, numbers, the panel around them."""

import html as _html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_PANEL = (
    "background:var(--pst-color-background,var(--jp-layout-color0,#fff));"
    "color:var(--pst-color-text-base,var(--jp-content-font-color1,#1a1a1a));"
)
EDGE = "var(--pst-color-border,var(--jp-border-color1,#c8c8c8))"
# The book's theme puts HTML outputs on a light card in dark mode; these bring their own colours.
_CARD = "<style>.text_html:has(>.mechlib){background:none!important;padding:0!important}</style>"
MONO = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
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


def tint(value: float, low: float | int, high: float | int) -> str:
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


def written(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def reach_of(values: np.ndarray, limit: float | int | None, name: str) -> float | int:
    if limit is not None:
        if limit <= 0:
            raise ValueError(f"{name} must be positive, got {limit}")
        return limit
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 1.0


def panel(parts: Sequence[str], caption: str | None, text: str) -> Html:
    body = "".join(parts)
    if caption:
        body += f'<div style="font-size:.85em;opacity:.8">{_html.escape(caption)}</div>'
    outer = f'<div class="mechlib" style="{_PANEL}padding:.4em .6em;border-radius:.3em">'
    return Html(f"{_CARD}{outer}{body}</div>", (f"{caption}\n" if caption else "") + text)


def folded(shown: Html, summary: str) -> Html:
    """An HTML figure behind one line, `summary`, that opens on a click: what few readers need.

    ValueError when there is no summary, for then nobody could tell what is folded.
    """
    if not summary.strip():
        raise ValueError("summary must say what is folded, got an empty text")
    line = f"<summary>{_html.escape(summary)}</summary>"
    fold = f'<div class="mechlib" style="{_PANEL}"><details>{line}{shown.html}</details></div>'
    return Html(_CARD + fold, f"{summary}\n{shown.text}")
