"""Checkers of chapter 3: Kronecker products, and a head as one matrix."""

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


def _kronecker(M: Tensor, N: Tensor) -> Tensor:
    """Entry by entry: row (i, j), column (k, l)."""
    rows, columns = M.shape[0] * N.shape[0], M.shape[1] * N.shape[1]
    out = torch.zeros(rows, columns, dtype=torch.float64)
    for i in range(M.shape[0]):
        for j in range(N.shape[0]):
            for k in range(M.shape[1]):
                for m in range(N.shape[1]):
                    out[i * N.shape[0] + j, k * N.shape[1] + m] = M[i, k] * N[j, m]
    return out


@exercise("kronecker", chapter=3)
def kronecker(answer: Answer) -> None:
    """The Kronecker product of two matrices M and N: a matrix of blocks, in which block (i, k) is
    M[i, k] times the whole of N."""
    M, N = numbers(2, 3), numbers(5, 7, seed=1)
    found = answer(M, N)
    four = torch.einsum("ik,jl->ijkl", M, N)
    if isinstance(found, Tensor) and found.ndim == 4:
        holds(False, "this still has four axes: pair (i, j) for the row and (k, l) for the column")
    found = shaped(found, (10, 21), "(rows of M × rows of N, columns of M × columns of N)")
    close(
        found,
        _kronecker(M, N),
        "block (i, k) is M[i, k] times the whole of N",
        mistakes={
            "this is N ⊗ M: the blocks are copies of M": _kronecker(N, M),
            "you reshape before the axes stand in the order i, j, k, l": torch.einsum(
                "ik,jl->ikjl", M, N
            ).reshape(10, 21),
            "you tile N and leave M's entries out": N.repeat(2, 3),
            "the rows are paired as (j, i): N's row must count faster": four.permute(
                1, 0, 2, 3
            ).reshape(10, 21),
        },
    )


@exercise("head-as-matrix", chapter=3)
def head_as_matrix(answer: Answer) -> None:
    """From a pattern A (query, key) and row-vector weights W_V (d_model, d_head) and W_O (d_head,
    d_model) to the one matrix that, applied to x strung out row by row, gives A x W_V W_O strung
    out row by row."""
    A, W_V, W_O, x = numbers(3, 3), numbers(5, 2, seed=1), numbers(2, 5, seed=2), numbers(3, 5)
    found = shaped(answer(A, W_V, W_O), (15, 15), "(pos × d_model, pos × d_model)").double()
    W, right = W_V @ W_O, A @ x @ W_V @ W_O
    close(
        (found @ x.reshape(-1)).reshape(3, 5),
        right,
        "the matrix does to a text what the head does",
        mistakes={
            "the pattern is transposed: information flows the wrong way": A.T @ x @ W,
            "the weights are those of row vectors; on the right of ⊗ they must be transposed": A
            @ x
            @ W.T,
            "this is right for a vector that stands on the left of the matrix": A.T @ x @ W.T,
            "the two factors have changed places": (_kronecker(W.T, A) @ x.reshape(-1)).reshape(
                3, 5
            ),
            "positions are not mixed: where is the pattern?": x @ W,
        },
    )
    close(found, _kronecker(A, W.T), "it holds for every text, not for one")


@exercise("apply-layer", chapter=3)
def apply_layer(answer: Answer) -> None:
    """What a layer writes (pos, d_model), from x (pos, d_model), patterns (head, query, key), W_V
    (head, d_model, d_head) and W_O (head, d_head, d_model), without a Kronecker product."""
    x, A = numbers(5, 7), numbers(3, 5, 5, seed=1)
    W_V, W_O = numbers(3, 7, 2, seed=2), numbers(3, 2, 7, seed=3)
    found = answer(x, A, W_V, W_O)
    if isinstance(found, Tensor) and tuple(found.shape) == (3, 5, 7):
        holds(False, "these are the heads one by one: a layer adds them up")
    found = shaped(found, (5, 7), "(pos, d_model)")
    big = sum(_kronecker(A[h], (W_V[h] @ W_O[h]).T) for h in range(3))
    turned = sum(A[h].T @ x @ W_V[h] @ W_O[h] for h in range(3))
    crossed = A.sum(0) @ x @ (W_V @ W_O).sum(0)
    close(
        found,
        (big @ x.reshape(-1)).reshape(5, 7),
        "it is what the sum of Kronecker products gives",
        mistakes={
            "you take the mean over heads; heads add": (big @ x.reshape(-1)).reshape(5, 7) / 3,
            "you sum over the query where the key belongs": turned,
            "every pattern meets every head's matrix: sum over the heads once": crossed,
        },
    )
    large = (numbers(211, 5), numbers(2, 211, 211), numbers(2, 5, 2), numbers(2, 2, 5))
    shaped(answer(*large), (211, 5), "(pos, d_model), for 211 positions")


@exercise("swap-factors", chapter=3)
def swap_factors(answer: Answer) -> None:
    """For a first factor of `outer` rows and a second of `inner` rows, the order of the rows of
    M ⊗ N in which they are those of N ⊗ M, a permutation of 0 to outer · inner − 1."""
    outer, inner = 3, 5
    order = shaped(answer(outer, inner), (15,), "(outer × inner,)").long()
    holds(
        sorted(order.tolist()) == list(range(15)),
        "a permutation holds every row from 0 to outer × inner − 1 once",
    )
    M, N = numbers(outer, 1), numbers(inner, 1, seed=1)
    mine, wanted = _kronecker(M, N), _kronecker(N, M)
    inverse = order.argsort()
    holds(
        order.tolist() != list(range(15)),
        "nothing is moved; M ⊗ N and N ⊗ M are not the same",
    )
    holds(
        not torch.allclose(mine[inverse], wanted) or torch.allclose(mine[order], wanted),
        "this is the way back, from N ⊗ M to M ⊗ N",
    )
    close(
        mine[order],
        wanted,
        "row (i, j) of M ⊗ N becomes row (j, i) of N ⊗ M",
        mistakes={"the rows are turned back to front": mine.flip(0)},
    )
