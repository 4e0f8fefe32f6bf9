"""A pizza, as the positive control of chapter 13: `grokking-59` with its attention held uniform.

Queries that are zero and stay zero give each of the three tokens a third of the attention. What
the MLP sees is then E_a + E_b and a constant: the two numbers can only be *added*, never weighted
by one another. Such a network adds by the "pizza" of Zhong et al. 2023, and the two numbers that
tell clock from pizza must say so. Gradient symmetricity is 1 by construction; distance
irrelevance is not.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mechlib.grokking import clock, modular
from mechlib.pages.claims import claim
from mechlib.train import History, Run
from mechlib.zoo.recipes import recipe
from mechlib.zoo.recipes.grokking import SMALL, Grokking


def uniform_attention(model: nn.Module) -> nn.Module:
    """The model with queries of zero that training leaves alone: every pattern is uniform."""
    queries = model.blocks[0].attn.W_Q
    with torch.no_grad():
        queries.zero_()
    queries.requires_grad_(False)
    return model


class Pizza(Grokking):
    """`grokking-59` in all but the attention."""

    def build(self) -> nn.Module:
        return uniform_attention(super().build())

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        run = super().run(model, device=device, progress=progress, checkpoint=checkpoint)
        triples = torch.randint(self.P, (100, 3), generator=torch.Generator().manual_seed(0))
        keys = clock.key_frequencies(run.model)
        logits = modular.all_logits(run.model, self.P)
        at_end = {
            "distance irrelevance": clock.distance_irrelevance(logits),
            "gradient symmetricity": clock.gradient_symmetricity(run.model, triples),
            "logits explained": clock.logit_variance(logits, keys),
            "key frequencies": len(keys),
        }
        run.history.record(self.steps, at_end)
        return run

    def check(self, model: nn.Module | None, history: History) -> None:
        claim(
            "Uniform attention: {} of the test pairs are right at the end",
            history.last("test accuracy"), ">=", self.accuracy, control=("guessing", 1 / self.P),
        )  # fmt: skip
        claim(
            "Uniform attention: both numbers enter alike, gradient symmetricity {}",
            history.last("gradient symmetricity"), ">=", 0.999,
        )  # fmt: skip


recipe(
    "pizza-59",
    "grokking-59 with uniform attention, which can only add its two numbers: a pizza",
    seeds=range(6),
    store_others="measures",
    **SMALL,
    matmul="float32",
)(Pizza)
