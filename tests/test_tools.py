"""The tools behind `make`: the environment, and the working copy of the notebooks."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"


def load(name: str):
    """A tool as a module: tools are scripts and in no package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """environment(*arguments) makes an environment in a folder; what it installs is listed.

    A real environment takes seconds, so a file that names its Python stands for one.
    """
    tool = load("environment")
    installed = []

    def make(venv):
        shutil.rmtree(venv, ignore_errors=True)
        Path(venv).mkdir()
        Path(venv, "python").write_text("{} {}".format(*sys.version_info), encoding="utf-8")

    def version_in(venv):
        path = Path(venv, "python")
        return tuple(map(int, path.read_text("utf-8").split())) if path.exists() else None

    monkeypatch.setattr(tool, "make", make)
    monkeypatch.setattr(tool, "version_in", version_in)
    monkeypatch.setattr(tool, "install", lambda venv, index: installed.append(index))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["environment.py", "--venv", str(folder), *arguments])
        tool.main()

    folder = tmp_path / "an environment"
    run.folder, run.installed, run.tool = folder, installed, tool
    return run


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0), (2, 7, 18)])
def test_a_wrong_python_hears_one_sentence_and_leaves_nothing(environment, monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(
        SystemExit, match=r"needs Python 3\.11, 3\.12, 3\.13 or 3\.14; .* is Python"
    ):
        environment()
    assert not environment.folder.exists()
    assert environment.installed == []


def test_the_tool_uses_no_syntax_that_an_old_python_cannot_read():
    tree = ast.parse((TOOLS / "environment.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr), node.lineno
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert not any(argument.annotation for argument in node.args.args)


def test_an_environment_is_made_once(environment):
    environment()
    environment()
    environment("--asked")
    assert environment.installed == [""]
    assert environment.tool.version_in(str(environment.folder)) == sys.version_info[:2]


def test_a_broken_environment_is_made_anew(environment):
    environment()
    (environment.folder / "python").unlink()
    environment()
    assert environment.installed == ["", ""]
    assert environment.tool.version_in(str(environment.folder)) == sys.version_info[:2]


def test_a_real_environment_is_told_from_a_broken_one(tmp_path):
    tool, folder = load("environment"), str(tmp_path / "an environment")
    assert tool.version_in(folder) is None
    Path(folder).mkdir()
    (Path(folder) / "rest").write_text("of an earlier one", encoding="utf-8")
    assert tool.version_in(folder) is None
    tool.make(folder)
    assert tool.version_in(folder) == sys.version_info[:2]
    assert not (Path(folder) / "rest").exists()
    Path(tool.python_in(folder)).unlink()
    assert tool.version_in(folder) is None


def test_an_environment_of_another_python_is_made_anew_only_when_asked(environment, monkeypatch):
    environment()
    monkeypatch.setattr(environment.tool, "version_in", lambda venv: (3, 14))
    environment()
    assert environment.installed == [""]
    environment("--asked")
    assert environment.installed == ["", ""]


def test_the_build_of_torch_is_kept_until_another_is_named(environment):
    environment("--torch-index", "cpu")
    environment()
    assert environment.installed == ["cpu"]
    environment("--torch-index", "cu126")
    assert environment.installed == ["cpu", "cu126"]


def test_a_changed_requirement_installs_again_in_the_same_place(environment, monkeypatch):
    environment()
    marker = environment.folder / "marker"
    marker.write_text("still here", encoding="utf-8")
    monkeypatch.setattr(environment.tool, "NEEDS", ("requirements.txt",))
    environment()
    assert environment.installed == ["", ""]
    assert marker.exists()


def test_a_place_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError("read-only file system")

    tool = load("environment")
    monkeypatch.setattr(tool.subprocess, "check_call", fail)
    with pytest.raises(SystemExit, match=r"read-only file system.*VENV="):
        tool.make(str(tmp_path / "an environment"))


def test_torch_alone_comes_from_the_index_that_is_named(environment, monkeypatch):
    tool, calls = load("environment"), []
    monkeypatch.setattr(tool.subprocess, "call", lambda command, cwd: calls.append(command) or 0)
    tool.install("somewhere", "cpu")
    first, second, third = calls
    assert first[-4:-1] == ["--no-deps", "--index-url", tool.TORCH_INDEX + "cpu"]
    assert first[-1].startswith("torch==")
    assert "--index-url" not in second + third


def test_a_working_copy_keeps_what_was_changed_and_follows_what_was_not(tmp_path):
    lab = load("lab")
    source, copy = tmp_path / "notebooks", tmp_path / "workbook"
    source.mkdir()
    for name in ("a", "b"):
        (source / f"{name}.ipynb").write_text("first", encoding="utf-8")
    assert lab.hand_out(source, copy) == []
    (copy / "a.ipynb").write_text("mine", encoding="utf-8")
    for name in ("a", "b"):
        (source / f"{name}.ipynb").write_text("second", encoding="utf-8")
    assert lab.hand_out(source, copy) == [copy / "a.ipynb"]
    assert (copy / "a.ipynb").read_text(encoding="utf-8") == "mine"
    assert (copy / "b.ipynb").read_text(encoding="utf-8") == "second"
    (copy / "a.ipynb").unlink()
    assert lab.hand_out(source, copy) == []
    assert (copy / "a.ipynb").read_text(encoding="utf-8") == "second"


def test_git_ignores_the_working_copy():
    if not (TOOLS.parent / ".git").exists():
        pytest.skip("no git here: this is a copy of the files alone")
    asked = ["git", "check-ignore", "--quiet", f"{load('lab').COPY}/05_bigrams.ipynb"]
    assert subprocess.run(asked, cwd=TOOLS.parent).returncode == 0


def test_the_page_of_licences_is_what_the_packages_say():
    licences = load("licences")
    text = licences.page()
    assert licences.PAGE.read_text(encoding="utf-8") == text, "run python tools/licences.py"
    assert "not stated" not in text
