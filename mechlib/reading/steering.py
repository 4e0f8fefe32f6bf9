"""Steering: add a direction to the stream, and ask whether any other would have done as much.

A direction of norm r always moves the logits. What counts is whether it moves them further than
directions of the same norm drawn at random, and what it does to text that it was not meant for. So
each effect here comes with its null distribution, and

    p = (1 + number of draws that move at least as far) / (1 + number of draws),

two-sided. With 19 draws p cannot fall below 1/20, with 99 not below 1/100.

Turner et al. 2023 (adding a difference of two runs); Panickssery et al. 2023 (differences of
means). Chapter 16 and the playground.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechlib.interventions import Steer
from mechlib.model import Transformer


class Steered(NamedTuple):
    """An effect, the effects of random directions, and the two-sided p of the first among them."""

    effect: float
    null: list[float]
    p: float


def difference_of_means(
    activations: Float[Tensor, "*place d_model"],
    yes: Bool[Tensor, "*place"],
    no: Bool[Tensor, "*place"],
) -> Float[Tensor, " d_model"]:
    """Mean activation where `yes` holds, less the mean where `no` does. ValueError when one of
    them holds nowhere."""
    for name, mask in (("yes", yes), ("no", no)):
        if not bool(mask.any()):
            raise ValueError(f"{name}: it holds at no position")
    return activations[yes].mean(0) - activations[no].mean(0)


def random_directions(
    like: Float[Tensor, " d_model"], draws: int, seed: int = 0
) -> Float[Tensor, "draw d_model"]:
    """Directions drawn uniformly, each with the norm of `like`."""
    if draws < 1:
        raise ValueError(f"draws: at least 1 expected, got {draws}")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(draws, len(like), generator=generator, dtype=torch.float64)
    return (drawn / drawn.norm(dim=1, keepdim=True) * like.norm().double()).to(like.dtype)


def p_value(effect: float, null: list[float]) -> float:
    """Two-sided, with its floor of 1 / (1 + number of draws)."""
    if not null:
        raise ValueError("null: needs at least one draw")
    return (1 + sum(abs(draw) >= abs(effect) for draw in null)) / (1 + len(null))


@torch.no_grad()
def effects(
    model: Transformer,
    tokens: Int[Tensor, "batch pos"],
    at: str,
    directions: Float[Tensor, "draw d_model"],
    metric: Callable[[Float[Tensor, "*place d_vocab"]], float],
    where: Bool[Tensor, "batch pos"] | None = None,
) -> list[float]:
    """How far each direction, added to `at` at every position, moves a metric of the logits.

    where: the positions that the metric reads: it gets their logits, (place, d_vocab), and those
        of all others are not computed. None: it gets (batch, pos, d_vocab).
    """
    return PlainRun(model, tokens, [at]).effects(at, directions, metric, where)


class PlainRun:
    """A text run once. What comes before a push is the same for every push: each goes on from the
    place where it is made."""

    def __init__(self, model: Transformer, tokens: Int[Tensor, "batch pos"], places: Iterable[str]):
        """places: the activations that will be pushed, by name. (A push elsewhere runs it all.)"""
        self.model, self.tokens = model, tokens
        with torch.no_grad():
            self.trace = model.trace(tokens, names=list(places))

    @torch.no_grad()
    def effects(
        self,
        at: str,
        directions: Float[Tensor, "draw d_model"],
        metric: Callable[[Float[Tensor, "*place d_vocab"]], float],
        where: Bool[Tensor, "batch pos"] | None = None,
    ) -> list[float]:
        """As the function `effects`, at one of the places of this run."""
        logits = self.trace.logits
        before = float(metric(logits if where is None else logits[where]))
        pushed = (self.pushed(at, direction, where) for direction in directions)
        return [float(metric(logits)) - before for logits in pushed]

    @torch.no_grad()
    def pushed(
        self,
        at: str,
        direction: Float[Tensor, " d_model"],
        where: Bool[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "*place d_vocab"]:
        """The logits after one push: of all positions, or of those in `where` alone."""
        return self.model.rerun(self.tokens, self.trace, [Steer(at, direction)], where)


def steered(
    model: Transformer,
    tokens: Int[Tensor, "batch pos"],
    at: str,
    direction: Float[Tensor, " d_model"],
    metric: Callable[[Float[Tensor, "*place d_vocab"]], float],
    draws: int = 19,
    seed: int = 0,
    where: Bool[Tensor, "batch pos"] | None = None,
) -> Steered:
    """How far a direction, added to `at` at every position, moves a metric of the logits, beside
    `draws` random directions of the same norm. where: as for `effects`."""
    both = torch.cat([direction[None], random_directions(direction, draws, seed)])
    effect, *null = effects(model, tokens, at, both, metric, where)
    return Steered(effect, null, p_value(effect, null))
