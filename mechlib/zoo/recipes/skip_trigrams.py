"""One attention-only layer on planted skip-trigrams (chapters 07 and 08): the truth is known.

Two lists of phrases for the grammar `mechlib.text.grammars.SkipTrigrams`:

    plain      *keep ... in -> mind*, *keep ... at -> bay*: 18 phrases, 6 sources, 4 destinations.
               An output word belongs to one destination
    crossed    8 sources, and under every destination every output word is right for some source.
               The destination alone says nothing, so nothing but the head can choose

and models of one layer without positions, LayerNorm or MLP, so that a logit is

    direct[destination, out]  +  sum over heads and keys of  pattern * OV[key, out].

Measures, in nats per token: "on/loss" on held-out sequences, "on/entropy" the best possible there.
"""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from mechlib.model import Config, Transformer
from mechlib.pages.claims import claim
from mechlib.text.grammars import PHRASES, SkipTrigrams
from mechlib.text.tokens import Draws
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe

DESTINATIONS = ("in", "at", "under", "to")
GROUPS = (
    (("keep", "hold", "put", "bring"), ("mind", "bay", "wraps", "place")),
    (("take", "leave", "turn", "set"), ("heart", "risk", "control", "rest")),
)


def crossed_phrases() -> tuple[tuple[str, str, str], ...]:
    """32 phrases: within a group, source i under destination j calls for word (i + j) mod 4.

    Both *keep ... in -> mind* and *keep ... at -> bay* are among them, and so is
    *hold ... in -> bay*: no word is ruled out, or in, by the destination alone.
    """
    return tuple(
        (source, destination, outs[(i + j) % len(outs)])
        for sources, outs in GROUPS
        for i, source in enumerate(sources)
        for j, destination in enumerate(DESTINATIONS)
    )


@recipe(
    "skip-trigrams",
    "one layer of four heads on planted skip-trigrams (chapters 07, 08)",
    seeds=range(5),
)
@recipe(
    "skip-trigrams-crossed",
    "one layer of one head on crossed skip-trigrams, which one head cannot learn (chapter 07)",
    seeds=range(3),
    phrases="crossed",
    n_heads=1,
    within=0.6,
)
@recipe(
    "skip-trigrams-crossed-4",
    "the same with four heads, which can (chapter 07)",
    phrases="crossed",
)
class Phrases(Recipe):
    phrases = "plain"
    n_heads = 4
    d_model = 32
    d_head = 16
    length = 20
    batch = 64
    steps = 1000
    lr = 1e-2
    dtype = "float16"
    loss_points = 500
    within = 0.05  # nats: how near to the best possible loss it must come

    def grammar(self) -> SkipTrigrams:
        """The source comes early and every second token is a destination: much to learn from."""
        triples = {"plain": PHRASES, "crossed": crossed_phrases()}[self.phrases]
        return SkipTrigrams(triples, reach=4, destinations_share=0.5)

    def build(self) -> Transformer:
        config = Config(
            d_vocab=self.grammar().d_vocab,
            n_ctx=self.length,
            d_model=self.d_model,
            n_layers=1,
            n_heads=self.n_heads,
            d_head=self.d_head,
            positions="none",
        )
        return Transformer(config, seed=self.seed)

    def held_out(self) -> Int[Tensor, "batch pos"]:
        """Sequences of another seed than any training run's."""
        return Draws(self.grammar(), 512, self.length + 1, seed=987_654_321)(0)

    def run(self, model: nn.Module, *, device, progress, checkpoint) -> Run:
        return train(
            model,
            Draws(self.grammar(), self.batch, self.length + 1, self.seed),
            steps=self.steps,
            lr=self.lr,
            weight_decay=0.01,
            warmup=50,
            schedule="cosine",
            measures={"on": self.measure},
            measure_every=250,
            checkpoint_every=250,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
        )

    def measure(self, model: Transformer) -> dict[str, float]:
        tokens = self.held_out()
        truth = self.grammar().log_probs(tokens[:, :-1])
        entropy = -truth.gather(-1, tokens[:, 1:, None]).mean()
        return {"loss": float(model.loss(tokens.to(model.W_E.device))), "entropy": float(entropy)}

    def check(self, model: nn.Module, history: History) -> None:
        best = history.last("on/entropy")
        with torch.no_grad():
            loss = float(model.loss(self.held_out()))
        claim(
            "Held-out loss above the best possible",
            loss - best,
            "<",
            self.within,
            control=("at the start", history.values("on/loss")[0] - best),
            unit="nats",
        )
