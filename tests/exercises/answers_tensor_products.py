"""Right and wrong answers to the exercises of chapter 3."""

import torch

# ---- kronecker ----


def by_torch(M, N):
    return torch.kron(M, N)


def by_blocks(M, N):
    return torch.cat([torch.cat([m * N for m in row], dim=1) for row in M])


def other_order(M, N):
    return torch.kron(N, M)


def four_axes(M, N):
    return torch.einsum("ik,jl->ijkl", M, N)


def reshaped_early(M, N):
    rows, columns = len(M) * len(N), M.shape[1] * N.shape[1]
    return torch.tensordot(M, N, dims=0).reshape(rows, columns)


def tiled(M, N):
    return N.repeat(*M.shape)


# ---- head-as-matrix ----


def head_kron(A, W_V, W_O):
    return torch.kron(A, W_O.T @ W_V.T)


def head_columns(A, W_V, W_O):  # what the head does to each basis text is one column
    n, d = len(A), len(W_V)
    texts = torch.eye(n * d, dtype=A.dtype).reshape(n * d, n, d)
    return torch.stack([(A @ x @ W_V @ W_O).reshape(-1) for x in texts], dim=1)


def head_not_transposed(A, W_V, W_O):
    return torch.kron(A, W_V @ W_O)


def head_for_the_left(A, W_V, W_O):
    return torch.kron(A.T.contiguous(), W_V @ W_O)


def head_backwards(A, W_V, W_O):
    return torch.kron(A.T.contiguous(), W_O.T @ W_V.T)


def head_swapped(A, W_V, W_O):
    return torch.kron(W_O.T @ W_V.T, A)


# ---- apply-layer ----


def layer_by_einsum(x, A, W_V, W_O):
    return torch.einsum("hqk,kd,hde,hef->qf", A, x, W_V, W_O)


def layer_by_loop(x, A, W_V, W_O):
    return sum(a @ (x @ v) @ o for a, v, o in zip(A, W_V, W_O))


def layer_not_summed(x, A, W_V, W_O):
    return A @ x @ W_V @ W_O


def layer_mean(x, A, W_V, W_O):
    return (A @ x @ W_V @ W_O).mean(0)


def layer_over_queries(x, A, W_V, W_O):
    return torch.einsum("hqk,qd,hde,hef->kf", A, x, W_V, W_O)


def layer_crossed(x, A, W_V, W_O):
    return torch.einsum("hqk,kd,gde,gef->qf", A, x, W_V, W_O)


# ---- swap-factors ----


def swap_by_reshape(outer, inner):
    return torch.arange(outer * inner).reshape(outer, inner).T.reshape(-1)


def swap_by_loop(outer, inner):
    return torch.tensor([i * inner + j for j in range(inner) for i in range(outer)])


def swap_back(outer, inner):
    return torch.arange(outer * inner).reshape(inner, outer).T.reshape(-1)


def swap_nothing(outer, inner):
    return torch.arange(outer * inner)


def swap_twice_the_same(outer, inner):
    return torch.arange(outer).repeat(inner)


RIGHT = {
    "kronecker": [by_torch, by_blocks],
    "head-as-matrix": [head_kron, head_columns],
    "apply-layer": [layer_by_einsum, layer_by_loop],
    "swap-factors": [swap_by_reshape, swap_by_loop],
}
WRONG = {
    "kronecker": [
        (other_order, "this is N ⊗ M"),
        (four_axes, "four axes"),
        (reshaped_early, "reshape before"),
        (tiled, "leave M's entries out"),
    ],
    "head-as-matrix": [
        (head_not_transposed, "must be transposed"),
        (head_for_the_left, "stands on the left"),
        (head_backwards, "wrong way"),
        (head_swapped, "changed places"),
    ],
    "apply-layer": [
        (layer_not_summed, "adds them up"),
        (layer_mean, "mean over heads"),
        (layer_over_queries, "where the key belongs"),
        (layer_crossed, "every pattern meets"),
    ],
    "swap-factors": [
        (swap_back, "the way back"),
        (swap_nothing, "nothing is moved"),
        (swap_twice_the_same, "a permutation holds"),
    ],
}
