"""One training step of modular addition in the page, beside torch's, on this machine.

    python benchmarks/page_step.py            # P = 43, as the page trains it: needs node

Both train d_model 48, 4 heads, MLP 96 on half of the pairs, one thread each, in turns, so that
other work on the machine slows both alike. Times are CPU time: wall time shows the neighbours.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mechlib.grokking import modular
from mechlib.model import Transformer

FOLDER = Path(__file__).parents[1] / "mechlib" / "pages" / "widgets"
STEPS = 100
PROGRAM = """
const run = modular_run({ P: 43, fraction: 0.5, seed: 0, decay: 2, lr: 5e-3, d_model: 48, n_heads: 4, d_mlp: 96 });
for (let i = 0; i < 30; i++) run.step();  // compiled by then
const before = process.cpuUsage();
for (let i = 0; i < 100; i++) run.step();
const used = process.cpuUsage(before);
console.log(JSON.stringify((used.user + used.system) / 100 / 1000));
"""  # noqa: E501


def in_the_page() -> float:
    """Milliseconds of CPU time for one step of the page's own module, in node."""
    sources = [(FOLDER / name).read_text(encoding="utf-8") for name in ("arrays.js", "training.js")]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "step.mjs"
        program.write_text("\n".join([*sources, PROGRAM]), encoding="utf-8")
        done = subprocess.run(["node", str(program)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def in_torch() -> float:
    """Milliseconds of CPU time for one step by the fast path in torch."""
    task = modular.Task(43, fraction=0.5, seed=0)
    model = Transformer(modular.config(43, 48, 4, 96), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.98), weight_decay=2.0)

    def step() -> None:
        optimizer.zero_grad()
        modular.loss(model, task.train_pairs, task.train_answers).backward()
        optimizer.step()

    for _ in range(30):
        step()
    before = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - before) / STEPS * 1000


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("node is not on the path: the page's module runs in it here")
    torch.set_num_threads(1)
    for _ in range(3):
        page, here = in_the_page(), in_torch()
        print(f"page {page:.1f} ms, torch {here:.1f} ms a step: {page / here:.1f} times as long")
