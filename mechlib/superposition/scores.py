"""What a dictionary found: against known features, and by itself.

Against known features: the mean over features of the best cosine with any of its directions (MMCS,
Sharkey et al. 2022), and the share of features whose best cosine is above 0.9 (recovered).
By itself: the share of variance that it leaves unexplained (FVU), how many latents answer an input
(L0), and how many never answer (dead). Chapter 17.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def best_cosines(
    features: Float[Tensor, "feature width"], directions: Float[Tensor, "direction its_width"]
) -> Float[Tensor, "feature"]:
    """For each feature the highest cosine with any direction. ValueError when widths differ."""
    if features.shape[1] != directions.shape[1]:
        raise ValueError(
            f"directions: width {directions.shape[1]}, the features have {features.shape[1]}"
        )
    return (F.normalize(features) @ F.normalize(directions).T).amax(1)


def mmcs(features: Float[Tensor, "feature w"], directions: Float[Tensor, "direction v"]) -> float:
    """Mean over the features of their highest cosine with a direction."""
    return float(best_cosines(features, directions).mean())


def recovered(
    features: Float[Tensor, "feature w"],
    directions: Float[Tensor, "direction v"],
    above: float = 0.9,
) -> float:
    """Share of the features that some direction points along, with a cosine above `above`."""
    return float((best_cosines(features, directions) > above).double().mean())


def duplicates(
    features: Float[Tensor, "feature w"],
    directions: Float[Tensor, "direction v"],
    above: float = 0.9,
) -> int:
    """Directions beyond the first along a feature: those that a count of latents counts twice."""
    near = F.normalize(directions) @ F.normalize(features).T > above
    return int(near.any(1).sum() - near.any(0).sum())


def unexplained(x: Float[Tensor, "n width"], reconstruction: Float[Tensor, "n width"]) -> float:
    """FVU: squared error as a share of the variance."""
    return float((x - reconstruction).square().sum() / (x - x.mean(0)).square().sum())


@dataclass(frozen=True)
class Sparsity:
    """l0: latents that answer an input, on average. alive: latents that answer at all."""

    l0: float
    alive: int


def sparsity(latents: Float[Tensor, "n latent"]) -> Sparsity:
    """Of some codes."""
    on = latents > 0
    return Sparsity(float(on.sum(1).double().mean()), int(on.any(0).sum()))


def alive(latents: Float[Tensor, "n latent"]) -> Tensor:
    """The numbers of the latents that answer at least once."""
    return (latents > 0).any(0).nonzero()[:, 0]
