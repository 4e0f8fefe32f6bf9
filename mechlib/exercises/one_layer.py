"""Checkers of chapter 6: path expansion, the one matrix, frozen patterns, what W_QK decides."""

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped

POS, D_MODEL, HEADS, D_HEAD, VOCAB = 5, 7, 3, 2, 11


def _head_matrices() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (pos, d_model), A (head, query, key), W_OV (head, d_model, d_model), W_U."""
    x = numbers(POS, D_MODEL, seed=1)
    A = numbers(HEADS, POS, POS, seed=2).exp().tril()
    A = A / A.sum(-1, keepdim=True)
    W_OV = numbers(HEADS, D_MODEL, D_HEAD, seed=3) @ numbers(HEADS, D_HEAD, D_MODEL, seed=4)
    return x, A, W_OV, numbers(D_MODEL, VOCAB, seed=5)


@exercise("path-terms", chapter=6)
def path_terms(answer: Answer) -> None:
    """From x (pos, d_model), A (head, query, key), W_OV (head, d_model, d_model) and W_U
    (d_model, d_vocab) to all terms of the logits, (1 + head, pos, d_vocab): first the direct path,
    then one term per head."""
    x, A, W_OV, W_U = _head_matrices()
    found = shaped(answer(x, A, W_OV, W_U), (1 + HEADS, POS, VOCAB), "(term, pos, d_vocab)")
    close(found[0], x @ W_U, "the first term is the direct path, x W_U alone")
    wanted = torch.zeros(HEADS, POS, VOCAB, dtype=torch.float64)  # by a plain loop
    for h in range(HEADS):
        for q in range(POS):
            seen = sum(A[h, q, k] * x[k] for k in range(POS))  # the average that the head sees
            wanted[h, q] = seen @ W_OV[h] @ W_U
    backwards = A.mT @ (x @ W_OV @ W_U)
    with_stream = (x + A @ x @ W_OV) @ W_U
    close(
        found[1:],
        wanted,
        "the term of head h is A x W_OV W_U",
        mistakes={
            "the pattern is transposed: its rows are the positions that look": backwards,
            "you add the stream to every head; it has a term of its own, the direct path": (
                with_stream
            ),
            "W_OV is transposed: row vectors meet W_V first": A @ x @ W_OV.mT @ W_U,
            "the patterns are left out: every position moves its own vector": x @ W_OV @ W_U,
            "each head's term has the heads before it in it; give them one by one": wanted.cumsum(
                0
            ),
        },
    )


@exercise("one-matrix", chapter=6)
def one_matrix(answer: Answer) -> None:
    """The model as one matrix T, ((pos d_vocab), (pos d_vocab)), from A (head, query, key), W_E
    (d_vocab, d_model), W_OV (head, d_model, d_model) and W_U (d_model, d_vocab). T applied to a
    text's one-hot rows, strung out row by row into one long vector, gives its logits, strung out
    likewise."""
    _, A, W_OV, W_U = _head_matrices()
    W_E = numbers(VOCAB, D_MODEL, seed=6)
    T = answer(A, W_E, W_OV, W_U)
    T = shaped(T, (POS * VOCAB,) * 2, "((pos d_vocab), (pos d_vocab))").double()
    tokens = [3, 1, 4, 1, 5]
    text = torch.eye(VOCAB, dtype=torch.float64)[tokens]  # (pos, d_vocab), one-hot rows

    def logits_of(matrix: Tensor) -> Tensor:
        return (matrix @ text.reshape(-1)).reshape(POS, VOCAB)

    wanted = torch.zeros(POS, VOCAB, dtype=torch.float64)  # by a plain loop over tokens
    for q in range(POS):
        wanted[q] = W_E[tokens[q]] @ W_U
        for h in range(HEADS):
            for k in range(POS):
                wanted[q] += A[h, q, k] * (W_E[tokens[k]] @ W_OV[h] @ W_U)

    def kron(one: Tensor, two: Tensor) -> Tensor:
        return torch.kron(one.contiguous(), two.contiguous())

    eye = torch.eye(POS, dtype=torch.float64)
    D, C = W_E @ W_U, W_E @ W_OV @ W_U  # tables over the vocabulary, rows are sources
    heads = range(HEADS)
    rows_kept = kron(eye, D) + sum(kron(A[h], C[h]) for h in heads)
    swapped = kron(D.T, eye) + sum(kron(C[h].T, A[h]) for h in heads)
    looks_ahead = kron(eye, D.T) + sum(kron(A[h].mT, C[h].T) for h in heads)
    close(
        logits_of(T),
        wanted,
        "T times the strung-out text is the strung-out logits",
        mistakes={
            "the tables over the vocabulary are not transposed: T stands on the left of a column": (
                logits_of(rows_kept)
            ),
            "the two sides of the Kronecker product are swapped: positions come first": (
                logits_of(swapped)
            ),
            "the pattern is transposed": logits_of(looks_ahead),
            "the direct path is missing": logits_of(sum(kron(A[h], C[h].T) for h in heads)),
            "the heads are missing": logits_of(kron(eye, D.T)),
        },
    )


@exercise("exchanged-token", chapter=6)
def exchanged_token(answer: Answer) -> None:
    """With frozen patterns: what the heads add to the logits (pos, d_vocab), after minus before,
    when the token at `place` is changed from `old` to `new`. Given A (head, query, key), the full
    OV tables (head, source, out), place, old, new. The direct path is left aside."""
    _, A, _, _ = _head_matrices()
    OV = numbers(HEADS, VOCAB, VOCAB, seed=7)
    place, old, new = 2, 3, 8
    found = shaped(answer(A, OV, place, old, new), (POS, VOCAB), "(pos, d_vocab)")
    before, after = [0, 6, old, 9, 1], [0, 6, new, 9, 1]  # two whole texts, added up by a loop

    def brought(tokens: list[int]) -> Tensor:
        total = torch.zeros(POS, VOCAB, dtype=torch.float64)
        for h in range(HEADS):
            for q in range(POS):
                for k in range(POS):
                    total[q] += A[h, q, k] * OV[h, tokens[k]]
        return total

    wanted = brought(after) - brought(before)
    rows = OV[:, new] - OV[:, old]  # (head, out)
    columns = OV[:, :, new] - OV[:, :, old]
    close(
        found,
        wanted,
        "after minus before, added up over heads",
        mistakes={
            "it is before minus after": -wanted,
            "you take the attention of the place, not the attention to it": torch.einsum(
                "hk,ho->ko", A[:, place], rows
            ),
            "you read columns of the tables; a source is a row": torch.einsum(
                "hq,hs->qs", A[:, :, place], columns
            ),
            "the old token is still there: take its row off": torch.einsum(
                "hq,ho->qo", A[:, :, place], OV[:, new]
            ),
            "the heads are averaged; their parts add up": wanted / HEADS,
        },
    )


@exercise("same-scores", chapter=6)
def same_scores(answer: Answer) -> None:
    """W_Q (d_model, d_head) is replaced by W_Q R, with an invertible R (d_head, d_head). Given
    W_K and R, the new W_K (d_model, d_head) with which every attention score is what it was."""
    W_Q, W_K, R = numbers(7, 3, seed=8), numbers(7, 3, seed=9), numbers(3, 3, seed=10)
    found = shaped(answer(W_K, R), (7, 3), "(d_model, d_head)").double()
    x = numbers(5, 7, seed=11)

    def scores(new_K: Tensor) -> Tensor:
        return (x @ W_Q @ R) @ (x @ new_K).T

    close(
        scores(found),
        (x @ W_Q) @ (x @ W_K).T,
        "the scores stay as they were",
        mistakes={
            "W_K is left as it was": scores(W_K),
            "you multiply by R itself: that would undo it only for a rotation": scores(W_K @ R),
            "the inverse is there, but not its transpose": scores(W_K @ torch.linalg.inv(R)),
            "you multiply by the transpose of R, not by that of its inverse": scores(W_K @ R.T),
        },
    )
