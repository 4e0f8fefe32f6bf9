"""From scores to a pattern: scale, mask, softmax, with each step in the reader's hands."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, labels, pack_single, source
from mechlib.pages.widgets.still import still_bars


class SoftmaxExplorer(PageWidget):
    """Scores (query, key) become a pattern under a temperature and a causal mask of one's choice.

    The temperature divides the scores: low makes a row pick its best key, high makes it average.
    Shows the pattern, one row as bars, and the mean entropy of rows in nats. `temperature`
    (0.1 to 10), `causal` and `query` can be read and set from Python.
    Raises ValueError where `scores` is not square in the number of tokens.
    """

    _esm = source("softmax.js")
    tokens = T.List(T.Unicode()).tag(sync=True)
    scores = T.Bytes(b"").tag(sync=True)  # (query, key) float32
    temperature = T.Float(1.0, min=0.1, max=10.0).tag(sync=True)
    causal = T.Bool(True).tag(sync=True)
    query = T.Int(0).tag(sync=True)

    def __init__(
        self,
        scores: Any,
        tokens: Any,
        *,
        temperature: float = 1.0,
        causal: bool = True,
        query: int | None = None,
        caption: str = "",
    ) -> None:
        names = labels(tokens)
        n = len(names)
        scores = finite(array(scores, "scores", (n, n)), "scores")
        if not 0.1 <= temperature <= 10:
            raise ValueError(f"temperature must be 0.1 to 10, got {temperature}")
        self._sizes = {"query": n}
        super().__init__(
            tokens=names,
            scores=pack_single(scores),
            temperature=temperature,
            causal=causal,
            query=n - 1 if query is None else query,
            caption=caption,
        )

    @T.validate("query")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes["query"], "query")

    def still(self) -> str:
        n = len(self.tokens)
        row = np.frombuffer(self.scores, "<f4").reshape(n, n)[self.query].astype(float)
        if self.causal:
            row = row[: self.query + 1]
        row = np.exp((row - row.max()) / self.temperature)
        row = row / row.sum()
        best = sorted(range(len(row)), key=lambda k: (-round(row[k], 6), k))[:5]
        return still_bars(
            [(self.tokens[k], float(row[k])) for k in best],
            f"what “{self.tokens[self.query]}” attends to at a temperature of {self.temperature:g}",
        )

    def _summary(self) -> str:
        return f"tokens={len(self.tokens)}"
