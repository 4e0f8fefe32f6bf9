"""Two layers with MLPs on real code (chapter 04): who writes to the stream when neurons do, too.

The shape is that of the attention-only models of `recipes.code`, narrower, and each attention layer
is followed by an MLP. It is not trained until induction heads come: chapter 04 asks only for whom
each of its four layers writes.

Measures: the loss on windows of held-out code, nats a token.
"""

import torch

from mechlib.model import Config, Transformer
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, loss_fell, recipe
from mechlib.zoo.recipes.code import windows


@recipe("two-layer-code-mlp", "Two layers of attention and MLP on code", seeds=range(3))
class WithMlps(Recipe):
    tokenizer = "code-512"
    batch = 16
    steps = 2_000
    lr = 4e-3
    dtype = "float16"
    loss_points = 200

    def build(self) -> Transformer:
        config = Config(
            d_vocab=512, n_ctx=256, d_model=64, n_layers=2, n_heads=4, d_mlp=256, norm="layernorm"
        )
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
            device=device,
            progress=progress,
        )

    @torch.no_grad()
    def check(self, model: Transformer | None, history: History) -> None:
        losses = history.values("held-out")
        loss_fell("It predicts held-out code", losses, below=3.2)
