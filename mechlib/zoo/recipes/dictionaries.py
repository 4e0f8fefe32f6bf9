"""Dictionaries for the last neurons of models of code, and for those of the untrained models.

TopK on 32,768 activations of training code: three dictionaries for one model of one layer, and one
for each of three models of two layers. Measured on held-out windows, before training and after:

    fvu, l0, alive      of the reconstruction
    loss/...            with the neurons replaced (`networks.spliced_losses`)
    single token        share of the latents that answer mostly to one token

The model with random weights is the control of Bricken et al. 2023: its dictionary looks tidy, too.
"""

import torch
from torch import Tensor

from mechlib.model import Transformer
from mechlib.pages.claims import claim
from mechlib.superposition import networks, scores
from mechlib.superposition.dictionaries import Dictionary, Rows, fit
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run
from mechlib.zoo.recipes import Recipe, recipe
from mechlib.zoo.recipes.code import windows

TOKENIZER = "code-512"


def model_of(name: str, trained: bool) -> Transformer:
    """The zoo's model, or the same before training."""
    from mechlib import zoo  # not above: zoo imports the recipes

    return zoo.load(name) if trained else zoo.find(name).build()


def last_layer(model: Transformer) -> int:
    """The layer whose neurons are taken apart."""
    return model.config.n_layers - 1


def activations(model: Transformer, n: int, seed: int) -> Tensor:
    """Last neurons on n windows of training code, one token a row: (n * 256, neuron)."""
    tokens = Batches(code_tokens(TOKENIZER).train, n, 257, seed=seed)(0)
    found = [
        networks.neurons(model, part[:, :-1], last_layer(model)).flatten(0, 1)
        for part in tokens.split(32)
    ]
    return torch.cat(found)


def spread_of(x: Tensor) -> Tensor:
    """The root of the sum of variances: activations are divided by it."""
    return x.var(0).sum().sqrt()


def measured(model: Transformer, dictionary: Dictionary, scale: Tensor) -> dict[str, float]:
    """The numbers above."""
    held_out, layer = windows(TOKENIZER, 32), last_layer(model)
    x = networks.neurons(model, held_out[:, :-1], layer).flatten(0, 1) / scale
    code = dictionary.latents(x)
    few = scores.sparsity(code)
    losses = networks.spliced_losses(
        model, held_out, lambda x: dictionary(x / scale) * scale, layer
    )
    return {
        "fvu": scores.unexplained(x, dictionary.read(code)),
        "l0": few.l0,
        "alive": few.alive,
        "single token": networks.single_token_share(code, held_out[:, :-1].flatten()),
        "neurons, single token": networks.single_token_share(x, held_out[:, :-1].flatten()),
        **{f"loss/{name}": loss for name, loss in losses.items()},
    }


def spliced(history: History, which: int = -1) -> dict[str, float]:
    """The stored losses of the spliced model: after training, or before (0)."""
    return {
        name.removeprefix("loss/"): history.values(name)[which]
        for name in history.names()
        if name.startswith("loss/")
    }


ONE_LAYER = {"of": "one-layer-code-mlp", "same_model": True, "neurons": 512, "latents": 768}


@recipe(
    "one-layer-dictionary", "A TopK dictionary for the neurons of one-layer-code-mlp",
    seeds=range(3), store_others="measures", **ONE_LAYER,
)  # fmt: skip
@recipe(
    "one-layer-dictionary-untrained", "The same for the untrained model", trained=False,
    seeds=range(3), store="measures", store_others="measures", **ONE_LAYER,
)  # fmt: skip
@recipe(
    "code-dictionary", "A TopK dictionary for the last neurons of two-layer-code-mlp",
    seeds=range(3), store="measures", store_others="measures",
)  # fmt: skip
@recipe(
    "code-dictionary-untrained", "The same for the untrained model", trained=False,
    seeds=range(3), store="measures", store_others="measures",
)  # fmt: skip
class CodeDictionary(Recipe):
    of = "two-layer-code-mlp"
    same_model = False  # whether all seeds are for one model, or each for a seed of the model's own
    trained = True
    neurons = 256
    latents = 512
    k = 16
    batch = 512
    steps = 800
    lr = 1e-3
    windows = 128
    dtype = "float16"
    loss_points = 100

    def build(self) -> Dictionary:
        return Dictionary(
            self.neurons, self.latents, "topk", k=self.k, patience=100, seed=self.seed
        )

    def run(self, model: Dictionary, *, device, progress, checkpoint) -> Run:
        name = self.of + (f"-s{self.seed}" if self.seed and not self.same_model else "")
        transformer = model_of(name, self.trained)
        x = activations(transformer, self.windows, seed=100 + self.seed)
        scale = spread_of(x)
        rows = Rows(x / scale, self.batch, self.seed)
        with torch.no_grad():
            model.center.copy_((x / scale).mean(0))
            before = measured(transformer, model, scale)
        run = fit(
            model, rows, steps=self.steps, lr=self.lr, autocast=True, device=device,
            progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
        with torch.no_grad():
            # the scale goes into the dictionary: it is to be used on neurons as they are
            model.center.mul_(scale)
            model.bias.mul_(scale)
            run.history.record(0, before)
            run.history.record(self.steps, measured(transformer, model, torch.ones(())))
        return run

    def check(self, model: Dictionary | None, history: History) -> None:
        before, after = history.values("fvu")
        claim(
            "{} of the variance of held-out activations is unexplained", after,
            "<", 0.5, control=("random directions", before),
        )  # fmt: skip
        if self.trained:
            before, after = (networks.loss_recovered(spliced(history, i)) for i in (0, -1))
            claim(
                "Against the mean {} of the loss is recovered", after,
                ">", 0.6, control=("random directions", before),
            )  # fmt: skip
