"""Does the size of the vocabulary decide two results that missed the paper's? Chapters 07 and 11.

The models of Elhage et al. 2021 have some 50,000 tokens, ours 512 or 2,048. Two things in the paper
were not found: words that come back in *other* pieces, [ab] … [a] → [b'], and the order of the
layers in two-layer models, where the second layer's heads save 3.9 nats more than the first's. So
the same two recipes are run on three vocabularies of one corpus, three seeds each; nothing but the
tokenizer differs: width, steps, rate and tokens a step are the same.

    one-layer-vocabulary-V    as `one-layer-code-2048`; of words that come back in two pieces
        exact/found, other/found      triples that the heads hold
        exact/most, other/most        the largest of the counts for twenty shuffles of the sources
        exact/mean, other/mean        their mean
        exact/spelled, other/spelled  triples that the spelling allows
    two-layer-vocabulary-V    as `two-layer-code-short`; of held-out code, nats
        order/0, order/1, order/2     what the direct path, heads and virtual heads take off
        layer/...                     `mechlib.reading.circuits.LayerWorth`, and its gap
        copy gain                     as in `mechlib.zoo.recipes.code`

Both at step 0, for an untrained model, and at the end. Frozen patterns and LayerNorm scales.

What counts as an answer, fixed before any of these was trained. "The fourth pattern comes with the
vocabulary": at 8,192 tokens more than the largest of the twenty shuffles in each of three seeds.
"The layers' order comes with the vocabulary": at 8,192 tokens the gap is above that of every seed
at 512; and it is the paper's order if it is above 0 in each seed. The exact pieces are the control
that the count can find what is there.

The answer is no to both. Of other pieces no more are found than for the luckiest shuffle, and at
8,192 tokens of exact ones neither; and the gap widens, from -2.4 over -2.9 to -4.4 nats.

Trained on a GPU: minutes for each there, hours on one core for the largest vocabulary.
"""

import math

import torch
from torch import Tensor

from mechlib.model import Transformer
from mechlib.reading import circuits
from mechlib.reading.pieces import in_two_pieces, spelled_triples
from mechlib.text.tokens import Batches, code_tokens, load_tokenizer
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import loss_fell, recipe
from mechlib.zoo.recipes.code import (
    Code,
    Readable,
    copy_gain,
    repeated_segments,
    windows,
)

COMMON = 3_000  # a source occurs at least so often in the training text, as in chapter 07


def at_start_and_end(recipe: Code, model: Transformer, **options) -> Run:
    """The training of `Code`, measured before the first step and after the last."""
    batches = Batches(code_tokens(recipe.tokenizer).train, recipe.batch, 257, seed=recipe.seed)
    return train(
        model, batches, steps=recipe.steps, lr=recipe.lr, betas=recipe.betas, weight_decay=0.01,
        schedule=recipe.rate, measures={"on": recipe.measure}, measure_every=recipe.steps,
        **options,
    )  # fmt: skip


def held_out_loss(model: Transformer, tokenizer: str) -> float:
    """Mean loss on windows of held-out code, nats, in parts: 8,192 logits a place are many."""
    parts = windows(tokenizer, 96).to(model.W_E.device).split(16)
    return sum(float(model.token_losses(part).mean()) for part in parts) / len(parts)


def sound(recipe: Code, history: History) -> None:
    """Only that the run is sound: what comes of it is the question, not a condition."""
    uniform = math.log(recipe.build().config.d_vocab)
    losses = history.values("on/held-out")
    loss_fell("It predicts held-out code", losses, below=0.75 * uniform)


@recipe("one-layer-vocabulary-8192", "One layer on code, 8,192 tokens, what its tables hold",
        seeds=range(3), store_others="measures", tokenizer="code-8192")  # fmt: skip
@recipe("one-layer-vocabulary-2048", "One layer on code, 2,048 tokens, what its tables hold",
        seeds=range(3), store_others="measures", tokenizer="code-2048")  # fmt: skip
@recipe("one-layer-vocabulary-512", "One layer on code, 512 tokens, what its tables hold",
        seeds=range(3), store_others="measures", tokenizer="code-512")  # fmt: skip
class OneLayer(Readable):
    store = "measures"
    loss_points = 100

    run = at_start_and_end

    def measure(self, model: Transformer) -> dict[str, float]:
        counts = torch.bincount(code_tokens(self.tokenizer).train, minlength=model.config.d_vocab)
        sources = (counts >= COMMON).nonzero()[:, 0]
        spelled = spelled_triples(load_tokenizer(self.tokenizer).token, len(counts), sources)
        share = (counts / counts.sum()).to(model.W_E)
        QK = circuits.full_QK(model.W_E, circuits.W_QK(model.W_Q[0], model.W_K[0]))
        OV = circuits.full_OV(model.W_E, circuits.W_OV(model.W_V[0], model.W_O[0]), model.W_U)
        draw = torch.Generator().manual_seed(0)
        pieces = in_two_pieces(QK / math.sqrt(model.config.d_head), OV, share, spelled, draw)
        found = {"held-out": held_out_loss(model, self.tokenizer)}
        for name, exact in (("exact", True), ("other", False)):
            chance = pieces.by_chance(exact).double()
            found[f"{name}/found"] = pieces.count(exact)
            found[f"{name}/most"] = float(chance.max())
            found[f"{name}/mean"] = float(chance.mean())
            found[f"{name}/spelled"] = int((spelled[:, 3] == exact).sum())
        return found

    def check(self, model: Transformer | None, history: History) -> None:
        sound(self, history)


def frozen_norm(run):
    """LayerNorm before layer l (2: before the unembedding) with the scales of a run held fixed."""
    places = ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "blocks.1.hook_resid_post"]
    scales = [(run[place].var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt() for place in places]
    return lambda layer, x: (x - x.mean(-1, keepdim=True)) / scales[layer]


def terms(model: Transformer, tokens: Tensor) -> tuple:
    """`circuits.term_importance` and `circuits.layer_worth` of a two-layer model on a text."""
    run = model.trace(tokens)
    patterns = torch.stack([run["pattern", layer] for layer in range(2)])
    weights = (model.W_V, model.W_O, model.W_U)
    resid, norm = run["blocks.0.hook_resid_pre"], frozen_norm(run)
    return tuple(
        measured(resid, patterns, *weights, tokens, norm)
        for measured in (circuits.term_importance, circuits.layer_worth)
    )


@recipe("two-layer-vocabulary-8192", "Two layers on code, 8,192 tokens, what its layers are worth",
        seeds=range(3), store_others="measures", tokenizer="code-8192")  # fmt: skip
@recipe("two-layer-vocabulary-2048", "Two layers on code, 2,048 tokens, what its layers are worth",
        seeds=range(3), store_others="measures", tokenizer="code-2048")  # fmt: skip
@recipe("two-layer-vocabulary-512", "Two layers on code, 512 tokens, what its layers are worth",
        seeds=range(3), store_others="measures", tokenizer="code-512")  # fmt: skip
class TwoLayers(Code):
    store = "measures"
    loss_points = 100
    position_length = 1.0
    steps = 6_000
    decay_from = 4_000

    run = at_start_and_end

    def measure(self, model: Transformer) -> dict[str, float]:
        device = model.W_E.device
        twice = repeated_segments(self.tokenizer, 32).to(device)
        orders, worth = terms(model, windows(self.tokenizer, 16, 256).to(device))
        return {
            "held-out": held_out_loss(model, self.tokenizer),
            "copy gain": copy_gain(model.token_losses(twice)),
            **{f"order/{n}": nats for n, nats in enumerate(orders.marginal)},
            **{f"layer/{name}": nats for name, nats in worth._asdict().items()},
            "layer/gap": worth.gap,
        }

    def check(self, model: Transformer | None, history: History) -> None:
        sound(self, history)
