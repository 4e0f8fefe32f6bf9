"""How long from random weights to 99.9 % of the unseen sums, P = 113?

Repeats a stored run of the zoo, with the recipe's own settings, up to the step at which its record
first passes 99.9 % test accuracy, and times it. The accuracy at the end is measured afresh.

    python -m benchmarks.grokking_run [--seed 1] [--threads 2]
"""

import argparse
import os
import platform
import time

import torch

from mechlib import modular, progress, zoo


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1, choices=range(6))
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)

    name = "grokking-113" + (f"-s{chosen.seed}" if chosen.seed else "")
    recipe, history = zoo.find(name), zoo.history(name)
    reached = history.steps("test accuracy"), history.values("test accuracy")
    recipe.steps = progress.first_step(*reached, above=0.999)

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
    print(f"{chosen.threads} threads, {os.cpu_count()} cores, {platform.machine()}")


if __name__ == "__main__":
    main()
