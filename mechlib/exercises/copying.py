"""Checkers of chapter 8: eigenvalues from the small side, the score, centring, tokens' shares."""

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped

VOCAB, INNER = 13, 5


def _in_order(values: Tensor) -> Tensor:
    """Complex numbers in an order that does not depend on who computed them."""
    values = torch.as_tensor(values).to(torch.complex128).reshape(-1)
    keys = [(round(abs(z), 6), round(z.imag, 6)) for z in values.tolist()]
    return values[sorted(range(len(keys)), key=keys.__getitem__, reverse=True)]


def _largest(values: Tensor, n: int) -> Tensor:
    return _in_order(values)[:n]


@exercise("small-side-eigenvalues", chapter=8)
def small_side_eigenvalues(answer: Answer) -> None:
    """The r eigenvalues of the table A B that can differ from zero, from A (token, r) and
    B (r, token), without the table: complex, (r,), in any order."""
    A, B = numbers(VOCAB, INNER, seed=1), numbers(INNER, VOCAB, seed=2)
    found = torch.as_tensor(answer(A, B))
    dense = torch.linalg.eigvals(A @ B)
    holds(
        found.numel() != VOCAB,
        f"you give {VOCAB} eigenvalues, those of the whole table; {INNER} come from the small side",
    )
    found = shaped(found, (INNER,), "(r,)")
    singular = torch.linalg.svdvals(A @ B)[:INNER]
    gram = torch.linalg.eigvals(A.T @ A)
    close(
        _in_order(found),
        _largest(dense, INNER),
        "they are those of the whole table that are not zero",
        mistakes={
            "these are singular values, which know no sign": _in_order(singular),
            "these are of A^T A, which knows nothing of B": _in_order(gram),
            "the imaginary parts are lost": _in_order(_largest(dense, INNER).real),
            "these are sizes of eigenvalues, without their angles": _in_order(dense.abs())[:INNER],
        },
    )


@exercise("copying-score", chapter=8)
def copying_score(answer: Answer) -> None:
    """From the eigenvalues (head, k), complex, to the copying score of each head, (head,): their
    sum over the sum of their sizes, a real number from -1 to 1."""
    lam = torch.linalg.eigvals(numbers(3, INNER, INNER, seed=3))
    found = shaped(answer(lam), (3,), "(head,)")
    holds(
        not found.is_complex(), "the score is a real number: the sum of pairs has no imaginary part"
    )
    wanted = torch.tensor(
        [sum(z.real for z in row) / sum(abs(z) for z in row) for row in lam.tolist()],
        dtype=torch.float64,
    )
    real = lam.real
    close(
        found,
        wanted,
        "sum of the eigenvalues over the sum of their sizes",
        mistakes={
            "you divide by the sizes of the real parts: turning counts too": (
                real.sum(-1) / real.abs().sum(-1)
            ),
            "the sum's sign is lost": lam.sum(-1).abs() / lam.abs().sum(-1),
            "you average the signs of the real parts; large eigenvalues must count more": (
                real.sign().mean(-1)
            ),
            "the sum is over heads, not over the eigenvalues of each": (
                real.sum() / lam.abs().sum()
            ).expand(3),
            "this is the mean of Re z / |z|, in which every eigenvalue counts alike": (
                real / lam.abs()
            ).mean(-1),
        },
    )


@exercise("centred-rows", chapter=8)
def centred_rows(answer: Answer) -> None:
    """From A (token, r) and B (r, out) to a new B (r, out) with which every row of the table A B
    has mean zero and is otherwise what it was."""
    A, B = numbers(VOCAB, INNER, seed=4), numbers(INNER, 11, seed=5) + 1
    found = shaped(answer(A, B), (INNER, 11), "(r, out)").double()
    table = A @ B
    close(
        A @ found,
        table - table.mean(1, keepdim=True),
        "each row of the table loses its own mean, and nothing else",
        mistakes={
            "you take the mean off every column of B: that changes predictions": (
                A @ (B - B.mean(0))
            ),
            "one mean for the whole of B is not each row's own": A @ (B - B.mean()),
            "B is left as it was": table,
            "the rows are scaled as well": A
            @ ((B - B.mean(1, keepdim=True)) / B.std(1, keepdim=True)),
        },
    )


@exercise("eigenvalue-shares", chapter=8)
def eigenvalue_shares(answer: Answer) -> None:
    """From A (token, r) and B (r, token) to the share of each token in each eigenvalue of the
    table A B: complex, (r, token), eigenvalues in any order. A row sums to its eigenvalue."""
    A, B = numbers(VOCAB, INNER, seed=6), numbers(INNER, VOCAB, seed=7)
    found = shaped(answer(A, B), (INNER, VOCAB), "(eigenvalue, token)").to(torch.complex128)
    lam, Y = torch.linalg.eig(A @ B)  # the whole table: its right eigenvectors, and left ones
    X = torch.linalg.inv(Y)
    keep = lam.abs().argsort(descending=True)[:INNER]
    wanted = lam[keep, None] * X[keep] * Y[:, keep].T  # lambda * out * source, per token

    def rows_in_order(shares: Tensor) -> Tensor:
        keys = [(round(abs(z), 5), round(z.imag, 5)) for z in shares.sum(1).tolist()]
        return shares[sorted(range(len(keys)), key=keys.__getitem__, reverse=True)]

    small, U = torch.linalg.eig(B @ A)
    W = torch.linalg.inv(U)
    sources, outs = A.to(U.dtype) @ U, W @ B.to(U.dtype)
    by_conjugate = (U.conj().T @ B.to(U.dtype)) * sources.T
    close(
        rows_in_order(found),
        rows_in_order(wanted),
        "a token's share is its weight among the outs times its weight among the sources",
        mistakes={
            "the left vectors are not the conjugates of the right ones here; they are the rows of "
            "the inverse": rows_in_order(by_conjugate),
            "you give the weights among the outs alone": rows_in_order(outs),
            "you give the weights among the sources alone": rows_in_order(sources.T),
            "you multiply by the eigenvalue once more: a row sums to its square": rows_in_order(
                small[:, None] * outs * sources.T
            ),
            "you take sizes: then pairs no longer cancel and the sum is too large": rows_in_order(
                (outs * sources.T).abs().to(torch.complex128)
            ),
        },
    )
