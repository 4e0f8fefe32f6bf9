"""A Kronecker product, entry by entry: which number of A and which of W meet in a cell of A ⊗ W."""

from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, pack_single, source
from mechlib.pages.widgets.still import still_bars


class KroneckerWidget(PageWidget):
    """Pick a cell of A ⊗ W: the entry of A that names its block and the entry of W inside it.

    `A` is (query, key), an attention pattern; `W` is (row, column), a head's W_OV. The product is
    (query × row, key × column). `cell`, [row, column] of the product, can be read and set from
    Python. Raises ValueError unless both are finite matrices, with at most 4,096 cells in all.
    """

    _esm = source("kronecker.js")
    shapes = T.List(T.List(T.Int())).tag(sync=True)
    A = T.Bytes(b"").tag(sync=True)  # float32
    W = T.Bytes(b"").tag(sync=True)
    cell = T.List(T.Int(), minlen=2, maxlen=2, default_value=[0, 0]).tag(sync=True)

    def __init__(
        self, A: Any, W: Any, *, cell: tuple[int, int] = (0, 0), caption: str = ""
    ) -> None:
        A, W = (finite(array(M, name, (None, None)), name) for M, name in ((A, "A"), (W, "W")))
        if A.size * W.size > 4096:
            raise ValueError(f"A ⊗ W has {A.size * W.size} cells, at most 4096 can be shown")
        self._sizes = (A.shape[0] * W.shape[0], A.shape[1] * W.shape[1])
        super().__init__(
            shapes=[list(A.shape), list(W.shape)],
            A=pack_single(A),
            W=pack_single(W),
            cell=list(cell),
            caption=caption,
        )

    @T.validate("cell")
    def _exists(self, proposal: dict) -> list[int]:
        pairs = zip(proposal["value"], self._sizes, ("row", "column"), strict=True)
        return [index(value, size, f"cell's {name}") for value, size, name in pairs]

    def still(self) -> str:
        rows, columns = self.shapes[1]
        A, W = (np.frombuffer(part, "<f4").reshape(shape)
                for part, shape in zip((self.A, self.W), self.shapes))  # fmt: skip
        (q, r), (k, c) = divmod(self.cell[0], rows), divmod(self.cell[1], columns)
        a, w = float(A[q, k]), float(W[r, c])
        return still_bars(
            [(f"A[{q}, {k}]", a), (f"W[{r}, {c}]", w), ("their product", a * w)],
            f"cell {tuple(self.cell)} of A ⊗ W",
        )

    def _summary(self) -> str:
        return f"A={tuple(self.shapes[0])}, W={tuple(self.shapes[1])}"
