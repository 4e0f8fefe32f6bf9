"""Checkers of chapter 1: the curve rule, and which unit is which."""

import torch

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped


@exercise("curve-rule", chapter=1)
def curve_rule(answer: Answer) -> None:
    """Which units answer to curves: the best arc beats `above_line` times the best line, and the
    arc half a turn away stays under `at_half_turn` times the best one. A silent unit is none."""
    angle = 2 * torch.pi * torch.arange(14) / 14
    hump = ((angle - angle[3]).cos() * 2).exp() / torch.e**2  # 1 at its peak, 0.02 opposite
    echo = torch.maximum(hump, 0.7 * hump.roll(7))
    silent = torch.zeros(14)
    beside = torch.maximum(hump, 0.7 * hump.roll(4))  # a second peak, but not half a turn away
    arc = torch.stack([hump, echo, 3 * hump, silent, beside], 1).double()
    line = torch.stack([0.5 * hump, 0.5 * hump, 2.8 * hump, silent, 0.5 * hump.roll(2)], 1).double()
    wanted = torch.tensor([True, False, False, False, True])
    found = shaped(answer(arc, line, 1.2, 0.6), (5,), "(unit)").bool()
    best = arc.amax(0)
    opposite = arc.roll(7, 0).gather(0, arc.argmax(0)[None])[0]
    above, below = best > 1.2 * line.amax(0), opposite < 0.6 * best
    close(
        found,
        wanted,
        "which of five made-up units are curve units",
        mistakes={
            "you do not ask what happens half a turn away": above & (best > 1e-3),
            "you do not compare with the lines": below & (best > 1e-3),
            "you compare with the weakest answer instead of the one half a turn away": above
            & (arc.quantile(0.75, dim=0) < 0.3 * best),
            "you take either condition for enough": (above | below) & (best > 1e-3),
        },
    )
    looser = shaped(answer(arc, line, 1.0, 0.8), (5,), "(unit)").bool()
    close(
        looser,
        torch.tensor([True, True, True, False, True]),
        "the same units with looser thresholds",
        mistakes={"your thresholds are fixed: use the two arguments": wanted},
    )


@exercise("correlation-table", chapter=1)
def correlation_table(answer: Answer) -> None:
    """Correlation of every unit of one network with every unit of another over one set of samples;
    0 for a unit that never changes."""
    first, second = 2 + numbers(97, 3), 5 * numbers(97, 5, seed=1)
    second[:, 2] -= 3 * first[:, 1]
    wanted = torch.zeros(3, 5, dtype=torch.float64)
    for i in range(3):
        for j in range(5):  # numpy's definition, entry by entry
            wanted[i, j] = torch.corrcoef(torch.stack([first[:, i], second[:, j]]))[0, 1]
    found = shaped(answer(first, second), (3, 5), "(unit of first, unit of second)")
    a, b = first - first.mean(0), second - second.mean(0)
    lengths = first.norm(dim=0)[:, None] * second.norm(dim=0)
    close(
        found,
        wanted,
        "each entry is the correlation of two units",
        mistakes={
            "you do not take the means off: this is the cosine": first.T @ second / lengths,
            "you do not divide by the spreads: this is the covariance": a.T @ b / 97,
            "you forget to divide by the number of samples": 97 * wanted,
            "you take the size of the correlation: a negative one is no match": wanted.abs(),
        },
    )
    first[:, 0] = 4.0
    found = shaped(answer(first, second), (3, 5), "(unit of first, unit of second)")
    close(found[0], torch.zeros(5), "a unit that never changes correlates with nothing")
