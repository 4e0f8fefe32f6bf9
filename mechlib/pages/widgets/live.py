"""What the widgets that run a model have in common: the model as bytes, and a still picture.

The still picture is plain HTML that stands before the widget. It is what a reader sees in print,
without JavaScript, and on a code host; the widget hides it once it runs.
"""

from html import escape
from typing import Any

import numpy as np
import traitlets as T
from IPython.display import HTML, display

from mechlib.pages.figures import token_label
from mechlib.pages.widgets.page import PageWidget
from mechlib.pages.widgets.weights import pack

LIBRARY = ("engine.js", "bpe.js", "live.js")


class LiveWidget(PageWidget):
    """A widget that runs a model in the page.

    `caption` stands below it; `still()` is what stands in for it where nothing runs.
    """

    caption = T.Unicode().tag(sync=True)

    def still(self) -> str:
        """The first state as HTML, made of the same numbers that the page computes."""
        return ""

    def _ipython_display_(self) -> None:
        if self.still():
            display(HTML(f'<div class="mechlib-still">{self.still()}</div>'))
        display({"text/plain": repr(self)} | self._repr_mimebundle_()[0], raw=True)


class ModelWidget(LiveWidget):
    """A live widget around one transformer and what turns text into its tokens."""

    weights = T.Bytes(b"").tag(sync=True)  # see mechlib.pages.widgets.weights
    tokenizer = T.Unicode().tag(sync=True)  # JSON of a byte-pair tokenizer, or empty:
    names = T.List(T.Unicode()).tag(sync=True)  # then a name for each token,
    level = T.Unicode("word").tag(sync=True)  # which stand between blanks ("word") or not ("char")


def model_state(model: Any, tokenizer: Any, dtype: str = "float16") -> dict[str, Any]:
    """The traits of a `ModelWidget`: weights, and a `Tokenizer` or a `Vocabulary` as text.

    ValueError when the tokenizer has another number of tokens than the model.
    """
    if len(tokenizer) != model.config.d_vocab:
        raise ValueError(
            f"tokenizer: it has {len(tokenizer)} tokens, the model {model.config.d_vocab}"
        )
    if hasattr(tokenizer, "inner"):
        words = {"tokenizer": tokenizer.inner.to_str(pretty=False)}
    else:
        words = {"names": list(tokenizer.names), "level": tokenizer.level}
    return {"weights": pack(model, dtype), **words}


# ---- pieces of still pictures ----


def still_tokens(tokens: list[str]) -> str:
    """Tokens as a line of HTML, each framed."""
    framed = (f"<code>{escape(token_label(token))}</code>" for token in tokens)
    return f"<p>{' '.join(framed)}</p>"


def still_bars(rows: list[tuple[str, float | str]], caption: str) -> str:
    """Names beside numbers (two decimals) or texts, as a table."""
    body = "".join(
        f"<tr><th scope='row'><code>{escape(token_label(name))}</code></th>"
        f"<td>{value if isinstance(value, str) else format(value, '.2f')}</td></tr>"
        for name, value in rows
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"


def still_patterns(patterns: np.ndarray, names: list[str]) -> str:
    """(head, query, key) patterns side by side as one drawing, in steps of a fifth."""
    heads, n = patterns.shape[:2]
    steps = np.rint(patterns * 5 - 1e-6).astype(int)
    parts = []
    for h in range(heads):
        x = h * (n + 4)
        parts.append(f"<text x='{x}' y='-2' font-size='4' fill='currentColor'>{names[h]}</text>")
        parts.append(
            f"<path d='M{x} 0h{n}v{n}h-{n}z' fill='none' stroke='#888' stroke-width='.2'/>"
        )
        for step in range(1, 6):
            cells = zip(*np.nonzero(steps[h] == step), strict=True)
            path = "".join(f"M{x + j} {i}h1v1h-1z" for i, j in cells)
            if path:
                parts.append(f"<path d='{path}' fill='#0072b2' opacity='{step / 5}'/>")
    return (
        f"<svg viewBox='0 -7 {heads * (n + 4)} {n + 8}' width='100%' role='img' "
        f"aria-label='attention patterns of {', '.join(names)}'>{''.join(parts)}</svg>"
    )
