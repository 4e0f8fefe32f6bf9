"""Recipes: how each model of the zoo is made and what must hold of it afterwards.

One file per family, found by itself; a recipe is a class and one or more names for it:

    @recipe("bigrams-small", "Zero layers on code, d_model 64", d_model=64)
    @recipe("bigrams-large", "Zero layers on code, d_model 128", d_model=128, seeds=range(3))
    class Bigrams(Recipe):
        d_model = 64

        def build(self):
            return Transformer(Config(..., d_model=self.d_model), seed=self.seed)

        def run(self, model, *, device, progress, checkpoint):
            return train(model, Batches(...), steps=2000, device=device, progress=progress,
                         checkpoint=checkpoint)

        def check(self, model, history):
            claim("Held-out loss is below the unigram entropy", ...)

Further seeds are models of their own: here "bigrams-large", "bigrams-large-s1" and
"bigrams-large-s2".
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from mechlib.pages.claims import claim
from mechlib.train import History, Run


class Recipe:
    """One model of the zoo. Subclasses give `build`, `run` and `check`.

    name, summary, seed: set by the decorator, as is every class attribute that it names.
    store: "weights", or "measures" to keep the history without weights (for further seeds).
    dtype: how weights are stored, "float32" or "float16"; snapshot_dtype likewise.
    loss_points: the stored loss is averaged over windows down to at most so many points.
    """

    name = ""
    summary = ""
    seed = 0
    store = "weights"
    dtype = "float32"
    snapshot_dtype = "float16"
    loss_points = 2000

    def build(self) -> nn.Module:
        """The model before training; a pure function of the recipe and its seed."""
        raise NotImplementedError

    def run(self, model: nn.Module, *, device: Any, progress: bool, checkpoint: Path | None) -> Run:
        """Train it. `mechlib.train.train` fits, but any function that gives a `Run` will do."""
        raise NotImplementedError

    def check(self, model: nn.Module | None, history: History) -> None:
        """The claims that must hold, on the weights and history *as stored*.

        Called after training (nothing is stored when one fails) and by `zoo.verify`. With
        store = "measures" there is no model and only the history can be asked.
        """

    def settings(self) -> dict:
        """The recipe's plain attributes, for the record beside the weights."""
        plain = {}
        for owner in (*reversed(type(self).__mro__), self):  # the recipe's own come last
            for key, value in vars(owner).items():
                if not key.startswith("_") and isinstance(value, (int, float, str, tuple, list)):
                    plain[key] = list(value) if isinstance(value, tuple) else value
        return {k: v for k, v in sorted(plain.items()) if k not in ("name", "summary", "seed")}


def loss_fell(sentence: str, losses: Sequence[float], *, below: float) -> None:
    """Claim that a loss, in nats, ended below a bound at which it did not start."""
    claim(sentence, losses[-1], "<", below, control=("at the start", losses[0]), unit="nats")


_REGISTRY: dict[str, Recipe] = {}


def recipe(
    name: str,
    summary: str,
    *,
    seeds: Iterable[int] = (0,),
    store_others: str = "weights",
    **settings: Any,
) -> Callable[[type[Recipe]], type[Recipe]]:
    """Register a recipe class under `name`, with these settings in place of its attributes.

    seeds: the first belongs to `name`, each other one s to "name-s{s}", stored as `store_others`.
    Raises ValueError for a name that is taken, TypeError for a setting that the class has not.
    """

    def register(cls: type[Recipe]) -> type[Recipe]:
        for key in settings:
            if not hasattr(cls, key):
                raise TypeError(f"{key}: {cls.__name__} has no such attribute to set")
        for i, seed in enumerate(seeds):
            made = cls()
            made.name = name if i == 0 else f"{name}-s{seed}"
            made.summary, made.seed = summary, seed
            if i:
                made.store = store_others
            for key, value in settings.items():
                setattr(made, key, value)
            if made.store not in ("weights", "measures"):
                raise ValueError(f"store: got {made.store!r}, accepted: 'weights', 'measures'")
            taken = _REGISTRY.get(made.name)
            if taken and (type(taken).__module__, type(taken).__qualname__) != (
                cls.__module__,
                cls.__qualname__,
            ):
                raise ValueError(f"name: {made.name!r} is already a recipe of {type(taken)}")
            _REGISTRY[made.name] = made
        return cls

    return register


def registry() -> dict[str, Recipe]:
    """Every recipe by name, after importing all files of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
