"""Right and wrong answers to the exercises of chapter 9."""

from math import comb

import torch


def k_scores(W_OV, W_QK):
    product = torch.einsum("aij,bkj->abik", W_OV, W_QK)
    size = W_OV.flatten(1).norm(dim=1)[:, None] * W_QK.flatten(1).norm(dim=1)
    return product.flatten(2).norm(dim=2) / size


def k_scores_by_traces(W_OV, W_QK):
    out = torch.zeros(len(W_OV), len(W_QK))
    for a, first in enumerate(W_OV):
        for b, second in enumerate(W_QK):
            squares = torch.trace(first.T @ first @ second.T @ second)
            sizes = torch.trace(first.T @ first) * torch.trace(second.T @ second)
            out[a, b] = (squares / sizes).sqrt()
    return out


def q_scores(W_OV, W_QK):
    return k_scores(W_OV, W_QK.mT)


def other_side(W_OV, W_QK):
    return k_scores(W_OV.mT, W_QK.mT)


def undivided(W_OV, W_QK):
    return torch.einsum("aij,bkj->abik", W_OV, W_QK).flatten(2).norm(dim=2)


def squared(W_OV, W_QK):
    return k_scores(W_OV, W_QK) ** 2


def spectral(W_OV, W_QK):
    product = torch.einsum("aij,bkj->abik", W_OV, W_QK)
    size = [torch.linalg.matrix_norm(W, 2) for W in (W_OV, W_QK)]
    return torch.linalg.matrix_norm(product, 2) / (size[0][:, None] * size[1])


def pair(A_1, W_1, A_2, W_2):
    return A_2 @ A_1, W_1 @ W_2


def pair_by_sums(A_1, W_1, A_2, W_2):
    pattern = sum(A_2[:, m, None] * A_1[m] for m in range(len(A_1)))
    return [pattern, torch.einsum("ij,jk->ik", W_1, W_2)]


def patterns_turned(A_1, W_1, A_2, W_2):
    return A_1 @ A_2, W_1 @ W_2


def circuits_turned(A_1, W_1, A_2, W_2):
    return A_2 @ A_1, W_2 @ W_1


def added(A_1, W_1, A_2, W_2):
    return A_1 + A_2, W_1 @ W_2


def entrywise(A_1, W_1, A_2, W_2):
    return A_2 * A_1, W_1 @ W_2


def circuits_added(A_1, W_1, A_2, W_2):
    return A_2 @ A_1, W_1 + W_2


def streams(x, layers):
    kept, found = [torch.zeros_like(x) for _ in layers], []
    for _ in range(len(layers) + 1):
        stream, written = x, []
        for layer, before in zip(layers, kept):
            written.append(layer(stream))
            stream = stream + before
        found.append(stream)
        kept = written
    return found


def streams_by_order(x, layers):
    """Layer by layer, with the orders held apart: by_order[n] is the part of order n."""
    by_order = [x] + [torch.zeros_like(x) for _ in layers]
    for layer in layers:
        moved = [layer(part) for part in by_order[:-1]]
        by_order = [by_order[0]] + [a + b for a, b in zip(by_order[1:], moved)]
    return torch.stack(by_order).cumsum(0)


def at_once(x, layers):
    stream = x
    for layer in layers:
        stream = stream + layer(stream)
    return [stream] * (len(layers) + 1)


def orders_apart(x, layers):
    by_order = streams_by_order(x, layers)
    return [by_order[0], *by_order.diff(dim=0)]


def too_few(x, layers):
    return streams(x, layers)[:-1]


def never_renewed(x, layers):
    first = x + sum(layer(x) for layer in layers)
    return [x] + [first] * len(layers)


def paths(n_layers, n_heads, order):
    return comb(n_layers, order) * n_heads**order


def paths_by_polynomial(n_layers, n_heads, order):
    counts = [1]  # the coefficients of (1 + heads t)^layers
    for _ in range(n_layers):
        counts = [a + n_heads * b for a, b in zip([*counts, 0], [0, *counts])]
    return counts[order]


def same_layer(n_layers, n_heads, order):
    return comb(n_layers * n_heads, order)


def all_orders(n_layers, n_heads, order):
    return (1 + n_heads) ** n_layers


def heads_only(n_layers, n_heads, order):
    return n_heads**order


RIGHT = {
    "composition-scores": [k_scores, k_scores_by_traces],
    "virtual-head": [pair, pair_by_sums],
    "passes": [streams, streams_by_order],
    "count-paths": [paths, paths_by_polynomial],
}
WRONG = {
    "composition-scores": [
        (q_scores, "left out the transpose"),
        (other_side, "stands on the right"),
        (undivided, "divide by nothing"),
        (squared, "scores are squared"),
        (spectral, "largest singular value"),
    ],
    "virtual-head": [
        (patterns_turned, "patterns stand in the other order"),
        (circuits_turned, "OV circuits stand in the other order"),
        (added, "add the patterns"),
        (entrywise, "entry by entry"),
        (circuits_added, "add the OV circuits"),
    ],
    "passes": [
        (at_once, "every pass is the whole model"),
        (orders_apart, "keep the orders apart"),
        (too_few, "one pass too early"),
        (never_renewed, "never renewed"),
    ],
    "count-paths": [
        (same_layer, "two heads of one layer"),
        (all_orders, "all orders together"),
        (heads_only, "not the choice of layers"),
    ],
}
