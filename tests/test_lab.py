"""Notebooks in a real JupyterLab with a real kernel, driven by a browser.

`make test-lab` opens each notebook, runs it as a whole and reads what JupyterLab saved.
"""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = ROOT / "notebooks" / "05_bigrams.ipynb"  # short, and with widgets
TOKEN = "a-token-for-this-test"
PATIENCE = 900  # seconds for one notebook; a busy machine may be slow, not wrong


def load_lab():
    """tools/lab.py as a module: it is a script and in no package."""
    spec = importlib.util.spec_from_file_location("lab", ROOT / "tools" / "lab.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a working copy in a folder of its own."""
    tool, root = load_lab(), tmp_path_factory.mktemp("course")
    port = free_port()
    tool.hand_out(ROOT / "notebooks", root / tool.COPY)
    # every cell in the page, not only those in view, so that a test can look at all of them
    settings = root / ".settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    whole = json.dumps({"windowingMode": "none"})
    (settings / "tracker.jupyterlab-settings").write_text(whole, encoding="utf-8")
    command = tool.command(
        root,
        "--no-browser",
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        f"--IdentityProvider.token={TOKEN}",
        "--allow-root",
    )
    variables = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "JUPYTER_DATA_DIR": str(root / ".jupyter-data"),
        "JUPYTER_CONFIG_DIR": str(root / ".jupyter-config"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / ".workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(root / ".settings"),
    }
    with (root / "lab.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=root, stdout=log, stderr=log, env=tool.environment() | variables
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(240):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).close()
                    break
                time.sleep(0.5)
            else:
                pytest.fail((root / "lab.log").read_text()[-2000:])
            yield address, root / tool.COPY
        finally:
            server.terminate()
            server.wait(30)


def open_notebook(browser, address: str, name: str):
    """A page that shows one notebook with its kernel ready."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(f"{address}/lab/workspaces/test/tree/workbook/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached")
    # the page may say "idle" before it is connected, and what it is told to run then is lost
    deadline = time.monotonic() + 120
    while not connected(address, name):
        assert time.monotonic() < deadline, f"{name}: no kernel after two minutes"
        page.wait_for_timeout(500)
    return page


def connected(address: str, name: str) -> bool:
    """Whether the server has an idle kernel for the notebook, with the page at its other end."""
    with urllib.request.urlopen(f"{address}/api/sessions?token={TOKEN}", timeout=60) as answer:
        kernels = [s["kernel"] for s in json.load(answer) if s["path"].endswith(f"/{name}")]
    return any(k["execution_state"] == "idle" and k["connections"] > 0 for k in kernels)


def run_all(page, path: Path) -> nbformat.NotebookNode:
    """Run every cell, wait for the kernel, save; the notebook as Lab wrote it."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator('[data-command="runmenu:run-all"]').click()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page.wait_for_timeout(2000)
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1000)
        with contextlib.suppress(ValueError):  # read while it was being written
            notebook = nbformat.read(path, as_version=4)
            if not_run(notebook) == 0 or errors(notebook):
                return notebook
    pytest.fail(f"{path.name}: not run to its end in {PATIENCE} s")


def errors(notebook: nbformat.NotebookNode) -> list[str]:
    """What went wrong in the notebook's cells, but for those that are meant to raise."""
    return [
        f"{output.ename}: {output.evalue}"
        for cell in notebook.cells
        if cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", [])
        for output in cell.outputs
        if output.output_type == "error"
    ]


def not_run(notebook: nbformat.NotebookNode) -> int:
    """How many cells with code in them have no number."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    return sum(cell.execution_count is None for cell in cells)


def empty(path: Path) -> None:
    """Take all outputs and numbers out of a notebook: what is there later came from this run."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)


def close(page, address: str) -> None:
    """Close the page and shut its kernel down: twenty that are left open fill the memory."""
    page.context.close()
    with urllib.request.urlopen(f"{address}/api/sessions?token={TOKEN}", timeout=60) as answer:
        open_ones = [session["id"] for session in json.load(answer)]
    for name in open_ones:
        request = urllib.request.Request(
            f"{address}/api/sessions/{name}?token={TOKEN}", method="DELETE"
        )
        urllib.request.urlopen(request, timeout=60).close()


def check_runs(browser, lab, name: str):
    address, copy = lab
    empty(copy / name)
    assert not_run(nbformat.read(copy / name, as_version=4)) > 0
    page = open_notebook(browser, address, name)
    try:
        notebook = run_all(page, copy / name)
        assert errors(notebook) == []
        assert not_run(notebook) == 0
    except BaseException:
        close(page, address)
        raise
    return page


@pytest.mark.lab
def test_a_notebook_runs_with_its_widgets_in_view_and_its_solutions_folded(browser, lab):
    page = check_runs(browser, lab, FIRST.name)
    try:
        stored = nbformat.read(FIRST, as_version=4)
        hidden = [c for c in stored.cells if c.metadata.get("jupyter", {}).get("source_hidden")]
        solutions = [c for c in stored.cells if "solution" in c.metadata.get("tags", [])]
        assert solutions
        assert all(c in hidden for c in solutions), "a solution stands open in JupyterLab"
        page.wait_for_selector(".mechlib-widget", state="attached")
    finally:
        close(page, lab[0])


BOTH_WAYS = (
    "import torch\n"
    "from mechlib.pages.widgets import BigramExplorer\n"
    "uniform = torch.full((3, 3), 1 / 3).log()\n"
    "explorer = BigramExplorer(uniform, ['ape', 'bee', 'cow'], k=2, token=0)\n"
    "explorer",
    "print('Python has', explorer.token)\nexplorer.token = 2",
)


@pytest.mark.browser
def test_a_widget_and_its_kernel_talk_to_each_other_both_ways(browser, lab):
    address, copy = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in BOTH_WAYS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, copy / "both_ways.ipynb")
    page = open_notebook(browser, address, "both_ways.ipynb")
    try:
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        cells.nth(0).locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        widget = cells.nth(0).locator(".mechlib-widget")
        widget.get_by_text("After “ape”").wait_for()
        widget.get_by_role("button", name="next token").click()
        widget.get_by_text("After “bee”").wait_for()
        cells.nth(1).locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        cells.nth(1).get_by_text("Python has 1").wait_for()
        widget.get_by_text("After “cow”").wait_for()
        # nothing lies over the notebook that asks to go to the network
        assert page.get_by_text("official Jupyter news").count() == 0
    finally:
        close(page, lab[0])


@pytest.mark.browser
def test_a_stored_widget_is_there_before_its_cell_is_run(browser, lab):
    """Its heavy numbers come with the working copy; without them the widget asks for a run."""
    address, copy = lab
    source = ROOT / "notebooks" / "02_attention.ipynb"
    (copy / "as_stored.ipynb").write_bytes(source.read_bytes())
    variables = {"JUPYTER_DATA_DIR": str(copy.parent / ".jupyter-data")}
    for name, said in ((source.name, "Mean loss"), ("as_stored.ipynb", "Run this cell")):
        sign = [sys.executable, "-m", "nbformat.sign", str(copy / name)]
        subprocess.run(sign, env=os.environ | variables, check=True, capture_output=True)
        page = open_notebook(browser, address, name)
        try:
            widget = page.get_by_role("group", name="type your own text")
            widget.get_by_text(said).wait_for(state="attached")
        finally:
            close(page, address)


@pytest.mark.lab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_notebook_runs_in_lab(browser, lab, path):
    close(check_runs(browser, lab, path.name), lab[0])


def test_the_first_notebook_is_there_and_has_a_widget():
    outputs = json.loads(FIRST.read_text(encoding="utf-8"))["metadata"]
    assert outputs["widgets"]
