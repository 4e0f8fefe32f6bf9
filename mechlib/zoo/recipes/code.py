"""Attention-only models on the real-code corpus: chapters 04 and 09 to 11.

One, two and three layers of the same width, trained until the deeper ones have induction heads.
The measures are taken on held-out code, on windows of it and on segments of it that are repeated
once, so that everything in the second half could be copied from the first:

    held-out            mean loss on windows, nats
    position/k          the same for the k-th sixteenth of the window
    copy gain           loss on the first copy minus loss on the second, nats
    prefix/L.H          mean attention from a token of the second copy to the token after its first
    previous/L.H        mean attention to the token before, on windows

Most tokens of code stood in more than two places, and a head that matches them shares itself out.
So the claims take prefix matching as Olsson et al. 2022 define it, attention to what came after
*any* earlier occurrence; the curve over training takes only the place in the first copy.

What made induction heads come early, found by trying (gain on the second copy, in nats, after so
many million tokens; one seed each; d_model 64, d_head 16, rate 3e-3 and betas 0.9, 0.98 where not
said otherwise):

    positions of length 1, waves of 2 pi tokens and more     0.22 after 20      0.30 after 25
    length 1, waves of 2 tokens and more                     0.32 after 20      0.40 after 23
    length 3, waves of 2 tokens and more                     0.33 after 20      0.50 after 25
    ... all weights starting smaller                         0.41 after 12      0.44 after 14
    ... rate 6e-3, betas 0.9, 0.95                           0.91 after 12      0.89 after 14
    ... rate 12e-3, betas 0.9, 0.95                          0.86 after 12      0.80 after 14
    ... rate 8e-3, betas 0.9, 0.95, d_head 32                0.09 after 8
    ... rate 6e-3, betas 0.9, 0.95, d_model 96: the recipe   1.13 after 6       1.29 after 8
    ... the same from seed 1                                 0.12 after 6       0.07 after 33
    length 1, rate 6e-3, betas 0.9, 0.95, d_model 96         0.64 after 6       0.77 after 8
    ... the same from seed 1                                 0.62 after 6       0.77 after 8

Positions for queries and keys only, whatever their waves, gave 0.06 after 23 million tokens: there
a head of the *second* layer learned to look one back, which is one layer too late.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.model import Config, Transformer, sinusoids
from mechlib.pages.claims import claim
from mechlib.reading.heads import induction_score, previous_token_score, repeat_score
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train, warm_up_and_fall
from mechlib.zoo.recipes import Recipe, loss_fell, recipe

HALF = 128  # length of a repeated segment


@lru_cache(maxsize=4)
def windows(tokenizer: str, n: int, length: int = 257) -> Int[Tensor, "n length"]:
    """Windows of held-out code, always the same ones."""
    return Batches(code_tokens(tokenizer).held_out, n, length, seed=11)(0)


@lru_cache(maxsize=4)
def repeated_segments(tokenizer: str, n: int, half: int = HALF) -> Int[Tensor, "n twice"]:
    """Segments of held-out code, each followed by itself."""
    segments = Batches(code_tokens(tokenizer).held_out, n, half, seed=12)(0)
    return torch.cat([segments, segments], dim=1)


def copy_losses(losses: Float[Tensor, "n pos"], half: int = HALF) -> tuple[float, float]:
    """Mean loss on the first copy and on the second; its first token, which no copy predicts, is
    in neither.

    losses: of tokens 1, 2, ... of segments of length `half`, each followed by itself.
    """
    return float(losses[:, : half - 1].mean()), float(losses[:, half:].mean())


def copy_gain(losses: Float[Tensor, "n pos"], half: int = HALF) -> float:
    """Nats by which the second copy is easier than the first."""
    first, second = copy_losses(losses, half)
    return first - second


def patterns_of(
    model: Transformer, tokens: Int[Tensor, "batch pos"], interventions: Sequence = ()
) -> list[Tensor]:
    """The attention patterns of all layers, each (batch, head, query, key)."""
    names = [name for name in model.activation_names() if name.endswith("hook_pattern")]
    nowhere = torch.zeros_like(tokens, dtype=torch.bool)  # no logits are needed
    trace = model.trace(tokens, interventions, names, nowhere)
    return [trace[name] for name in names]


def by_head(name: str, layer: int, scores: Float[Tensor, " head"]) -> dict[str, float]:
    """One measure for each head of a layer: "name/L.H"."""
    return {f"{name}/{layer}.{head}": float(score) for head, score in enumerate(scores)}


def best_at_end(history: History, what: str) -> float:
    """The highest final value of a measure over the heads whose name begins so: "prefix/1."."""
    return max(history.last(n) for n in history.names() if n.startswith(f"on/{what}"))


class Code(Recipe):
    """Attention-only, LayerNorm, positions in the stream; 4,096 tokens a step."""

    tokenizer = "code-512"
    n_layers = 2
    d_model = 96
    n_heads = 4
    d_head = 0
    norm = "layernorm"
    positions = "stream"
    smeared_keys = False
    batch = 16
    steps = 8_000
    lr = 6e-3
    betas = (0.9, 0.95)
    decay_from = 5_000  # the rate falls linearly from here to a tenth at the end
    snapshot_steps = ()

    copied = 1.0  # nats that the second copy must be easier by

    # Where the learned positions start: waves from 2 tokens up, so that the place before can be
    # told from the present one, and three times as long as a token's embedding.
    shortest_wave = 2.0
    waves_ratio = 256.0
    position_length = 3.0

    def build(self) -> Transformer:
        config = Config(
            d_vocab=int(self.tokenizer.split("-")[1]),
            n_ctx=256,
            d_model=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            d_head=self.d_head,
            norm=self.norm,
            positions=self.positions,
            smeared_keys=self.smeared_keys,
        )
        model = Transformer(config, seed=self.seed)
        if self.positions == "stream":
            waves = sinusoids(config.n_ctx, self.d_model, self.shortest_wave, self.waves_ratio)
            model.W_pos.data = self.position_length * waves
        return model

    def run(self, model, *, device, progress, checkpoint) -> Run:
        often = range(0, min(3_000, self.steps), 50)  # where the change is
        batches = Batches(code_tokens(self.tokenizer).train, self.batch, 257, seed=self.seed)
        return train(
            model, batches, steps=self.steps, lr=self.lr, betas=self.betas, weight_decay=0.01,
            schedule=self.rate, measures={"on": self.measure},
            measure_every=[*often, *range(3_000, self.steps, 250)],
            snapshot_at=self.snapshot_steps, checkpoint=checkpoint, device=device,
            autocast=getattr(self, "autocast", False), progress=progress,
        )  # fmt: skip

    def rate(self, step: int) -> float:
        return warm_up_and_fall(step, self.steps, warmup=100, fall_from=self.decay_from)

    def measure(self, model: Transformer) -> dict[str, float]:
        device = model.W_E.device
        held_out = windows(self.tokenizer, 96).to(device)
        twice = repeated_segments(self.tokenizer, 32).to(device)
        losses = model.token_losses(held_out)
        found = {"held-out": float(losses.mean())}
        for k, sixteenth in enumerate(losses.mean(dim=0).split(16)):
            found[f"position/{k}"] = float(sixteenth.mean())
        found["copy gain"] = copy_gain(model.token_losses(twice))
        for layer, pattern in enumerate(patterns_of(model, twice)):
            found |= by_head("prefix", layer, repeat_score(pattern, HALF))
        for layer, pattern in enumerate(patterns_of(model, held_out[:16, :-1])):
            found |= by_head("previous", layer, previous_token_score(pattern))
        return found

    @torch.no_grad()
    def check(self, model: Transformer | None, history: History) -> None:
        losses, gains = history.values("on/held-out"), history.values("on/copy gain")
        loss_fell("It predicts held-out code", losses, below=4.0)
        if self.n_layers == 1 and not self.smeared_keys:
            claim("One layer hardly gains from a repetition", gains[-1], "<", 0.1, unit="nats")
            prefix = best_at_end(history, "prefix/")
            claim("No head of it looks at the place in the first copy", prefix, "<", 0.05)
            return
        twice = repeated_segments(self.tokenizer, 32)
        best, control = (
            max(float(induction_score(p, twice).max()) for p in patterns_of(each, twice))
            for each in (model, self.build())
        )
        claim(
            "The second copy of a segment is easier than the first",
            gains[-1], ">=", self.copied, control=("at the start", gains[0]), unit="nats",
        )  # fmt: skip
        claim(
            "A head matches prefixes on repeated code",
            best,
            ">",
            0.4,
            control=("at the start", control),
        )


SHORTER = {"steps": 5_000, "decay_from": 3_000}

recipe("two-layer-code", "Two attention-only layers on code")(Code)
recipe(
    "two-layer-code-short", "Two layers on code, positions that start as long as embeddings",
    seeds=(0, 1, 2), position_length=1.0, steps=6_000, decay_from=4_000, copied=0.5,
    dtype="float16",
)(Code)  # fmt: skip


@recipe(
    "two-layer-code-too-late", "Two layers whose previous-token heads grew in the second layer",
    seeds=(1,), store="measures",
)  # fmt: skip
class TooLate(Code):
    """The recipe of two-layer-code from seed 1. That has induction heads at step 1,000, this has
    none at the end, since nothing in the first layer looks one back."""

    def check(self, model: Transformer | None, history: History) -> None:
        first, second = (best_at_end(history, f"previous/{layer}.") for layer in (0, 1))
        claim(
            "Its best previous-token head is in the second layer",
            second,
            ">",
            0.3,
            control=("in the first layer", first),
        )
        gain, prefix = history.last("on/copy gain"), best_at_end(history, "prefix/")
        claim("It hardly gains from a repetition", gain, "<", 0.1, unit="nats")
        claim("No head looks at the place in the first copy", prefix, "<", 0.05)


recipe("one-layer-code", "One attention-only layer on code", n_layers=1, **SHORTER)(Code)


@recipe(
    "three-layer-code", "Three attention-only layers on code", seeds=(0, 1, 2), n_layers=3,
    dtype="float16", store_others="measures", **SHORTER,
)  # fmt: skip
class ThreeLayers(Code):
    """In which layer does which head come, if any comes?"""

    autocast = True  # the large products in bfloat16

    def check(self, model: Transformer | None, history: History) -> None:
        """Only that the run is sound: what comes of it is the question, not a condition."""
        losses = history.values("on/held-out")
        loss_fell("It predicts held-out code", losses, below=4.0)


recipe(
    "one-layer-code-smeared", "One layer on code, each key mixed with the one before",
    n_layers=1, smeared_keys=True, copied=0.5, **SHORTER,
)(Code)  # fmt: skip


@recipe("one-layer-code-2048", "One layer on code, 2,048 tokens, made to be read")
@recipe(
    "one-layer-code-2048-s1",
    "one-layer-code-2048 from seed 1",
    seeds=(1,),
    dtype="float16",
)
@recipe(
    "one-layer-code-2048-s2",
    "one-layer-code-2048 from seed 2",
    seeds=(2,),
    dtype="float16",
)
class Readable(Code):
    """The paper's one-layer form: no LayerNorm, positions for queries and keys only, so that its
    tables are products of its weights and nothing else. Chapters 06 to 08."""

    tokenizer = "code-2048"
    n_layers = 1
    d_model = 128
    n_heads = 8
    d_head = 32
    norm = "none"
    positions = "queries_keys"
    batch = 8
    steps = 9_000
    lr = 3e-3
    betas = (0.9, 0.98)
    decay_from = 6_000

    def check(self, model: Transformer | None, history: History) -> None:
        losses = history.values("on/held-out")
        loss_fell("It predicts held-out code", losses, below=4.0)
