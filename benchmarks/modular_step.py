"""What does the fast exact forward pass buy?

One full-batch training step (forward, loss, backward) of the paper's model on modular addition
(P = 113, 3,830 pairs) by the plain Transformer in float32, by the fast path in float32, and by the
fast path with its three large products in bfloat16, in turn in the same process. Prints the
shortest and the median time of each, the ratios to plain, and the share of the machine's matrix
speed that the fast step reaches: its products' multiplications against the same number done in
large square products.

What is left to gain: on one thread of an AMD EPYC with AVX-512 bfloat16 the plain step took 263 to
280 ms of processor time, the fast one 53 to 55 in float32 and 29 to 30 in bfloat16 (4.9 to 5.3
times, and 9.1 to 9.6). Of these 29 ms the nine large products take 17, attention's mixed values
with their gradient 3.7, the loss with its gradient 2, and casts, sums over biases and the small
products the rest. Tried, and no faster: the reciprocal times instead of the division in the mixed
values; numbers of pairs and answers padded to 3,840 and 128; `torch.compile` of the loss (10.1
times with and without, in one process). Tried, and a little faster: forward and backward written
out by hand, z and the hidden layer side by side in one buffer, so that six products do (9.4 to 9.5
times, 10.4 to 10.7 on two threads, where the step as it stands had 9.1 to 9.8 beside it); the
tables multiplied by W_O, W_in and W_U first and mixed afterwards, which leaves three large
products of the batch, and gives to gathers and small products what it saves (10.0 to 10.7 where
the step as it stands had 9.2 to 9.6). Neither is worth twice the code. Twelve times the plain
step would need all that is no product in 5 ms. An Intel Xeon with AMX (16 cores, torch 2.11)
multiplies in bfloat16 almost three times as fast, and comes to the same: 4.8 and 9.2 to 9.8 times
on one thread, 5.4 and 8.7 to 9.2 on two; there the products alone are a third of the step.

    python benchmarks/modular_step.py [--rounds 15] [--threads 2]
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F

from mechlib.grokking import modular
from mechlib.model import Transformer


def seconds(f) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def square_speed(dtype: torch.dtype, size: int = 1024) -> float:
    """Multiply-adds a second of a large square product, the best of five."""
    A = torch.randn(size, size).to(dtype)
    A @ A
    return size**3 / min(seconds(lambda: A @ A) for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)

    task = modular.Task(113)
    model = Transformer(modular.config(113))
    pairs, answers = task.train_pairs, task.train_answers
    tokens = modular.sequences(pairs, 113)

    def plain():
        model.zero_grad()
        F.cross_entropy(model(tokens)[:, -1], answers).backward()

    def fast(kind=None):
        model.zero_grad()
        modular.loss(model, pairs, answers, kind).backward()

    steps = {
        "plain, float32": plain,
        "fast, float32": fast,
        "fast, bfloat16": lambda: fast(torch.bfloat16),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(chosen.rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))

    # forward: z W_in, z W_U and hidden W_out for each example; backward costs twice that
    c = model.config
    d_z = c.n_heads * c.d_head
    work = 3 * len(pairs) * (d_z * c.d_mlp + d_z * c.d_vocab + c.d_mlp * c.d_vocab)
    best = {name: min(t) for name, t in times.items()}
    middle = {name: statistics.median(t) for name, t in times.items()}
    for name in steps:
        print(
            f"{name:16} best {best[name] * 1e3:7.1f} ms   median {middle[name] * 1e3:7.1f} ms   "
            f"plain / this: {best['plain, float32'] / best[name]:5.1f} (best) "
            f"{middle['plain, float32'] / middle[name]:5.1f} (median)"
        )
    for name, dtype in (("fast, float32", torch.float32), ("fast, bfloat16", torch.bfloat16)):
        limit = work / square_speed(dtype)
        print(f"{name:16} matrix products alone would need {limit * 1e3:5.1f} ms at the speed of a "
              f"1024 x 1024 product: {limit / best[name]:.0%} of the step")  # fmt: skip


if __name__ == "__main__":
    main()
