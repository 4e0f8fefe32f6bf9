"""What several test files use: randomness, a small zoo, and one browser for all of them."""

import os

import pytest
from hypothesis import HealthCheck, settings

# What is heavy is imported where it is used: the process that only hands the tests out to its
# workers reads this file, too, and they wait for it.

# No timed tests: a slow machine is not a wrong one. Fixed examples, so that a failure comes back.
settings.register_profile(
    "mechlib",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mechlib")


@pytest.fixture
def generator():
    """A seeded source of randomness, the same for every test."""
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture
def small_zoo(monkeypatch, tmp_path):
    """The zoo with an empty folder and cache of its own, and four recipes that take no time.

    "tiny" is a transformer with snapshots; "tiny-s5" keeps measures only; "tiny-table" is no
    transformer and is stored in float16; "tiny-wrong" makes a claim that does not hold.
    """
    import torch
    from torch import nn

    from mechlib import zoo
    from mechlib.model import Config, Transformer
    from mechlib.pages.claims import claim
    from mechlib.train import train
    from mechlib.zoo import recipes

    monkeypatch.setattr(recipes, "_REGISTRY", dict(recipes.registry()))
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setenv("MECHLIB_CACHE", str(tmp_path / "cache"))

    def batch_at(step):
        return torch.randint(11, (5, 4), generator=torch.Generator().manual_seed(step))

    class Tiny(recipes.Recipe):
        bound = 100.0
        stop_at = -1  # to be interrupted there

        def build(self):
            config = Config(d_vocab=11, n_ctx=3, d_model=14, n_layers=2, n_heads=2)
            return Transformer(config, seed=self.seed)

        def run(self, model, *, device, progress, checkpoint):
            def stopping(step):
                if step == type(self).stop_at:
                    raise KeyboardInterrupt
                return batch_at(step)

            return train(
                model,
                stopping,
                steps=23,
                measures={"size": lambda model: model.W_E.norm()},
                measure_every=7,
                snapshot_at=(0, 13, 23),
                checkpoint=checkpoint,
                checkpoint_every=10,
                device=device,
                progress=progress,
            )

        def check(self, model, history):
            claim(
                "The embedding is small",
                history.last("size"),
                "<",
                self.bound,
                control=("a large one", 1e6),
            )
            if model is not None:
                claim("The model speaks of 11 tokens", len(model.W_E), "==", 11)

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.W = nn.Parameter(torch.randn(11, 11, generator=generator))

        def forward(self, tokens):
            return self.W[tokens]

    class TinyTable(recipes.Recipe):
        dtype = "float16"

        def build(self):
            return Table()

        def run(self, model, *, device, progress, checkpoint):
            return train(model, batch_at, steps=3, device=device, progress=progress)

    recipes.recipe("tiny", "a small transformer", seeds=(0, 5), store_others="measures")(Tiny)
    recipes.recipe("tiny-wrong", "claims too much", bound=-1.0)(Tiny)
    recipes.recipe("tiny-table", "one matrix")(TinyTable)
    zoo.Tiny = Tiny  # for the tests that interrupt it
    yield zoo
    del zoo.Tiny


FLAGS = [
    "--no-sandbox",  # in a container the browser often runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """One running browser for every test that wants one; skipped, with the reason, without."""
    from mechlib.pages.paper import chromium

    path = chromium()
    if path is None:
        reason = "no Chromium: install one, or name it in the variable CHROMIUM"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()
