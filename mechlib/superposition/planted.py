"""A layer in superposition whose features are known, because we chose them.

`features` directions of length 1 in `width` dimensions, at random; few of them are there at a
time. The layer's activation is the sum of those that are. What an autoencoder finds in it can be
held against the truth. Chapter 17.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Planted:
    """directions: one feature a row, of length 1. active: how many are there on average; sizes are
    uniform between `least` and 1."""

    directions: Float[Tensor, "feature width"]
    active: float = 4.0
    least: float = 0.25

    def sizes(self, n: int, generator: torch.Generator) -> Float[Tensor, "n feature"]:
        """How large each feature is on n inputs: 0 for most."""
        shape = (n, len(self.directions))
        there = torch.rand(shape, generator=generator) < self.active / len(self.directions)
        return there * (self.least + (1 - self.least) * torch.rand(shape, generator=generator))

    def activations(self, sizes: Float[Tensor, "n feature"]) -> Float[Tensor, "n width"]:
        """What the layer holds."""
        return sizes @ self.directions


def planted(features: int = 256, width: int = 64, seed: int = 0, active: float = 4.0) -> Planted:
    """Features in random directions. ValueError when more are active than there are."""
    if not 0 < active <= features:
        raise ValueError(f"active: between 0 and {features} features, got {active}")
    return Planted(random_directions(features, width, seed), active)


@dataclass(frozen=True, eq=False)
class Batches:
    """Activations of fresh inputs for each step: a pure function of the step."""

    layer: Planted
    batch: int
    seed: int = 0

    def __call__(self, step: int) -> Float[Tensor, "batch width"]:
        generator = torch.Generator().manual_seed(1_000_003 * (self.seed + 1) + step)
        return self.layer.activations(self.layer.sizes(self.batch, generator))


def principal_axes(x: Float[Tensor, "n width"]) -> Float[Tensor, "twice_width width"]:
    """The principal directions of some activations, and their opposites: a dictionary that
    explains all variance."""
    axes = torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh
    return torch.cat([axes, -axes])


def own_axes(width: int) -> Float[Tensor, "twice_width width"]:
    """The layer's own axes ("neurons"), and their opposites."""
    axes = torch.eye(width)
    return torch.cat([axes, -axes])


def random_directions(n: int, width: int, seed: int = 0) -> Float[Tensor, "n width"]:
    """Directions of length 1, at random."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(n, width, generator=generator)
    return directions / directions.norm(dim=1, keepdim=True)
