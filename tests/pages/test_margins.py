"""Every claim's check is put to the test: the control's numbers go through it, and it fails."""

import ast
from functools import cache
from pathlib import Path

import nbformat
import pytest
from stored import notebook

from mechlib.pages import margins, scoreboard
from mechlib.pages.claims import claim, collect
from mechlib.pages.notebooks import all_notebooks

ROOT = Path(__file__).parents[2]
NOTEBOOKS = all_notebooks(ROOT)
names = {"ids": lambda path: path.stem}


@cache
def claims_of() -> dict[str, list[dict]]:
    """Path of a notebook from the root -> the records of its claims."""
    return {chapter.path: chapter.records for chapter in scoreboard.chapters(ROOT)}


def records_of(path: Path) -> list[dict]:
    return claims_of().get(path.relative_to(ROOT).as_posix(), [])


def record(value=7, op=">=", bound=4, **more) -> dict:
    with collect(keep_going=True, quiet=True) as records:
        claim("{} heads copy", value, op, bound, **more)
    return records[0]


# ---- over all stored claims ----


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_check_fails_on_every_number_of_its_control(path):
    for each in records_of(path):
        for value in each["control"]["values"] if each["control"] else []:
            assert not margins.checked(each, value), f"{each['sentence']}: {value} passes"


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_every_check_passes_on_every_measured_value(path):
    for each in records_of(path):
        for value in each["values"] or [each["value"]]:
            assert margins.checked(each, value), f"{each['sentence']}: {value} fails"


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_no_control_is_the_bound_or_the_value_itself_without_a_reason(path):
    weak = {r["sentence"]: margins.weak_control(r) for r in records_of(path)}
    assert not {sentence: why for sentence, why in weak.items() if why}


# Claims that have no control, each with the reason. Every other claim has one.
WITHOUT_CONTROL = {
    "Beside the direct path, the heads of layer 1 save {} more than those of layer 0": (
        "the claim says that the paper's order is not found: it stands beside the paper's number"
    ),
    "No attention: {} pass between knowing the shown pairs and knowing the others": (
        "the length of a wait in the one network of this kind; its bounds say that there is one, "
        "and that the run did not end first"
    ),
    "One clock adds without a mistake for {} primes that we tried": (
        "proved in the text for every prime, and tried: there is nothing it could be mistaken for"
    ),
    "113 waves have length one and stand at right angles; the largest error is {}": (
        "an identity, to rounding: it is true of these waves or the code is wrong"
    ),
    "The difference stands at position 3, then 4, then 15": (
        "a statement about the three places of the largest difference; a place has no rival"
    ),
    "Under L1 the latents add up to {} of what the neurons add up to": (
        "a shrinkage, measured against the neurons themselves, which have 1 by definition"
    ),
    "The model has {} parameters, as the text prints": "a count, held against the printed one",
    "The best position is {}, the one after the match": "a place in a printed example",
    "GPT-2's head size is {}": "a fact of its published configuration",
}


def test_claims_without_a_control_have_a_reason():
    bare = {r["sentence"] for records in claims_of().values() for r in records if not r["control"]}
    assert bare == set(WITHOUT_CONTROL)


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_no_control_is_a_constant_without_a_reason(path):
    assert not constant_controls(notebook(path))


def constant_controls(nb: nbformat.NotebookNode) -> list[str]:
    """Controls of two entries whose number is written down and not measured.

    A name counts as written down when every assignment to it in the notebook is a constant.
    """
    trees = [ast.parse(cell.source) for cell in nb.cells if cell.cell_type == "code"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    given: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            given.setdefault(node.targets[0].id, []).append(node.value)

    def constant(expression: ast.expr, depth: int = 3) -> bool:
        computed = ast.Call | ast.Attribute | ast.Dict | ast.ListComp
        empty = isinstance(expression, ast.List) and not expression.elts  # filled later
        if empty or any(isinstance(part, computed) for part in ast.walk(expression)):
            return False
        names = {part.id for part in ast.walk(expression) if isinstance(part, ast.Name)}
        return depth > 0 and all(
            name in given and all(constant(value, depth - 1) for value in given[name])
            for name in names
        )

    found = []
    for node in nodes:
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"):
            continue
        for keyword in node.keywords:
            pair = keyword.value
            if keyword.arg == "control" and isinstance(pair, ast.Tuple) and len(pair.elts) == 2:
                if constant(pair.elts[1]):
                    found.append(ast.unparse(pair))
    return found


# ---- the tests above can fail ----


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"control": ("untrained", 5)}, [5]),  # the control passes: it was recorded, not raised
        ({"control": ("untrained", [0, 4, 3])}, [4]),
        ({"control": ("untrained", [0, 1])}, []),
        ({"value": 0.5, "op": "between", "bound": (0, 1), "control": ("x", [-1, 0.3, 2])}, [0.3]),
        ({"value": 1e-15, "op": "<", "bound": 1e-12, "control": ("x", [0.1, 1e-13])}, [1e-13]),
        ({"value": "yes", "op": "==", "bound": "yes", "control": ("x", ["no", "yes"])}, ["yes"]),
        ({"control": ("x", [float("inf"), float("-inf")])}, []),
    ],
)
def test_a_control_that_passes_is_found(changes, passes):
    one = record(**changes)
    assert [v for v in one["control"]["values"] if margins.checked(one, v)] == passes


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"op": ">", "control": ("the bound", 4)}, "the bound"),
        ({"op": ">", "control": ("the bound", 4, "nothing else is meant")}, None),
        ({"value": [3, 2], "bound": 1, "control": ("turned round", [-3, -2])}, "negation"),
        ({"value": [3, 2], "bound": 1, "control": ("another", [-2, -3])}, None),
        ({"value": 7, "of": 8, "control": ("the others", 1)}, "of the whole"),
        ({"value": 0.75, "bound": 0.5, "control": ("the rest", 0.25)}, "of the whole"),
        ({"value": 1.0, "bound": 0.5, "control": ("nothing", 0.0)}, None),
        ({"control": ("untrained", 2)}, None),
        ({"control": None}, None),
        ({"value": True, "op": "==", "bound": True, "control": ("x", False)}, None),
    ],
)
def test_a_control_that_controls_nothing_is_found(changes, why):
    found = margins.weak_control(record(**changes))
    assert found is None if why is None else why in found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("claim('x', 1, '>', 0, control=('chance', 0.5))", True),
        ("claim('x', 1, '>', 0, control=('chance', 0.5, 'a coin cannot be measured'))", False),
        ("half = 1 / 2\nclaim('x', 1, '>', 0, control=('chance', -half))", True),
        ("half = f()\nclaim('x', 1, '>', 0, control=('measured', half))", False),
        ("half = 1 / 2\nhalf = f()\nclaim('x', 1, '>', 0, control=('measured', half))", False),
        ("half = []\nclaim('x', 1, '>', 0, control=('filled later', half[0]))", False),
        ("claim('x', 1, '>', 0, control=('measured', a.min()))", False),
        ("claim('x', 1, '>', 0, control=('unknown', a))", False),
    ],
)
def test_a_constant_control_is_found(source, found):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    assert bool(constant_controls(nb)) == found


# ---- the margins ----


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"control": ("untrained", 2)}, (3, 3 / 7, 5, 5 / 7)),
        ({"value": [7, 5], "control": ("untrained", [0, 3])}, (1, 1 / 5, 2, 2 / 5)),
        ({"value": 0.5, "op": "between", "bound": (0, 0.8)}, (0.3, 0.3 / 0.8, None, None)),
        ({"op": "==", "bound": 7, "control": ("other", 3)}, (None, None, 4, 4 / 7)),
        ({"value": 1e-15, "op": "<", "bound": 1e-12, "control": ("x", 2)}, (None, None, 2, 1)),
        ({"value": -3, "op": "<", "bound": 0, "control": ("x", 3)}, (3, 1, 6, 2)),
        ({"value": True, "op": "==", "bound": True, "control": ("x", False)}, (None,) * 4),
    ],
)
def test_margins_are_those_of_the_nearest_value(changes, wanted):
    found = margins.margins(record(**changes))
    got = found.to_bound, found.bound_share, found.to_control, found.control_share
    assert got == pytest.approx(wanted)


def test_the_page_has_the_nearest_to_failing_first_and_the_reasons_last():
    far = record(control=("untrained", 0))
    near = record(value=5, bound=4.9, control=("a rival", 4, "there is none nearer"))
    text = margins.page([("[1](x)", far), ("[2](y)", near)], str)
    assert text.index("| [2](y) |") < text.index("| [1](x) |") < text.index("none nearer")
    assert "2 claims, 2 with a control. 2 numbers of controls" in text
    assert "2 failed them" in text
    assert "| … heads copy | [1](x) | 7 | at least 4 | untrained: 0 | 3 (43%) | 7 (100%) |" in text


def test_every_claim_is_a_sentence_of_its_own():
    """On the scoreboard it stands alone."""
    sentences = [record["sentence"] for records in claims_of().values() for record in records]
    assert [said for said in sentences if said.startswith(("and ", "but ", "or "))] == []
