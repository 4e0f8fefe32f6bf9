import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.pages.claims import ClaimFailed, claim, collect, line


def test_prints_one_line(capsys):
    claim("Attention heads copy", 7, ">=", 4, of=8, control=0, paper="10 of 12")
    wanted = "✓ Attention heads copy: 7 of 8 (>= 4; control 0; paper: 10 of 12)\n"
    assert capsys.readouterr().out == wanted


@pytest.mark.parametrize(
    ("value", "op", "bound", "unit", "wanted"),
    [
        (0.123456, "<", 0.2, "nats", "✓ S: 0.1235 nats (< 0.2)"),
        (3830, "==", 3830, None, "✓ S: 3830 (== 3830)"),
        (0.5, "between", (0.25, 0.75), None, "✓ S: 0.5 (between 0.25 and 0.75)"),
        ("0.3", "==", "0.3", None, "✓ S: 0.3 (== 0.3)"),
        (torch.tensor([2.0]), ">", 1, "steps", "✓ S: 2 steps (> 1)"),
        (np.float32(0.5), "<=", np.int64(1), None, "✓ S: 0.5 (<= 1)"),
        # rounding errors differ between processors: only the bound is shown
        (3.1e-16, "<", 1e-12, None, "✓ S: under 1e-12"),
    ],
)
def test_numbers_are_shown_with_four_digits(value, op, bound, unit, wanted, capsys):
    claim("S", value, op, bound, unit=unit)
    assert capsys.readouterr().out == wanted + "\n"


@pytest.mark.parametrize(
    ("value", "op", "bound"),
    [
        (2, "<", 2),
        (3, "<=", 2),
        (2, ">", 2),
        (1, ">=", 2),
        (1, "==", 2),
        (0.2, "between", (0.25, 0.75)),
        (0.8, "between", [0.25, 0.75]),
        (math.nan, "<", 2),
        (math.nan, ">", 2),
        (math.nan, "between", (-1, 1)),
    ],
)
def test_a_claim_that_does_not_hold_raises(value, op, bound):
    with pytest.raises(ClaimFailed, match=r"Sentence: got") as caught:
        claim("Sentence", value, op, bound)
    assert caught.value.record["holds"] is False


def test_the_message_names_sentence_value_bound_and_control():
    with pytest.raises(ClaimFailed, match=r"Heads copy: got 0\.3333, needs >= 0\.5, control 0\.25"):
        claim("Heads copy", 1 / 3, ">=", 0.5, control=0.25)


@pytest.mark.parametrize(
    ("value", "op", "bound", "control"),
    [(1, "<", 2, 1.5), (3, ">=", 2, 2), (0.5, "between", (0, 1), 0.9), (2, "==", 2, 2)],
)
def test_a_control_that_passes_too_is_an_error(value, op, bound, control):
    with pytest.raises(ClaimFailed, match="control passes too"):
        claim("S", value, op, bound, control=control)


def test_a_control_that_is_not_a_number_is_an_error():
    with pytest.raises(ClaimFailed, match="control is not a number"):
        claim("S", 1, "<", 2, control=math.nan)


def test_bad_input():
    with pytest.raises(ValueError, match="op: got '<<'"):
        claim("S", 1, "<<", 2)
    with pytest.raises(TypeError, match="value: one number wanted, got Tensor"):
        claim("S", torch.zeros(3), "<", 2)
    with pytest.raises(TypeError, match="value: one number wanted, got dict"):
        claim("S", {}, "<", 2)
    with pytest.raises(TypeError, match="value: '<' compares numbers"):
        claim("S", "much", "<", 2)
    with pytest.raises(TypeError, match="pair"):
        claim("S", 1, "between", 2)
    with pytest.raises(ValueError, match="must rise"):
        claim("S", 1, "between", (2, 1))


def test_collect_gathers_the_records(capsys):
    with collect(quiet=True) as records:
        claim("A", 1, "<", 2, control=3, paper=0.5, unit="nats", of=4)
        claim("B", torch.tensor(5), "==", 5)
    assert capsys.readouterr().out == ""
    assert records[0] == {
        "sentence": "A",
        "value": 1,
        "op": "<",
        "bound": 2,
        "of": 4,
        "control": 3,
        "paper": 0.5,
        "unit": "nats",
        "holds": True,
    }
    assert records[1]["value"] == 5


def test_collect_can_keep_going_after_a_failure(capsys):
    with collect(keep_going=True) as outer, collect(keep_going=True) as records:
        claim("A", 3, "<", 2)
        claim("B", 1, "<", 2)
        claim("C", math.nan, "<", 2)
    assert [record["holds"] for record in records] == [False, True, False]
    assert records[2]["value"] == "nan"  # JSON has no NaN
    assert outer == []
    assert capsys.readouterr().out.splitlines()[0].startswith("✗ A: got 3, needs < 2")
    with pytest.raises(ClaimFailed):  # and outside the block they raise again
        claim("A", 3, "<", 2)


def test_collect_ends_with_its_block_even_on_an_error():
    with pytest.raises(ClaimFailed), collect():
        claim("A", 3, "<", 2)
    with collect(quiet=True) as records:
        claim("B", 1, "<", 2)
    assert [record["sentence"] for record in records] == ["B"]


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(value=NUMBERS, bound=st.floats(allow_nan=False), op=st.sampled_from(["<", "<=", ">", ">="]))
def test_holds_just_when_python_says_so(value, bound, op):
    truth = {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}
    with collect(keep_going=True, quiet=True) as records:
        claim("S", value, op, bound)
    assert records[0]["holds"] == truth[op]
    assert line(records[0])[0] == ("✓" if truth[op] else "✗")


@given(value=NUMBERS, control=NUMBERS, bound=st.floats(allow_nan=False))
def test_value_and_control_never_stand_on_one_side(value, control, bound):
    with collect(keep_going=True, quiet=True) as records:
        claim("S", value, ">", bound, control=control)
    assert records[0]["holds"] == (value > bound and control <= bound)


def test_in_a_notebook_the_record_goes_into_the_output(monkeypatch, capsys):
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    monkeypatch.setattr(IPython.display, "display", lambda *a, **k: shown.append((a, k)))
    claim("A < B", 1, "<", 2)
    ((data,), options) = shown[0]
    assert data["text/plain"] == "✓ A < B: 1 (< 2)"
    assert data["text/html"] == '<div class="claim">✓ A &lt; B: 1 (&lt; 2)</div>'
    assert options["raw"] is True
    assert options["metadata"]["mechlib_claim"]["sentence"] == "A < B"
    assert capsys.readouterr().out == ""


def test_importing_mechlib_brings_nothing_heavy():
    code = (
        "import sys, mechlib, mechlib.pages.claims\n"
        "heavy = {'torch', 'numpy', 'IPython', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
