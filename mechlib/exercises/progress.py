"""Checkers of chapter 14: restricted and excluded loss, and inequality."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, numbers

P = 7


def _logits() -> Tensor:
    """A grid (a, b, answer) in which every kind of wave is present."""
    return 2 * numbers(P, P, P)


def _answers() -> Tensor:
    return torch.tensor([[(a + b) % P for b in range(P)] for a in range(P)])


def _of_sum(logits: Tensor, keys: list[int]) -> Tensor:
    """The waves of a + b at these frequencies: the mean over the pairs of each sum, as a function
    of the sum, filtered by a plain discrete Fourier transform."""
    by_sum = torch.stack([logits[_answers() == s].mean(0) for s in range(P)])  # (sum, answer)
    out = torch.zeros_like(by_sum)
    for k in keys:
        for s in range(P):
            for t in range(P):
                out[s] += 2 / P * math.cos(2 * math.pi * k * (s - t) / P) * by_sum[t]
    return out[_answers()]


def _products(logits: Tensor, keys: list[int]) -> Tensor:
    out = torch.zeros_like(logits)
    for k in keys:
        angle = 2 * math.pi * k * torch.arange(P).double() / P
        for u in (angle.cos(), angle.sin()):
            for v in (angle.cos(), angle.sin()):
                w = u[:, None] * v[None, :] * 2 / P
                out += w[:, :, None] * (w[:, :, None] * logits).sum((0, 1))
    return out


def _loss(logits: Tensor, where: Tensor | None = None) -> float:
    losses = []
    for a in range(P):
        for b in range(P):
            if where is None or bool(where[a, b]):
                row = logits[a, b]
                losses.append(float(row.exp().sum().log() - row[(a + b) % P]))
    return sum(losses) / len(losses)


@exercise("restricted-loss", chapter=14)
def restricted_loss(answer: Answer) -> None:
    """From logits (a, b, answer) and the key frequencies to the loss, over all pairs and in nats,
    of the mean over all pairs plus the waves cos w(a+b) and sin w(a+b) of those frequencies."""
    logits, keys = _logits(), [1, 3]
    constant = logits.mean((0, 1))
    close(
        answer(logits, keys),
        _loss(constant + _of_sum(logits, keys)),
        "the loss of constant and circuit",
        mistakes={
            "the constant is missing": _loss(_of_sum(logits, keys)),
            "you score the rest and not the circuit: that is the excluded loss": _loss(
                logits - _of_sum(logits, keys)
            ),
            "you keep all four products of waves, those of a - b too": _loss(
                constant + _products(logits, keys)
            ),
            "you keep one frequency, not all of them": _loss(constant + _of_sum(logits, [1])),
            "nothing is taken away: this is the loss of the whole network": _loss(logits),
        },
    )


@exercise("excluded-loss", chapter=14)
def excluded_loss(answer: Answer) -> None:
    """From logits (a, b, answer), the key frequencies and a mask (a, b) of the training pairs to
    the loss, over these pairs and in nats, without the waves of a + b at those frequencies."""
    logits, keys = _logits(), [1, 3]
    shown = numbers(P, P, seed=3) > 0.2
    rest = logits - _of_sum(logits, keys)
    close(
        answer(logits, keys, shown),
        _loss(rest, shown),
        "the loss of constant and rest on the training pairs",
        mistakes={
            "you score all pairs": _loss(rest),
            "you score the test pairs": _loss(rest, ~shown),
            "the constant is gone as well": _loss(rest - logits.mean((0, 1)), shown),
            "you keep the circuit and drop the rest": _loss(_of_sum(logits, keys), shown),
            "nothing is taken away: this is the training loss": _loss(logits, shown),
        },
    )


@exercise("gini", chapter=14)
def gini(answer: Answer) -> None:
    """How unequal non-negative numbers are: half of the mean absolute difference of two of them,
    over all ordered pairs, divided by their mean."""
    values = numbers(7).abs()
    apart, mean = 0.0, float(values.mean())
    for one in values.tolist():
        apart += sum(abs(one - other) for other in values.tolist())
    wanted = apart / 49 / 2 / mean
    close(
        answer(values),
        wanted,
        "the Gini coefficient",
        mistakes={
            "the half is missing": 2 * wanted,
            "you divide by the sum and not by the mean": wanted / 7,
            "you leave out the pairs of a number with itself": wanted * 49 / 42,
            "it is not divided by the mean": wanted * mean,
        },
    )
    close(answer(3 * torch.ones(5).double()), 0.0, "equal numbers have a Gini coefficient of zero")
    close(answer(10 * values), wanted, "ten times the numbers are as unequal as before")
