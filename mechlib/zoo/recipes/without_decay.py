"""Grokking without weight decay, by the two means of Prieto et al. 2025 (arXiv 2501.04697).

They hold that without decay a network's logits only grow: the gradient points along the weights
("naive loss minimisation"), until the softmax has no digits left. Two remedies, each by itself:

    StableMax     s(x) = x + 1 for x >= 0 and 1 / (1 - x) below, in place of exp: no digits are lost
    orthogonal    of each gradient only the part across the weights is used, at its old length

Here the loss is exact anyway (`modular.cross_entropy`), so that the first cause is already gone,
and what is left to test is the second. Chapter 15.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mechlib.grokking import modular
from mechlib.pages.claims import claim
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import recipe
from mechlib.zoo.recipes.grokking import SMALL, Grokking, measured


def stablemax_loss(logits: Tensor, answers: Tensor) -> Tensor:
    """-log of the right answer's share when s(x) takes the place of exp(x), in nats, the mean."""
    s = torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))
    right = s.gather(1, answers[:, None])[:, 0]
    return (s.sum(1).log() - right.log()).mean()


def across_the_weights(model: nn.Module, step: int) -> None:
    """Take from each gradient its part along the weights; keep its length."""
    for p in model.parameters():
        if p.grad is None:
            continue
        along = (p.grad * p).sum() / p.square().sum().clamp(min=1e-30)
        rest = p.grad - along * p
        p.grad = rest * (p.grad.norm() / rest.norm().clamp(min=1e-30))


class WithoutDecay(Grokking):
    """P = 59, half of the pairs, no weight decay; the rate is that of the sweeps of chapter 15."""

    store = "measures"
    weight_decay = 0.0
    lr = 3e-3
    stablemax = False
    orthogonal = False

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        pairs, answers = batch
        if self.stablemax:
            return stablemax_loss(modular.fast_logits(model, pairs), answers)
        return modular.loss(model, pairs, answers)

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        task = self.task()
        batch = (task.train_pairs, task.train_answers)
        run = train(
            model,
            lambda step: batch,
            steps=self.steps,
            lr=self.lr,
            weight_decay=0.0,
            warmup=10,
            loss_fn=self.loss,
            after_backward=across_the_weights if self.orthogonal else None,
            snapshot_at=range(0, self.steps + 1, self.measure_every),
            device=device,
            progress=progress,
            checkpoint=checkpoint,
            checkpoint_every=5_000,
        )
        return measured(run, task, [])

    def check(self, model: nn.Module | None, history: History) -> None:
        claim(
            "{} of the shown pairs are learned", max(history.values("train accuracy")), ">=", 0.99
        )
        found = history.last("test accuracy")
        if self.orthogonal:
            claim("{} of the other pairs are right at the end", found, ">=", 0.99,
                  control=("guessing", 1 / self.P))  # fmt: skip
        else:
            claim("{} of the other pairs are right: it is stuck half-way", found,
                  "between", (0.2, 0.8), control=("guessing", 1 / self.P))  # fmt: skip


SETTINGS = SMALL | {"lr": 3e-3, "weight_decay": 0.0, "matmul": "float32"}
recipe(
    "without-decay-plain", "grokking-59 without weight decay: it stays half-way",
    **SETTINGS,
)(WithoutDecay)  # fmt: skip
recipe(
    "without-decay-stablemax", "grokking-59 without weight decay, StableMax in place of softmax",
    seeds=range(3), store_others="measures", stablemax=True, **SETTINGS,
)(WithoutDecay)  # fmt: skip
recipe(
    "without-decay-orthogonal", "grokking-59 without weight decay, gradients across the weights",
    seeds=range(3), store_others="measures", orthogonal=True, **SETTINGS,
)(WithoutDecay)  # fmt: skip
