"""Autoencoders on the neurons of trained networks: known waves, and losses of a spliced model.

On modular addition the features are known: waves of one key frequency in a and b (chapter 13). A
unit, neuron or latent, is a function of the pair (a, b); it is *tuned* when one frequency explains
at least 85 % of its variance, the mark of Nanda et al. 2023 for neurons, and that frequency is one
of the network's keys.

On text nothing is known beforehand. There the question is what the next layers can do with the
reconstruction. Chapter 17.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.grokking import fourier
from mechlib.interventions import Ablate, Patch
from mechlib.model import Transformer, activation_name

# ---- waves ----


def tuned(grid: Float[Tensor, "a b unit"], keys: list[int], above: float = 0.85) -> Tensor:
    """Which units one key frequency explains to at least `above` (its eight terms, see
    `fourier.terms_of`)."""
    frequency, share = fourier.best_frequency(grid)
    return (share >= above) & torch.isin(frequency.long(), torch.tensor(keys))


def shares_with_harmonics(
    grid: Float[Tensor, "a b unit"], keys: list[int], harmonics: int = 3
) -> Float[Tensor, "key unit"]:
    """For each key the share of a unit's variance that any products of waves of k, 2k, ... explain:
    what a function of one clock's two hands may be, however sharply it is bent."""
    P = grid.shape[0]
    c = fourier.transform_2d(grid)
    c[0, 0] = 0
    total = c.square().sum((0, 1)).clamp(min=1e-12)
    found = []
    for k in keys:
        waves = {min(h * k % P, -h * k % P) for h in range(1, harmonics + 1)} - {0}
        rows = [0, *(r for q in sorted(waves) for r in (2 * q - 1, 2 * q))]
        found.append(c[rows][:, rows].square().sum((0, 1)) / total)
    return torch.stack(found)


def share_in_one_group(
    directions: Float[Tensor, "direction neuron"],
    group: Float[Tensor, "neuron"] | Int[Tensor, "neuron"],
    groups: list[int],
) -> Float[Tensor, "direction"]:
    """The largest share of a direction's squared length that lies on the neurons of one group
    (here: of one frequency)."""
    squares = directions.square()
    by_group = torch.stack([squares[:, group == g].sum(1) for g in groups])
    return by_group.amax(0) / squares.sum(1)


def one_frequency_at_a_time(
    grid: Float[Tensor, "a b neuron"],
    frequency: Float[Tensor, "neuron"] | Int[Tensor, "neuron"],
    keys: list[int],
    seed: int = 0,
) -> Float[Tensor, "a b neuron"]:
    """The same neurons, made sparse: for each pair one key frequency is drawn, its neurons stay as
    they are, and all others are put at their means."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.tensor(keys)[torch.randint(len(keys), grid.shape[:2], generator=generator)]
    return torch.where(drawn[..., None] == frequency, grid, grid.mean((0, 1)))


# ---- text ----


def neurons_at(layer: int = 0) -> str:
    """The name of a layer's neurons, after the non-linearity."""
    return activation_name("post", layer)


@torch.no_grad()
def neurons(
    model: Transformer, tokens: Int[Tensor, "batch pos"], layer: int = 0
) -> Float[Tensor, "batch pos neuron"]:
    """What a layer's neurons answer."""
    name = neurons_at(layer)
    return model.trace(tokens, names=[name])[name]


@torch.no_grad()
def spliced_losses(
    model: Transformer,
    tokens: Int[Tensor, "batch pos"],
    reconstruct: Callable[[Tensor], Tensor],
    layer: int = 0,
) -> dict[str, float]:
    """Mean next-token losses, in nats, with the neurons replaced.

    "whole"           nothing replaced
    "reconstructed"   by what the dictionary makes of them
    "with the rest"   by that and what it left over: must be "whole" again, or the splice is wrong
    "mean", "zero"    by their mean over these tokens, by nothing
    """
    name = neurons_at(layer)
    x = neurons(model, tokens[:, :-1], layer)
    made = reconstruct(x.flatten(0, 1)).view_as(x)
    put = {
        "whole": [],
        "reconstructed": [Patch(name, made)],
        "with the rest": [Patch(name, made + (x - made))],
        "mean": [Ablate(name, value=x.mean((0, 1)))],
        "zero": [Ablate(name)],
    }
    return {what: float(model.loss(tokens, changes)) for what, changes in put.items()}


def loss_recovered(losses: dict[str, float], against: str = "mean") -> float:
    """Share of the loss that ablating costs and the reconstruction gets back: 1 for the neurons
    themselves, 0 for the ablation. ValueError when ablating costs nothing."""
    cost = losses[against] - losses["whole"]
    if cost <= 0:
        raise ValueError(f"against: replacing the neurons ({against}) costs {cost:.3g} nats")
    return (losses[against] - losses["reconstructed"]) / cost


def single_token_share(
    latents: Float[Tensor, "n latent"],
    tokens: Int[Tensor, "n"],
    above: float = 0.5,
    least: int = 10,
) -> float:
    """Of the latents that answer at least `least` times: the share whose answers, weighed by their
    size, are to one and the same token for more than `above`."""
    n = latents.shape[1]
    by_token = torch.zeros(int(tokens.max()) + 1, n).index_add_(0, tokens.long(), latents)
    often = (latents > 0).sum(0) >= least
    top = by_token.amax(0) / by_token.sum(0).clamp(min=1e-12)
    return float((top[often] > above).double().mean()) if bool(often.any()) else 0.0
