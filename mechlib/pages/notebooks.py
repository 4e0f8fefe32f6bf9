"""Execute notebooks so that running them twice gives the same bytes.

    python -m mechlib.pages.notebooks notebooks/05_bigrams.ipynb
    python -m mechlib.pages.notebooks --all
    python -m mechlib.pages.notebooks --all --check     # execute, compare, write nothing
    python -m mechlib.pages.notebooks --all --widgets   # execute nothing: widgets, claims of today

A notebook as Jupyter saves it changes with every run: times, random names of cells and of
widgets, where a printed text was cut into pieces. All of that is taken out or numbered by place
here, so a change in a stored notebook is a change in what it says. The run is written to a
temporary file and moved into place only when every cell has succeeded; a notebook that did not
change is not touched. Heavy numbers of widgets are written to a file beside it (see `beside`).

Same machine and same pinned packages give the same bytes. Another processor may differ in the
last bit, which is why the tests compare printed, rounded numbers and not files.
"""

import argparse
import hashlib
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from mechlib.files import write_in_place
from mechlib.pages import beside, claims

FOLDERS = ("notebooks", "book")
# Where another backend is set for the machine, a notebook would lose its figures without a word.
FIGURES_INLINE = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# What a code cell is for. The author tags a cell with one of these; how it is folded, in the book
# and in JupyterLab, follows. "idea" is the code that is read, "exercise" a stub to be filled in.
OPEN = ("idea", "exercise")
FOLDED_INPUT = ("setup", "draw", "check", "widget")  # what it shows stays in view
FOLDED_WHOLE = ("solution",)
ROLES = (*OPEN, *FOLDED_INPUT, *FOLDED_WHOLE)
# Stands behind the first import of mechlib. A notebook opened alone, in a hub or an editor, stops
# at that line, and the error shows it.
MISSING = "  # missing? pip install the course: folder, wheel or git+URL"
# A figure's caption stands in its cell's metadata, where the book finds it and nobody else. A cell
# below the figure repeats it for JupyterLab and code hosts; the book leaves such cells out.
CAPTION = ["caption", "remove-cell"]
# Metadata that Jupyter's front ends add and that says nothing about the notebook.
PASSING = (
    "execution",
    "collapsed",
    "scrolled",
    "editable",
    "slideshow",
)


def all_notebooks(root: Path) -> list[Path]:
    """Every notebook of the course, in reading order: notebooks/*.ipynb, then book/*.ipynb."""
    return [path for folder in FOLDERS for path in sorted((root / folder).glob("*.ipynb"))]


def execute(path: Path, timeout: int = 600) -> NotebookNode:
    """Run the notebook at `path` in its own folder and return it as it is afterwards.

    timeout: seconds that one cell may take. Raises `CellExecutionError` with the failing cell's
    traceback, and `TimeoutError` when a cell takes longer. The file is not changed.
    """
    nb = nbformat.read(path, as_version=4)
    NotebookClient(
        nb,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        # the kernel warns about local sockets on every start; its errors still come through
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    ).execute(env=os.environ | FIGURES_INLINE)
    return nb


def normalise(nb: NotebookNode, stem: str) -> str:
    """The text of an executed notebook with everything that changes from run to run removed."""
    nb.cells = [cell for cell in nb.cells if cell.metadata.get("tags") != CAPTION]
    for number, cell in enumerate(nb.cells):
        cell["id"] = f"{stem[:20]}-{number:03d}"
        for key in PASSING:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell["outputs"] = _join_streams(cell.outputs)
            _fold(cell)
    nb.cells = _with_captions(nb.cells)
    _say_what_to_install(nb)
    nb.metadata = NotebookNode(
        {
            key: nb.metadata[key]
            for key in ("widgets", "mystnb", "exports", "mechlib")
            if key in nb.metadata
        }
    )
    nb.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nb.metadata["language_info"] = {"name": "python"}
    nb.nbformat, nb.nbformat_minor = 4, 5
    nb = _number_widgets(nb, stem)
    nbformat.validate(nb)
    return nbformat.writes(nb) + "\n"


def widget_models(nb: NotebookNode) -> dict[str, NotebookNode]:
    """The models of the widgets that a notebook shows, by their id."""
    return nb.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def with_todays_widgets(nb: NotebookNode) -> NotebookNode:
    """The notebook with the source, style and settings that its widgets' classes have today.

    What a widget shows stays as it was computed; a setting that is new gets its default. So a
    change in the page's own code needs no model to be run again.
    """
    for stored in widget_models(nb).values():
        state = stored["state"]
        module, _, name = state.get("_anywidget_id", "").rpartition(".")
        if not module.startswith("mechlib."):
            continue
        widget = getattr(importlib.import_module(module), name)
        state["_esm"], state["_css"] = widget._esm, widget._css
        held = {*state, *(buffer["path"][0] for buffer in stored.get("buffers", []))}
        held |= {*state.get("beside", {})}
        for setting, trait in widget.class_own_traits(sync=True).items():
            if setting not in held:
                state[setting] = trait.default()
    return nb


def with_todays_claims(nb: NotebookNode) -> NotebookNode:
    """The notebook with its claims in today's words and boxes; their numbers stay as recorded."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            record = output.get("metadata", {}).get("mechlib_claim")
            if record:
                output["data"] = NotebookNode(
                    {"text/plain": claims.line(record), "text/html": claims.box(record)}
                )
    return nb


def role(cell: NotebookNode) -> str:
    """The one role tag of a code cell. ValueError when it has none, or several."""
    found = [tag for tag in cell.metadata.get("tags", []) if tag in ROLES]
    if len(found) != 1:
        raise ValueError(
            f"a code cell needs one tag of {', '.join(ROLES)}, got {found}:\n{cell.source}"
        )
    return found[0]


def _fold(cell: NotebookNode) -> None:
    """Fold a cell by its role: a tag for the book, `jupyter` metadata for JupyterLab."""
    tags = [tag for tag in cell.metadata.get("tags", []) if not tag.startswith("hide-")]
    cell.metadata.pop("jupyter", None)
    if not set(tags) & set(ROLES):
        return  # a notebook from elsewhere; a test holds the course's own cells to a role
    if role(cell) in FOLDED_INPUT:
        tags.append("hide-input")
        cell.metadata["jupyter"] = {"source_hidden": True}
    elif role(cell) in FOLDED_WHOLE:
        tags.append("hide-cell")
        cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
        prompts = {f"code_prompt_{do.lower()}": f"{do} the solution" for do in ("Hide", "Show")}
        cell.metadata.setdefault("mystnb", NotebookNode()).update(prompts)
    cell.metadata["tags"] = tags


def _with_captions(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells, with one below every figure that shows its caption."""
    out = []
    for cell in cells:
        out.append(cell)
        caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
        if caption:
            shown = nbformat.v4.new_markdown_cell(f"*{caption.strip()}*", id=f"{cell.id}-caption")
            shown.metadata["tags"] = list(CAPTION)
            out.append(shown)
    return out


def _say_what_to_install(nb: NotebookNode) -> None:
    """Put `MISSING` behind the first import of mechlib, and nowhere else."""
    said = False
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        lines = [line.removesuffix(MISSING) for line in cell.source.split("\n")]
        for number, line in enumerate(lines):
            if not said and re.match(r"(?:from|import) mechlib\b", line):
                lines[number], said = line + MISSING, True
        cell.source = "\n".join(lines)


def write(path: Path, text: str) -> bool:
    """Put `text` at `path` in one step; False, and no write, when it is there already."""
    data = text.encode("utf-8")
    if path.exists() and path.read_bytes() == data:
        return False
    write_in_place(path, lambda beside: beside.write_bytes(data))
    return True


def _join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    # Where a stream is cut depends on timing. Neighbours of one name belong together.
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def _number_widgets(nb: NotebookNode, stem: str) -> NotebookNode:
    """Name the widget models by their order on the page, and drop those that nothing shows."""
    stored = nb.metadata.get("widgets", {}).get(WIDGET_STATE)
    if not stored:
        nb.metadata.pop("widgets", None)
        return nb
    state, order = stored["state"], []

    def visit(model: str) -> None:
        if model in order or model not in state:
            return
        order.append(model)
        text = json.dumps(state[model]["state"], sort_keys=True)
        for child in re.findall(r"IPY_MODEL_([0-9a-f]{32})", text):
            visit(child)

    for cell in nb.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(WIDGET_VIEW)
            if view:
                visit(view["model_id"])
    stored["state"] = {model: state[model] for model in order}
    if not order:
        nb.metadata.pop("widgets")
        return nb
    text = nbformat.writes(nb)
    for number, model in enumerate(order):
        text = text.replace(model, hashlib.sha256(f"{stem}/{number}".encode()).hexdigest()[:32])
    nb = nbformat.reads(text, as_version=4)
    named = nb.metadata["widgets"][WIDGET_STATE]["state"]
    nb.metadata["widgets"][WIDGET_STATE]["state"] = {key: named[key] for key in sorted(named)}
    return nb


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 1 when a notebook failed, or differs under --check."""
    parser = argparse.ArgumentParser(
        prog="python -m mechlib.pages.notebooks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks to execute")
    parser.add_argument("--all", action="store_true", help="every notebook of the course")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where bytes differ"
    )
    parser.add_argument(
        "--widgets", action="store_true", help="execute nothing; widgets and claims as of today"
    )
    parser.add_argument("--timeout", type=int, default=600, help="seconds for one cell (600)")
    options = parser.parse_args(arguments)
    paths = all_notebooks(Path.cwd()) if options.all else options.paths
    if not paths:
        parser.error("name a notebook, or give --all in the root of the repository")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        parser.error(f"no such notebook: {', '.join(missing)}")

    # One thread, as in the tests: sums are then added in one order on every run.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    failed = 0
    for path in paths:
        start = time.monotonic()
        print(f"{path} ... ", end="", flush=True)
        try:
            if options.widgets:
                nb = nbformat.read(path, as_version=4)
                nb = with_todays_claims(with_todays_widgets(nb))
            else:
                nb = execute(path, options.timeout)
        except (CellExecutionError, TimeoutError) as error:
            failed += 1
            print("FAILED; the file is as it was", file=sys.stdout)
            print(error, file=sys.stderr)
            continue
        taken = beside.take_out(widget_models(nb))
        text = normalise(nb, path.stem)
        if options.check:
            same = path.read_bytes() == text.encode("utf-8")
            failed += not same
            said = "same bytes" if same else "DIFFERS from the stored file"
        else:
            said = "written" if write(path, text) else "unchanged"
            beside.write(path, taken)
        print(f"{said} ({time.monotonic() - start:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
