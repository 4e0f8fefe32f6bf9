"""The notebooks' exercises with nothing filled in, and with everything filled in.

The stored notebooks are the run with all stubs open, and nbval repeats it. Here both runs are made
from the cells of the exercises alone, without the models: once with the stubs as they are, once
with the chapter's own solution in each. Then each stub gets every right answer of
answers_<topic>.py.
"""

import ast
import inspect
import re
import symtable
from functools import cache
from pathlib import Path

import pytest
from stored import notebook
from test_answers import RIGHT

import mechlib.exercises as wing
from mechlib.exercises import exercises, result

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
CHECK = re.compile(r'\bcheck\(\s*"([^"]+)",\s*(\w+)\s*\)')


def every_cell(path: Path) -> list:
    """All cells of a notebook."""
    return notebook(path).cells


@cache
def cells(path: Path, tag: str) -> list:
    code = [c for c in every_cell(path) if c.cell_type == "code"]
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


def around(path: Path, name: str) -> tuple[str, str]:
    """The text above an exercise's stub, back to the code before, and all until the next stub."""
    every = every_cell(path)
    at = every.index(stub(path, name))
    code = [i for i, c in enumerate(every) if c.cell_type == "code"]
    later = [i for i in code if i > at and "exercise" in every[i].metadata.get("tags", [])]
    start, end = max(i for i in code if i < at) + 1, min(later, default=len(every))
    above, below = every[start:at], [c for c in every[at + 1 : end] if c.cell_type == "markdown"]
    # what stands above the title belongs to the exercise before
    title = r"(?:^### |^\*\*Exercise )"
    text = re.split(title, "\n\n".join(c.source for c in above), flags=re.MULTILINE)[-1]
    return text, "\n\n".join(c.source for c in below)


@cache
def statements(path: Path) -> list[ast.stmt]:
    """Every statement of a chapter's code, at the top level."""
    code = [c for c in every_cell(path) if c.cell_type == "code"]
    return [each for cell in code for each in ast.parse(cell.source).body]


def global_names(statement: ast.stmt) -> list[str]:
    """What a statement takes from the notebook: names that are not its own."""
    if not isinstance(statement, ast.FunctionDef):
        return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
    tables = [symtable.symtable(ast.unparse(statement), "notebook", "exec").get_children()[0]]
    found = []
    for table in tables:
        found += [each.get_name() for each in table.get_symbols() if each.is_global()]
        tables += table.get_children()
    return found


def solved_by(path: Path, name: str):
    """The function with which a chapter solves an exercise, and nothing else of the chapter run.

    It is made from the imports, and from those functions and constants that it leads to.
    """
    body = statements(path)
    solution = next(c for c in cells(path, "solution") if name in dict(CHECK.findall(c.source)))
    last = {each.name: each for each in [*body, *ast.parse(solution.source).body]
            if isinstance(each, ast.FunctionDef)}  # fmt: skip
    for each in body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            last.setdefault(each.targets[0].id, each)
    wanted, chosen = [dict(CHECK.findall(solution.source))[name]], {}
    while wanted:
        which = wanted.pop()
        if which in last and which not in chosen:
            chosen[which] = last[which]
            wanted += global_names(last[which])
    imports = [each for each in body if isinstance(each, (ast.Import, ast.ImportFrom))]
    order = [each for each in body if each in chosen.values()]
    order += [each for each in chosen.values() if each not in order]
    done: dict = {}
    exec(compile(ast.Module([*imports, *order], []), path.name, "exec"), done)
    return done[dict(CHECK.findall(solution.source))[name]]


def run(cell, path: Path, name: str, replaced=None) -> list[str]:
    """What the checks of a stub's cell say; with `replaced` in the stub's place if it is given."""
    said = []

    def checked(asked_for, stub):
        answer = replaced if replaced and asked_for == name else stub
        assert takes_the_same(stub, answer), f"{answer.__name__} cannot be called as its stub is"
        said.append(str(result(asked_for, answer)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wing, "check", checked)
        exec(compile(cell.source, f"{path.name}: {name}", "exec"), {"check": checked})
    return said


def stub(path: Path, name: str):
    return next(c for c in cells(path, "exercise") if name in dict(CHECK.findall(c.source)))


each_stub = pytest.mark.parametrize(
    ("path", "name"), STUBS, ids=lambda part: part.stem if isinstance(part, Path) else part
)


@each_stub
def test_an_exercise_says_how_hard_and_how_long_it_is_and_helps_in_two_steps(path, name):
    above, below = around(path, name)
    assert re.search(r"●[●○]{2}", above), "how difficult"
    assert re.search(r"\b\d+ minutes", above), "how many minutes"
    for hint in ("Hint 1", "Hint 2"):
        assert re.search(rf"(summary>|admonition\}} ){hint}", above + below), hint
    assert re.search(r"What to try next[:.]", below)


@each_stub
def test_with_nothing_filled_in_every_check_says_so(path, name):
    assert f"○ {name}: nothing filled in yet" in run(stub(path, name), path, name)


@each_stub
def test_with_the_stored_solutions_filled_in_every_check_passes(path, name):
    said = run(stub(path, name), path, name, replaced=solved_by(path, name))
    assert f"✓ {name}: every property holds" in said


def takes_the_same(stub, answer) -> bool:
    """Whether `answer` can be called as the stub is."""
    try:
        inspect.signature(answer).bind(*inspect.signature(stub).parameters)
    except TypeError:
        return False
    return True


@each_stub
def test_with_right_answers_in_the_stubs_every_check_passes(path, name):
    for answer in RIGHT[name]:
        said = run(stub(path, name), path, name, replaced=answer)
        assert f"✓ {name}: every property holds" in said, answer.__name__
