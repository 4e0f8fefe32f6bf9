"""Networks that tell ten drawn shapes apart (chapter 1), and one that learns labels at random.

16,000 images, twenty passes in batches of 128: a minute on one core. Widths, seeds and labels
differ from recipe to recipe, the images never do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mechlib.pages.claims import claim
from mechlib.train import History, Run, train
from mechlib.vision.convnet import ShapeNet, accuracy
from mechlib.vision.strokes import SHAPES, shapes
from mechlib.zoo.recipes import Recipe, recipe

IMAGES, PASSES, BATCH = 16_000, 20, 128


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the right class, in nats."""
    images, labels = batch
    return F.cross_entropy(model(images), labels)


@recipe("shapes", "Three convolutional layers that tell ten shapes apart", seeds=(0, 1, 2, 3))
@recipe("shapes-wide", "The same with half as many units again", widths=(12, 24, 32))
class Shapes(Recipe):
    widths = (8, 16, 24)
    least = 0.85  # accuracy on new images

    def build(self) -> ShapeNet:
        return ShapeNet(tuple(self.widths), len(SHAPES), self.seed)

    def labels(self) -> Tensor:
        return shapes(IMAGES, seed=0)[1]

    def run(self, model, *, device, progress, checkpoint) -> Run:
        images, labels = shapes(IMAGES, seed=0)[0], self.labels()
        steps = PASSES * IMAGES // BATCH

        def batch_at(step: int) -> tuple[Tensor, Tensor]:
            around, place = divmod(step, IMAGES // BATCH)
            generator = torch.Generator().manual_seed(1000 * self.seed + around)
            order = torch.randperm(IMAGES, generator=generator)
            chosen = order[place * BATCH : (place + 1) * BATCH]
            return images[chosen], labels[chosen]

        return train(
            model, batch_at, steps=steps, lr=4e-3, weight_decay=1e-3, betas=(0.9, 0.999),
            warmup=750,
            schedule="cosine", loss_fn=loss_of, measure_every=500,
            measures={"accuracy": lambda model: accuracy(model, *shapes(2_000, seed=1))},
            checkpoint=checkpoint, device=device, progress=progress,
        )  # fmt: skip

    def check(self, model: nn.Module | None, history: History) -> None:
        right = history.last("accuracy")
        claim(
            "It names the shape on {} of new images", right, ">=", self.least,
            control=("untrained", history.values("accuracy")[0]),
        )  # fmt: skip


@recipe("shapes-shuffled", "The same images under labels dealt out at random", seeds=(0, 1))
class Shuffled(Shapes):
    def labels(self) -> Tensor:
        labels = super().labels()
        generator = torch.Generator().manual_seed(99 + self.seed)
        return labels[torch.randperm(len(labels), generator=generator)]

    def check(self, model: nn.Module | None, history: History) -> None:
        from mechlib import zoo  # not above: zoo imports the recipes

        right = zoo.history("shapes").last("accuracy")
        claim(
            "It names the shape on {} of new images", history.last("accuracy"), "<", 0.2,
            control=("trained on the right labels", right),
        )  # fmt: skip
