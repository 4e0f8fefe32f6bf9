"""Tables that take longer than a page should wait for, each with one command:

    python -m mechlib.superposition.tables pentagons        45 s of one core
    python -m mechlib.superposition.tables two-in-one       45 s
    python -m mechlib.superposition.tables sparsity-curve   3 minutes
    python -m mechlib.superposition.tables planted          5 minutes
    python -m mechlib.superposition.tables grokking         10 minutes

They are stored as CSV in the zoo's `tables`. What is stored is what training gave, weights where
they are small; what it means is worked out in chapter 17.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechlib.files import write_in_place
from mechlib.grokking import clock, fourier, modular
from mechlib.superposition import geometry, networks, phases, planted, scores, toys
from mechlib.superposition.dictionaries import Dictionary, Rows, fit

TABLES = Path(__file__).parents[1] / "zoo" / "tables"
Row = dict[str, Any]

# ---- toy models ----

PENTAGON_DENSITIES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02)


def pentagons(starts: int = 64) -> Iterator[Row]:
    """Five features in two dimensions: W and b of every start at every density, and the loss on
    inputs not trained on."""
    density = torch.tensor(PENTAGON_DENSITIES).repeat_interleave(starts)
    found = toys.train_toys(toys.independent(density, 5, 128), 2, steps=2_500)
    fresh = toys.independent(density, 5, 4096)(torch.Generator().manual_seed(9))
    loss = found.loss(fresh)
    for i in range(len(density)):
        row = {"density": float(density[i]), "start": i % starts, "loss": float(loss[i])}
        row |= {f"W{f}{h}": float(found.W[i, f, h]) for f in range(5) for h in range(2)}
        yield row | {f"b{f}": float(found.b[i, f]) for f in range(5)}


def two_in_one(side: int = 16) -> Iterator[Row]:
    """Two features in one dimension on a grid of densities and importances."""
    density, importance = torch.meshgrid(
        torch.logspace(-2, 0, side), torch.logspace(-1, 1, side), indexing="ij"
    )
    p, I = density.flatten(), importance.flatten()
    W, b, loss = phases.train_two_in_one(p, I)
    for i in range(len(p)):
        yield {
            "density": float(p[i]), "importance": float(I[i]),
            "W0": float(W[i, 0]), "W1": float(W[i, 1]),
            "b0": float(b[i, 0]), "b1": float(b[i, 1]), "loss": float(loss[i]),
        }  # fmt: skip


def sparsity_curve(seeds: int = 3, features: int = 120, hidden: int = 12) -> Iterator[Row]:
    """One hundred and twenty features in twelve dimensions, from dense to sparse: the length and
    the dimensionality of every feature."""
    density = 20 ** -torch.linspace(0, 1, 14)
    for seed in range(seeds):
        draw = toys.independent(density, features, 128)
        W = toys.train_toys(draw, hidden, steps=3_000, lr=3e-3, seed=seed, spread=0.1).W.double()
        D, length = geometry.dimensionality(W), W.norm(dim=-1)
        for level in range(len(density)):
            for feature in range(features):
                yield {
                    "seed": seed, "density": float(density[level]), "feature": feature,
                    "length": float(length[level, feature]),
                    "dimensionality": float(D[level, feature]),
                }  # fmt: skip


# ---- dictionaries on planted superposition ----

# Dictionaries and features must not start from one seed: the random directions would be the truth.
OTHER = 1_000

PLANTED_KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "l1", "penalty": 0.02},
    {"kind": "l1", "penalty": 0.1},
    {"kind": "topk", "k": 4},
    {"kind": "batchtopk", "k": 4},
)


def planted_scores(features: Tensor, directions: Tensor) -> Row:
    """What can be said of any set of directions."""
    return {
        "mmcs": scores.mmcs(features, directions),
        "recovered": scores.recovered(features, directions),
        "duplicates": scores.duplicates(features, directions),
    }


def on_planted(seeds: int = 3, steps: int = 1_500, latents: int = 512) -> Iterator[Row]:
    """256 features in 64 dimensions: every kind of dictionary, and directions nobody trained."""
    for seed in range(seeds):
        layer = planted.planted(seed=seed)
        width = layer.directions.shape[1]

        batch_at = planted.Batches(layer, 256, seed)
        fresh = torch.Generator().manual_seed(7)
        sizes = layer.sizes(4096, fresh)
        x = layer.activations(sizes)
        rivals = {
            "random": planted.random_directions(latents, width, OTHER + seed),
            "principal axes": planted.principal_axes(x),
            "own axes": planted.own_axes(width),
        }
        for name, directions in rivals.items():
            yield {"seed": seed, "kind": name, **planted_scores(layer.directions, directions)}
        for setting in PLANTED_KINDS:
            dictionary = Dictionary(width, latents, **setting, seed=OTHER + seed)
            fit(dictionary, batch_at, steps=steps, lr=2e-3)
            with torch.no_grad():
                code = dictionary.latents(x)
                made = dictionary.read(code)
            here = scores.alive(code)
            mine = planted_scores(layer.directions, dictionary.directions.detach()[here])
            few = scores.sparsity(code)
            yield {
                "seed": seed, **setting, **mine, "fvu": scores.unexplained(x, made),
                "l0": few.l0, "alive": few.alive,
            }  # fmt: skip


# ---- dictionaries on the neurons of networks that add ----

ADDERS = tuple(f"grokking-{P}{s}" for P in (59, 113) for s in ("", "-s1", "-s2"))
# The large networks have the first only.
ADDER_KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "topk", "k": 8},
    {"kind": "l1", "penalty": 0.02},
    {"kind": "topk", "k": 32},
)


def neuron_table(grid: Tensor) -> tuple[Tensor, float]:
    """A grid of neurons (a, b, neuron) as rows of float32, scaled so that their variances add up
    to 1, and the scale."""
    rows = grid.flatten(0, 1)
    scale = float(rows.var(0).sum().sqrt())
    return (rows / scale).float(), scale


def held_out_pairs(P: int, seed: int = 0, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """The numbers of the pairs that a dictionary is trained on, and of those kept for its scores.
    They have nothing to do with the split that the network was trained on."""
    order = torch.randperm(P * P, generator=torch.Generator().manual_seed(seed))
    cut = int(share * P * P)
    return order[cut:], order[:cut]


def adder_scores(
    dictionary: Dictionary, grid: Tensor, keys: list[int], held_out: Tensor
) -> tuple[Row, Tensor]:
    """How a dictionary's latents are tuned over all pairs, and how well it reconstructs those it
    did not see. Gives the scores and the reconstruction, on the neurons' own scale."""
    P = grid.shape[0]
    x, scale = neuron_table(grid)
    with torch.no_grad():
        code = dictionary.latents(x)
        made = dictionary.read(code)
    here = scores.alive(code)
    units = code[:, here].double().view(P, P, -1)
    few = scores.sparsity(code[held_out])
    row = {
        "fvu": scores.unexplained(x[held_out], made[held_out]), "l0": few.l0, "alive": len(here),
        **tuning_scores(units, keys),
    }  # fmt: skip
    frequency, _ = fourier.best_frequency(grid)
    directions = dictionary.directions.detach()[here].double()
    row["group"] = float(networks.share_in_one_group(directions, frequency, keys).median())
    return row, (made * scale).double().view_as(grid)


def latent_sum(dictionary: Dictionary, grid: Tensor) -> float:
    """The mean over inputs of the sum of latents, which l1 lowers, as a share of the same sum for
    the neurons themselves."""
    x, _ = neuron_table(grid)
    with torch.no_grad():
        return float(dictionary.latents(x).sum(1).mean() / x.sum(1).mean())


def tuning_scores(units: Tensor, keys: list[int]) -> Row:
    """Of units (a, b, unit): how many are tuned, the median share of one frequency, and of one key
    frequency with its harmonics."""
    sharp = networks.shares_with_harmonics(units, keys).amax(0)
    return {
        "tuned": float(networks.tuned(units, keys).double().mean()),
        "share": float(fourier.best_frequency(units)[1].median()),
        "tuned with harmonics": float((sharp >= 0.85).double().mean()),
        "share with harmonics": float(sharp.median()),
        "answers to": float((units > 0).double().mean((0, 1)).median()),
    }


def on_adders(names: tuple[str, ...] = ADDERS, steps: int = 600) -> Iterator[Row]:
    """Dictionaries on the neurons of networks that learned to add; on those of the same networks
    before they did; and on the same neurons with one frequency at a time."""
    from mechlib import zoo  # the zoo knows this wing

    for name in names:
        model = zoo.load(name)
        P, keys = clock.modulus(model), clock.key_frequencies(model)
        grid = modular.all_neurons(model, P)
        frequency, _ = fourier.best_frequency(grid)
        grids = {"grokked": grid}
        if P < 100:
            grids["untrained"] = modular.all_neurons(zoo.find(name).build(), P)
        if P < 100 and zoo.info(name)["snapshot_steps"]:
            grids["memorised"] = modular.all_neurons(zoo.snapshot(name, memorised_at(name)), P)
        grids["one at a time"] = networks.one_frequency_at_a_time(grid, frequency, keys)
        seen, held_out = held_out_pairs(P)
        for state, neurons in grids.items():
            row = {"network": name, "state": state}
            yield row | {"kind": "neurons", **tuning_scores(neurons, keys)}
            kinds = ADDER_KINDS[: 1 if state != "grokked" or P > 59 else 3]
            for setting in kinds:
                x, _ = neuron_table(neurons)
                dictionary = Dictionary(x.shape[1], 2 * x.shape[1] if P == 59 else 512, **setting)
                with torch.no_grad():
                    dictionary.center.copy_(x.mean(0))
                if setting is kinds[0]:  # the same before training: random directions
                    found, _ = adder_scores(dictionary.eval(), neurons, keys, held_out)
                    yield row | setting | {"kind": "random", **found}
                    dictionary.train()
                fit(dictionary, Rows(x[seen], 256), steps=steps if P < 100 else 400, lr=2e-3)
                found, made = adder_scores(dictionary, neurons, keys, held_out)
                found["latent sum"] = latent_sum(dictionary, neurons)
                if state == "grokked":
                    found |= spliced(model, grid, made, held_out)
                yield row | setting | found


def memorised_at(name: str) -> int:
    """The last kept step before the test accuracy of a network passes one half."""
    from mechlib import zoo

    history = zoo.history(name)
    values = dict(zip(history.steps("test accuracy"), history.values("test accuracy")))
    before = [s for s in zoo.info(name)["snapshot_steps"] if s in values and values[s] < 0.5]
    return max(before)


def spliced(model: Any, grid: Tensor, made: Tensor, held_out: Tensor) -> Row:
    """Loss and accuracy on held-out pairs with the neurons replaced by their reconstruction."""
    P = grid.shape[0]
    answers = ((torch.arange(P)[:, None] + torch.arange(P)) % P).flatten()[held_out]
    logits = modular.all_logits(model, P) + (made - grid) @ clock.neuron_logit_map(model)
    logits = logits.flatten(0, 1)[held_out]
    loss = torch.nn.functional.cross_entropy(logits, answers)
    right = (logits.argmax(1) == answers).double().mean()
    return {"spliced loss": float(loss), "spliced accuracy": float(right)}


# ---- files ----

MADE: dict[str, Callable[[], Iterator[Row]]] = {
    "pentagons": pentagons,
    "two-in-one": two_in_one,
    "sparsity-curve": sparsity_curve,
    "planted": on_planted,
    "grokking": on_adders,
}


def path_of(name: str) -> Path:
    """Where a table lies. KeyError for another name."""
    if name not in MADE:
        raise KeyError(f"name: got {name!r}, there are {', '.join(MADE)}")
    return TABLES / f"superposition-{name}.csv"


def write(name: str, rows: list[Row]) -> None:
    """Store a table, numbers with five digits. What a row does not have stays empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def fill(beside: Path) -> None:
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow(
                    {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
                )

    write_in_place(path_of(name), fill)


def read(name: str) -> list[Row]:
    """The rows of a stored table, numbers as numbers, without what was empty."""
    with path_of(name).open(newline="", encoding="utf-8") as file:
        return [{k: _value(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def main(argv: list[str] | None = None) -> None:
    """`python -m mechlib.superposition.tables NAME ...`"""
    import argparse

    from tqdm.auto import tqdm

    parser = argparse.ArgumentParser(prog="mechlib.superposition.tables")
    parser.add_argument("names", nargs="+", choices=list(MADE))
    for name in parser.parse_args(argv).names:
        write(name, list(tqdm(MADE[name](), desc=name, unit="row")))


if __name__ == "__main__":
    main()
