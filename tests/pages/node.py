"""Run the page's own JavaScript in node, on arrays from Python."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "mechlib" / "pages" / "widgets"
CASES = Path(__file__).with_name("engine_cases.js")
MODULES = (
    "arrays.js", "shared.js", "engine.js", "bpe.js", "training.js", "toy.js", "othello_rules.js",
    "convnet.js",
)  # fmt: skip


def packed(values) -> str:
    """A tensor or array as base64 of its float32 numbers."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def text(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode()


def run(folder: Path, name: str, given: dict, small=lambda source: source):
    """What the case `name` of engine_cases.js, with the page's modules at hand, makes of `given`.

    small: what is done to each module first. Skips the test when node is not installed.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on the path: the page's module runs in it here")
    sources = [small((FOLDER / name).read_text(encoding="utf-8")) for name in MODULES]
    program = folder / "program.mjs"
    cases = CASES.read_text(encoding="utf-8")
    program.write_text("\n".join([*sources, cases]), encoding="utf-8")
    data = folder / "given.json"
    data.write_text(json.dumps({"name": name, "given": given}), encoding="utf-8")
    done = subprocess.run(
        [node, str(program), str(data)], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
