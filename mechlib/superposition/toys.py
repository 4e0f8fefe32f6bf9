"""Toy models of superposition: features squeezed through fewer dimensions and read out again.

    x' = ReLU(x W W^T + b)          x (feature), W (feature, hidden), hidden < feature

Row i of W is where feature i goes. A feature is absent most of the time; when it is there, its size
is uniform in [0, 1]. `density` is the chance that it is there (1 - S in the paper).

Many such models are trained at once, one for each entry of the first axis: a seed, a density or
both. Elhage et al. 2022 (Toy Models of Superposition). Chapter 17.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Draw = Callable[[torch.Generator], Float[Tensor, "model batch feature"]]


@dataclass(frozen=True, eq=False)
class Toys:
    """Some toy models of one size."""

    W: Float[Tensor, "model feature hidden"]
    b: Float[Tensor, "model feature"]

    def __call__(
        self, x: Float[Tensor, "model batch feature"]
    ) -> Float[Tensor, "model batch feature"]:
        return reconstructed(self.W, self.b, x)

    def loss(self, x: Float[Tensor, "model batch feature"]) -> Float[Tensor, "model"]:
        """Mean squared error of each model, every feature counting the same."""
        return (x - self(x)).square().mean((1, 2))


def reconstructed(
    W: Float[Tensor, "model feature hidden"],
    b: Float[Tensor, "model feature"],
    x: Float[Tensor, "model batch feature"],
) -> Float[Tensor, "model batch feature"]:
    """ReLU(x W W^T + b) of each model on its own inputs."""
    return torch.relu(torch.baddbmm(b[:, None], x @ W, W.transpose(1, 2)))


# ---- what the models are shown ----


def independent(
    density: Float[Tensor, "model"], features: int, batch: int
) -> Callable[[torch.Generator], Tensor]:
    """Inputs in which every feature comes and goes by itself. ValueError for a density outside
    0 ... 1."""
    if not bool(((density >= 0) & (density <= 1)).all()):
        raise ValueError(f"density: chances between 0 and 1, got {density.tolist()}")

    def draw(generator: torch.Generator) -> Float[Tensor, "model batch feature"]:
        shape = (len(density), batch, features)
        there = torch.rand(shape, generator=generator) < density[:, None, None]
        return torch.rand(shape, generator=generator) * there

    return draw


def pairs(
    models: int, density: float, batch: int, together: bool, features: int = 4
) -> Callable[[torch.Generator], Tensor]:
    """Inputs whose features come in pairs (0, 1), (2, 3), ...: both or neither when `together`,
    otherwise never both. Each feature is there with the chance `density`.

    ValueError for an odd number of features, or a density above 1/2 for features that exclude
    each other."""
    if features % 2:
        raise ValueError(f"features: an even number, got {features}")
    if not 0 <= density <= (1 if together else 0.5):
        raise ValueError(f"density: at most {1 if together else 0.5} here, got {density}")

    def draw(generator: torch.Generator) -> Float[Tensor, "model batch feature"]:
        dice = torch.rand(models, batch, features // 2, 1, generator=generator)
        if together:
            there = (dice < density).expand(-1, -1, -1, 2)
        else:
            there = torch.cat([dice < density, (dice >= density) & (dice < 2 * density)], 3)
        sizes = torch.rand(models, batch, features, generator=generator)
        return sizes * there.flatten(2)

    return draw


# ---- training ----


def train_toys(
    draw: Draw,
    hidden: int,
    *,
    importance: Float[Tensor, "feature"] | None = None,
    steps: int = 3_000,
    lr: float = 5e-3,
    spread: float = 0.3,
    seed: int = 0,
) -> Toys:
    """Train as many models as `draw` gives inputs for, by Adam at a constant rate.

    importance: weight of each feature's squared error, all 1 if left out. spread: standard
    deviation of the entries of W at the start. seed: of the weights and of the inputs.
    """
    generator = torch.Generator().manual_seed(seed)
    models, _, features = draw(generator).shape
    if not 1 <= hidden:
        raise ValueError(f"hidden: at least 1, got {hidden}")
    weight = torch.ones(features) if importance is None else importance
    W = (spread * torch.randn(models, features, hidden, generator=generator)).requires_grad_()
    b = torch.zeros(models, features, requires_grad=True)
    optimizer = torch.optim.Adam([W, b], lr=lr, fused=True)
    with torch.enable_grad():
        for _ in range(steps):
            x = draw(generator)
            # a sum over models: none of them feels the others
            loss = (weight * (x - reconstructed(W, b, x)).square()).mean((1, 2)).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return Toys(W.detach(), b.detach())
