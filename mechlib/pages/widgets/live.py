"""What the widgets that run a transformer have in common: the model as bytes, and its tokens."""

from typing import Any

import traitlets as T

from mechlib.pages.widgets.page import PageWidget
from mechlib.pages.widgets.weights import pack

LIBRARY = ("engine.js", "bpe.js", "live.js")


class ModelWidget(PageWidget):
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
