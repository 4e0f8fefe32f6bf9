"""Networks that multiply in groups (chapter 21): the orders of five cards, the even ones among
them, and the turns and mirrors of a polygon with 31 corners.

One hidden layer, full batches, AdamW with weight decay 2. The share of the pairs that are shown is
chosen for each group so that it memorises first: five cards half, the even ones three fifths, the
polygon two fifths.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from mechlib.grokking import groups
from mechlib.grokking.products import Multiplier, Products
from mechlib.pages.claims import claim
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe

GROUPS: dict[str, Callable[[], groups.Group]] = {
    "S5": lambda: groups.permutations(5),
    "A5": lambda: groups.permutations(5, even=True),
    "D31": lambda: groups.dihedral(31),
}


@recipe(
    "group-S5", "Products of orders of five cards", seeds=range(3), group="S5",
    fraction=0.5, memorised_at=500,
)  # fmt: skip
@recipe(
    "group-A5", "Products of even orders of five cards", seeds=range(3), group="A5",
    fraction=0.6, memorised_at=300,
)  # fmt: skip
@recipe(
    "group-D31", "Products of turns and mirrors, 31 corners", seeds=range(3), group="D31",
    fraction=0.4, memorised_at=200,
)  # fmt: skip
class GroupProducts(Recipe):
    group = "S5"
    fraction = 0.6
    steps = 3_000
    lr = 5e-3
    weight_decay = 2.0
    measure_every = 50
    memorised_at = 300  # a state that knows the shown pairs by heart, and few others
    dtype = "float16"
    loss_points = 300

    def products(self) -> Products:
        return Products(GROUPS[self.group](), self.fraction, self.seed)

    def build(self) -> Multiplier:
        return Multiplier(len(GROUPS[self.group]()), seed=self.seed)

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        task = self.products()
        pairs = task.shown.nonzero()
        return train(
            model, lambda step: pairs, loss_fn=task.loss, steps=self.steps, lr=self.lr,
            weight_decay=self.weight_decay, measures={"on": task.scores},
            measure_every=self.measure_every, snapshot_at=(self.memorised_at,),
            checkpoint=checkpoint, checkpoint_every=1_000, device=device, progress=progress,
        )  # fmt: skip

    def check(self, model: nn.Module | None, history: History) -> None:
        claim(
            "{} of the unseen products are right", history.last("on/test accuracy"), ">=", 0.99,
            control=("guessing", 1 / len(GROUPS[self.group]())),
        )  # fmt: skip
