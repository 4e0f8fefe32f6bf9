"""Modular addition until it generalises: the paper's run, a small one, and one without attention.

The measures of progress need the key frequencies, which only the finished model shows. So weights
are kept every `measure_every` steps, measured once training is over, and all but a few dropped.
"""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mechlib.grokking import clock, fourier, modular, progress
from mechlib.model import Transformer
from mechlib.pages.claims import Paper, claim
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe


def measured(run: Run, task: modular.Task, kept: list[int]) -> Run:
    """The run with the progress measures of all its snapshots in its history, and only the
    snapshots at the steps `kept`."""
    P = task.P
    answers, on = task.answers.view(P, P), progress.mask(task.train, P)
    frequencies = clock.key_frequencies(run.model)
    model = deepcopy(run.model).cpu()
    for step, state in run.snapshots.items():
        model.load_state_dict(state)
        logits = modular.all_logits(model, P, dtype=torch.float32)
        numbers = progress.measures(logits, answers, on, frequencies, clock.embedding(model))
        numbers["squared norm"] = progress.squared_norm(model.parameters())
        run.history.record(step, numbers)
    return Run(run.model, run.history, {step: run.snapshots[step] for step in kept})


class Grokking(Recipe):
    """A one-layer transformer on `a b =`, full batch, AdamW, in the settings of Nanda et al."""

    P = 113
    fraction = 0.3
    d_model = 128
    n_heads = 4
    d_mlp = 512
    steps = 22_000
    weight_decay = 1.0
    lr = 1e-3
    matmul = "bfloat16"  # of the three large products; sums inside them are float32
    measure_every = 100
    snapshots_at: tuple = ()
    accuracy = 0.999

    def task(self) -> modular.Task:
        """The pairs and their split; the recipe's seed is also the split's."""
        return modular.Task(self.P, fraction=self.fraction, seed=self.seed)

    def build(self) -> nn.Module:
        c = modular.config(self.P, self.d_model, self.n_heads, self.d_mlp)
        return Transformer(c, seed=self.seed)

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        kind = None if self.matmul == "float32" else getattr(torch, self.matmul)
        return modular.loss(model, *batch, kind)

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        run = self.optimise(model, device=device, progress=progress, checkpoint=checkpoint)
        return measured(run, self.task(), list(self.snapshots_at))

    def optimise(
        self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None
    ) -> Run:
        """The training alone, before anything is measured."""
        task = self.task()
        batch = (task.train_pairs, task.train_answers)
        return train(
            model,
            lambda step: batch,
            steps=self.steps,
            lr=self.lr,
            weight_decay=self.weight_decay,
            warmup=10,
            loss_fn=self.loss,
            snapshot_at=range(0, self.steps + 1, self.measure_every),
            device=device,
            progress=progress,
            checkpoint=checkpoint,
            checkpoint_every=max(1, self.steps // 5),
        )

    def check(self, model: nn.Module | None, history: History) -> None:
        claim(
            f"Addition mod {self.P}: test accuracy at the end",
            history.last("test accuracy"), ">=", self.accuracy, control=("guessing", 1 / self.P),
        )  # fmt: skip
        steps = history.steps("train accuracy")
        memorised = progress_step(history, "train accuracy", 0.99)
        grokked = progress_step(history, "test accuracy", 0.99)
        claim(
            "It answers training pairs long before test pairs",
            grokked - memorised, ">=", steps[1] - steps[0], unit="steps",
        )  # fmt: skip
        if model is None:
            return
        untrained, keys = self.build(), clock.key_frequencies(model)

        def shares(m: nn.Module) -> tuple[float, float]:  # both in the *trained* model's keys
            return (
                fourier.share(fourier.energy(clock.embedding(m)), keys),
                clock.logit_variance(modular.all_logits(m, self.P), keys),
            )

        (embedding, logits), controls = shares(model), shares(untrained)
        claim(
            "W_E's energy in the key frequencies", embedding, ">=", 0.8,
            control=("untrained", controls[0]),
        )  # fmt: skip
        claim(
            "Logits' variance explained by cos w(a+b-c)",
            logits, ">=", 0.8, control=("untrained", controls[1]),
            paper=Paper("Nanda 2023", 0.95),
        )  # fmt: skip


def progress_step(history: History, name: str, above: float) -> int:
    """The first measured step at which a curve reaches a value; the last step if it never does."""
    step = progress.reached(history, name, above)
    return history.steps(name)[-1] if step is None else step


# The first seed keeps snapshots: closer together where much happens.
SNAPSHOTS_113 = (0, 200, 1000, *range(2000, 12_001, 2000), 15_000, 22_000)

recipe(
    "grokking-113",
    "Addition mod 113 from 30 % of the pairs: one layer, 4 heads, 512 neurons (Nanda et al. 2023)",
    snapshots_at=SNAPSHOTS_113,
)(Grokking)
for _seed in range(1, 6):
    recipe(
        f"grokking-113-s{_seed}",
        f"grokking-113 again, from seed {_seed}: weights in float16, measures, no snapshots",
        seeds=(_seed,),
        dtype="float16",
    )(Grokking)


SMALL = {"P": 59, "fraction": 0.5, "d_model": 64, "d_mlp": 128, "steps": 5_000, "accuracy": 0.99}
recipe(
    "grokking-59",
    "Addition mod 59 from half of the pairs: d_model 64, 4 heads, 128 neurons; groks in seconds",
    **SMALL,
    matmul="float32",
    snapshots_at=(0, 100, 500, 2000, 5000),
)(Grokking)
for _seed in (1, 2, 3, 5):
    recipe(
        f"grokking-59-s{_seed}",
        f"grokking-59 from seed {_seed}",
        seeds=(_seed,),
        **SMALL,
        matmul="float32",
    )(Grokking)


class StillOnItsWay(Grokking):
    """A seed that has not generalised when the others have."""

    def check(self, model: nn.Module | None, history: History) -> None:
        claim("Training accuracy at the end", history.last("train accuracy"), ">=", 0.99)
        claim(
            "Test accuracy at the end is that of a network on its way",
            history.last("test accuracy"), "between", (0.1, 0.95), control=("guessing", 1 / self.P),
        )  # fmt: skip


recipe(
    "grokking-59-s4",
    "grokking-59 from seed 4, the slow one: measures of a network that is not there yet",
    seeds=(4,),
    **SMALL,
    matmul="float32",
    store="measures",
)(StillOnItsWay)
recipe(
    "grokking-59-bfloat16", "grokking-59 with its large products in bfloat16", seeds=range(3),
    **SMALL,
)(Grokking)  # fmt: skip


class EvidenceAlone(Grokking):
    """For comparison: the evidence at the end, and no weights."""

    store = "measures"

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        run = super().run(model, device=device, progress=progress, checkpoint=checkpoint)
        found = clock.evidence(run.model, self.task())
        at_end = {
            "W_E in keys": found["embedding share"],
            "logits explained": found["logit variance"],
            "neurons above 0.85": found["neurons above 0.85"] / found["neurons"],
            "heads explained, least": min(found["head variance"]),
            "loss without keys": found["loss without keys"],
            "loss without others": found["loss without others"],
        }
        run.history.record(self.steps, at_end)
        return run

    def check(self, model: nn.Module | None, history: History) -> None:
        super().check(model, history)
        for name in ("W_E in keys", "logits explained"):
            claim(name, history.last(name), ">=", 0.8)
        claim(
            "Loss without the key frequencies, above chance",
            history.last("loss without keys"), ">", math.log(self.P),
            control=("without the others", history.last("loss without others")), unit="nats",
        )  # fmt: skip


recipe(
    "grokking-113-float32",
    "grokking-113 with all products in float32: measures and evidence, no weights",
    seeds=range(3),
    store_others="measures",
    matmul="float32",
)(EvidenceAlone)
recipe(
    "grokking-113-fast",
    "grokking-113 at three times the learning rate: measures and evidence, no weights",
    seeds=range(6),
    store_others="measures",
    lr=3e-3,
    steps=8_000,
)(EvidenceAlone)
recipe(
    "grokking-113-long",
    "grokking-113 for the paper's 40,000 steps: measures and evidence, no weights",
    steps=40_000,
    measure_every=400,
)(EvidenceAlone)


class WithoutAttention(Grokking):
    """Two embeddings, one hidden layer: 35,233 parameters."""

    P = 97
    fraction = 0.5
    d_embed = 64
    d_hidden = 128
    steps = 5_000
    matmul = "float32"
    snapshots_at = ()

    def build(self) -> nn.Module:
        return modular.EmbeddingMLP(self.P, self.d_embed, self.d_hidden, seed=self.seed)

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        pairs, answers = batch
        return modular.cross_entropy(model(pairs), answers).mean()


recipe(
    "grokking-mlp-97",
    "Addition mod 97 from half of the pairs: two embeddings and one hidden layer, no attention",
    accuracy=0.99,
)(WithoutAttention)


class OnlyMemorises(WithoutAttention):
    """The same with the weight decay that demonstrations print: far from grokking in this time."""

    weight_decay = 0.1
    steps = 6_000
    snapshots_at = ()

    def check(self, model: nn.Module | None, history: History) -> None:
        claim("Training accuracy at the end", history.last("train accuracy"), ">=", 0.99)
        claim(
            "Test accuracy stays low",
            history.last("test accuracy"), "<", 0.5,
            control=("on the pairs it was trained on", history.last("train accuracy")),
        )  # fmt: skip


recipe(
    "grokking-mlp-97-decay-0.1",
    "grokking-mlp-97 with weight decay 0.1: after 6,000 steps it has barely begun to generalise",
    store="measures",
)(OnlyMemorises)
