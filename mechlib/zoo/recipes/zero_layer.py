"""Zero layers on real code (chapter 05): the token in front is all that such a model sees.

Its logits are the rows of W_E W_U, a table of rank d_model, and its loss on a batch depends on the
batch only through the counts of its bigrams. So `pair_loss` forms the table once instead of a row
of logits for every token, which is the same loss at a fraction of the price, and the trained
models are held against the best table of their rank, found by descending on the corpus's counts.

Measures, all in nats per token:

    train               on the whole training text
    held-out            on windows of held-out code, those of the other models on code
    held-out, whole     on all held-out code; the references are on this text too
    reference/...       at the last step: smoothed n-grams, and the best table of rank d_model
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechlib.model import Config, Transformer
from mechlib.pages.claims import claim
from mechlib.text.ngrams import best_rank_table, bigram_counts, ngram_cross_entropy, table_loss
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe
from mechlib.zoo.recipes.code import windows

CONTEXT = 256


def pair_counts(tokens: Int[Tensor, "batch pos"], d_vocab: int) -> Float[Tensor, "token next"]:
    """How often b follows a within the rows of a batch, at [a, b]."""
    pairs = (tokens[:, :-1].long() * d_vocab + tokens[:, 1:]).flatten()
    return torch.bincount(pairs, minlength=d_vocab**2).reshape(d_vocab, d_vocab).float()


def pair_loss(model: Transformer, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, ""]:
    """Mean next-token cross-entropy of a zero-layer model, in nats, by way of the pair counts."""
    counts = pair_counts(tokens, model.config.d_vocab)
    return -(counts * (model.W_E @ model.W_U).log_softmax(-1)).sum() / counts.sum()


class OnCode(Recipe):
    """What the two recipes below share: the corpus, the model and its training."""

    tokenizer = "code-512"
    d_vocab = 512
    batch = 64
    steps = 3000
    lr = 2e-2
    measure_every = 250
    rank_iterations = 400

    def zero_layer(self, d_model: int) -> Transformer:
        config = Config(
            d_vocab=self.d_vocab, n_ctx=CONTEXT, d_model=d_model, n_layers=0, positions="none"
        )
        return Transformer(config, seed=self.seed)

    def texts(self) -> dict[str, Tensor]:
        """Pair counts of the texts on which the loss is measured."""
        code = code_tokens(self.tokenizer)
        return {
            "train": bigram_counts(code.train, self.d_vocab).float(),
            "held-out": pair_counts(windows(self.tokenizer, 96), self.d_vocab),
            "held-out, whole": bigram_counts(code.held_out, self.d_vocab).float(),
        }

    def descend(self, model: Transformer, texts: dict[str, Tensor], **options) -> Run:
        """Ordinary training: Adam on random windows of the training text."""

        def on(name: str):
            return lambda model: table_loss(model.W_E @ model.W_U, texts[name].to(model.W_E.device))

        return train(
            model,
            Batches(code_tokens(self.tokenizer).train, self.batch, CONTEXT + 1, self.seed),
            steps=self.steps,
            lr=self.lr,
            warmup=50,
            schedule="cosine",
            loss_fn=pair_loss,
            measures={name: on(name) for name in texts},
            measure_every=self.measure_every,
            **options,
        )

    def best_of_rank(self, texts: dict[str, Tensor], rank: int) -> dict[str, float]:
        """Losses of the best table of this rank on the training counts."""
        best = best_rank_table(
            texts["train"], rank, max_iterations=self.rank_iterations, dtype=torch.float32
        )
        logits = best.A @ best.B
        return {name: table_loss(logits, texts[name]) for name in ("train", "held-out, whole")}


@recipe(
    "zero-layer-code-512",
    "zero layers on code, 512 tokens, d_model 64 (chapter 05)",
    seeds=range(3),
)
@recipe(
    "zero-layer-code-512-d4",
    "the same with d_model 4: what is lost in a narrow stream (chapter 05)",
    seeds=range(3),
    d_model=4,
    snapshot_at=(),
)
@recipe(
    "zero-layer-code-2048",
    "zero layers on code, 2,048 tokens, d_model 128 (chapters 05 to 08)",
    tokenizer="code-2048",
    d_vocab=2048,
    d_model=128,
    batch=64,
    steps=2000,
    dtype="float16",
    rank_iterations=160,
    snapshot_at=(),
)
class ZeroLayer(OnCode):
    d_model = 64
    snapshot_at = (0, 30, 100, 300, 1000, 3000)

    def build(self) -> Transformer:
        return self.zero_layer(self.d_model)

    def run(self, model: nn.Module, *, device, progress, checkpoint) -> Run:
        texts = self.texts()
        run = self.descend(
            model,
            texts,
            snapshot_at=self.snapshot_at,
            checkpoint=checkpoint,
            device=device,
            progress=progress,
        )
        code = code_tokens(self.tokenizer)
        references = {
            f"reference/{name}": ngram_cross_entropy(
                code.train, code.held_out, self.d_vocab, order
            ).loss
            for order, name in ((1, "unigrams"), (2, "bigrams"), (3, "trigrams"))
        }
        for name, loss in self.best_of_rank(texts, self.d_model).items():
            references[f"reference/best of its rank, {name}"] = loss
        run.history.record(self.steps, references)
        return run

    def check(self, model: nn.Module, history: History) -> None:
        held_out = bigram_counts(code_tokens(self.tokenizer).held_out, self.d_vocab)
        untrained = self.build()
        with torch.no_grad():
            loss = table_loss(model.W_E @ model.W_U, held_out)
            at_first = table_loss(untrained.W_E @ untrained.W_U, held_out)
        best = history.last("reference/best of its rank, held-out, whole")
        unigrams = history.last("reference/unigrams")
        claim(
            "Held-out loss, less that of the best table of the same rank",
            loss - best,
            "<",
            0.05,
            control=("counting single tokens", unigrams - best),
            unit="nats",
        )
        claim(
            "Held-out loss is well below that of the unigrams",
            loss,
            "<",
            unigrams - 0.5,
            control=("at the start", at_first),
            unit="nats",
        )


@recipe(
    "zero-layer-code-512-widths",
    "losses of zero layers on code against d_model 2 to 128 (chapter 05)",
    store="measures",
)
class Widths(OnCode):
    """One model for each width, and the best table of each rank. Its history runs over widths."""

    widths = (2, 4, 8, 16, 32, 64, 128)
    steps = 1500
    measure_every = 1500

    def build(self) -> Transformer:
        return self.zero_layer(self.widths[0])

    def run(self, model: nn.Module, *, device, progress, checkpoint) -> Run:
        texts, history = self.texts(), History()
        for width in self.widths:
            model = self.zero_layer(width)
            trained = self.descend(model, texts, device=device, progress=progress).history
            for name, loss in self.best_of_rank(texts, width).items():
                history.record(
                    width, {f"model/{name}": trained.last(name), f"best table/{name}": loss}
                )
        return Run(model, history)

    def check(self, model: nn.Module | None, history: History) -> None:
        gaps = [
            a - b for a, b in zip(history.values("model/train"), history.values("best table/train"))
        ]
        best = history.values("best table/train")
        claim(
            "Largest gap between a trained model and the best table of its rank",
            max(gaps),
            "<",
            0.05,
            control=("the narrowest against the widest", best[0] - best[-1]),
            unit="nats",
        )
