"""How long from random weights to 99.9 % of the unseen sums, P = 113?

Repeats stored runs of the zoo, each with its recipe's own settings, up to the step at which its
record first passes 99.9 % test accuracy, and times them. The accuracy at the end is measured
afresh. "grokking-113-..." is the paper's learning rate, "grokking-113-fast-..." three times that.

    python -m benchmarks.grokking_run [NAME ...] [--threads 2]
"""

import argparse
import os
import platform
import time

import torch

from mechlib import zoo
from mechlib.grokking import modular, progress


def run(name: str, threads: int) -> None:
    recipe = zoo.find(name)
    recipe.steps = progress.reached(zoo.history(name), "test accuracy", 0.999)
    task = recipe.task()
    start = time.perf_counter()
    model = recipe.optimise(recipe.build(), device="cpu", progress=False, checkpoint=None).model
    seconds = time.perf_counter() - start

    with torch.no_grad():
        _, accuracy = modular.score(
            modular.fast_logits(model, task.test_pairs), task.answers[task.test]
        )
    each = 1e3 * seconds / recipe.steps
    print(f"{name}: {recipe.steps:,} steps in {seconds:.0f} s, {each:.1f} ms a step")
    print(f"at the end {accuracy:.4f} of {len(task.test):,} unseen pairs right")
    print(f"{threads} threads, {os.cpu_count()} cores, {platform.machine()}")


def main() -> None:
    known = [name for name in zoo.stored() if name.startswith("grokking-113")]
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(known):
        parser.error(f"no stored run is called {', '.join(sorted(unknown))}; known: {known}")
    torch.set_num_threads(chosen.threads)
    for name in chosen.names or ["grokking-113-s1", "grokking-113-fast"]:
        run(name, chosen.threads)


if __name__ == "__main__":
    main()
