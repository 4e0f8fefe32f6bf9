"""Patching: what a part of one run does when it is put in the place of the same part of another.

Two runs of one model, on a clean text and on a corrupted one of the same length, and a metric of
the logits that is high on the first and low on the second. A patch is measured on the scale between
the two:

    denoising   patch the clean activation into the corrupted run; the share of the gap that comes
                back. 1: this part alone is enough.
    noising     patch the corrupted activation into the clean run; the share of the gap that is
                lost. 1: nothing goes without this part.

Two heads that each do the whole job have denoising 1 and noising 0: either is enough, neither is
needed. Two that must work together have it the other way round.

Heimersheim and Nanda 2024 (the words, and the scale); Wang et al. 2022 (path patching).
Chapter 16 and the playground.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.interventions import Intervention, Patch
from mechlib.model import Transformer

Metric = Callable[[Tensor], Tensor]  # logits (batch, pos, d_vocab), the last read -> (batch,)
DIRECTIONS = ("denoising", "noising")


def logit_difference(right: Int[Tensor, " batch"], wrong: Int[Tensor, " batch"]) -> Metric:
    """At the last position: the logit of `right` less that of `wrong`.

    A metric of logits, not of probabilities: these saturate, and then hide what a part does.
    """

    def metric(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, " batch"]:
        last = logits[:, -1]
        return (last.gather(1, right[:, None]) - last.gather(1, wrong[:, None]))[:, 0]

    return metric


def probability(right: Int[Tensor, " batch"]) -> Metric:
    """At the last position: the probability of `right`."""

    def metric(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, " batch"]:
        return logits[:, -1].softmax(-1).gather(1, right[:, None])[:, 0]

    return metric


class TwoRuns:
    """A clean and a corrupted run of one model, and what a change of either does to a metric."""

    def __init__(
        self,
        model: Transformer,
        clean: Int[Tensor, "batch pos"],
        corrupted: Int[Tensor, "batch other_pos"],
        metric: Metric,
    ):
        """metric: reads the last position, and is given no other when something was changed.

        ValueError when the texts differ in shape, or the metric does not tell the runs apart.
        """
        if clean.shape != corrupted.shape:
            raise ValueError(
                f"corrupted: shape {tuple(corrupted.shape)}, but clean has {tuple(clean.shape)}"
            )
        self.model, self.metric = model, metric
        self.tokens = {"clean": clean, "corrupted": corrupted}
        with torch.no_grad():
            self.runs = {name: model.trace(tokens) for name, tokens in self.tokens.items()}
        means = {name: float(metric(run.logits).mean()) for name, run in self.runs.items()}
        self.gap = means["clean"] - means["corrupted"]
        self.means = means
        if not abs(self.gap) > 1e-6:
            raise ValueError(f"metric: it is {means['clean']:.3g} on both texts; nothing to patch")

    def base(self, direction: str) -> tuple[str, str]:
        """(the run that is changed, the run that it is changed from)."""
        if direction not in DIRECTIONS:
            raise ValueError(f"direction: got {direction!r}, accepts {DIRECTIONS}")
        two = ("corrupted", "clean") if direction == "denoising" else ("clean", "corrupted")
        return two

    @torch.no_grad()
    def effect(self, interventions: Sequence[Intervention], direction: str) -> float:
        """Share of the gap, over the batch: restored (denoising) or lost (noising)."""
        base, _ = self.base(direction)
        logits = self._changed(base, interventions)
        moved = float(self.metric(logits).mean()) - self.means[base]
        return moved / self.gap if direction == "denoising" else -moved / self.gap

    def _changed(self, base: str, interventions: Sequence[Intervention]) -> Tensor:
        """Logits at the last position, (batch, 1, d_vocab), of a run with changes."""
        tokens = self.tokens[base]
        last = torch.zeros_like(tokens, dtype=torch.bool)
        last[:, -1] = True
        return self.model.rerun(tokens, self.runs[base], interventions, last)[:, None]

    def patch(
        self, at: str, direction: str, head: int | None = None, position: int | None = None
    ) -> float:
        """Effect of one activation, or one head or position of it, from the other run."""
        _, other = self.base(direction)
        value = self.runs[other][at]
        positions = None if position is None else [position]
        if positions is not None:
            value = value[:, positions]
        if head is not None:
            value = value[:, :, head]
        return self.effect([Patch(at, value, head=head, positions=positions)], direction)

    def head_map(self, direction: str) -> Float[Tensor, "layer head"]:
        """The effect of what each head writes, at all positions together."""
        config = self.model.config
        return torch.tensor([
            [self.patch(f"blocks.{layer}.attn.hook_result", direction, head=head)
             for head in range(config.n_heads)]
            for layer in range(config.n_layers)
        ])  # fmt: skip

    def position_map(self, direction: str) -> Float[Tensor, "layer pos"]:
        """The effect of the stream before each layer, and after the last, at each position."""
        config, length = self.model.config, self.tokens["clean"].shape[1]
        names = [f"blocks.{layer}.hook_resid_pre" for layer in range(config.n_layers)]
        names.append(f"blocks.{config.n_layers - 1}.hook_resid_post")
        return torch.tensor([
            [self.patch(name, direction, position=p) for p in range(length)] for name in names
        ])  # fmt: skip

    @torch.no_grad()
    def path(
        self,
        senders: Sequence[tuple[int, int]],
        receivers: Sequence[tuple[int, int]],
        reads: str,
        direction: str,
    ) -> float:
        """Effect of some paths alone: from heads to the queries, keys or values of later ones.

        senders, receivers: (layer, head), each in one layer. reads: "q", "k" or "v". The senders'
        results come from the other run, everything between stays, and only what the receivers read
        with changes.
        """
        first, second = _one_layer("senders", senders), _one_layer("receivers", receivers)
        if not first < second:
            raise ValueError(f"receivers: layer {second} does not come after layer {first}")
        if reads not in ("q", "k", "v"):
            raise ValueError(f"reads: got {reads!r}, accepts 'q', 'k', 'v'")
        base, other = self.base(direction)
        result, at = f"blocks.{first}.attn.hook_result", f"blocks.{second}.attn.hook_{reads}"
        changes = [Patch(result, self.runs[other][result][:, :, h], head=h) for _, h in senders]
        for layer in range(first, second):
            held = [f"blocks.{layer}.hook_attn_out"] if layer > first else []
            held += [f"blocks.{layer}.hook_mlp_out"] if self.model.config.d_mlp else []
            changes += [Patch(name, self.runs[base][name]) for name in held]
        read = self.model.trace(self.tokens[base], changes, [at])[at]
        return self.effect([Patch(at, read[:, :, h], head=h) for _, h in receivers], direction)


def _one_layer(name: str, heads: Sequence[tuple[int, int]]) -> int:
    layers = {layer for layer, _ in heads}
    if len(layers) != 1:
        raise ValueError(f"{name}: heads of one layer expected, got {list(heads)}")
    return layers.pop()
