"""What chapter 17 does not make the reader wait for: dictionaries over kinds, seeds and networks.

Only measures are kept, no weights. A history runs over seeds (`planted-dictionaries`), networks
(`adding-dictionaries`) or features (`toy-sparsity`).
"""

from typing import Any

import torch
from torch import Tensor

from mechlib.grokking import clock, fourier, modular
from mechlib.pages.claims import claim
from mechlib.superposition import geometry, networks, planted, scores, toys
from mechlib.superposition.dictionaries import Dictionary, Rows, fit
from mechlib.train import History, Run
from mechlib.zoo.recipes import Recipe, recipe

Row = dict[str, float]


def under(name: str, row: Row) -> Row:
    """The same numbers, named "NAME/..."."""
    return {f"{name}/{key}": value for key, value in row.items()}


# ---- toy models, from dense to sparse ----


@recipe(
    "toy-sparsity", "Toy models: 120 features in 12 dimensions at 14 densities (chapter 17)",
    store="measures",
)  # fmt: skip
class Sparsity(Recipe):
    """Names are "dimensionality/LEVEL" and "length/LEVEL" and "density/LEVEL"; entry 120 s + i is
    feature i of seed s."""

    seeds = 3
    features = 120
    hidden = 12
    levels = 14
    steps = 3_000
    batch = 128
    lr = 2e-3

    def build(self) -> Dictionary:
        return Dictionary(self.hidden, self.features)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        density = 20 ** -torch.linspace(0, 1, self.levels)
        draw = toys.independent(density, self.features, self.batch)
        history = History()
        for seed in range(self.seeds):
            found = toys.train_toys(
                draw, self.hidden, steps=self.steps, lr=self.lr, spread=0.1, seed=seed
            )
            W = found.W.double()
            D, length = geometry.dimensionality(W), W.norm(dim=-1)
            for i in range(self.features):
                row = {"dimensionality": D, "length": length, "density": density[:, None]}
                history.record(
                    self.features * seed + i,
                    {f"{name}/{k}": float(v[k, min(i, v.shape[1] - 1)])
                     for name, v in row.items() for k in range(self.levels)},
                )  # fmt: skip
        return Run(model, history)

    def check(self, model, history: History) -> None:
        lengths = [torch.tensor(history.values(f"length/{k}")) for k in (0, self.levels - 1)]
        dense, sparse = (
            [int((each > 0.5).sum()) for each in length.split(self.features)] for length in lengths
        )
        claim(
            "Of 120 sparse features {} are represented", sparse, ">", 2 * self.hidden,
            control=("dense ones", dense),
        )  # fmt: skip


# ---- kinds of dictionaries ----

KINDS: dict[str, dict[str, Any]] = {
    "L1 0.02": {"kind": "l1", "penalty": 0.02},
    "L1 0.1": {"kind": "l1", "penalty": 0.1},
    "TopK 4": {"kind": "topk", "k": 4},
    "TopK 8": {"kind": "topk", "k": 8},
    "TopK 32": {"kind": "topk", "k": 32},
    "BatchTopK 4": {"kind": "batchtopk", "k": 4},
}

# ---- dictionaries on planted superposition ----


@recipe(
    "planted-dictionaries", "Dictionaries on 256 known features in 64 dimensions (chapter 17)",
    store="measures",
)  # fmt: skip
class OnPlanted(Recipe):
    """Names are "KIND/measure"; entry s is seed s, of the features and of the dictionary."""

    seeds = 3
    features = 256
    width = 64
    latents = 512
    steps = 1_500
    batch = 256
    lr = 2e-3
    kinds = ("L1 0.02", "L1 0.1", "TopK 4", "BatchTopK 4")
    # Dictionaries and features must not start from one seed: the random ones would be the truth.
    apart = 1_000

    def build(self) -> Dictionary:
        return Dictionary(self.width, self.latents)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        history = History()
        for seed in range(self.seeds):
            layer = planted.planted(self.features, self.width, seed=seed)
            x = layer.activations(layer.sizes(4096, torch.Generator().manual_seed(7)))
            rivals = {
                "random": planted.random_directions(self.latents, self.width, self.apart + seed),
                "principal axes": planted.principal_axes(x),
                "own axes": planted.own_axes(self.width),
            }
            for name, directions in rivals.items():
                history.record(seed, under(name, known(layer.directions, directions)))
            for name in self.kinds:
                dictionary = Dictionary(
                    self.width, self.latents, **KINDS[name], seed=self.apart + seed
                )
                batches = planted.Batches(layer, self.batch, seed)
                fit(dictionary, batches, steps=self.steps, lr=self.lr)
                history.record(seed, under(name, scored(dictionary, layer.directions, x)))
        return Run(model, history)

    def check(self, model, history: History) -> None:
        claim(
            "TopK recovers {} of the planted features", history.values("TopK 4/recovered"),
            ">=", 0.95, control=("random directions", history.values("random/recovered")),
        )  # fmt: skip


def known(features: Tensor, directions: Tensor) -> Row:
    """What can be said of any set of directions."""
    return {
        "mmcs": scores.mmcs(features, directions),
        "recovered": scores.recovered(features, directions),
        "duplicates": scores.duplicates(features, directions),
    }


@torch.no_grad()
def scored(dictionary: Dictionary, features: Tensor, x: Tensor) -> Row:
    """A trained dictionary's living latents against the features, and its sparsity."""
    code = dictionary.latents(x)
    few = scores.sparsity(code)
    fvu = scores.unexplained(x, dictionary.read(code))
    living = dictionary.directions[scores.alive(code)]
    return {**known(features, living), "fvu": fvu, "l0": few.l0, "alive": few.alive}


# ---- dictionaries on the neurons of networks that add ----


@recipe(
    "adding-dictionaries-113", "Dictionaries on networks that add modulo 113", P=113,
    adders=1, latents=1024, steps=600, kinds=("TopK 8",), store="measures",
)  # fmt: skip
@recipe(
    "adding-dictionaries", "Dictionaries on the neurons of networks that add (chapter 17)",
    store="measures",
)  # fmt: skip
class OnAdders(Recipe):
    """Names are "STATE/KIND/measure"; entry s is the network of seed s. States: "grokked";
    "untrained"; "one at a time", the grokked network's neurons with one frequency moving at a
    time."""

    P = 59
    adders = 3
    latents = 256
    steps = 1_000
    batch = 256
    lr = 2e-3
    kinds = ("TopK 8", "TopK 32", "L1 0.02")

    def build(self) -> Dictionary:
        return Dictionary(128 if self.P == 59 else 512, self.latents)

    def run(self, model, *, device, progress, checkpoint) -> Run:
        from mechlib import zoo  # not above: zoo imports the recipes

        history = History()
        for seed in range(self.adders):
            name = f"grokking-{self.P}" + (f"-s{seed}" if seed else "")
            adder, untrained = zoo.load(name), zoo.find(name).build()
            keys, grid = clock.key_frequencies(adder), modular.all_neurons(adder, self.P)
            frequency, _ = fourier.best_frequency(grid)
            fresh = modular.all_neurons(untrained, self.P)
            alone = networks.one_frequency_at_a_time(grid, frequency, keys)
            history.record(seed, under("grokked/neurons", tuning(grid, keys)))
            history.record(seed, under("untrained/neurons", tuning(fresh, keys)))
            for state, table, kinds in (
                ("grokked", grid, self.kinds),
                ("untrained", fresh, self.kinds[:1]),
                ("one at a time", alone, self.kinds[:1]),
            ):
                for kind in kinds:
                    row = self.row(kind, table, keys, frequency, adder if table is grid else None)
                    history.record(seed, under(f"{state}/{kind}", row))
            row = self.row(self.kinds[0], grid, keys, frequency, adder, steps=0)
            history.record(seed, under("grokked/random", row))
        return Run(model, history)

    def row(
        self,
        kind: str,
        grid: Tensor,
        keys: list[int],
        frequency: Tensor,
        adder: Any,
        steps: int = -1,
    ) -> Row:
        """Train one dictionary on 70 % of the pairs, and score it: tuning over all pairs, the
        rest on the other pairs."""
        x, scale = neuron_table(grid)
        seen, held_out = held_out_pairs(self.P)
        dictionary = Dictionary(x.shape[1], self.latents, **KINDS[kind])
        if steps:
            fit(dictionary, Rows(x[seen], self.batch), steps=self.steps, lr=self.lr)
        else:
            dictionary.center.data = x.mean(0)
        with torch.no_grad():
            code = dictionary.eval().latents(x)
            made = dictionary.read(code)
            living = scores.alive(code[held_out])
            directions = dictionary.directions[living].double()
        few = scores.sparsity(code[held_out])
        units = code[:, living].double().view(self.P, self.P, -1)
        row = {
            "fvu": scores.unexplained(x[held_out], made[held_out]),
            "l0": few.l0,
            "alive": few.alive,
            "latent sum": float(code.sum(1).mean() / x.sum(1).mean()),
            "group": float(networks.share_in_one_group(directions, frequency, keys).median()),
            **tuning(units, keys),
        }
        if adder is not None:
            row |= spliced(adder, grid, (made * scale).double().view_as(grid), held_out)
        return row

    def check(self, model, history: History) -> None:
        claim(
            "A share of {} of held-out variance is unexplained",
            history.values("grokked/TopK 8/fvu"), "<", 0.3,
            control=("random directions", history.values("grokked/random/fvu")),
        )  # fmt: skip


def neuron_table(grid: Tensor) -> tuple[Tensor, float]:
    """Neurons (a, b, neuron) as rows of float32, scaled so that their variances add up to 1, and
    the scale."""
    rows = grid.flatten(0, 1)
    scale = float(rows.var(0).sum().sqrt())
    return (rows / scale).float(), scale


def held_out_pairs(P: int, seed: int = 0, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """The numbers of the pairs that a dictionary is trained on, and of those kept for its scores.
    They have nothing to do with the split that the network was trained on."""
    order = torch.randperm(P * P, generator=torch.Generator().manual_seed(seed))
    cut = int(share * P * P)
    return order[cut:], order[:cut]


def tuning(units: Tensor, keys: list[int]) -> Row:
    """Of units (a, b, unit): how many are tuned, the median share of one frequency, and of one key
    frequency with its harmonics; and to how many of the pairs the median unit answers."""
    sharp = networks.shares_with_harmonics(units, keys).amax(0)
    return {
        "tuned": float(networks.tuned(units, keys).double().mean()),
        "share": float(fourier.best_frequency(units)[1].median()),
        "tuned with harmonics": float((sharp >= 0.85).double().mean()),
        "share with harmonics": float(sharp.median()),
        "answers to": float((units > 0).double().mean((0, 1)).median()),
    }


def spliced(adder: Any, grid: Tensor, made: Tensor, held_out: Tensor) -> Row:
    """Loss and accuracy on held-out pairs with the neurons replaced by their reconstruction, and
    the loss with each at its mean."""
    P = grid.shape[0]
    answers = ((torch.arange(P)[:, None] + torch.arange(P)) % P).flatten()[held_out]
    logits, W_L = modular.all_logits(adder, P), clock.neuron_logit_map(adder)
    found: Row = {}
    for name, new in (("spliced", made), ("mean", grid.mean((0, 1)).expand_as(grid))):
        changed = (logits + (new - grid) @ W_L).flatten(0, 1)[held_out]
        found[f"{name} loss"] = float(torch.nn.functional.cross_entropy(changed, answers))
        found[f"{name} accuracy"] = float((changed.argmax(1) == answers).double().mean())
    return found
