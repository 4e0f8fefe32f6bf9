"""A Kronecker product, entry by entry: which number of A and which of W meet in a cell of A ⊗ W."""

from typing import Any

import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, pack_single, source


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

    def __init__(self, A: Any, W: Any, *, cell: tuple[int, int] = (0, 0)) -> None:
        A, W = (finite(array(M, name, (None, None)), name) for M, name in ((A, "A"), (W, "W")))
        if A.size * W.size > 4096:
            raise ValueError(f"A ⊗ W has {A.size * W.size} cells, at most 4096 can be shown")
        self._sizes = (A.shape[0] * W.shape[0], A.shape[1] * W.shape[1])
        super().__init__(
            shapes=[list(A.shape), list(W.shape)],
            A=pack_single(A),
            W=pack_single(W),
            cell=list(cell),
        )

    @T.validate("cell")
    def _exists(self, proposal: dict) -> list[int]:
        pairs = zip(proposal["value"], self._sizes, ("row", "column"), strict=True)
        return [index(value, size, f"cell's {name}") for value, size, name in pairs]

    def _summary(self) -> str:
        return f"A={tuple(self.shapes[0])}, W={tuple(self.shapes[1])}"
