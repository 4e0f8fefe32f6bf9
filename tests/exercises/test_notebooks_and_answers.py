"""The notebooks' exercises with nothing filled in, and with everything filled in.

The stored notebooks are the run with all stubs open, and nbval repeats it. Here is the other one:
each stub is replaced by a right answer from answers_<topic>.py, and its cell is run.
"""

import inspect
import re
from pathlib import Path

import nbformat
import pytest
from test_answers import RIGHT

import mechlib.exercises as wing
from mechlib.exercises import exercises, result

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
CHECK = re.compile(r'\bcheck\(\s*"([^"]+)",\s*(\w+)\s*\)')


def cells(path: Path, tag: str) -> list:
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return [c for c in code if tag in c.metadata.get("tags", [])]


def asked(path: Path, tag: str) -> dict[str, str]:
    """Exercise -> name of the function that is checked, over a chapter's cells of one role."""
    return dict(pair for cell in cells(path, tag) for pair in CHECK.findall(cell.source))


STUBS = [(path, name) for path in CHAPTERS for name in asked(path, "exercise")]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_stub_has_a_checker_and_every_checker_of_the_chapter_a_stub(path):
    here = {name for name, each in exercises().items() if each.chapter == int(path.name[:2])}
    assert here == set(asked(path, "exercise"))
    for cell in cells(path, "exercise"):
        assert CHECK.search(cell.source), f"a stub that nobody checks:\n{cell.source}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_stub_is_stored_open_and_its_solution_is_checked(path):
    for cell in cells(path, "exercise"):
        said = "".join(output.get("text", "") for output in cell.outputs)
        for name, _ in CHECK.findall(cell.source):
            assert f"○ {name}: nothing filled in yet" in said
    solved = asked(path, "solution")
    said = "".join(o.get("text", "") for c in cells(path, "solution") for o in c.outputs)
    for name in asked(path, "exercise"):
        assert name in solved
        assert f"✓ {name}: every property holds" in said


def takes_the_same(stub, answer) -> bool:
    """Whether `answer` can be called as the stub is."""
    try:
        inspect.signature(answer).bind(*inspect.signature(stub).parameters)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "name"), STUBS, ids=lambda part: part.stem if isinstance(part, Path) else part
)
def test_with_right_answers_in_the_stubs_every_check_passes(path, name, monkeypatch):
    cell = next(c for c in cells(path, "exercise") if name in dict(CHECK.findall(c.source)))
    for answer in RIGHT[name]:
        done = {}

        def filled_in(asked_for, stub, answer=answer, done=done):
            if asked_for == name:  # an answer must fit the stub that the reader sees
                assert takes_the_same(stub, answer), answer.__name__
                done[asked_for] = result(asked_for, answer).verdict

        monkeypatch.setattr(wing, "check", filled_in)
        exec(compile(cell.source, f"{path.name}: {name}", "exec"), {"check": filled_in})
        assert done == {name: "right"}, answer.__name__
