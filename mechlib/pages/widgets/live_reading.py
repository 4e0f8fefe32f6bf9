"""The reader's own code, coloured by what a direction reads, with a rival beside it."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import torch
import traitlets as T

from mechlib.pages.widgets.live import LIBRARY, ModelWidget, model_state
from mechlib.pages.widgets.page import array, finite, index, pack_single, source
from mechlib.pages.widgets.still import still_tokens
from mechlib.pages.widgets.weights import rounded


class LiveReading(ModelWidget):
    """Type a text; see what a direction in the stream reads after each token, beside a rival.

    `readings[concept][kind]` is (direction (d_model,), offset): the score of a place is the product
    of the activation `at` with the direction, plus the offset, and above zero is "yes". The first
    kind is the reading itself, the others are its rivals; every concept has the same kinds. Full
    colour is a score of 2. `text`, `concept`, `rival` and `position` (-1: the last token) can be
    read and set from Python. The model travels with one byte a weight.

    Raises ValueError for directions of another length than the stream, and for an activation that
    is no stream.
    """

    _esm = source(*LIBRARY, "live_reading.js")
    text = T.Unicode().tag(sync=True)
    most = T.Int(128).tag(sync=True)
    at = T.Unicode().tag(sync=True)
    concepts = T.List(T.Unicode()).tag(sync=True)
    kinds = T.List(T.Unicode()).tag(sync=True)
    vectors = T.Bytes(b"").tag(sync=True)  # (concept, kind, d_model + 1), the offset last
    concept = T.Int(0).tag(sync=True)
    rival = T.Int(0).tag(sync=True)
    position = T.Int(-1).tag(sync=True)

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        text: str,
        *,
        at: str,
        readings: Mapping[str, Mapping[str, tuple[Any, float]]],
        concept: int = 0,
        caption: str = "",
    ) -> None:
        if not text:
            raise ValueError("text is empty: the first state needs one")
        if at not in model.activation_names() or not at.rsplit(".")[-1].startswith("hook_resid"):
            raise ValueError(f"at must name a stream of the model, got {at!r}")
        concepts = list(readings)
        kinds = list(readings[concepts[0]]) if concepts else []
        if len(kinds) < 2 or any(list(readings[name]) != kinds for name in concepts):
            raise ValueError("readings: every concept needs the same kinds, a reading and a rival")
        d = model.config.d_model
        numbers = np.empty((len(concepts), len(kinds), d + 1))
        for i, name in enumerate(concepts):
            for k, kind in enumerate(kinds):
                direction, offset = readings[name][kind]
                where = f"readings[{name!r}][{kind!r}]"
                numbers[i, k] = finite(np.append(array(direction, where, (d,)), offset), where)
        index(concept, len(concepts), "concept")
        self._still = _still(model, tokenizer, text, at, kinds, numbers[concept])
        super().__init__(
            **model_state(model, tokenizer, "int8"), text=text, at=at, concepts=concepts,
            kinds=kinds, vectors=pack_single(numbers), concept=concept, caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"concepts={self.concepts!r}, kinds={self.kinds!r}"


@torch.no_grad()
def _still(
    model: Any, tokenizer: Any, text: str, at: str, kinds: list[str], numbers: np.ndarray
) -> str:
    """The text in the colours of the reading and of the first rival."""
    start = [tokenizer.id("<|doc|>")] if hasattr(tokenizer, "inner") else []
    tokens = (start + tokenizer.encode(text))[:128]
    stream = rounded(model).trace(torch.tensor([tokens]), names=[at])[at][0].double().numpy()
    names = [tokenizer.token(t) for t in tokens[len(start) :]]
    html = ""
    for kind, row in list(zip(kinds, numbers, strict=True))[:2]:
        scores = stream[len(start) :] @ row[:-1] + row[-1]
        html += f"<p>{escape(kind)}</p>" + still_tokens(names, (scores / 2).tolist())
    return html
