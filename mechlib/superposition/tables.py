"""Tables that take longer than a page should wait for, each with one command:

    python -m mechlib.superposition.tables pentagons        30 s of one core
    python -m mechlib.superposition.tables two-in-one       20 s

They are stored as CSV in the zoo's `tables`. What is stored is what training gave; what it means is
worked out in chapter 17. (The chapter's dictionaries are recipes: `mechlib.zoo.recipes`.)
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from mechlib.files import TABLES, write_in_place
from mechlib.superposition import phases, toys

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


# ---- files ----

MADE: dict[str, Callable[[], Iterator[Row]]] = {
    "pentagons": pentagons,
    "two-in-one": two_in_one,
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
