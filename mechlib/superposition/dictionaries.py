"""Sparse autoencoders: an activation as a sum of few directions out of many.

    f  = sparse( (x - center) encoder + bias )        latents, most of them 0
    x' = f decoder + center                           rows of the decoder have length 1

Three ways to make the latents few:

    l1          ReLU, and a price on their sum (Bricken et al. 2023)
    topk        the k largest of each input are kept (Gao et al. 2024)
    batchtopk   the k largest per input on average over a batch (Bussmann et al. 2024); outside
                of training, all above a threshold learned from the batches

A latent that has not answered for a while gets no gradient and would stay dead. As in Gao et al.
the dead ones are asked to explain what the others leave over (`revive`), for topk and batchtopk.

The decoder's rows are scaled to length 1 inside the forward pass, so their gradient has no part
along them, and nothing has to be projected or scaled between steps. Chapter 17.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

KINDS = ("l1", "topk", "batchtopk")


class Dictionary(nn.Module):
    """width: of what is explained. latents: how many directions. kind: one of `KINDS`. k: latents
    an input for topk and batchtopk. penalty: price of a unit of latent for l1. patience: steps
    without an answer until a latent counts as dead. seed: of the starting directions.

    ValueError for another kind, or a k outside 1 ... latents.
    """

    def __init__(
        self,
        width: int,
        latents: int,
        kind: str = "topk",
        *,
        k: int = 8,
        penalty: float = 0.1,
        patience: int = 200,
        seed: int = 0,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}, accepted: {', '.join(KINDS)}")
        if not 1 <= k <= latents:
            raise ValueError(f"k: between 1 and {latents} latents, got {k}")
        self.kind, self.k, self.penalty, self.patience = kind, k, penalty, patience
        generator = torch.Generator().manual_seed(seed)
        start = F.normalize(torch.randn(latents, width, generator=generator))
        self.encoder = nn.Parameter(start.T.clone())
        self.bias = nn.Parameter(torch.zeros(latents))
        self.decoder = nn.Parameter(start)
        self.center = nn.Parameter(torch.zeros(width))
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("silent", torch.zeros(latents))

    @property
    def directions(self) -> Float[Tensor, "latent width"]:
        """What each latent stands for: the decoder's rows, of length 1."""
        return F.normalize(self.decoder)

    def answers(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n latent"]:
        """Of all latents, before any is set to 0 for the sake of sparsity."""
        return (x - self.center) @ self.encoder + self.bias

    def latents(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n latent"]:
        """The sparse code of each input."""
        return self._sparse(self.answers(x))

    def read(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n width"]:
        """The sum of directions that a code stands for."""
        return latents @ self.directions + self.center

    def forward(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
        return self.read(self.latents(x))

    def _sparse(self, answers: Tensor) -> Tensor:
        if self.kind == "l1":
            return torch.relu(answers)
        if self.kind == "topk":
            return keep_largest(torch.relu(answers), self.k)
        if not self.training:
            return torch.relu(answers) * (answers > self.threshold)
        cut = answers.detach().flatten().topk(self.k * len(answers)).values[-1].clamp(min=0)
        self.threshold.lerp_(cut.to(self.threshold), 0.01 if self.threshold > 0 else 1.0)
        return torch.relu(answers) * (answers >= cut)


def keep_largest(values: Float[Tensor, "n latent"], k: int) -> Float[Tensor, "n latent"]:
    """The k largest of each row, zero elsewhere."""
    largest, where = values.topk(k, dim=1, sorted=False)
    return torch.zeros_like(values).scatter(1, where, largest)


def dictionary_loss(dictionary: Dictionary, x: Float[Tensor, "n width"]) -> Float[Tensor, ""]:
    """What training lowers: the squared error of an input, summed over its entries, with the price
    on latents (l1) or the share of the dead ones in explaining the rest (topk, batchtopk)."""
    answers = dictionary.answers(x)
    latents = dictionary._sparse(answers)
    directions = dictionary.directions
    left = x - dictionary.center - latents @ directions
    loss = left.square().sum(1).mean()
    if dictionary.kind == "l1":
        return loss + dictionary.penalty * latents.sum(1).mean()
    if not dictionary.training:
        return loss
    fired = (latents.detach() > 0).any(0)
    dictionary.silent.add_(1).masked_fill_(fired, 0)
    dead = (dictionary.silent > dictionary.patience).nonzero()[:, 0]
    return loss + revive(answers, directions, left.detach(), dead) if len(dead) else loss


def revive(
    answers: Float[Tensor, "n latent"],
    directions: Float[Tensor, "latent width"],
    left: Float[Tensor, "n width"],
    dead: Int[Tensor, "dead"],
    price: float = 1 / 32,
) -> Float[Tensor, ""]:
    """The error of the dead latents, the largest of them for each input, at what the others leave
    over (Gao et al. 2024, appendix A.2; as there at most width / 2 of them and at 1/32)."""
    most = min(len(dead), max(1, left.shape[1] // 2))
    code = keep_largest(torch.relu(answers[:, dead]), most)
    return price * (left - code @ directions[dead]).square().sum(1).mean()


def fit(
    dictionary: Dictionary,
    batch_at: Any,
    *,
    steps: int,
    lr: float = 1e-3,
    **options: Any,
):
    """Train by `mechlib.train.train` (Adam, the rate falling to 0 over the last fifth). The center
    starts at the mean of the first batch. Gives its `Run`; the dictionary is left in eval mode."""
    from mechlib.train import train

    with torch.no_grad():
        dictionary.center.copy_(batch_at(0).mean(0))

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / 50, 5 * (steps - step) / steps)

    with torch.enable_grad():  # notebooks switch it off
        run = train(
            dictionary,
            batch_at,
            steps=steps,
            lr=lr,
            betas=(0.9, 0.999),
            loss_fn=dictionary_loss,
            schedule=rate,
            progress=options.pop("progress", False),
            **options,
        )
    dictionary.eval()
    return run


class Rows:
    """Random rows of a table of activations: a batch for each step, a pure function of it."""

    def __init__(self, table: Float[Tensor, "row width"], batch: int, seed: int = 0):
        self.table, self.batch, self.seed = table, batch, seed

    def __call__(self, step: int) -> Float[Tensor, "batch width"]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        return self.table[torch.randint(len(self.table), (self.batch,), generator=generator)]
