"""A product of two thin matrices that is never multiplied out.

    M = A B        A is (m, r), B is (r, n), and r is small beside m and n

A head's circuits are such products: `W_QK = W_Q W_K^T` is (d_model, d_model) of rank at most
d_head, and the full circuits are (d_vocab, d_vocab) of the same rank. With a vocabulary of 50,000
the dense table has 2.5 billion entries (10 GB in float32) where the two factors have 6.4 million.
Everything one asks of the table is asked of the factors here: products, trace, norm, singular
values, eigenvalues, single rows, the largest entries.

Chapters 06 to 10 use it. Leading axes ("..." below) are batch axes, for example layer and head.
"""

from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


class TopEntries(NamedTuple):
    """Entries of a matrix in order: `values[i]` stands at row `rows[i]`, column `columns[i]`."""

    values: Float[Tensor, " k"]
    rows: Int[Tensor, " k"]
    columns: Int[Tensor, " k"]


class FactoredMatrix:
    """`M = A @ B`, held as its two factors.

    A has shape (..., m, r), B has shape (..., r, n); batch axes broadcast as torch broadcasts them.
    `r` is called `inner`: the rank of M is at most min(m, r, n).

    Raises ValueError, naming both shapes, when the two do not fit.
    """

    def __init__(self, A: Float[Tensor, "..."], B: Float[Tensor, "..."]):
        if min(A.ndim, B.ndim) < 2:
            raise ValueError(
                "A and B must be matrices (..., rows, columns), "
                f"got shapes {tuple(A.shape)} and {tuple(B.shape)}"
            )
        _check_product("A", A.shape, "B", B.shape)
        # torch's own function of this name imports a library for symbolic algebra first
        batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        self.A = A.expand(*batch, *A.shape[-2:])
        self.B = B.expand(*batch, *B.shape[-2:])

    # ---- what it looks like -------------------------------------------------------------------

    @property
    def shape(self) -> torch.Size:
        """Shape of the dense matrix, (..., m, n)."""
        return torch.Size([*self.A.shape[:-1], self.B.shape[-1]])

    @property
    def inner(self) -> int:
        """r, the axis that is summed over; an upper bound of the rank."""
        return self.A.shape[-1]

    @property
    def ndim(self) -> int:
        """Number of axes of the dense matrix, batch axes included."""
        return self.A.ndim

    @property
    def dtype(self) -> torch.dtype:
        """Type of the entries of the product."""
        return self.A.dtype

    def __repr__(self) -> str:
        return f"FactoredMatrix(shape={tuple(self.shape)}, inner={self.inner})"

    @property
    def T(self) -> "FactoredMatrix":
        """The transpose of the last two axes: (A B)^T = B^T A^T."""
        return FactoredMatrix(self.B.mT, self.A.mT)

    def __getitem__(self, index) -> "FactoredMatrix":
        """Index the batch axes: with shape (layer, head, m, n), `M[0, 3]` is head 0.3.

        Entries of the matrix itself are read by `rows` and `columns`. IndexError when out of range.
        """
        picked = index if isinstance(index, tuple) else (index,)
        if len([i for i in picked if i is not None]) > self.ndim - 2 or Ellipsis in picked:
            raise IndexError(
                f"index {index!r} reaches into the matrix: there are {self.ndim - 2} batch axes in "
                f"shape {tuple(self.shape)}; read entries with rows(i), columns(j) or dense()"
            )
        return FactoredMatrix(self.A[index], self.B[index])

    def dense(self) -> Float[Tensor, "... m n"]:
        """The product multiplied out: m * n numbers for every matrix of the batch."""
        return self.A @ self.B

    def rows(self, index: SupportsIndex | Sequence[int] | Tensor) -> Float[Tensor, "..."]:
        """Rows `index` of M: (..., n) for one int, (..., k, n) for k of them. Costs k * r * n."""
        index = torch.as_tensor(index)
        if index.ndim == 0:  # an int, of Python, numpy or torch
            return (self.A[..., index, None, :] @ self.B)[..., 0, :]
        return self.A[..., index, :] @ self.B

    def columns(self, index: SupportsIndex | Sequence[int] | Tensor) -> Float[Tensor, "..."]:
        """Columns `index` of M: (..., m) for one int, (..., m, k) for k of them."""
        index = torch.as_tensor(index)
        if index.ndim == 0:
            return (self.A @ self.B[..., index, None])[..., 0]
        return self.A @ self.B[..., index]

    def diagonal(self) -> Float[Tensor, "... m"]:
        """The entries M[i, i] of a square matrix, in m * r steps."""
        self._require_square("diagonal")
        return (self.A * self.B.mT).sum(-1)

    # ---- products and sums --------------------------------------------------------------------

    def __matmul__(self, other):
        """`M @ v` for a vector is a tensor; `M @ matrix` and `M @ factored` stay factored."""
        if isinstance(other, FactoredMatrix):
            _check_product("left", self.shape, "right", other.shape)
            middle = self.B @ other.A  # (..., r_left, r_right): both thin, so this is small
            if self.inner <= other.inner:
                return FactoredMatrix(self.A, middle @ other.B)
            return FactoredMatrix(self.A @ middle, other.B)
        if not isinstance(other, Tensor):
            return NotImplemented
        _check_product("left", self.shape, "right", other.shape)
        if other.ndim == 1:
            return (self.A @ (self.B @ other)[..., None])[..., 0]
        return FactoredMatrix(self.A, self.B @ other)

    def __rmatmul__(self, other):
        """`x @ M` for a vector is a tensor; for a matrix (..., k, m) it stays factored."""
        if not isinstance(other, Tensor):
            return NotImplemented
        _check_product("left", other.shape, "right", self.shape)
        if other.ndim == 1:
            return ((other @ self.A)[..., None, :] @ self.B)[..., 0, :]
        return FactoredMatrix(other @ self.A, self.B)

    def __mul__(self, scale: float | int | Tensor) -> "FactoredMatrix":
        """Every entry times a number, or times one number for each matrix of the batch."""
        if isinstance(scale, Tensor):
            scale = scale[..., None, None]
        return FactoredMatrix(self.A * scale, self.B)

    __rmul__ = __mul__

    def __truediv__(self, scale: float | int | Tensor) -> "FactoredMatrix":
        return self * (1 / scale)

    def __neg__(self) -> "FactoredMatrix":
        return FactoredMatrix(-self.A, self.B)

    def __add__(self, other: "FactoredMatrix") -> "FactoredMatrix":
        """A sum of products is a product: A B + C D = [A C] [B; D]. The inner sizes add up."""
        if not isinstance(other, FactoredMatrix):
            return NotImplemented
        if self.shape != other.shape:
            raise ValueError(
                f"cannot add matrices of shapes {tuple(self.shape)} and {tuple(other.shape)}"
            )
        return FactoredMatrix(
            torch.cat([self.A, other.A], dim=-1), torch.cat([self.B, other.B], dim=-2)
        )

    def __sub__(self, other: "FactoredMatrix") -> "FactoredMatrix":
        return self + (-other) if isinstance(other, FactoredMatrix) else NotImplemented

    # ---- numbers that describe it -------------------------------------------------------------

    def trace(self) -> Float[Tensor, "..."]:
        """tr(AB) = sum of A[i, k] B[k, i], in m * r steps. ValueError when M is not square."""
        return self.diagonal().sum(-1)

    def norm(self) -> Float[Tensor, "..."]:
        """Frobenius norm, from the two r x r triangles of `A = Q_A R_A` and `B^T = Q_B R_B`.

        An orthonormal factor leaves the norm as it is, so ||AB|| = ||R_A R_B^T||. (The shorter way,
        tr(A^T A B B^T), squares the numbers and loses half the digits when AB nearly cancels.)
        """
        R_A, R_B = self.triangles()
        return (R_A @ R_B.mT).flatten(-2).norm(dim=-1)

    def triangles(self) -> tuple[Float[Tensor, "... p r"], Float[Tensor, "... q r"]]:
        """R_A and R_B of `A = Q_A R_A`, `B^T = Q_B R_B`: all that norms and scores need of M."""
        return torch.linalg.qr(self.A, mode="r").R, torch.linalg.qr(self.B.mT, mode="r").R

    def svd(
        self,
    ) -> tuple[Float[Tensor, "... m s"], Float[Tensor, "... s"], Float[Tensor, "... n s"]]:
        """U, S, V with `M = U @ diag(S) @ V^T`: V, not its transpose. S falls; s = min(m, r, n).

        QR of each side leaves an r x r matrix, and the SVD is of that.
        """
        Q_A, R_A = torch.linalg.qr(self.A)
        Q_B, R_B = torch.linalg.qr(self.B.mT)
        U, S, Vh = torch.linalg.svd(R_A @ R_B.mT, full_matrices=False)
        return Q_A @ U, S, Q_B @ Vh.mT

    def eigenvalues(self) -> Complex[Tensor, "... r"]:
        """The eigenvalues of the square matrix AB that can differ from zero, largest modulus first.

        AB (m x m) and BA (r x r) have the same eigenvalues but for m - r zeros, so it is the small
        product that is decomposed. Returns min(m, r) complex numbers. ValueError if not square.
        """
        self._require_square("eigenvalues")
        small = self.B @ self.A if self.inner <= self.shape[-1] else self.dense()
        values = torch.linalg.eigvals(small)
        order = values.abs().argsort(dim=-1, descending=True, stable=True)
        return values.gather(-1, order)

    def top_entries(self, k: int, largest: bool = True, block: int = 256) -> TopEntries:
        """The k largest (or smallest) entries of one matrix, in order, without holding it.

        Goes over `block` rows at a time; the memory needed beside the factors is about
        (block + k) * n numbers, whatever m is. Fewer than k come back if M has fewer entries.
        Of entries that tie for the last place any may be returned.

        Raises ValueError for a batch of matrices, k or block below 1, or factors not finite.
        """
        if self.ndim != 2:
            raise ValueError(f"top_entries needs one matrix, got the batch {tuple(self.shape)}")
        if k < 1 or block < 1:
            raise ValueError(f"k and block must be at least 1, got k={k}, block={block}")
        A, B = (self.A if largest else -self.A).detach(), self.B.detach()
        if not (A.isfinite().all() and B.isfinite().all()):
            raise ValueError("top_entries needs finite factors: A or B holds inf or nan")

        places = torch.empty(0, dtype=torch.long, device=A.device)
        best = TopEntries(A.new_empty(0), places, places)
        product = A.new_empty(min(block, A.shape[0]), B.shape[1])  # one block, used again and again
        for start in range(0, A.shape[0], block):
            part = A[start : start + block]
            torch.mm(part, B, out=product[: len(part)])
            best = _merge(best, _top_of_block(product[: len(part)], k, start, best), k)
        values = best.values if largest else -best.values
        return TopEntries(values, best.rows, best.columns)

    def _require_square(self, what: str) -> None:
        if self.shape[-1] != self.shape[-2]:
            raise ValueError(f"{what} needs a square matrix, got shape {tuple(self.shape)}")


def _top_of_block(
    product: Float[Tensor, "block n"], k: int, start: int, best: TopEntries
) -> TopEntries:
    """The entries of a block that can be among the k largest.

    They all lie in the k rows with the largest row maxima: an entry of any other row has k entries
    at least as large above it, those maxima. So most of the block is read once and forgotten.
    """
    maxima, rows = product.amax(dim=1).topk(min(k, product.shape[0]))
    if len(best.values) == k:
        rows = rows[maxima > best.values[-1]]
    values, columns = product[rows].topk(min(k, product.shape[1]), dim=1)
    rows = rows[:, None].expand_as(columns) + start
    return TopEntries(values.flatten(), rows.flatten(), columns.flatten())


def _merge(best: TopEntries, found: TopEntries, k: int) -> TopEntries:
    """The k largest of two lists, in falling order."""
    values, rows, columns = (torch.cat(pair) for pair in zip(best, found, strict=True))
    values, order = values.topk(min(k, len(values)))
    return TopEntries(values, rows[order], columns[order])


def _check_product(
    left: str, left_shape: Sequence[int], right: str, right_shape: Sequence[int]
) -> None:
    """ValueError, naming both shapes, unless `left @ right` is defined (either may be a vector)."""
    inner = right_shape[max(len(right_shape) - 2, 0)] if len(right_shape) else None
    if not len(left_shape) or left_shape[-1] != inner:
        problem = "the columns of the one are not as many as the rows of the other"
    elif not _broadcast(left_shape[:-2], right_shape[:-2]):
        problem = "their batch axes do not broadcast"
    else:
        return
    raise ValueError(
        f"cannot multiply {left} of shape {tuple(left_shape)} "
        f"by {right} of shape {tuple(right_shape)}: {problem}"
    )


def _broadcast(left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether two batch shapes fit: from the last axis on, equal or 1."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)
