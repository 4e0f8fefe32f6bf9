"""A zero-layer model's next-token table, one token at a time, beside the true one."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import (
    PageWidget,
    array,
    index,
    labels,
    pack_half,
    pack_indices,
    pack_single,
    source,
)
from mechlib.pages.widgets.still import still_bars


class BigramExplorer(PageWidget):
    """Pick a token: the likeliest next tokens, learned beside true, and their distance in nats.

    `log_probs` (token, next) are the model's log-probabilities in nats; `true_log_probs` the
    corpus's own (-inf for what never follows). For each token the `k` likeliest of either are
    kept, half-precision, so that a table of thousands of tokens stays small. `token` can be read
    and set from Python. Raises ValueError where a shape does not fit or a row is not a
    distribution (log-sum-exp more than 0.001 from 0).
    """

    _esm = source("bigram.js")
    tokens = T.List(T.Unicode()).tag(sync=True)
    shown = T.Int(0).tag(sync=True)  # next tokens kept for each token
    has_true = T.Bool(False).tag(sync=True)
    next_tokens = T.Bytes(b"").tag(sync=True)  # (token, shown) uint16
    learned = T.Bytes(b"").tag(sync=True)  # (token, shown) float16, nats
    true = T.Bytes(b"").tag(sync=True)
    distance = T.Bytes(b"").tag(sync=True)  # (token,) float32, KL(true || learned), nats
    token = T.Int(0).tag(sync=True)

    def __init__(
        self,
        log_probs: Any,
        tokens: Any,
        *,
        true_log_probs: Any = None,
        k: int = 6,
        token: int = 0,
        caption: str = "",
    ) -> None:
        names = labels(tokens)
        n = len(names)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        k = min(k, n)
        learned = _distributions(array(log_probs, "log_probs", (n, n)), "log_probs")
        true = learned
        if true_log_probs is not None:
            true = _distributions(array(true_log_probs, "true_log_probs", (n, n)), "true_log_probs")
        best = np.maximum(learned, true)
        width = k if true_log_probs is None else min(2 * k, n)
        kept = np.argsort(-best, axis=1, kind="stable")[:, :width]
        gap = np.where(np.isneginf(true), 0.0, true - np.where(np.isneginf(true), 0.0, learned))
        self._sizes = {"token": n}
        super().__init__(
            tokens=names,
            shown=width,
            has_true=true_log_probs is not None,
            next_tokens=pack_indices(kept),
            learned=pack_half(np.take_along_axis(learned, kept, 1)),
            # what never follows has log-probability -inf; exp says 0 of this number, too
            true=pack_half(np.take_along_axis(true, kept, 1).clip(min=-65_504)),
            distance=pack_single((np.exp(true) * gap).sum(1)),
            token=token,
            caption=caption,
        )

    @T.validate("token")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes["token"], "token")

    def still(self) -> str:
        shape = len(self.tokens), self.shown
        kept = np.frombuffer(self.next_tokens, "<u2").reshape(shape)[self.token]
        learned, true = (np.exp(np.frombuffer(part, "<f2").reshape(shape)[self.token].astype(float))
                         for part in (self.learned, self.true))  # fmt: skip
        best = sorted(range(self.shown), key=lambda k: (-round(learned[k], 4), kept[k]))[:5]
        beside = [f" (true {true[k]:.2f})" if self.has_true else "" for k in best]
        return still_bars(
            [(self.tokens[kept[k]], f"{learned[k]:.2f}{more}") for k, more in zip(best, beside)],
            f"the likeliest after “{self.tokens[self.token]}”",
        )

    def _summary(self) -> str:
        return f"tokens={len(self.tokens)}, shown={self.shown}"


def _distributions(log_probs: np.ndarray, name: str) -> np.ndarray:
    if np.isnan(log_probs).any():
        raise ValueError(f"{name} holds NaN")
    total = np.exp(log_probs).sum(1)
    worst = int(np.argmax(np.abs(total - 1)))
    if abs(total[worst] - 1) > 1e-3:
        raise ValueError(
            f"each row of {name} must be log-probabilities; row {worst} sums to {total[worst]:.4g}"
        )
    return log_probs
