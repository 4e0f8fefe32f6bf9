"""How much of a dimension each feature gets.

    D_i = |W_i|^2 / sum over j of (W_i/|W_i| . W_j)^2

A feature with a direction of its own has D = 1; two that share one, as opposites, 1/2 each; k that
share a plane as a regular k-gon, 2/k each. Elhage et al. 2022, "feature dimensionality".

A heap of such numbers shows lines at simple fractions, and the eye sees more lines than there are.
`line` is a test that can fail. Chapter 17.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# The shapes whose fractions the paper draws as lines.
FRACTIONS = {
    "tetrahedron": 3 / 4,
    "triangle": 2 / 3,
    "opposite pair": 1 / 2,
    "pentagon": 2 / 5,
    "square antiprism": 3 / 8,
}


def dimensionality(W: Float[Tensor, "*model feature hidden"]) -> Float[Tensor, "*model feature"]:
    """D_i of every feature; 0 where the row of W is zero."""
    length = W.norm(dim=-1)
    unit = W / length.clamp(min=1e-12)[..., None]
    shared = (unit @ W.transpose(-1, -2)).square().sum(-1)
    return torch.where(length > 1e-6, length.square() / shared.clamp(min=1e-24), 0.0)


def dimensions_per_feature(W: Float[Tensor, "*model feature hidden"]) -> Float[Tensor, "*model"]:
    """D* = hidden / |W|^2: dimensions there are, for each feature that is represented."""
    return W.shape[-1] / W.square().sum((-1, -2))


def represented(
    W: Float[Tensor, "*model feature hidden"], above: float = 0.5
) -> Bool[Tensor, "*model feature"]:
    """Which features have a row longer than `above`."""
    return W.norm(dim=-1) > above


def are_pentagons(
    W: Float[Tensor, "*model feature hidden"], within: float = 0.02
) -> Bool[Tensor, "*model"]:
    """Whether all five features of a model have a dimensionality near 2/5."""
    if W.shape[-2:] != (5, 2):
        raise ValueError(f"W: five features in two dimensions, got {tuple(W.shape[-2:])}")
    return ((dimensionality(W) - 2 / 5).abs() < within).all(-1)


@dataclass(frozen=True)
class Line:
    """How many numbers lie at a fraction, and on either side of it."""

    at: int
    below: int
    above: int

    @property
    def stands(self) -> bool:
        """At least ten there, and at least twice as many as on either side."""
        return self.at >= 10 and self.at >= 2 * max(self.below, self.above)


def line(values: Float[Tensor, "value"], fraction: float) -> Line:
    """The line test at one fraction: values within 0.005 of it, against those within 0.005 of the
    points 0.0125 below and above. Ours is the rule of a replication that found the authors' own
    run to fail a looser one (most numbers near *some* simple fraction)."""

    def near(point: float) -> int:
        return int(((values - point).abs() < 0.005).sum())

    return Line(near(fraction), near(fraction - 0.0125), near(fraction + 0.0125))


def share_near_fractions(values: Float[Tensor, "value"], within: float = 0.02) -> float:
    """The looser number: the share of values near 1 or one of `FRACTIONS`."""
    points = torch.tensor([1.0, *FRACTIONS.values()], dtype=values.dtype)
    return float(((values[:, None] - points).abs() < within).any(1).double().mean())
