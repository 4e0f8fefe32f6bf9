"""Checkers of chapter 9: paths, virtual heads and composition scores."""

from itertools import combinations
from math import comb

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, patterns, shaped


@exercise("composition-scores", chapter=9)
def composition_scores(answer: Answer) -> None:
    """From W_OV (head_1, d_model, d_model) of an earlier layer and W_QK (head_2, d_model, d_model)
    of a later one, in row vectors, to the K-composition scores (head_1, head_2): the norm of the
    product over the product of the norms (Frobenius)."""
    W_OV, W_QK = numbers(2, 7, 7, seed=1), numbers(3, 7, 7, seed=2)
    found = shaped(answer(W_OV, W_QK), (2, 3), "(head_1, head_2)")

    def scores(product, norm=torch.linalg.matrix_norm, divide=True) -> torch.Tensor:
        rows = []
        for first in W_OV:
            sizes = [norm(first) * norm(second) if divide else 1.0 for second in W_QK]
            rows.append([norm(product(first, b)) / size for b, size in zip(W_QK, sizes)])
        return torch.tensor(rows)

    def largest(M):
        return torch.linalg.matrix_norm(M, 2)

    close(
        found,
        scores(lambda a, b: a @ b.T),
        "each score is ||W_OV W_QK^T|| over ||W_OV|| ||W_QK||",
        mistakes={
            "you left out the transpose, which gives Q-composition": scores(lambda a, b: a @ b),
            "the earlier head stands on the right: rows run through it first": scores(
                lambda a, b: b.T @ a
            ),
            "you divide by nothing, so that a louder head scores higher": scores(
                lambda a, b: a @ b.T, divide=False
            ),
            "your norm is the largest singular value; take the root of the sum of squares": scores(
                lambda a, b: a @ b.T, largest
            ),
            "your scores are squared": scores(lambda a, b: a @ b.T) ** 2,
        },
    )
    close(answer(5 * W_OV, W_QK), found, "a head five times as loud has the same scores")


@exercise("virtual-head", chapter=9)
def virtual_head(answer: Answer) -> None:
    """Two heads of different layers as one: from A_1 (pos, pos), W_1 (d, d) of the earlier head and
    A_2, W_2 of the later one, in row vectors, to the pair (pattern, W_OV) of the virtual head."""
    A_1, A_2 = patterns(2, 5, seed=3)
    W_1, W_2, x = numbers(3, 3, seed=4), numbers(3, 3, seed=5), numbers(5, 3, seed=6)
    found = answer(A_1, W_1, A_2, W_2)
    holds(
        isinstance(found, tuple | list) and len(found) == 2,
        "give two things back: the pattern and the OV circuit",
    )
    pattern = shaped(found[0], (5, 5), "(query, key)").double()
    W_OV = shaped(found[1], (3, 3), "(d_model, d_model)").double()
    steps = torch.zeros(5, 5, dtype=torch.float64)  # two steps back, by a plain loop
    for query in range(5):
        for between in range(5):
            for key in range(5):
                steps[query, key] += A_2[query, between] * A_1[between, key]
    close(
        pattern,
        steps,
        "the pattern follows two steps back",
        mistakes={
            "the patterns stand in the other order: the later head looks first": A_1 @ A_2,
            "you add the patterns, so that rows sum to two": A_1 + A_2,
            "you multiply entry by entry, so that only places both look at remain": A_1 * A_2,
        },
    )
    close(
        pattern @ x @ W_OV,
        A_2 @ (A_1 @ x @ W_1) @ W_2,
        "it writes what the path through both heads writes",
        mistakes={
            "the OV circuits stand in the other order": pattern @ x @ (W_2 @ W_1),
            "you add the OV circuits": pattern @ x @ (W_1 + W_2),
        },
    )


@exercise("passes", chapter=9)
def passes(answer: Answer) -> None:
    """From what enters (pos, d_model) and a list of functions, one a layer, each giving what the
    layer's heads write when they read a stream, to a list of n + 1 final streams: those of the
    paths through at most 0, 1, ... n layers. No path may be named, and layers are linear."""
    x = numbers(5, 3, seed=7)
    layers = [
        lambda stream, A=A, W=W: A @ stream @ W
        for A, W in zip(patterns(3, 5, seed=8), numbers(3, 3, 3, seed=9))
    ]

    def through(chosen):
        stream = x
        for layer in chosen:
            stream = layer(stream)
        return stream

    by_order = [
        sum(through([layers[i] for i in chosen]) for chosen in combinations(range(3), order))
        for order in range(4)
    ]
    wanted = torch.stack(by_order).cumsum(0)
    found = answer(x, layers)
    holds(
        isinstance(found, list | tuple | torch.Tensor) and len(found) in (3, 4),
        "a list of n + 1 streams is wanted: four for three layers",
    )
    holds(len(found) == 4, "you stop one pass too early: n layers take n + 1 passes")
    streams = torch.stack([shaped(each, (5, 3), "(pos, d_model)").double() for each in found])
    whole = wanted[-1].expand(4, -1, -1)
    apart = torch.stack(by_order)
    once = torch.stack([x, *[wanted[1]] * 3])
    close(
        streams,
        wanted,
        "stream i holds the paths through at most i layers",
        mistakes={
            "each pass adds what it computes, so that every pass is the whole model": whole,
            "you keep the orders apart: add the shorter paths in": apart,
            "what is kept in pass 0 is never renewed": once,
        },
    )


@exercise("count-paths", chapter=9)
def count_paths(answer: Answer) -> None:
    """How many paths of a given order (heads passed) an attention-only model has: n_layers,
    n_heads a layer, order to a whole number."""
    for n_layers, n_heads, order in [(2, 3, 1), (3, 5, 2), (5, 2, 3), (3, 2, 0), (3, 7, 3)]:
        wanted = comb(n_layers, order) * n_heads**order
        mistakes = {
            "two heads of one layer are on one path: they read the same stream": comb(
                n_layers * n_heads, order
            ),
            "these are the paths of all orders together": (1 + n_heads) ** n_layers,
            "you count the heads and not the choice of layers": n_heads**order,
        }
        close(
            answer(n_layers, n_heads, order),
            wanted,
            f"{n_layers} layers of {n_heads} heads have {wanted} paths of order {order}"
            if order == 0
            else f"{n_layers} layers of {n_heads} heads, order {order}",
            mistakes={said: value for said, value in mistakes.items() if value != wanted},
        )
