"""One layer of attention and an MLP on real code: whose neurons chapter 17 takes apart.

The shape is that of Bricken et al. 2023 (Towards Monosemanticity): one layer, a ReLU MLP four
times as wide as the stream. Theirs are 512 neurons too. Seeds 0 and 1 are their models A and B.

Measures: the loss on windows of held-out code, nats a token.
"""

import torch

from mechlib.interventions import Ablate
from mechlib.model import Config, Transformer
from mechlib.pages.claims import claim
from mechlib.text.tokens import Batches, code_tokens
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe
from mechlib.zoo.recipes.code import windows

NEURONS = "blocks.0.mlp.hook_post"


@recipe("one-layer-code-mlp", "One layer of attention and MLP on code", seeds=range(3))
class OneLayerMlp(Recipe):
    tokenizer = "code-512"
    batch = 16
    steps = 2_600
    lr = 3e-3
    dtype = "float16"
    loss_points = 200

    def build(self) -> Transformer:
        config = Config(
            d_vocab=512, n_ctx=256, d_model=128, n_layers=1, n_heads=4, d_mlp=512, norm="layernorm"
        )
        return Transformer(config, seed=self.seed)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        held_out = windows(self.tokenizer, 32)
        return train(
            model,
            Batches(code_tokens(self.tokenizer).train, self.batch, 257, seed=self.seed),
            steps=self.steps,
            lr=self.lr,
            warmup=100,
            schedule="cosine",
            autocast=True,
            measures={"held-out": lambda model: model.loss(held_out.to(model.W_E.device))},
            measure_every=250,
            checkpoint=checkpoint,
            checkpoint_every=500,
            device=device,
            progress=progress,
        )

    @torch.no_grad()
    def check(self, model: Transformer, history: History) -> None:
        held_out = windows(self.tokenizer, 32)
        mean = model.trace(held_out[:16, :-1], names=[NEURONS])[NEURONS].mean(dim=(0, 1))
        claim(
            "It predicts held-out code with {}",
            float(model.loss(held_out)),
            "<",
            3.2,
            control=(
                "its neurons at their mean",
                float(model.loss(held_out, [Ablate(NEURONS, value=mean)])),
            ),
            unit="nats",
        )
