"""Models with MLPs on real code: who writes to the stream when neurons do, too (chapters 04, 17).

`two-layer-code-mlp` has the shape of the attention-only models of `recipes.code`, narrower, and
each attention layer is followed by an MLP. It is not trained until induction heads come: chapter 04
asks only for whom each of its four layers writes.

`one-layer-code-mlp` is there for chapter 17's dictionaries. Its sizes are those of Bricken et al.
2023: one layer, a stream of 128, 512 ReLU neurons.

Measures: the loss on windows of held-out code, nats a token.
"""

import torch

from mechlib.model import Config, Transformer
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, loss_fell, recipe
from mechlib.zoo.recipes.code import windows


@recipe("two-layer-code-mlp", "Two layers of attention and MLP on code", seeds=range(3))
@recipe(
    "one-layer-code-mlp", "One layer of attention and MLP on code",
    layers=1, width=128, neurons=512, lr=3e-3, autocast=True,
)  # fmt: skip
class WithMlps(Recipe):
    layers, width, neurons = 2, 64, 256
    autocast = False  # the large products in bfloat16
    tokenizer = "code-512"
    batch = 16
    steps = 2_000
    lr = 4e-3
    dtype = "float16"
    loss_points = 200

    def build(self) -> Transformer:
        config = Config(
            d_vocab=512, n_ctx=256, d_model=self.width, n_layers=self.layers, n_heads=4,
            d_mlp=self.neurons, norm="layernorm",
        )  # fmt: skip
        return Transformer(config, seed=self.seed)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        held_out = windows(self.tokenizer, 32)
        return train(
            model,
            Batches(code_tokens(self.tokenizer).train, self.batch, 257, seed=self.seed),
            steps=self.steps,
            lr=self.lr,
            warmup=50,
            schedule="cosine",
            measures={"held-out": lambda model: model.loss(held_out.to(model.W_E.device))},
            measure_every=250,
            checkpoint=checkpoint,
            checkpoint_every=250,
            autocast=self.autocast,
            device=device,
            progress=progress,
        )

    @torch.no_grad()
    def check(self, model: Transformer | None, history: History) -> None:
        losses = history.values("held-out")
        loss_fell("It predicts held-out code", losses, below=3.2)
