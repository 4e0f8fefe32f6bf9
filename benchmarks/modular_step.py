"""What does the fast exact forward pass buy?

One full-batch training step (forward, loss, backward) of the paper's model on modular addition
(P = 113, 3,830 pairs) by the plain Transformer in float32, by the fast path in float32, and by the
fast path with its products in bfloat16, in turn in the same process. Prints the shortest and the
median time of each, the ratios to plain, and the share of the machine's matrix speed that the fast
step reaches: the multiplications of the products that all pairs take part in (hidden W_out, and the
two of its gradient) against the same number done in large square products.

On one thread of an AMD EPYC with AVX-512 bfloat16 the plain step takes 220 to 270 ms, the fast one
31 to 33 ms in float32 and 19 to 21 in bfloat16: 7 to 8 times, and 11.3 to 13.0 times. It was 4.9
to 5.3 and 9.1 to 9.6 while attention's z was multiplied for each pair (nine large products). Now
tables are multiplied and then mixed (`mechlib.grokking.mixing`): three large products are left and
take 7 of the 19 ms, sums of table rows with their gradients 4, the small products 2.5, the loss
with its gradient 2, casts the rest.

Tried, and no faster: numbers of pairs and answers padded to 3,840 and 128; `torch.compile` of the
loss; the whole step as one function with its gradient written out; pairs sorted by a; the gradient
of the shares in pieces that fit the cache. What makes mixing pay is that both its directions are
bags of rows (`embedding_bag`), the second with the order written out, and that the gradient of the
shares is a sampled product; by autograd alone the same tables gave 10.0 to 10.7 times.

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

    # forward: hidden W_out for each example; backward costs twice that
    work = 3 * len(pairs) * model.config.d_mlp * model.config.d_vocab
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
        print(f"{name:16} large products alone would need {limit * 1e3:5.1f} ms at the speed of a "
              f"1024 x 1024 product: {limit / best[name]:.0%} of the step")  # fmt: skip


if __name__ == "__main__":
    main()
