"""Which unit of one network is which unit of another: matched by how their answers go together.

After Li et al. 2016 (Convergent Learning). One to one: each unit may be used once, and the pairing
with the highest sum of correlations is taken. Best match: each unit of the first network may choose
freely, which always gives a higher mean; it is reported to show the difference. Used in chapter 1.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def correlations(
    first: Float[Tensor, "sample one"], second: Float[Tensor, "sample two"]
) -> Float[Tensor, "one two"]:
    """Correlation of every unit of one network with every unit of the other, over one set of
    samples. Units that answer alike to everything (dead ones) correlate with nothing: 0."""
    first, second = (_standard(x.double()) for x in (first, second))
    return first.T @ second / len(first)


def between_all(networks: Sequence[Float[Tensor, "sample _"]]) -> dict[tuple[int, int], Tensor]:
    """The correlations of every two of some networks, {(i, j): table} for i < j, units of i by
    units of j."""
    ready = [_standard(answers.double()) for answers in networks]
    pairs = itertools.combinations(range(len(ready)), 2)
    return {(i, j): ready[i].T @ ready[j] / len(ready[i]) for i, j in pairs}


def one_to_one(table: Float[Tensor, "one two"]) -> float:
    """Mean correlation of the best one-to-one pairing."""
    rows, columns = linear_sum_assignment(-table.numpy())
    return float(table[rows, columns].mean())


def best_match(table: Float[Tensor, "one two"]) -> float:
    """Mean over the first network's units of their highest correlation."""
    return float(table.amax(1).mean())


def _standard(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    size = x.square().mean(0).sqrt()
    return x / size.where(size > 1e-6, torch.inf)  # 0 for the dead ones
