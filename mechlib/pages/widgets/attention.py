"""Attention patterns, one head at a time: who looks at whom, and what it does to the output."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, labels, pack_bytes, source
from mechlib.pages.widgets.still import still_bars, still_patterns


class AttentionWidget(PageWidget):
    """Text whose tokens show where they look, or from where they are looked at, for each head.

    `patterns` is (head, query, key), rows summing to one; `tokens` has one entry for each key.
    `values`, (head, key), are sizes of the value vectors: attention times size tells moved
    content from mere resting places. `logit_effects`, (head, query, key), is what looking there
    does to a logit. Each adds a view. Numbers are kept to a 255th of the largest.
    `head`, `position`, `direction` and `view` can be read and set from Python.

    Raises ValueError naming the argument whose shape does not fit.
    """

    _esm = source("attention.js")
    tokens = T.List(T.Unicode()).tag(sync=True)
    head_names = T.List(T.Unicode()).tag(sync=True)
    views = T.List(T.Dict()).tag(sync=True)  # each {name, scale, signed}
    data = T.Bytes(b"").tag(sync=True)  # (view, head, query, key), one byte each
    head = T.Int(0).tag(sync=True)
    position = T.Int(0).tag(sync=True)
    direction = T.Enum(["from", "to"], "from").tag(sync=True)
    view = T.Int(0).tag(sync=True)

    def __init__(
        self,
        patterns: Any,
        tokens: Any,
        *,
        values: Any = None,
        logit_effects: Any = None,
        head_names: Any = None,
        head: int = 0,
        position: int | None = None,
        caption: str = "",
    ) -> None:
        names = labels(tokens)
        n = len(names)
        patterns = finite(array(patterns, "patterns", (None, n, n)), "patterns")
        heads = len(patterns)
        if patterns.min() < 0 or patterns.max() > 1 + 1e-6:
            raise ValueError("patterns must lie between 0 and 1: give the softmax, not the scores")
        views: dict[str, np.ndarray] = {"attention": patterns}
        if values is not None:
            sizes = finite(array(values, "values", (heads, n)), "values")
            views["attention × value size"] = patterns * sizes[:, None, :]
        if logit_effects is not None:
            effects = array(logit_effects, "logit_effects", (heads, n, n))
            views["logit effect"] = finite(effects, "logit_effects")
        head_names = [f"head {h}" for h in range(heads)] if head_names is None else head_names
        if len(head_names) != heads:
            raise ValueError(f"head_names has {len(head_names)} names for {heads} heads")
        packed = {name: pack_bytes(view) for name, view in views.items()}
        self._sizes = {"head": heads, "position": n, "view": len(views)}
        super().__init__(
            tokens=names,
            head_names=[str(name) for name in head_names],
            views=[{"name": name, **scale} for name, (_, scale) in packed.items()],
            data=b"".join(raw for raw, _ in packed.values()),
            head=head,
            position=n - 1 if position is None else position,
            caption=caption,
        )

    @T.validate("head", "position", "view")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes[proposal["trait"].name], proposal["trait"].name)

    def still(self) -> str:
        heads, n = len(self.head_names), len(self.tokens)
        raw = np.frombuffer(self.data, "u1")[: heads * n * n].reshape(heads, n, n)
        pattern = raw[self.head] * (self.views[0]["scale"] / 255)
        name, row = self.head_names[self.head], pattern[self.position]
        best = sorted(range(n), key=lambda k: (-row[k], k))[:5]
        return still_patterns(pattern[None], [name]) + still_bars(
            [(self.tokens[k], float(row[k])) for k in best],
            f"where {name} looks from “{self.tokens[self.position]}”",
        )

    def _summary(self) -> str:
        return f"heads={len(self.head_names)}, tokens={len(self.tokens)}, views={len(self.views)}"
