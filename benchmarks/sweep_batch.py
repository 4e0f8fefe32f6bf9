"""What does a sweep gain by training its models side by side?

The models of chapter 15's sweeps (P = 59, half of the pairs), 30 steps each: one after the other,
and in batches of several sizes, in turn in the same process. Prints the shortest and the median
time of a step of one model, and the ratio to one after the other.

    python benchmarks/sweep_batch.py [--rounds 3] [--threads 2]
"""

import argparse
import statistics
import time

import torch

from mechlib.grokking import sweeps

MODELS, STEPS = 32, 30
SIZES = (1, 4, 8, 16, 32)


def milliseconds(cells: list[sweeps.Cell], together: int) -> float:
    """Time of one step of one model when so many are trained at once."""
    start = time.perf_counter()
    for chunk in sweeps.chunked(cells, together):
        sweeps.train_together(chunk, device="cpu", evidence=False)
    return (time.perf_counter() - start) / (len(cells) * STEPS) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)

    cells = [sweeps.Cell(seed=s, steps=STEPS, lr=3e-3) for s in range(MODELS)]
    milliseconds(cells[:2], 2)
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(chosen.rounds):
        for size in SIZES:
            times[size].append(milliseconds(cells, size))
    alone, middle_alone = min(times[1]), statistics.median(times[1])
    for size, found in times.items():
        best, middle = min(found), statistics.median(found)
        print(
            f"{size:3} together   best {best:5.2f} ms   median {middle:5.2f} ms a model and step   "
            f"alone / this: {alone / best:4.2f} (best) {middle_alone / middle:4.2f} (median)"
        )


if __name__ == "__main__":
    main()
