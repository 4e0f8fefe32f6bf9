"""How long until a network groks in the reader's browser?

Drives the widget of chapter 12, in the built book and on one core, as a reader does: a guess, a
seed, "start"; all else as it stands there (P = 43). For each seed: the step at which 99 % of the
unseen pairs are right (the page looks every 10 steps), and the seconds until then, drawing
included. CPU seconds beside them, for wall time shows the neighbours. Seeds that do not get there
are named.

    python -m benchmarks.page_grokking [SEED ...]        seeds 0 to 7; needs a built book
"""

import re
import statistics
import sys
import time

from benchmarks._book import opened


def run(page, cpu_seconds, seed: int) -> tuple[int | None, float, float]:
    """(step or None, seconds, CPU seconds) of one run of the widget, stopped when it is there."""
    widget = page.get_by_role("group", name="grokking, live")
    widget.get_by_label("seed", exact=True).fill(str(seed))
    page.keyboard.press("Tab")
    widget.get_by_label("your guess").select_option(index=2)
    cpu, began = cpu_seconds(), time.perf_counter()
    widget.get_by_role("button", name="start", exact=True).click()
    page.wait_for_function(
        "(w) => w.dataset.grokked || [...w.querySelectorAll('button')].slice(0, 2)"
        ".every((b) => b.disabled)",
        arg=widget.element_handle(),
        polling=100,
    )
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    found = re.search(r"Grokked \(99 %\) at step (\d+)", widget.inner_text())
    widget.get_by_role("button", name="begin again").click()
    return int(found[1]) if found else None, seconds, cpu


if __name__ == "__main__":
    seeds = [int(seed) for seed in sys.argv[1:]] or list(range(8))
    runs = {}
    with opened("notebooks/12_grokking.html") as (page, cpu_seconds):
        for seed in seeds:
            runs[seed] = run(page, cpu_seconds, seed)
            step, seconds, cpu = runs[seed]
            there = f"99 % at step {step}" if step else "not there at the end"
            print(f"seed {seed}: {there}, {seconds:.1f} s, {cpu:.1f} s of CPU", flush=True)
    # a run that does not arrive counts as the slowest of all
    late = [seed for seed, (step, _, _) in runs.items() if step is None]
    for name, place in (("steps", 0), ("seconds", 1), ("seconds of CPU", 2)):
        values = [r[place] if r[0] is not None else float("inf") for r in runs.values()]
        print(f"median {name}: {statistics.median(values):.1f}")
    print("not there:", ", ".join(f"seed {seed}" for seed in late) or "none")
