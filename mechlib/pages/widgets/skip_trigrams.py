"""Skip-trigrams read from thin factors: the V × V tables are never built, not even in the page."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, labels, pack_half, source


class SkipTrigramExplorer(PageWidget):
    """Pick a source token: which destinations look for it (QK), and what it makes likelier (OV).

    `qk` is the full QK circuit (destination, source) and `ov` the full OV circuit (source, out),
    each as two thin factors: an object with `.A` (token, rank) and `.B` (rank, token), or such a
    pair, or with a first axis of heads. The page multiplies one row and one column at a time,
    which needs rank × V numbers where the tables would need V × V. Factors are kept in half
    precision. `head` and `source_token` can be read and set from Python.

    Raises ValueError naming the factor whose shape does not fit.
    """

    _esm = source("skip_trigrams.js")
    tokens = T.List(T.Unicode()).tag(sync=True)
    head_names = T.List(T.Unicode()).tag(sync=True)
    ranks = T.List(T.Int()).tag(sync=True)  # of QK and of OV
    destinations = T.Bytes(b"").tag(sync=True)  # (head, token, rank) float16, as all four
    sources = T.Bytes(b"").tag(sync=True)
    values = T.Bytes(b"").tag(sync=True)
    outputs = T.Bytes(b"").tag(sync=True)
    shown = T.Int(10).tag(sync=True)
    head = T.Int(0).tag(sync=True)
    source_token = T.Int(0).tag(sync=True)

    def __init__(
        self,
        qk: Any,
        ov: Any,
        tokens: Any,
        *,
        head_names: Any = None,
        k: int = 10,
        head: int = 0,
        source_token: int = 0,
    ) -> None:
        names = labels(tokens)
        n = len(names)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        k = min(k, n)
        destinations, sources = _factors(qk, "qk", n)
        values, outputs = _factors(ov, "ov", n)
        heads = len(destinations)
        if len(values) != heads:
            raise ValueError(f"qk has {heads} heads, ov has {len(values)}")
        head_names = [f"head {h}" for h in range(heads)] if head_names is None else head_names
        if len(head_names) != heads:
            raise ValueError(f"head_names has {len(head_names)} names for {heads} heads")
        self._sizes = {"head": heads, "source_token": n}
        super().__init__(
            tokens=names,
            head_names=[str(name) for name in head_names],
            ranks=[destinations.shape[2], values.shape[2]],
            destinations=pack_half(destinations),
            sources=pack_half(sources),
            values=pack_half(values),
            outputs=pack_half(outputs),
            shown=k,
            head=head,
            source_token=source_token,
        )

    @T.validate("head", "source_token")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes[proposal["trait"].name], proposal["trait"].name)

    def _summary(self) -> str:
        return f"tokens={len(self.tokens)}, heads={len(self.head_names)}, ranks={self.ranks}"


def _factors(product: Any, name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both factors as (head, token, rank), with equal norms so that half precision serves both."""
    left, right = (product.A, product.B) if hasattr(product, "A") else product
    if np.ndim(left) == 2:
        left, right = left[None], right[None]
    left = finite(array(left, f"{name}.A", (None, n, None)), f"{name}.A")
    heads, _, rank = left.shape
    right = finite(array(right, f"{name}.B", (heads, rank, n)), f"{name}.B").transpose(0, 2, 1)
    balance = np.ones((heads, 1, rank))
    norms = [np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right)]
    used = (norms[0] > 0) & (norms[1] > 0)
    balance[used] = np.sqrt(norms[1][used] / norms[0][used])
    return left * balance, right / balance
