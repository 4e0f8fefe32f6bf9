"""Checkers of chapter 21: a part by its character, logits by quotient, and steps on cosets."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped

CORNERS = 5


def _polygon() -> tuple[Tensor, Tensor]:
    """The group of a pentagon by its 2 x 2 matrices: the table, and the matrices themselves."""
    matrices = []
    for k in range(CORNERS):
        angle = 2 * math.pi * k / CORNERS
        c, s = math.cos(angle), math.sin(angle)
        matrices += [[[c, -s], [s, c]], [[c, s], [s, -c]]]  # a turn; a mirror, then that turn
    M = torch.tensor(matrices, dtype=torch.float64)
    products = torch.einsum("aij,bjk->abik", M, M)
    return (products[:, :, None] - M).abs().sum((-1, -2)).argmin(-1), M


@exercise("group-part", chapter=21)
def part(answer: Answer) -> None:
    """The part in one representation of a function f (element, column) on a group, given the
    group's table (a, b), the representation's character (element) and its size. The representation
    is one that complex numbers cannot split either, so the mean of its squared character is 1."""
    table, M = _polygon()
    f, chi = numbers(10, 3), M.diagonal(dim1=1, dim2=2).sum(-1)
    entries = M.flatten(1)  # the functions x -> M(x)[i, j] span the part
    wanted = entries @ torch.linalg.lstsq(entries, f).solution
    inverses = (table == 0).int().argmax(1)
    found = shaped(answer(f, table, chi, 2), (10, 3), "(element, column)")
    close(
        found,
        wanted,
        "the nearest sum of the representation's entries",
        mistakes={
            "you take chi(x y): the second one must be inverted": chi[table] @ f * 2 / 10,
            "the size of the representation is missing from the factor": wanted / 2,
            "divide by the number of elements": wanted * 10,
            "f(y) belongs under the sum, not f(x)": chi[table[:, inverses]].sum(1)[:, None] * f / 5,
        },
    )


@exercise("group-quotient", chapter=21)
def quotient(answer: Answer) -> None:
    """For each element g the mean of logits (a, b, c) over all triples with a b c^-1 = g, given the
    group's table (a, b)."""
    table, _ = _polygon()
    logits = numbers(10, 10, 10)
    found = shaped(answer(logits, table), (10,), "(element,)")
    close(
        found,
        _means(logits, table),
        "the means over triples, by a plain loop",
        mistakes={
            "you take a b c: the third one must be inverted": _means(logits, table, inverted=False),
            "you take c^-1 a b: the inverse stands on the right": _means(logits, table, left=True),
            "you take b a c^-1: here the order matters": _means(logits.transpose(0, 1), table),
            "these are sums: divide by the number of triples": 100 * _means(logits, table),
        },
    )


def _means(logits: Tensor, table: Tensor, inverted: bool = True, left: bool = False) -> Tensor:
    n = len(table)
    inverse = [int((row == 0).nonzero()) for row in table]
    sums = torch.zeros(n, dtype=logits.dtype)
    for a in range(n):
        for b in range(n):
            for c in range(n):
                ab, last = int(table[a, b]), inverse[c] if inverted else c
                g = table[last, ab] if left else table[ab, last]
                sums[int(g)] += logits[a, b, c]
    return sums / n**2


@exercise("group-cosets", chapter=21)
def cosets(answer: Answer) -> None:
    """What part of the variance of f (element) is left when f is replaced by its mean over each
    coset x H, given the members of H (a list) and the group's table (a, b)."""
    table, _ = _polygon()
    f = numbers(10) + 1
    for H in ([0, 1], [0, 3]):
        found = answer(f, H, table)
        share = torch.as_tensor(found, dtype=torch.float64)
        wanted = _share(f, H, table)
        close(
            shaped(share, (), "one number"),
            wanted,
            f"a function on the pentagon's group, H = {H}",
            mistakes={
                "these are the cosets H x: multiply by H on the other side": (
                    _share(f, H, table.T)
                ),
                "take the mean off f before you square": _share(f, H, table, centred=False),
                "this is what is lost: the question is what is left": 1 - wanted,
            },
        )


def _share(f: Tensor, H: list[int], table: Tensor, centred: bool = True) -> Tensor:
    means = torch.stack([f[table[x, H]].mean() for x in range(len(f))])
    middle = f.mean() if centred else 0
    return ((means - middle) ** 2).sum() / ((f - middle) ** 2).sum()
