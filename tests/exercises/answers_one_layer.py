"""Right and wrong answers to the exercises of chapter 6."""

import torch

# -- path-terms


def stacked(x, A, W_OV, W_U):
    return torch.cat([(x @ W_U)[None], A @ x @ W_OV @ W_U])


def one_by_one(x, A, W_OV, W_U):
    table = torch.einsum("pd,hde,ev->hpv", x, W_OV, W_U)
    return torch.stack([x @ W_U, *(pattern @ rows for pattern, rows in zip(A, table))])


def no_direct_path(x, A, W_OV, W_U):
    heads = A @ x @ W_OV @ W_U
    return torch.cat([heads.sum(0, keepdim=True), heads])


def pattern_transposed(x, A, W_OV, W_U):
    return stacked(x, A.mT, W_OV, W_U)


def stream_in_every_head(x, A, W_OV, W_U):
    return torch.cat([(x @ W_U)[None], (x + A @ x @ W_OV) @ W_U])


def circuit_transposed(x, A, W_OV, W_U):
    return stacked(x, A, W_OV.mT, W_U)


def running_sums(x, A, W_OV, W_U):
    return torch.cat([(x @ W_U)[None], (A @ x @ W_OV @ W_U).cumsum(0)])


# -- one-matrix


def _kron(M, N):
    return torch.kron(M.contiguous(), N.contiguous())


def by_kronecker(A, W_E, W_OV, W_U):
    T = _kron(torch.eye(A.shape[-1], dtype=A.dtype), (W_E @ W_U).T)
    for pattern, circuit in zip(A, W_OV):
        T = T + _kron(pattern, (W_E @ circuit @ W_U).T)
    return T


def by_einsum(A, W_E, W_OV, W_U):
    n, V = A.shape[-1], len(W_E)
    heads = torch.einsum("hqk,hso->qoks", A, W_E @ W_OV @ W_U)
    direct = torch.einsum("qk,so->qoks", torch.eye(n, dtype=A.dtype), W_E @ W_U)
    return (heads + direct).reshape(n * V, n * V)


def rows_kept(A, W_E, W_OV, W_U):
    T = _kron(torch.eye(A.shape[-1], dtype=A.dtype), W_E @ W_U)
    return T + sum(_kron(a, W_E @ c @ W_U) for a, c in zip(A, W_OV))


def sides_swapped(A, W_E, W_OV, W_U):
    T = _kron((W_E @ W_U).T, torch.eye(A.shape[-1], dtype=A.dtype))
    return T + sum(_kron((W_E @ c @ W_U).T, a) for a, c in zip(A, W_OV))


def looks_ahead(A, W_E, W_OV, W_U):
    return by_kronecker(A.mT, W_E, W_OV, W_U)


def heads_only(A, W_E, W_OV, W_U):
    return sum(_kron(a, (W_E @ c @ W_U).T) for a, c in zip(A, W_OV))


# -- exchanged-token


def two_rows(A, OV, place, old, new):
    return torch.einsum("hq,ho->qo", A[:, :, place], OV[:, new] - OV[:, old])


def head_by_head(A, OV, place, old, new):
    return sum(torch.outer(a[:, place], t[new] - t[old]) for a, t in zip(A, OV))


def the_wrong_way(A, OV, place, old, new):
    return -two_rows(A, OV, place, old, new)


def attention_of_the_place(A, OV, place, old, new):
    return two_rows(A.mT, OV, place, old, new)


def by_columns(A, OV, place, old, new):
    return two_rows(A, OV.mT, place, old, new)


def new_row_only(A, OV, place, old, new):
    return torch.einsum("hq,ho->qo", A[:, :, place], OV[:, new])


def averaged(A, OV, place, old, new):
    return two_rows(A, OV, place, old, new) / len(A)


# -- same-scores


def inverse_transposed(W_K, R):
    return W_K @ torch.linalg.inv(R).T


def by_solving(W_K, R):
    return torch.linalg.solve(R, W_K.T).T


def left_alone(W_K, R):
    return W_K


def times_R(W_K, R):
    return W_K @ R


def not_transposed(W_K, R):
    return W_K @ torch.linalg.inv(R)


def transposed_only(W_K, R):
    return W_K @ R.T


RIGHT = {
    "path-terms": [stacked, one_by_one],
    "one-matrix": [by_kronecker, by_einsum],
    "exchanged-token": [two_rows, head_by_head],
    "same-scores": [inverse_transposed, by_solving],
}
WRONG = {
    "path-terms": [
        (no_direct_path, "the first term is the direct path"),
        (pattern_transposed, "the pattern is transposed"),
        (stream_in_every_head, "you add the stream to every head"),
        (circuit_transposed, "W_OV is transposed"),
        (running_sums, "give them one by one"),
    ],
    "one-matrix": [
        (rows_kept, "not transposed"),
        (sides_swapped, "are swapped"),
        (looks_ahead, "the pattern is transposed"),
        (heads_only, "the direct path is missing"),
    ],
    "exchanged-token": [
        (the_wrong_way, "before minus after"),
        (attention_of_the_place, "not the attention to it"),
        (by_columns, "a source is a row"),
        (new_row_only, "take its row off"),
        (averaged, "their parts add up"),
    ],
    "same-scores": [
        (left_alone, "left as it was"),
        (times_R, "only for a rotation"),
        (not_transposed, "but not its transpose"),
        (transposed_only, "not by that of its inverse"),
    ],
}
