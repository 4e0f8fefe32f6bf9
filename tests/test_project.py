"""The project's own rules: pins, the direction of imports, and a package that is complete."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "mechlib").rglob("*.py"))

# Which way imports run: a wing may know those named beside it, and within a wing a room may know
# those that stand before it.
WINGS = {
    "files": [],
    "nearest": [],
    "text": ["files", "nearest"],
    "reading": ["interventions", "model"],
    "interventions": [],
    "model": ["interventions", "nearest"],
    "muon": [],
    "train": ["files"],
    "constructed": ["model", "text"],
    "interop": ["model"],
    "gpt2": ["model", "text"],
    "published": ["gpt2", "model", "reading", "text"],
    "grokking": ["files", "model", "muon", "train"],
    "pages": ["files"],
    "vision": [],
    "othello": ["interventions", "model"],
    "superposition": ["files", "grokking", "interventions", "model", "train"],
    "exercises": ["nearest", "othello"],
    "zoo": [
        "files",
        "nearest",
        "model",
        "interventions",
        "muon",
        "train",
        "text",
        "reading",
        "grokking",
        "othello",
        "pages",
        "superposition",
        "vision",
    ],
    "__main__": ["zoo", "text", "published"],
    "__init__": [],
}
ORDER = {
    "text": ["grammars", "corpus", "tokens", "labels", "ngrams"],
    "reading": [
        "factored",
        "circuits",
        "heads",
        "attribution",
        "patching",
        "steering",
        "vectors",
        "lens",
        "names_task",
        "pieces",
    ],
    "grokking": [
        "mixing",
        "modular",
        "fourier",
        "progress",
        "clock",
        "sweeps",
        "groups",
        "products",
    ],
    "superposition": [
        "toys",
        "geometry",
        "phases",
        "planted",
        "dictionaries",
        "scores",
        "networks",
        "tables",
    ],
    "othello": ["games", "scores", "probes", "edits", "growth"],
    "vision": ["strokes", "convnet", "tuning", "synthesis", "matching"],
    "pages": [
        "numbers",
        "claims",
        "margins",
        "figures",
        "widgets",
        "beside",
        "notebooks",
        "scoreboard",
        "references",
        "timetable",
        "slides",
        "offline",
        "paper",
    ],
}


def stages(path: Path) -> tuple[str, str | None]:
    """The wing of a module (or its room in the hall), and its room in the wing."""
    parts = path.relative_to(ROOT / "mechlib").with_suffix("").parts
    return parts[0], parts[1] if len(parts) > 1 and parts[1] != "__init__" else None


def imported(path: Path) -> set[tuple[str, str | None]]:
    """(wing, room) of every module of mechlib that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mechlib":
            inside = node.module.split(".")[1:]
            for alias in node.names:
                wing, room = [*inside, alias.name, None][:2]
                found.add((wing, room if wing in ORDER else None))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top, *inside = alias.name.split(".")
                if top == "mechlib" and inside:
                    found.add((inside[0], inside[1] if len(inside) > 1 else None))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    wing, room = stages(path)
    for other, other_room in imported(path):
        if other != wing:
            assert other in WINGS[wing], f"{wing} may not import {other}"
        elif room in ORDER.get(wing, []) and other_room in ORDER[wing]:
            assert ORDER[wing].index(other_room) <= ORDER[wing].index(room), (room, other_room)


def test_the_import_rules_name_all_that_is_there():
    assert set(WINGS) == {stages(path)[0] for path in MODULES}
    for wing, rooms in ORDER.items():
        assert set(rooms) == {stages(path)[1] for path in MODULES if stages(path)[0] == wing} - {
            None
        }


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_module_says_what_it_is_for(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert len(ast.get_docstring(tree) or "") > 20
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert "annotations" not in names, "would switch off the check of shapes"


def test_nothing_is_unpickled():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bpickle\b|weights_only=False", text), path.name


def requirement_lines() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip()]


def test_every_requirement_is_pinned_under_a_reason():
    lines = requirement_lines()
    assert lines[0].startswith("#")
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line), line


def test_no_requirement_stands_twice():
    names = [line.split("==")[0].lower() for line in requirement_lines() if "==" in line]
    assert len(names) == len(set(names))


def test_what_mechlib_needs_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {line.split("==")[0].lower() for line in requirement_lines() if "==" in line}
    assert {re.split(r"[<>=]", need)[0].lower() for need in project["dependencies"]} <= pinned


# What comes with a package that is named, and is imported by its own name.
COMES_WITH = {"IPython": "ipywidgets", "matplotlib_inline": "ipywidgets", "traitlets": "ipywidgets"}
NAMES = {"yaml": "pyyaml", "markdown_it": "markdown-it-py", "mdit_py_plugins": "mdit-py-plugins"}


def test_everything_that_mechlib_imports_is_named_as_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = project["dependencies"] + project["optional-dependencies"]["cluster"]
    known = {canonicalize_name(Requirement(need).name) for need in needs}
    imported = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    imported -= {"mechlib", *sys.stdlib_module_names}
    assert {COMES_WITH.get(name, NAMES.get(name, name)) for name in imported} == known


def test_lower_bounds_lie_below_what_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = dict(line.lower().split("==") for line in requirement_lines() if "==" in line)
    for need in map(Requirement, project["dependencies"]):
        assert pinned[need.name.lower()] in need.specifier, need


# What the lock file is for: every supported Python on every system.
SYSTEMS = {"linux": "posix", "darwin": "posix", "win32": "nt"}
PYTHONS = {"3.11": "3.11.7", "3.12": "3.12.1", "3.13": "3.13.0", "3.14": "3.14.0"}


def locked(environment: dict[str, str] | None = None) -> dict[str, list[str]]:
    """name -> the versions that requirements.lock gives for one Python on one system."""
    found = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate(environment):
                name = canonicalize_name(need.name)
                found.setdefault(name, []).append(str(need.specifier).removeprefix("=="))
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_lock_file_agrees_with_the_requirements(system, python):
    environment = {
        "python_version": python,
        "python_full_version": PYTHONS[python],
        "sys_platform": system,
        "os_name": SYSTEMS[system],
        "platform_machine": "arm64" if system == "darwin" else "x86_64",
    }
    found = locked(environment)
    assert {name: versions for name, versions in found.items() if len(versions) != 1} == {}
    for line in requirement_lines():
        if "==" in line:
            name, wanted = line.split("==")
            assert found[canonicalize_name(name)] == [wanted], name
    assert len(found) > 100, "what the packages need in turn is locked, too"


def test_every_installed_package_that_is_locked_has_its_version():
    from importlib.metadata import distributions

    lock = locked()
    for found in distributions():
        name = canonicalize_name(found.metadata["Name"])
        # a build such as 2.13.0+cpu is that release
        if name in lock:
            assert [found.version.split("+")[0]] == lock[name], name


def test_no_address_of_an_index_is_written_down():
    for name in ("requirements.txt", "requirements.lock", "pyproject.toml"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8"), name


def test_the_project_and_its_environment_support_the_same_pythons():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "tools" / "environment.py").read_text(encoding="utf-8")
    supported = re.search(r"SUPPORTED = \((.+)\)", text)[1]
    found = [f"{a}.{b}" for a, b in re.findall(r"\((\d+), (\d+)\)", supported)]
    assert found == list(PYTHONS)
    allowed = SpecifierSet(project["requires-python"])
    assert [v for v in ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15") if v in allowed] == found


def test_the_package_holds_its_data(tmp_path):
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = patterns["tool"]["setuptools"]["package-data"]["*"]
    data = [
        path
        for path in (ROOT / "mechlib").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    ]
    assert data
    for path in data:
        assert any(path.match(pattern) for pattern in patterns), path


def test_no_file_is_large():
    for folder in ("mechlib", "book", "notebooks", "tests"):
        for path in (ROOT / folder).rglob("*"):
            assert not path.is_file() or path.stat().st_size < 5_000_000, path


def test_importing_mechlib_imports_no_stage():
    code = "import sys, mechlib; print([m for m in sys.modules if m.startswith('mechlib.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_importing_of_a_core_module_brings_no_plotting():
    unwanted = ["matplotlib", "IPython", "ipywidgets", "tokenizers"]
    code = (
        "import sys; from mechlib import model, train; from mechlib.reading import circuits; "
        f"print([m for m in {unwanted} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
