"""Why the run `two-layer-code-too-late` has no induction heads, and how often that happens.

    two-layer-code-rescued      the same run, the same seed, but head L0H0 is made to look one token
                                back from the first step on
    two-layer-code-rescued-two  as a control it is made to look two tokens back
    two-layer-code-starts       further seeds of `two-layer-code`, to count

The first two are the first 2,000 steps of the 8,000 of `two-layer-code`, at the same rate: by then
seed 0 has had its induction heads for 800 steps. The starts end at step 1,200, with the large
products in bfloat16: at that step seed 0 gains 1.05 nats from a repetition and seed 1 has 0.10.
A few minutes each on one core. Chapter 11.
"""

import torch
from torch import Tensor

from mechlib.interventions import FreezePattern
from mechlib.model import Transformer
from mechlib.pages.claims import claim
from mechlib.reading.heads import fixed_distances, previous_token_score, repeat_score
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import recipe
from mechlib.zoo.recipes.code import (
    HALF,
    Code,
    by_head,
    copy_gain,
    patterns_of,
    repeated_segments,
    windows,
)


@recipe("two-layer-code-rescued", "The run that was too late, L0H0 made to look one back",
        seeds=(1,), looks_back=1)  # fmt: skip
@recipe("two-layer-code-rescued-two", "The run that was too late, L0H0 made to look two back",
        seeds=(1,), looks_back=2)  # fmt: skip
class FirstSteps(Code):
    """The history has "copy gain", "prefix/L.H" and "previous/L.H", as that of `Code`."""

    store = "measures"
    stops_after = 2_000  # steps; the schedule is still that of the whole run
    looks_back = 0  # so many tokens back head L0H0 must look; 0: it is free

    def run(self, model, *, device, progress, checkpoint) -> Run:
        batches = Batches(code_tokens(self.tokenizer).train, self.batch, 257, seed=self.seed)
        return train(
            model, batches, steps=self.stops_after, lr=self.lr, betas=self.betas,
            weight_decay=0.01, schedule=self.rate, measures={"on": self.measure},
            measure_every=200, checkpoint=checkpoint, device=device, progress=progress,
            autocast=getattr(self, "autocast", False),
            loss_fn=lambda model, tokens: model.loss(tokens, self.clamp(tokens[:, :-1])),
        )  # fmt: skip

    def clamp(self, tokens: Tensor) -> list[FreezePattern]:
        """The pattern that head L0H0 is held to; none when it is free."""
        if not self.looks_back:
            return []
        pattern = fixed_distances(tokens.shape[1], [0.0] * self.looks_back + [1.0])
        return [FreezePattern(0, pattern.to(tokens.device, torch.float32), head=0)]

    def measure(self, model: Transformer) -> dict[str, float]:
        device = model.W_E.device
        twice = repeated_segments(self.tokenizer, 32).to(device)
        plain = windows(self.tokenizer, 96).to(device)[:16, :-1]
        found = {"copy gain": copy_gain(model.token_losses(twice, self.clamp(twice[:, :-1])))}
        for layer, pattern in enumerate(patterns_of(model, twice, self.clamp(twice))):
            found |= by_head("prefix", layer, repeat_score(pattern, HALF))
        for layer, pattern in enumerate(patterns_of(model, plain, self.clamp(plain))):
            found |= by_head("previous", layer, previous_token_score(pattern))
        return found

    def check(self, model: Transformer | None, history: History) -> None:
        """Only that the run is sound: what comes of it is the question, not a condition."""
        from mechlib import zoo  # not above: zoo imports the recipes

        whole = zoo.history("two-layer-code").last("on/copy gain")
        claim(
            "It starts without a gain", history.values("on/copy gain")[0], "<", 0.2,
            control=("two-layer-code at its end", whole), unit="nats",
        )  # fmt: skip
        if self.looks_back:
            held, wanted = history.last("on/previous/0.0"), float(self.looks_back == 1)
            claim(
                "L0H0 looks one back or not, as it is made to, to {}",
                abs(held - wanted), "<", 0.02,
                control=("made to do the other", abs(held - 1 + wanted)),
            )  # fmt: skip


@recipe("two-layer-code-starts", "Two layers on code, first steps, to count", seeds=range(2, 10),
        store_others="measures")  # fmt: skip
class Starts(FirstSteps):
    stops_after = 1_200
    autocast = True  # the large products in bfloat16
