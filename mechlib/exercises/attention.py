"""Checkers of chapter 2: attention from scratch."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("causal-pattern", chapter=2)
def causal_pattern(answer: Answer) -> None:
    """From scores (head, query, key) to a pattern: each query spreads a weight of one over itself
    and the keys before it, in proportion to exp(score)."""
    scores = 3 * numbers(3, 5, 5)
    pattern = shaped(answer(scores), (3, 5, 5), "(head, query, key)").double()
    later = torch.ones(5, 5).triu(1).bool()

    def looking_back(exponential: torch.Tensor, axis: int) -> torch.Tensor:
        kept = exponential.masked_fill(later, 0.0)
        return kept / kept.sum(axis, keepdim=True)

    wanted = torch.zeros(3, 5, 5, dtype=torch.float64)  # by a plain loop
    for head in range(3):
        for query in range(5):
            row = scores[head, query, : query + 1].exp()
            wanted[head, query, : query + 1] = row / row.sum()
    masked_late = scores.softmax(-1).masked_fill(later, 0.0)
    transposed = scores.masked_fill(later.T, -torch.inf).softmax(-1)
    close(
        pattern,
        wanted,
        "each query spreads a weight of one over itself and the keys before it",
        mistakes={
            "you take the softmax over the queries, so that columns sum to one": looking_back(
                scores.exp(), -2
            ),
            "you hide later keys after the softmax, so that rows sum to less than one": masked_late,
            "no key is hidden: a query sees what comes after it": scores.softmax(-1),
            "your mask is transposed: a query sees itself and what comes after it": transposed,
            "you hide the scores by making them zero, and exp(0) is one": scores.masked_fill(
                later, 0.0
            ).softmax(-1),
        },
    )
    large = shaped(answer(1000 * scores), (3, 5, 5), "(head, query, key)")
    holds(
        bool(torch.isfinite(large).all()),
        "large scores overflow: subtract each row's largest score before the exponential",
    )


def _one_head(
    x: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    W_V: Tensor,
    W_O: Tensor,
    *,
    divide_by: float | None = None,
    swapped: bool = False,
    causal: bool = True,
    write: bool = True,
) -> Tensor:
    """A head by plain loops, and with one usual mistake in it."""
    n, d_head = len(x), W_Q.shape[1]
    q, k, v = x @ W_Q, x @ W_K, x @ W_V
    if swapped:
        q, k = k, q
    rows = []
    for i in range(n):
        seen = range(i + 1) if causal else range(n)
        scores = [float(q[i] @ k[j]) / (divide_by or math.sqrt(d_head)) for j in seen]
        weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
        mean = sum((w * v[j] for w, j in zip(weights, seen)), torch.zeros_like(v[0]))
        rows.append(mean @ W_O if write else mean)
    return torch.stack(rows)


@exercise("attention-head", chapter=2)
def attention_head(answer: Answer) -> None:
    """One causal head: the stream x (pos, d_model) and the matrices W_Q, W_K, W_V (d_model, d_head)
    and W_O (d_head, d_model) to what the head writes (pos, d_model)."""
    x = numbers(5, 7)
    W_Q, W_K, W_V, W_O = (numbers(*((7, 3) if s < 4 else (3, 7)), seed=s) for s in (1, 2, 3, 4))
    weights = (W_Q, W_K, W_V, W_O)
    found = answer(x, *weights)
    means = _one_head(x, *weights, write=False)
    if isinstance(found, Tensor) and tuple(found.shape) == (5, 3):
        close(found, means, "the means of the values, not yet written")
        holds(False, "these are the means of the values: W_O has still to write them")
    found = shaped(found, (5, 7), "(pos, d_model)").double()
    close(
        found,
        _one_head(x, *weights),
        "each position writes the mean of the values that it sees, by its own pattern",
        mistakes={
            "the scores are not divided by the square root of d_head": _one_head(
                x, *weights, divide_by=1.0
            ),
            "you divide by the square root of d_model; the dot product has d_head terms": _one_head(
                x, *weights, divide_by=math.sqrt(7)
            ),
            "you divide by d_head and not by its square root": _one_head(
                x, *weights, divide_by=3.0
            ),
            "keys and queries have changed places": _one_head(x, *weights, swapped=True),
            "no key is hidden: a position sees what comes after it": _one_head(
                x, *weights, causal=False
            ),
        },
    )


@exercise("sum-of-heads", chapter=2)
def sum_of_heads(answer: Answer) -> None:
    """From each head's averages z (head, pos, d_head) and its output matrix W_O (head, d_head,
    d_model) to what the layer adds to the stream (pos, d_model)."""
    z, W_O = numbers(3, 5, 2), numbers(3, 2, 7, seed=1)
    each = [z[h] @ W_O[h] for h in range(3)]
    found = shaped(answer(z, W_O), (5, 7), "(pos, d_model)")
    read_askew = z.reshape(5, 6) @ W_O.reshape(6, 7)
    close(
        found,
        torch.cat(list(z), -1) @ torch.cat(list(W_O)),  # the textbook's way: one large matrix
        "the layer adds what its heads write",
        mistakes={
            "you take the mean over heads; heads add": sum(each) / 3,
            "only the first head writes": each[0],
            "only the last head writes": each[-1],
            "you reshape z without moving the axis of heads behind that of positions": read_askew,
            "you add up averages and matrices before multiplying": z.sum(0) @ W_O.sum(0),
        },
    )


@exercise("layer-norm", chapter=2)
def layer_norm(answer: Answer) -> None:
    """Layer norm without gain and bias: each vector of x (pos, d_model) is centred and divided by
    its standard deviation."""
    x = 3 * numbers(5, 7) + 2
    found = shaped(answer(x), (5, 7), "(pos, d_model)")

    def scaled(centre: bool, axis: int, correction: int) -> Tensor:
        mean = x.mean(axis, keepdim=True)
        size = (x - mean).pow(2).sum(axis, keepdim=True) / (x.shape[axis] - correction)
        return (x - mean if centre else x) / size.sqrt()

    close(
        found,
        scaled(True, 1, 0),
        "each position's vector has mean 0 and variance 1",
        within=1e-4,
        mistakes={
            "you average over positions; each position is normed by itself": scaled(True, 0, 0),
            "you divide the variance by d_model − 1, as torch's `std` does": scaled(True, 1, 1),
            "you divide, but do not take the mean away": scaled(False, 1, 0),
            "you take the mean away, but do not divide": x - x.mean(1, keepdim=True),
        },
    )


@exercise("look-one-back", chapter=2)
def look_one_back(answer: Answer) -> None:
    """For n positions, each given as a one-hot vector, a pair (W_Q, W_K) of matrices (n, d_head)
    with which a causal head looks at the position before its own."""
    n = 7
    found = answer(n)
    holds(isinstance(found, (tuple, list)) and len(found) == 2, "a pair (W_Q, W_K) is wanted")
    W_Q, W_K = (torch.as_tensor(W).double() for W in found)
    holds(
        W_Q.ndim == W_K.ndim == 2 and W_Q.shape == W_K.shape and len(W_Q) == n,
        f"both matrices should have {n} rows, one for each position, and equally many columns",
    )
    scores = W_Q @ W_K.T / math.sqrt(W_Q.shape[1])
    later = torch.ones(n, n).triu(1).bool()
    pattern = scores.masked_fill(later, -torch.inf).softmax(-1)
    back = pattern.diagonal(-1)
    ahead = scores.diagonal(1) - scores.diagonal()[:-1]
    holds(
        bool((pattern.diagonal()[1:] < 0.9).all()),
        "the head looks at its own position: let position i ask for i − 1",
    )
    holds(
        bool((ahead < 5).all()) or bool((back > 0.5).all()),
        "the head asks for the position after its own, which it cannot see",
    )
    holds(
        bool((back > 0.5).all()),
        f"the position before gets as little as {float(back.min()):.2f} of the attention",
    )
    holds(
        bool((back > 0.99).all()),
        f"the right direction, but too soft: the position before gets {float(back.min()):.2f}",
    )
