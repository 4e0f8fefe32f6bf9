"""How well one layer copies as the text grows longer: chapter 10.

For each length n a model of the same size is trained on blocks of random tokens, all different,
n/4 to n/2 long and repeated to the end. Measured is the share of repeated tokens that the model's
first choice gets right. Only the measures are kept: the question is how the curve falls.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from mechlib.model import Config, Transformer
from mechlib.pages.claims import claim
from mechlib.text.grammars import Repeats
from mechlib.text.tokens import seed_of
from mechlib.train import History, Run, train, warm_up_and_fall
from mechlib.zoo.recipes import Recipe, recipe


@recipe("one-layer-over-lengths", "One layer on repeated blocks, over the length of the text")
@recipe("one-layer-over-lengths-longer", "The same with ten times the steps", steps=12_000)
class OneLayerOverLengths(Recipe):
    """The history has "accuracy/n" and "loss of repeats/n", on new sequences."""

    store = "measures"
    lengths = (8, 16, 32, 64)
    d_vocab = 50
    d_model = 64
    n_heads = 4
    batch = 32
    steps = 1200
    lr = 3e-3

    def grammar(self, n: int) -> Repeats:
        return Repeats(self.d_vocab, (n // 4, n // 2), distinct=True)

    def sequences(self, n: int, batch: int, *seed: int) -> Int[Tensor, "batch pos"]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, n, *seed))
        return self.grammar(n).sample(batch, n + 1, generator)

    def build(self) -> Transformer:
        return self.model(max(self.lengths))

    def model(self, n: int) -> Transformer:
        config = Config(self.d_vocab, n, self.d_model, 1, self.n_heads, positions="queries_keys")
        return Transformer(config, seed=self.seed)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        """Trains a model of its own for every length, and gives the last one back."""
        history = History()
        for n in self.lengths:
            run = train(
                self.model(n), lambda step, n=n: self.sequences(n, self.batch, step),
                steps=self.steps, lr=self.lr, weight_decay=0.01, schedule=self.rate,
                measures={"on": lambda model, n=n: self.measure(model, n)},
                measure_every=self.steps // 4,
                device=device, progress=progress,
            )  # fmt: skip
            for name in ("accuracy", "loss of repeats"):
                for step in run.history.steps(f"on/{name}"):
                    history.record(step, {f"{name}/{n}": run.history.at(f"on/{name}", step)})
        return Run(run.model, history, {})

    def rate(self, step: int) -> float:
        """Warm-up, constant, and over the last quarter down to a tenth."""
        return warm_up_and_fall(step, self.steps, warmup=50, fall_from=self.steps * 3 // 4)

    def measure(self, model: Transformer, n: int) -> dict[str, float]:
        """On 256 sequences that no training step draws."""
        tokens = self.sequences(n, 256, -1)
        second = self.grammar(n).predictable(tokens)[:, :-1]
        tokens, second = tokens.to(model.W_E.device), second.to(model.W_E.device)
        right = model(tokens[:, :-1]).argmax(-1) == tokens[:, 1:]
        losses = model.token_losses(tokens)
        return {
            "accuracy": float(right[second].float().mean()),
            "loss of repeats": float(losses[second].mean()),
        }

    def check(self, model: Transformer | None, history: History) -> None:
        short, long = (
            history.last(f"accuracy/{n}") for n in (min(self.lengths), max(self.lengths))
        )
        claim("One layer copies short texts", short, ">", 0.8, control=("long texts", long))
