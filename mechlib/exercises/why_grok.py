"""Checkers of chapter 15: a gradient across the weights, decay, and exponents."""

import math

import torch

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped


@exercise("across-the-weights", chapter=15)
def across_the_weights(answer: Answer) -> None:
    """From a gradient and the weights, both (row, column), to the gradient without its part along
    the weights, made as long as it was."""
    weights = numbers(3, 5)
    gradient = numbers(3, 5, seed=1) + 0.7 * weights
    found = shaped(answer(gradient, weights), (3, 5), "(row, column)")
    along = sum(float(g) * float(w) for g, w in zip(gradient.flatten(), weights.flatten()))
    square = sum(float(w) ** 2 for w in weights.flatten())
    rest = gradient - along / square * weights
    scale = float(gradient.norm() / rest.norm())
    rows = gradient - (gradient * weights).sum(1, keepdim=True) * weights / weights.square().sum(
        1, keepdim=True
    )
    close(
        found,
        scale * rest,
        "the part across the weights, at the gradient's length",
        mistakes={
            "it is shorter than it was: its old length is not given back": rest,
            "you keep the part along the weights": along / square * weights,
            "you divide by the length of the weights once and not twice": _long(
                gradient - along / math.sqrt(square) * weights, gradient
            ),
            "you treat each row by itself; the weights are one vector": _long(rows, gradient),
        },
    )
    longer = answer(gradient, 10 * weights)
    close(longer, found, "weights ten times as long lie in the same direction")


def _long(vector: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return vector * like.norm() / vector.norm()


@exercise("decoupled-decay", chapter=15)
def decoupled_decay(answer: Answer) -> None:
    """One AdamW step. Arguments: weights, gradient, m and v before it (means of gradients and of
    their squares), the step's number from 1, lr and weight_decay; betas 0.9 and 0.98, eps 1e-8.
    Gives the new weights."""
    w, g = numbers(3, 5), numbers(3, 5, seed=1)
    m, v = numbers(3, 5, seed=2), numbers(3, 5, seed=3).square()
    step, lr, decay = 4, 0.01, 0.5

    def stepped(gradient: torch.Tensor, shrink: float, corrected: bool = True) -> torch.Tensor:
        out = torch.empty_like(w)
        for i in range(3):
            for j in range(5):
                first = 0.9 * float(m[i, j]) + 0.1 * float(gradient[i, j])
                second = 0.98 * float(v[i, j]) + 0.02 * float(gradient[i, j]) ** 2
                if corrected:
                    first, second = first / (1 - 0.9**step), second / (1 - 0.98**step)
                out[i, j] = float(w[i, j]) * shrink - lr * first / (math.sqrt(second) + 1e-8)
        return out

    close(
        answer(w, g, m, v, step, lr, decay),
        stepped(g, 1 - lr * decay),
        "the weights after one step",
        mistakes={
            "the decay goes into the gradient, where Adam divides it away: that is Adam with L2": (
                stepped(g + decay * w, 1.0)
            ),
            "the weights shrink by the decay itself and not by lr times it": stepped(g, 1 - decay),
            "nothing shrinks: this is Adam without decay": stepped(g, 1.0),
            "the means are not corrected for having started at zero": stepped(
                g, 1 - lr * decay, corrected=False
            ),
        },
    )


@exercise("power-law", chapter=15)
def power_law(answer: Answer) -> None:
    """From positive x and y to the exponent e of y ~ x^e, by least squares on logarithms."""
    x = torch.tensor([2.0, 3.0, 5.0, 7.0, 11.0, 13.0], dtype=torch.float64)
    y = 4 * x**1.5 * (0.2 * numbers(6)).exp()

    def slope(a: torch.Tensor, b: torch.Tensor) -> float:
        a, b = a - a.mean(), b - b.mean()
        return float((a * b).sum() / (a * a).sum())

    close(
        answer(x, y),
        slope(x.log(), y.log()),
        "the exponent",
        mistakes={
            "you fit the numbers and not their logarithms": slope(x, y),
            "you take the logarithm of y only": slope(x, y.log()),
            "x and y are exchanged": slope(y.log(), x.log()),
            "you use the first and the last point only": float(
                (y[-1] / y[0]).log() / (x[-1] / x[0]).log()
            ),
            "you fit a line through the origin; a power law has a factor": float(
                (x.log() * y.log()).sum() / x.log().square().sum()
            ),
        },
    )
    close(answer(x, 100 * y), answer(x, y), "a hundred times y has the same exponent")
