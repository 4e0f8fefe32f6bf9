"""How long from random weights to 99.9 % of the unseen sums, P = 113?

Repeats stored runs of the zoo, each with its recipe's own settings, until *this* run is there, and
says when that was, beside the step of the record. The two may differ by hundreds of steps: another
processor rounds otherwise, and a run is not the same run any more (all of them arrive). The test
accuracy is measured as often as in the record, and the clock stands still meanwhile.
"grokking-113-..." is the paper's learning rate, "grokking-113-fast-..." three times that. On an
Intel Xeon (AVX-512, one thread, torch 2.11) grokking-113-fast arrived at step 3,500 (record: 3,200)
and grokking-113-fast-s1 at 1,500 (1,600). Chapter 12 has all twelve runs on an AMD EPYC.

    python -m benchmarks.grokking_run [NAME ...] [--threads 2] [--seconds 600]
"""

import argparse
import contextlib
import copy
import os
import platform
import time

import torch

from mechlib import zoo
from mechlib.grokking import modular, progress

THERE = 0.999


class Stop(Exception):
    """This run need not go on."""


class Watched:
    """A recipe's loss that now and then measures the test accuracy, and stops the run when that is
    high enough or the time is up."""

    def __init__(self, recipe, limit: float):
        self.loss, self.task, self.every = recipe.loss, recipe.task(), recipe.measure_every
        self.limit, self.step, self.accuracy = limit, 0, 0.0
        self.began, self.measuring = 0.0, 0.0

    def seconds(self) -> float:
        """Time spent on training so far."""
        return time.perf_counter() - self.began - self.measuring

    def __call__(self, model, batch):
        if self.step == 0:
            self.began = time.perf_counter()
        if self.step % self.every == 0:
            self.measure(model)
        self.step += 1
        return self.loss(model, batch)

    @torch.no_grad()
    def measure(self, model) -> None:
        start = time.perf_counter()
        logits = modular.fast_logits(model, self.task.test_pairs)
        _, self.accuracy = modular.score(logits, self.task.test_answers)
        self.measuring += time.perf_counter() - start
        if self.accuracy >= THERE or self.seconds() > self.limit:
            raise Stop


def run(name: str, threads: int, limit: float) -> None:
    recipe = copy.copy(zoo.find(name))
    then = progress.reached(zoo.history(name), "test accuracy", THERE)
    watched = recipe.loss = Watched(recipe, limit)
    with contextlib.suppress(Stop):
        recipe.optimise(recipe.build(), device="cpu", progress=False, checkpoint=None)
    seconds, steps = watched.seconds(), watched.step
    there = "there" if watched.accuracy >= THERE else "not there"
    print(
        f"{name}: {there} after {steps:,} steps and {seconds:.0f} s, with "
        f"{watched.accuracy:.4f} of {len(watched.task.test):,} unseen pairs right "
        f"({1e3 * seconds / max(steps, 1):.1f} ms a step); the record: {then:,} steps"
    )
    print(f"{threads} threads, {os.cpu_count()} cores, {platform.machine()}")


def main() -> None:
    known = [name for name in zoo.stored() if name.startswith("grokking-113")]
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=600, help="of training, at most")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(known):
        parser.error(f"no stored run is called {', '.join(sorted(unknown))}; known: {known}")
    torch.set_num_threads(chosen.threads)
    for name in chosen.names or ["grokking-113-s1", "grokking-113-fast"]:
        run(name, chosen.threads, chosen.seconds)


if __name__ == "__main__":
    main()
