"""What every stored notebook must satisfy. That its outputs are current is what nbval checks."""

import base64
import hashlib
import re
from pathlib import Path

import nbformat
import pytest
from stored import notebook as notebook_at

from mechlib.pages import beside
from mechlib.pages.claims import box, line
from mechlib.pages.notebooks import (
    CAPTION,
    MISSING,
    WIDGET_STATE,
    WIDGET_VIEW,
    all_notebooks,
    main,
    normalise,
    role,
    widget_models,
    write,
)

ROOT = Path(__file__).parents[2]
NOTEBOOKS = all_notebooks(ROOT)
CHAPTERS = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
names = {"ids": lambda path: path.stem}


def cells(path: Path, kind: str) -> list:
    return [c for c in notebook_at(path).cells if c.cell_type == kind]


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def test_the_glob_finds_the_notebooks():
    assert {path.parent.name for path in NOTEBOOKS} >= {"book"}
    assert NOTEBOOKS == [*sorted(CHAPTERS), *sorted(set(NOTEBOOKS) - set(CHAPTERS))]


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_cell_is_stored_executed_and_in_order(path):
    # nbval runs a cell without stored outputs, but compares nothing: this closes that gap
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_no_error_warning_or_address_is_stored(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"0x[0-9a-f]{6,}", text), text[:200]


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_the_file_is_small_and_normalised(path):
    assert path.stat().st_size < 1_000_000
    nb = nbformat.read(path, as_version=4)
    assert beside.take_out(widget_models(nb)) == {}
    assert normalise(nb, path.stem).encode("utf-8") == path.read_bytes(), (
        "run python -m mechlib.pages.notebooks on it"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_cell_says_what_it_is_for(path):
    for cell in cells(path, "code"):
        role(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len(cell.source.splitlines()) <= 25, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_no_path_of_a_machine_is_stored(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"(?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users)[\w./-]*", text)
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_claims_with_live_numbers_are_recorded(path):
    lines = [
        output.data["text/plain"]
        for cell in cells(path, "code")
        for output in cell.outputs
        if output.get("data", {}).get("text/plain", "").startswith(("✓", "✗"))
    ]
    records = [
        output.metadata["mechlib_claim"]
        for cell in cells(path, "code")
        for output in cell.outputs
        if "mechlib_claim" in output.get("metadata", {})
    ]
    assert len(lines) == len(records)
    assert all(record["holds"] for record in records)


@pytest.mark.parametrize("path", CHAPTERS, **names)
def test_a_chapter_has_its_skeleton(path):
    first = cells(path, "markdown")[0].source
    assert re.match(r"\(ch-[a-z-]+\)=\n# \S", first), "label and title come first"
    text = prose(path).lower()
    for part in ("objectives", "minutes", "what was shown", "discussion", "exercise"):
        assert part in text, part


@pytest.mark.parametrize("path", CHAPTERS, **names)
def test_a_chapter_has_three_exercises_with_solutions_that_run(path):
    text = prose(path)
    exercises = len(re.findall(r"^:{3,}\{exercise|^`{3,}\{exercise", text, re.MULTILINE))
    exercises = exercises or len(re.findall(r"^#+ +Exercise\b|\*\*Exercise\b", text, re.MULTILINE))
    folded = [
        cell
        for cell in cells(path, "code")
        if {"hide-cell", "hide-input", "hide-output"} & set(cell.metadata.get("tags", []))
    ]
    assert exercises >= 3
    assert len(folded) >= 3
    for cell in folded:
        if "solution" in cell.metadata.tags:
            assert cell.metadata.mystnb.code_prompt_show == "Show the solution"


@pytest.mark.parametrize("path", CHAPTERS, **names)
def test_a_chapter_makes_claims(path):
    outputs = [output for cell in cells(path, "code") for output in cell.outputs]
    assert sum("mechlib_claim" in output.get("metadata", {}) for output in outputs) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_figure_has_alt_text_and_a_caption(path):
    shown = {
        cell.source for cell in cells(path, "markdown") if cell.metadata.get("tags") == CAPTION
    }
    for cell in cells(path, "code"):
        if any(
            {"image/png", "image/svg+xml"} & set(output.get("data", {})) for output in cell.outputs
        ):
            mystnb = cell.metadata.get("mystnb", {})
            assert len(mystnb.get("figure", {}).get("caption", "")) > 10, cell.source
            assert len(mystnb.get("image", {}).get("alt", "")) > 10, cell.source
            assert f"*{mystnb['figure']['caption'].strip()}*" in shown


def test_figure_names_are_unique_in_the_book():
    figures = [
        cell.metadata["mystnb"]["figure"]["name"]
        for path in NOTEBOOKS
        for cell in cells(path, "code")
        if "name" in cell.metadata.get("mystnb", {}).get("figure", {})
    ]
    assert len(figures) == len(set(figures))


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_widget_is_stored_with_its_source(path):
    state = widget_models(notebook_at(path))
    for cell in cells(path, "code"):
        for output in cell.outputs:
            view = output.get("data", {}).get(WIDGET_VIEW)
            if view:
                assert state[view["model_id"]]["model_module"] == "anywidget"
                assert "render" in state[view["model_id"]]["state"]["_esm"]


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in NOTEBOOKS}), ids=lambda p: p.name
)
def test_heavy_numbers_lie_beside_the_notebooks_that_name_them(folder):
    models = [widget_models(notebook_at(path)) for path in NOTEBOOKS if path.parent == folder]
    asked = set().union(*map(beside.names, models))
    stored = {path.stem: path for path in (folder / beside.FOLDER).iterdir()}
    assert set(stored) == asked
    for name, path in stored.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(name)


# -- the tool itself, on a notebook made here ------------------------------------------------------


def notebook(*sources: str) -> nbformat.NotebookNode:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    return nb


def test_two_runs_give_the_same_bytes_and_the_second_does_not_write(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")  # as some machines have it
    path = tmp_path / "sample.ipynb"
    source = (
        "import os, sys, anywidget\n"
        "class W(anywidget.AnyWidget):\n"
        "    _esm = 'export default { render() {} }'\n"
        "    def __repr__(self):\n"
        "        return 'W()'\n"
        "for i in range(3):\n"
        "    print(i); sys.stdout.flush()\n"
        "print(os.environ['MPLBACKEND'].split('.')[-1])\n"
        "W()"
    )
    nbformat.write(notebook(source, "W()"), path)
    assert main([str(path)]) == 0
    first, stamp = path.read_bytes(), path.stat().st_mtime_ns
    assert main([str(path)]) == 0
    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == stamp
    assert "unchanged" in capsys.readouterr().out
    assert main([str(path), "--check"]) == 0
    stored = nbformat.reads(first.decode("utf-8"), as_version=4)
    assert len(stored.metadata.widgets[WIDGET_STATE]["state"]) == 4  # two widgets, two layouts
    assert stored.cells[0].outputs[0].text == "0\n1\n2\nbackend_inline\n"


def test_a_caption_is_repeated_below_its_figure_where_the_book_does_not_show_it():
    nb = notebook("1 + 1", "2 + 2")
    nb.cells[0].metadata["mystnb"] = {"figure": {"caption": "Two bars."}}
    text = normalise(nb, "a")
    first, caption, last = nbformat.reads(text, as_version=4).cells
    assert (first.source, caption.source, last.source) == ("1 + 1", "*Two bars.*", "2 + 2")
    assert "remove-cell" in caption.metadata["tags"]
    assert normalise(nbformat.reads(text, as_version=4), "a") == text


def test_a_notebook_opened_alone_says_what_to_install():
    sources = ("import torch\nfrom mechlib import zoo\nfrom mechlib import train", "import mechlib")
    once = nbformat.reads(normalise(notebook(*sources), "a"), as_version=4)
    first, second = (cell.source for cell in once.cells)
    assert first.split("\n")[1] == "from mechlib import zoo" + MISSING
    assert first.count(MISSING) + second.count(MISSING) == 1
    assert normalise(once, "a") == normalise(notebook(*sources), "a")


@pytest.mark.parametrize("path", CHAPTERS, **names)
def test_the_first_cell_of_a_chapter_says_what_to_install(path):
    assert MISSING in cells(path, "code")[0].source


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_stored_claims_are_in_todays_words(path):
    """If not: python -m mechlib.pages.notebooks --all --widgets."""
    for cell in cells(path, "code"):
        for output in cell.outputs:
            record = output.get("metadata", {}).get("mechlib_claim")
            if record:
                assert output["data"]["text/plain"] == line(record)
                assert output["data"]["text/html"] == box(record)


def test_widgets_get_todays_source_and_keep_what_they_show(tmp_path):
    stored = ROOT / "notebooks" / "17_superposition.ipynb"  # as today, or another test fails
    path, today = tmp_path / stored.name, stored.read_bytes()
    old = nbformat.reads(today.decode("utf-8"), as_version=4)
    (widget,) = (m for m in old.metadata.widgets[WIDGET_STATE]["state"].values()
                 if m["state"].get("_anywidget_id", "").endswith("CurveScrubber"))  # fmt: skip
    widget["state"]["_esm"] = "export default { render() {} }"
    del widget["state"]["divide"]
    nbformat.write(old, path)
    assert path.read_bytes() != today
    assert main([str(path), "--widgets"]) == 0
    assert path.read_bytes() == today


def test_heavy_numbers_are_written_once_and_go_with_their_last_notebook(tmp_path):
    light, heavy = b"1" * beside.MOST, b"2" * (beside.MOST + 1)
    for name in ("a", "b"):
        nb = notebook("1")
        nb.cells[0].outputs = [
            nbformat.v4.new_output("display_data", {WIDGET_VIEW: {"model_id": "1" * 32}})
        ]
        buffers = [
            {"path": [trait], "encoding": "base64", "data": base64.b64encode(data).decode()}
            for trait, data in (("light", light), ("heavy", heavy))
        ]
        model = {"model_name": "AnyModel", "model_module": "anywidget",
                 "model_module_version": "1", "state": {}, "buffers": buffers}  # fmt: skip
        nb.metadata["widgets"] = {WIDGET_STATE: {
            "version_major": 2, "version_minor": 0, "state": {"1" * 32: model}}}  # fmt: skip
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
    paths = [str(tmp_path / f"{name}.ipynb") for name in ("a", "b")]
    assert main([*paths, "--widgets"]) == 0
    (file,) = (tmp_path / beside.FOLDER).iterdir()
    assert file.read_bytes() == heavy
    (model,) = widget_models(nbformat.read(paths[0], as_version=4)).values()
    assert [buffer["path"] for buffer in model["buffers"]] == [["light"]]
    assert model["state"]["beside"] == {"heavy": file.stem}
    working_copy = nbformat.reads(beside.whole(Path(paths[0])).decode("utf-8"), as_version=4)
    assert beside.take_out(widget_models(working_copy)) == {file.stem: heavy}

    before = Path(paths[0]).read_bytes()
    assert main([*paths, "--widgets"]) == 0  # what was taken out stays out
    assert Path(paths[0]).read_bytes() == before
    assert file.read_bytes() == heavy
    for path in paths:
        nbformat.write(notebook("1"), path)
    assert main([paths[0], "--widgets"]) == 0
    assert not file.exists()


def test_a_failing_notebook_is_left_as_it_was(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    nbformat.write(notebook("1 + 1", "1 / 0"), path)
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["bad.ipynb"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_changed_number_is_seen_by_check(tmp_path):
    path = tmp_path / "changed.ipynb"
    nb = notebook("print(2 + 2)")
    nb.cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text="5\n")]
    nb.cells[0].execution_count = 1
    write(path, normalise(nb, path.stem))
    assert main([str(path), "--check"]) == 1


@pytest.mark.parametrize("arguments", [[], ["no/such.ipynb"]])
def test_a_missing_notebook_is_a_clear_error(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "notebook" in capsys.readouterr().err
