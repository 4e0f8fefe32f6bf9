"""A zero-layer model that learns its table of bigrams in the page."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, index, labels, pack_single, source
from mechlib.pages.widgets.still import still_bars


class BigramLive(PageWidget):
    """Train logits = W_E W_U on pairs drawn from a known language, beside the true table.

    `probs` (word, next) are the true probabilities and `stationary` (word,) how often each word
    comes. Readers guess which of `widths`, the dimensions of the stream, is enough; each step sees
    512 fresh pairs, AdamW with a rate of 2e-2 that falls to zero at step `until`. `width`, `seed`
    and `row`, the word whose row is shown, can be set. ValueError where a shape does not fit or a
    row is no distribution.
    """

    _esm = source("training.js", "live.js", "bigram_live.js")
    words = T.List(T.Unicode()).tag(sync=True)
    table = T.Bytes(b"").tag(sync=True)  # (word, next) float32
    stationary = T.Bytes(b"").tag(sync=True)  # (word,) float32
    widths = T.List(T.Int()).tag(sync=True)
    width = T.Int(2).tag(sync=True)
    seed = T.Int(0).tag(sync=True)
    until = T.Int(400).tag(sync=True)
    row = T.Int(0).tag(sync=True)

    def __init__(
        self,
        probs: Any,
        stationary: Any,
        words: Any,
        *,
        widths: tuple[int, ...] = (1, 2, 4, 8, 16),
        width: int = 2,
        seed: int = 0,
        until: int = 400,
        row: int = 0,
        caption: str = "",
    ) -> None:
        names = labels(words)
        table = array(probs, "probs", (len(names), len(names)))
        share = array(stationary, "stationary", (len(names),))
        for name, rows in (("probs", table), ("stationary", share[None])):
            if rows.min() < 0 or np.abs(rows.sum(1) - 1).max() > 1e-3:
                raise ValueError(f"{name}: each row must hold probabilities that sum to 1")
        if width not in widths or min(widths) < 1:
            raise ValueError(f"width must be one of widths {widths}, all at least 1, got {width}")
        if until < 10:
            raise ValueError(f"until must be at least 10, got {until}")
        self._size = len(names)
        super().__init__(
            words=names, table=pack_single(table), stationary=pack_single(share),
            widths=list(widths), width=width, seed=seed, until=until, row=row, caption=caption,
        )  # fmt: skip

    @T.validate("row")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._size, "row")

    def still(self) -> str:
        table = np.frombuffer(self.table, "<f4").reshape(self._size, -1)
        best = np.argsort(-np.round(table[self.row], 6), kind="stable")[:5]
        rows = [(self.words[i], float(table[self.row, i])) for i in best]
        return still_bars(rows, f"What it is to learn: the words after {self.words[self.row]}")

    def _summary(self) -> str:
        return f"words={len(self.words)}, width={self.width}"
