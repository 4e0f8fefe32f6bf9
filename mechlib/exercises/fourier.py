"""Checkers of chapter 13: waves on Z_P, and what a network does with them."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


def _wave(P: int, k: int, sine: bool = False) -> Tensor:
    """cos or sin of 2 pi k x / P for x = 0 ... P-1, by a plain loop."""
    f = math.sin if sine else math.cos
    return torch.tensor([f(2 * math.pi * k * x / P) for x in range(P)], dtype=torch.float64)


@exercise("fourier-basis", chapter=13)
def fourier_basis(answer: Answer) -> None:
    """From an odd P to the orthonormal basis on Z_P, one function a row: the constant, then for
    each k = 1 ... (P-1)/2 the cosine and the sine of 2 pi k x / P."""
    P = 7
    found = shaped(answer(P), (P, P), "(component, x)").double()
    plain = [torch.ones(P, dtype=torch.float64)]
    for k in range(1, (P - 1) // 2 + 1):
        plain += [_wave(P, k), _wave(P, k, sine=True)]
    rows = torch.stack(plain)
    wanted = rows / rows.square().sum(1, keepdim=True).sqrt()
    order = [0, *(2 * k - i for k in range(1, (P + 1) // 2) for i in (0, 1))]
    apart = torch.cat([wanted[:1], wanted[1::2], wanted[2::2]])
    close(
        found,
        wanted,
        "the rows are the constant, cos 1, sin 1, cos 2, ...",
        mistakes={
            "your waves are not of length one": rows,
            "all rows have the factor of the cosines, the constant too": rows * math.sqrt(2 / P),
            "sine comes before cosine": wanted[order],
            "all cosines come first, then all sines": apart,
        },
    )
    five = shaped(answer(5), (5, 5), "(component, x)").double()
    close(five @ five.T, torch.eye(5), "for P = 5 the rows are orthonormal as well")


@exercise("key-frequencies", chapter=13)
def key_frequencies(answer: Answer) -> None:
    """From the energy at frequencies 0, 1, 2, ... to the list of those with at least a sixteenth of
    the largest energy; the constant, frequency 0, is no frequency."""
    energy = torch.tensor([900.0, 3.0, 160.0, 9.9, 10.0, 0.1, 45.0, 2.0], dtype=torch.float64)
    found = _whole(answer(energy))
    looks_like = {
        (0, 2): "frequency 0, the constant, is among them and sets the largest",
        (0, 2, 4, 6): "frequency 0, the constant, is among them",
        (1, 3, 5): "your numbers are one too small: the first entry is frequency 0",
        (2, 6): "the mark is too high: a quarter in amplitude is a sixteenth in energy, and a "
        "frequency with exactly that much counts",
        (2,): "you compare with the sum, or with frequency 0, and not with the largest",
    }
    if found != [2, 4, 6]:
        like = looks_like.get(tuple(found))
        holds(False, f"{found}: no." + (f" It looks as if {like}." if like else ""))
    again = _whole(answer(energy / 1000))
    holds(again == [2, 4, 6], "a thousandth of all energies must give the same frequencies")


def _whole(found: object) -> list[int]:
    holds(hasattr(found, "__iter__"), "a list of whole numbers is wanted")
    return sorted(int(k) for k in found)


@exercise("remove-frequency", chapter=13)
def remove_frequency(answer: Answer) -> None:
    """From logits (a, b, answer) and a frequency k to the logits without the waves of a + b at
    that frequency, cos w(a+b) and sin w(a+b); all else stays."""
    P, k = 7, 2
    logits = numbers(P, P, P)
    found = shaped(answer(logits, k), (P, P, P), "(a, b, answer)")
    cos, sin = _wave(P, k), _wave(P, k, sine=True)

    def part(*waves: Tensor) -> Tensor:
        """What lies along these functions of (a, b), by sums over all pairs."""
        out = torch.zeros_like(logits)
        for u in waves:
            weight = (u[:, :, None] * logits).sum((0, 1)) / u.square().sum()
            out += u[:, :, None] * weight
        return out

    places = [[(a + b) % P for b in range(P)] for a in range(P)]
    of_sum = [torch.stack([wave[row] for row in places]) for wave in (cos, sin)]
    products = [u[:, None] * v[None, :] for u in (cos, sin) for v in (cos, sin)]
    close(
        found,
        logits - part(*of_sum),
        "the waves of a + b are gone, and nothing else",
        mistakes={
            "you keep the frequency and remove all else": part(*of_sum),
            "you remove the cosine only": logits - part(of_sum[0]),
            "you remove all four products, and with them the waves of a - b": logits
            - part(*products),
            "your waves are not of length one": logits
            - part(*of_sum) * float(of_sum[0].square().sum()),
        },
    )


@exercise("neuron-share", chapter=13)
def neuron_share(answer: Answer) -> None:
    """From a neuron on the grid of pairs (a, b) and a frequency k: the share of its variance that
    products of 1, cos wa, sin wa with 1, cos wb, sin wb explain, the constant left out."""
    P, k = 7, 3
    grid = numbers(P, P) + 1.5
    ones, cos, sin = torch.ones(P).double(), _wave(P, k), _wave(P, k, sine=True)

    def explained(columns: list[Tensor], target: Tensor) -> float:
        """By least squares."""
        X = torch.stack([c.flatten() for c in columns], 1)
        y = target.flatten()
        fit = X @ torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
        return float(1 - (y - fit).square().sum() / y.square().sum())

    waves = (ones, cos, sin)
    eight = [u[:, None] * v[None, :] for u in waves for v in waves][1:]
    four = [u[:, None] * v[None, :] for u in (cos, sin) for v in (cos, sin)]
    centred = grid - grid.mean()
    share = explained(eight, centred)
    close(
        answer(grid, k),
        share,
        "the share of variance",
        mistakes={
            "the constant counts as explained": explained([ones[:, None] * ones, *eight], grid),
            "you divide by all of the square and not by the variance": share
            * float(centred.square().sum() / grid.square().sum()),
            "you leave out the waves of a alone and of b alone": explained(four, centred),
            "you give what is left over and not what is explained": 1 - share,
        },
    )
