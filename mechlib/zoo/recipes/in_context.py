"""Two layers that learn from their context, on planted data: chapters 09 to 11.

    two-layer-repeats   a random block of 10 to 31 tokens repeated to the end; the cure is an
                        induction head, which appears between two measures
    two-layer-markov    every sequence has a transition matrix of its own (Edelman et al. 2024);
                        passes from uniform through unigram to bigram statistics
    three-layer-repeats one layer more than it takes
    one-layer-repeats   the control of the first; "-smeared" mixes each key with the one before
    two-layer-markov-balanced  the same where every symbol is as frequent as every other, so that
                        unigram counts say nothing
    ...-clamped         head L0H0 is made to look one token back from the first step on (Singh et
                        al. 2024); "-clamped-two" two back, which should not help

No token comes twice in a block, so that one token is all it takes to find the place again. All
without LayerNorm, so that with frozen patterns they are linear and every path is exact, and with
positions for queries and keys only, so that the stream holds nothing but tokens and what heads
wrote.
The models of two layers take one to two minutes on one core, the others less.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from mechlib.interventions import FreezePattern
from mechlib.model import Config, Transformer
from mechlib.pages.claims import claim
from mechlib.reading.heads import (
    fixed_distances,
    prefix_matching_score,
    previous_token_score,
    repeated_tokens,
)
from mechlib.text.grammars import BalancedChains, MarkovChains, Repeats
from mechlib.text.tokens import Draws
from mechlib.train import History, Run, train, warm_up_and_fall
from mechlib.zoo.recipes import Recipe, loss_fell, recipe
from mechlib.zoo.recipes.code import by_head, patterns_of


class Planted(Recipe):
    """Sequences drawn anew at every step from a grammar."""

    n_ctx = 64
    d_model = 64
    n_layers = 2
    n_heads = 4
    positions = "queries_keys"
    smeared_keys = False
    batch = 64
    steps = 3000
    lr = 3e-3
    measure_every = 20
    snapshot_steps = ()
    looks_back = 0  # so many tokens back head 0.0 must look, all through training; 0: it is free

    def grammar(self):
        raise NotImplementedError

    def measure(self, model: Transformer) -> dict[str, float]:
        raise NotImplementedError

    def build(self) -> Transformer:
        config = Config(
            d_vocab=self.grammar().d_vocab,
            n_ctx=self.n_ctx,
            d_model=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            positions=self.positions,
            smeared_keys=self.smeared_keys,
        )
        return Transformer(config, seed=self.seed)

    def held_out(self, n: int = 256) -> Int[Tensor, "n pos"]:
        """Sequences of another seed than any training run's."""
        return self.grammar().sample(n, self.n_ctx + 1, torch.Generator().manual_seed(987_654_321))

    def run(self, model, *, device, progress, checkpoint) -> Run:
        draws = Draws(self.grammar(), self.batch, self.n_ctx + 1, seed=self.seed)
        return train(
            model, draws, steps=self.steps, lr=self.lr, weight_decay=0.01,
            schedule=self.rate, measures={"on": self.measure}, measure_every=self.measure_every,
            snapshot_at=self.snapshot_steps if self.seed == 0 else (), checkpoint=checkpoint,
            device=device, progress=progress,
            loss_fn=self.loss,
        )  # fmt: skip

    def clamp(self, tokens: Int[Tensor, "batch pos"]) -> list[FreezePattern]:
        """The pattern that head 0.0 is held to, in training and in measuring; none when free."""
        if not self.looks_back:
            return []
        pattern = fixed_distances(tokens.shape[1], [0.0] * self.looks_back + [1.0])
        return [FreezePattern(0, pattern.to(tokens.device, torch.float32), head=0)]

    def loss(self, model: Transformer, tokens: Tensor) -> Tensor:
        return model.loss(tokens, self.clamp(tokens[:, :-1]))

    def rate(self, step: int) -> float:
        """Warm-up, constant, and over the last quarter down to a tenth."""
        return warm_up_and_fall(step, self.steps, warmup=50, fall_from=self.steps * 3 // 4)


SNAPSHOTS = (0, 100, 200, 250, 300, 350, 400, 450, 500, 550, 600, 700, 800, 1000, 1200, 1400, 1700,
             2000, 2500, 3000)  # fmt: skip


@recipe(
    "two-layer-repeats", "Two layers on random blocks that repeat", seeds=range(5),
    snapshot_steps=SNAPSHOTS,
)  # fmt: skip
class RepeatedBlocks(Planted):
    """Measures, beside the losses: prefix matching on tokens repeated four times, and the
    previous-token score within the longest block. What comes later repeats what was there before,
    so later positions need not know what stands in front of them, and the heads do not look."""

    d_vocab = 50
    shortest, longest = 10, 31

    def grammar(self) -> Repeats:
        return Repeats(self.d_vocab, (self.shortest, self.longest), distinct=True)

    def measure(self, model: Transformer) -> dict[str, float]:
        device = model.W_E.device
        tokens = self.held_out().to(device)
        second = self.grammar().predictable(tokens)[:, :-1]
        losses = model.token_losses(tokens, self.clamp(tokens[:, :-1]))
        found = {
            "first block": float(losses[~second].mean()),
            "repeats": float(losses[second].mean()),
        }
        again = repeated_tokens(torch.arange(self.d_vocab), 32, length=16, repeats=4, seed=5)
        again = again[:, : self.n_ctx].to(device)
        for layer, pattern in enumerate(patterns_of(model, again, self.clamp(again))):
            within = pattern[..., : self.longest, : self.longest]
            found |= by_head("prefix", layer, prefix_matching_score(pattern, again))
            found |= by_head("previous", layer, previous_token_score(within))
        return found

    def check(self, model: Transformer | None, history: History) -> None:
        repeats = history.values("on/repeats")
        loss_fell("It predicts what repeats", repeats, below=0.2)
        for what, layer in (("previous", 0), ("prefix", 1)):
            scores = [history.values(f"on/{what}/{layer}.{head}") for head in range(self.n_heads)]
            claim(
                f"The best {what} score of layer {layer}", max(s[-1] for s in scores), ">", 0.9,
                control=("at the start", max(s[0] for s in scores)),
            )  # fmt: skip


@recipe(
    "three-layer-repeats", "Three layers on random blocks that repeat", seeds=range(2), steps=1500,
    store="measures",
)  # fmt: skip
@recipe(
    "three-layer-repeats-clamped", "Three layers on repeats, head L0H0 made to look one back",
    steps=1000, looks_back=1, store="measures",
)  # fmt: skip
class ThreeLayers(RepeatedBlocks):
    """One layer more than it takes: in which layer does which head come, if any comes?"""

    n_layers = 3

    def check(self, model: Transformer | None, history: History) -> None:
        """Only that the run is sound: what comes of it is the question, not a condition."""
        repeats = history.values("on/repeats")
        loss_fell("It learns something of what repeats", repeats, below=3.5)


@recipe(
    "one-layer-repeats", "One layer on random blocks that repeat: not enough",
    n_layers=1, steps=2000, snapshot_steps=SNAPSHOTS[:-2],
)  # fmt: skip
@recipe(
    "one-layer-repeats-smeared", "One layer on repeats, each key mixed with the one before",
    n_layers=1, steps=2000, snapshot_steps=SNAPSHOTS[:-2], smeared_keys=True, seeds=range(3),
    store_others="measures",
)  # fmt: skip
class OneLayer(RepeatedBlocks):
    """Whether one layer can, with keys of its own and with smeared ones."""

    def check(self, model: Transformer, history: History) -> None:
        repeats = history.values("on/repeats")
        if not self.smeared_keys:
            from mechlib import zoo  # not above: zoo imports the recipes

            two = zoo.history("two-layer-repeats").last("on/repeats")
            claim(
                "One layer does not predict what repeats", repeats[-1], ">", 2.0,
                control=("two layers", two), unit="nats",
            )  # fmt: skip
            return
        loss_fell("It predicts what repeats", repeats, below=1.0)


@recipe(
    "two-layer-repeats-clamped", "Repeats, head L0H0 made to look one token back",
    seeds=range(3), looks_back=1, steps=1000, snapshot_steps=(), store="measures",
)  # fmt: skip
@recipe(
    "two-layer-repeats-clamped-two", "Repeats, head L0H0 made to look two tokens back",
    seeds=range(3), looks_back=2, steps=1000, snapshot_steps=(), store="measures",
)  # fmt: skip
class ClampedRepeats(RepeatedBlocks):
    """The circuit's first half given from the start, or something useless in its place."""

    def check(self, model: Transformer | None, history: History) -> None:
        repeats = history.values("on/repeats")
        loss_fell("It predicts what repeats", repeats, below=2.5)


@recipe("two-layer-markov", "Two layers on Markov chains, each sequence of a chain of its own",
        seeds=range(3), snapshot_steps=SNAPSHOTS)  # fmt: skip
class InContextMarkov(Planted):
    n_symbols = 3
    n_heads = 2  # one head ends 0.028 nats from the bigram oracle, two at 0.011
    n_ctx = 100
    steps = 3000

    def grammar(self) -> MarkovChains:
        return MarkovChains(n_symbols=self.n_symbols)

    def measure(self, model: Transformer) -> dict[str, float]:
        device = model.W_E.device
        tokens = self.held_out().to(device)
        grammar = self.grammar()
        logits = model(tokens[:, :-1], self.clamp(tokens[:, :-1]))
        found = {"loss": float(torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten()))}  # fmt: skip
        ours = logits.double().log_softmax(-1)
        for name in ("uniform", "unigram", "bigram"):
            oracle = getattr(grammar, name)(tokens[:, :-1])
            found[f"KL from {name}"] = float((oracle.exp() * (oracle - ours)).sum(-1).mean())
            found[f"loss of {name}"] = float(
                -oracle.gather(-1, tokens[:, 1:, None]).squeeze(-1).mean()
            )
        few = tokens[:32, :-1]
        for layer, pattern in enumerate(patterns_of(model, few, self.clamp(few))):
            found |= by_head("previous", layer, previous_token_score(pattern))
        return found

    def check(self, model: Transformer | None, history: History) -> None:
        apart = history.values("on/KL from bigram")
        claim(
            "It predicts nearly as the Bayes-optimal bigram oracle", apart[-1], "<", 0.02,
            control=("at the start", apart[0]), unit="nats",
        )  # fmt: skip


@recipe(
    "two-layer-markov-clamped", "Markov chains, head L0H0 made to look one symbol back",
    seeds=range(3), looks_back=1, steps=1500, snapshot_steps=(), store="measures",
)  # fmt: skip
class ClampedMarkov(InContextMarkov):
    """As above with the previous-token pattern given."""


@recipe(
    "two-layer-markov-balanced", "Markov chains in which all symbols are equally frequent",
    seeds=range(3), steps=1500, snapshot_steps=(), store="measures",
)  # fmt: skip
class BalancedMarkov(InContextMarkov):
    """Does the unigram stage hold the model up? Here there is none to pass through. The bigram
    guesser does not know that the tables are doubly stochastic, so it is near the best and not it.
    """

    def grammar(self) -> BalancedChains:
        return BalancedChains(n_symbols=self.n_symbols)

    def check(self, model: Transformer | None, history: History) -> None:
        apart = history.values("on/KL from bigram")
        claim(
            "It predicts nearly as the bigram guesser", apart[-1], "<", 0.04,
            control=("at the start", apart[0]), unit="nats",
        )  # fmt: skip
