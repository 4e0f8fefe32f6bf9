"""Right and wrong answers to the exercises of chapter 2."""

import math

import torch


def _later(scores):
    return torch.ones(scores.shape[-2:]).triu(1).bool()


def by_softmax(scores):
    return scores.masked_fill(_later(scores), -torch.inf).softmax(-1)


def by_hand(scores):
    out = torch.zeros_like(scores)
    for q in range(scores.shape[-2]):
        row = scores[..., q, : q + 1]
        row = (row - row.max(-1, keepdim=True).values).exp()
        out[..., q, : q + 1] = row / row.sum(-1, keepdim=True)
    return out


def over_queries(scores):
    return scores.masked_fill(_later(scores), -torch.inf).softmax(-2)


def masked_late(scores):
    return scores.softmax(-1).masked_fill(_later(scores), 0.0)


def not_masked(scores):
    return scores.softmax(-1)


def overflows(scores):
    kept = scores.exp().masked_fill(_later(scores), 0.0)
    return kept / kept.sum(-1, keepdim=True)


# ---- attention-head ----


def head_by_matrices(x, W_Q, W_K, W_V, W_O):
    scores = (x @ W_Q) @ (x @ W_K).T / W_Q.shape[1] ** 0.5
    return by_softmax(scores) @ (x @ W_V) @ W_O


def head_by_circuits(x, W_Q, W_K, W_V, W_O):
    scores = torch.einsum("ia,ab,jb->ij", x, W_Q @ W_K.T, x) / math.sqrt(W_Q.shape[1])
    return torch.einsum("ij,jd,df->if", by_hand(scores), x, W_V @ W_O)


def head_undivided(x, W_Q, W_K, W_V, W_O):
    return by_softmax((x @ W_Q) @ (x @ W_K).T) @ (x @ W_V) @ W_O


def head_by_d_model(x, W_Q, W_K, W_V, W_O):
    return by_softmax((x @ W_Q) @ (x @ W_K).T / x.shape[1] ** 0.5) @ (x @ W_V) @ W_O


def head_turned_round(x, W_Q, W_K, W_V, W_O):
    return by_softmax((x @ W_K) @ (x @ W_Q).T / W_Q.shape[1] ** 0.5) @ (x @ W_V) @ W_O


def head_unmasked(x, W_Q, W_K, W_V, W_O):
    return ((x @ W_Q) @ (x @ W_K).T / W_Q.shape[1] ** 0.5).softmax(-1) @ (x @ W_V) @ W_O


def head_that_does_not_write(x, W_Q, W_K, W_V, W_O):
    return by_softmax((x @ W_Q) @ (x @ W_K).T / W_Q.shape[1] ** 0.5) @ (x @ W_V)


# ---- sum-of-heads ----


def added(z, W_O):
    return sum(one @ W for one, W in zip(z, W_O))


def by_einsum(z, W_O):
    return torch.einsum("hpd,hdm->pm", z, W_O)


def averaged(z, W_O):
    return added(z, W_O) / len(z)


def last_only(z, W_O):
    for one, W in zip(z, W_O):
        out = one @ W
    return out


def reshaped_askew(z, W_O):
    n = z.shape[1]
    return z.reshape(n, -1) @ W_O.reshape(-1, W_O.shape[-1])


# ---- layer-norm ----


def norm_by_torch(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


def norm_by_length(x):
    x = x - x.mean(-1, keepdim=True)
    return x * x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True)


def norm_over_positions(x):
    return (x - x.mean(0)) / x.std(0, unbiased=False)


def norm_by_std(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)


def norm_not_centred(x):
    return x / x.std(-1, keepdim=True, unbiased=False)


def norm_not_scaled(x):
    return x - x.mean(-1, keepdim=True)


# ---- look-one-back ----


def asks_for_the_one_before(n):
    return 60 * torch.eye(n).roll(-1, dims=1), torch.eye(n)


def answers_to_the_one_after(n):
    W_Q, W_K = torch.zeros(n, n - 1), torch.zeros(n, n - 1)
    for i in range(1, n):
        W_Q[i, i - 1], W_K[i - 1, i - 1] = 1.0, 40.0
    return W_Q, W_K


def asks_for_itself(n):
    return 60 * torch.eye(n), torch.eye(n)


def asks_for_the_one_after(n):
    return 60 * torch.eye(n).roll(1, dims=1), torch.eye(n)


def asks_softly(n):
    return 6 * torch.eye(n).roll(-1, dims=1), torch.eye(n)


def one_matrix_only(n):
    return torch.eye(n)


RIGHT = {
    "causal-pattern": [by_softmax, by_hand],
    "attention-head": [head_by_matrices, head_by_circuits],
    "sum-of-heads": [added, by_einsum],
    "layer-norm": [norm_by_torch, norm_by_length],
    "look-one-back": [asks_for_the_one_before, answers_to_the_one_after],
}
WRONG = {
    "causal-pattern": [
        (over_queries, "softmax over the queries"),
        (masked_late, "after the softmax"),
        (not_masked, "no key is hidden"),
        (overflows, "overflow"),
    ],
    "attention-head": [
        (head_undivided, "not divided"),
        (head_by_d_model, "square root of d_model"),
        (head_turned_round, "changed places"),
        (head_unmasked, "no key is hidden"),
        (head_that_does_not_write, "W_O has still to write"),
    ],
    "sum-of-heads": [
        (averaged, "mean over heads"),
        (last_only, "only the last head"),
        (reshaped_askew, "without moving the axis"),
    ],
    "layer-norm": [
        (norm_over_positions, "average over positions"),
        (norm_by_std, "d_model − 1"),
        (norm_not_centred, "do not take the mean away"),
        (norm_not_scaled, "do not divide"),
    ],
    "look-one-back": [
        (asks_for_itself, "its own position"),
        (asks_for_the_one_after, "cannot see"),
        (asks_softly, "too soft"),
        (one_matrix_only, "a pair"),
    ],
}
