"""A network that multiplies in a group, and what can be read off it.

One hidden layer over two embeddings, one for each factor, as in the paper:

    logits(a, b) = ReLU(L[a] W_left + R[b] W_right) W_out

All pairs fit in one batch, so `logits` gives the whole grid (a, b, answer) at once.

Chughtai et al. 2023. Chapter 21.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechlib.grokking import modular
from mechlib.grokking.groups import Group, Representation


class Multiplier(nn.Module):
    """The network for a group of n elements; all weights start as normal, of unit gain."""

    def __init__(self, n: int, d_embed: int = 64, d_hidden: int = 128, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, gain: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) / gain**0.5)

        self.L, self.R = normal(n, d_embed, gain=d_embed), normal(n, d_embed, gain=d_embed)
        self.W_left = normal(d_embed, d_hidden, gain=d_embed)
        self.W_right = normal(d_embed, d_hidden, gain=d_embed)
        self.W_out = normal(d_hidden, n, gain=d_hidden)

    def left(self) -> Float[Tensor, "a neuron"]:
        """What the first factor sends to each neuron."""
        return self.L @ self.W_left

    def right(self) -> Float[Tensor, "b neuron"]:
        """What the second factor sends to each neuron."""
        return self.R @ self.W_right

    def logits(self) -> Float[Tensor, "a b answer"]:
        """The logits of every pair."""
        return F.relu(self.left()[:, None] + self.right()) @ self.W_out

    def forward(self, pairs: Int[Tensor, "pair 2"]) -> Float[Tensor, "pair answer"]:
        a, b = pairs.T
        return F.relu(self.left()[a] + self.right()[b]) @ self.W_out


class Products:
    """All pairs of a group, their products, and a split of the pairs into shown and unseen."""

    def __init__(self, group: Group, fraction: float = 0.6, seed: int = 0):
        if not 0 < fraction < 1:
            raise ValueError(f"fraction: strictly between 0 and 1 expected, got {fraction}")
        self.group, self.fraction, self.seed = group, fraction, seed

    @cached_property
    def shown(self) -> Tensor:
        """[a, b]: whether the pair is trained on."""
        n = len(self.group)
        order = torch.randperm(n * n, generator=torch.Generator().manual_seed(self.seed))
        mask = torch.zeros(n * n, dtype=torch.bool)
        mask[order[: int(self.fraction * n * n)]] = True
        return mask.view(n, n)

    def loss(self, model: Multiplier, pairs: Int[Tensor, "pair 2"]) -> Tensor:
        """Mean cross-entropy in nats on these pairs."""
        a, b = pairs.T
        return F.cross_entropy(model(pairs), self.group.table[a, b].to(pairs.device))

    @torch.no_grad()
    def scores(self, model: Multiplier) -> dict[str, float]:
        """Share of right answers on the shown and on the unseen pairs, and the mean losses."""
        logits, found = model.logits().cpu(), {}
        for name, where in (("train", self.shown), ("test", ~self.shown)):
            loss, accuracy = modular.score(logits[where], self.group.table[where])
            found |= {f"{name} accuracy": accuracy, f"{name} loss": loss}
        return found


# ---- the logits, sorted ----


def of_the_quotient(logits: Float[Tensor, "a b answer"], group: Group) -> Float[Tensor, "element"]:
    """The mean logit of all (a, b, c) with one quotient a b c^-1, less the mean of each pair.

    Element 0 is the right answer. If the logits hang on the quotient alone, this is all of them.
    """
    centred = logits - logits.mean(2, keepdim=True)
    sums = logits.new_zeros(len(group)).index_add(0, group.quotients.flatten(), centred.flatten())
    return sums / len(group) ** 2


def character_logits(
    logits: Float[Tensor, "a b answer"], group: Group, representations: Sequence[Representation]
) -> Float[Tensor, "a b answer"]:
    """The part of the logits that is a sum of characters of a b c^-1, one factor for each."""
    mean = of_the_quotient(logits, group)
    kept = torch.zeros_like(mean)
    for rho in representations:
        chi = rho.character.to(mean.dtype)
        kept = kept + chi * (chi @ mean) / chi.square().sum()
    return kept[group.quotients]


def character_shares(
    logits: Float[Tensor, "a b answer"], group: Group, representations: Sequence[Representation]
) -> Float[Tensor, "representation"]:
    """What part of the logits' variance (over the answers of a pair) each character carries."""
    centred = logits - logits.mean(2, keepdim=True)
    total = centred.square().mean()
    parts = [character_logits(logits, group, [rho]).square().mean() for rho in representations]
    return torch.stack(parts) / total
