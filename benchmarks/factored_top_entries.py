"""The 100 largest entries of a V x V circuit, held as two thin factors.

    python -m benchmarks.factored_top_entries          V = 50,000, d_head = 64, two threads

A table of a vocabulary's width does not fit in a laptop's memory; its factors do. Three ways are
timed in the same run, so that the numbers mean something on any machine:

    factored   `FactoredMatrix.top_entries`, at V and at the smaller V
    rows       plain blocks of rows: multiply out, take the top of the block's entries, merge
    dense      multiply out the whole table and take its top; at the smaller V only

The bounds are for V = 50,000: 10 seconds, 500 MB of peak memory. The processor's seconds (of all
threads together) stand beside those of the clock: on a machine that does other things they tell
what the work itself takes.
"""

import argparse
import sys
import time

import torch

from mechlib.reading.factored import FactoredMatrix


def peak_memory_mb() -> float | None:
    """The largest memory this process has held so far, in MB; None where it cannot be asked."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def plain_rows(A: torch.Tensor, B: torch.Tensor, k: int, block: int = 256) -> torch.Tensor:
    """The k largest values, the obvious way."""
    best = torch.empty(0)
    for start in range(0, A.shape[0], block):
        product = A[start : start + block] @ B
        best = torch.cat([best, product.flatten().topk(k).values]).topk(k).values
    return best


def dense(A: torch.Tensor, B: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest values of the table, multiplied out."""
    return (A @ B).flatten().topk(k).values


def seconds(function, *args) -> tuple[float, float, torch.Tensor]:
    """By the clock, of the processor, and what came out."""
    clock, processor = time.perf_counter(), time.process_time()
    values = function(*args)
    return time.perf_counter() - clock, time.process_time() - processor, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=50_000)
    parser.add_argument("--small", type=int, default=10_000, help="the V that dense can hold")
    parser.add_argument("--d-head", type=int, default=64)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="fail when a bound is passed")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(args.vocab, args.d_head, generator=generator)
    B = torch.randn(args.d_head, args.vocab, generator=generator)

    def factored(A, B, k):
        return FactoredMatrix(A, B).top_entries(k).values

    # the large one first: peak memory only ever grows
    before = peak_memory_mb()
    large, work, _ = seconds(factored, A, B, args.k)
    peak = peak_memory_mb()
    print(f"V = {args.vocab:,}, d_head = {args.d_head}, top {args.k}, {args.threads} threads")
    print(f"  factored   {large:7.2f} s   ({work:.2f} s of processor)")
    print(f"  the dense table would take {args.vocab**2 * 4 / 1e9:.1f} GB")
    if peak is not None:
        print(
            f"  peak memory of the process {peak:.0f} MB, of which {before:.0f} MB before it began"
        )

    small_A, small_B = A[: args.small], B[:, : args.small].contiguous()
    times, works, values = {}, {}, {}
    for name, way in {"factored": factored, "rows": plain_rows, "dense": dense}.items():
        times[name], works[name], values[name] = seconds(way, small_A, small_B, args.k)
        torch.testing.assert_close(values[name], values["factored"])
    print(f"V = {args.small:,}")
    for name, work in works.items():
        print(
            f"  {name:10s} {times[name]:7.2f} s   ({work:.2f} s of processor, "
            f"{work / works['factored']:.1f} x factored)"
        )

    if args.check and (large > 10 or (peak or 0) > 500):
        raise SystemExit("over the bound of 10 s or 500 MB")


if __name__ == "__main__":
    main()
