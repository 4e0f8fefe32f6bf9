"""Claims: what they print, when they fail, and how a paper's number is judged."""

import html
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.pages.claims import ClaimFailed, Paper, box, claim, collect, line, verdict


def test_prints_one_line(capsys):
    claim(
        "{} heads of the one-layer model copy", 7, ">=", 4, of=8, control=("untrained", 0),
        paper=Paper("Elhage 2021", 10, of=12, wants="more"),
    )  # fmt: skip
    assert capsys.readouterr().out == (
        "✓ 7 of 8 heads of the one-layer model copy (needed at least 4; untrained: 0; "
        "Elhage 2021: 10 of 12, replicates)\n"
    )


def test_a_list_can_run_over_something_else(capsys):
    with collect() as records:
        claim("The score is {}", [0.5, 0.75], ">", 0.3, over="models")
        claim("The score is {}", [0.5, 0.75], ">", 0.3)
    assert capsys.readouterr().out.splitlines() == [
        "✓ The score is 0.625 (0.500 to 0.750 over 2 models) (needed more than 0.300)",
        "✓ The score is 0.625 (0.500 to 0.750 over 2 seeds) (needed more than 0.300)",
    ]
    assert [record.get("over") for record in records] == ["models", None]
    with pytest.raises(ValueError, match="over: a word in the plural"):
        claim("The score", [0.5, 0.75], ">", 0.3, over="")


def test_a_list_is_one_value_a_seed(capsys):
    claim("The score is {}", [0.5, 0.75, 0.625], ">", 0.3, control=("shuffled", [0.01, 0.02]))
    claim("{} heads copy", [7, 7, 7], ">", 3, of=8)
    claim("{} of it is direct", [1.0, 1 - 1e-12], ">", 0.5)  # the last bits are a processor's own
    assert capsys.readouterr().out.splitlines() == [
        "✓ The score is 0.625 (0.500 to 0.750 over 3 seeds) "
        "(needed more than 0.300; shuffled: 0.0150 (0.0100 to 0.0200))",
        "✓ 7 of 8 (in each of 3 seeds) heads copy (needed more than 3)",
        "✓ 1 (in each of 2 seeds) of it is direct (needed more than 0.500)",
    ]
    with pytest.raises(ClaimFailed):
        claim("The score", [0.5, 0.2], ">", 0.3)  # every seed must pass
    claim("The only seed scores {}", [0.5], ">", 0.3)  # where only one model is stored
    assert "✓ The only seed scores 0.500 (" in capsys.readouterr().out
    with pytest.raises(ValueError, match="value"):
        claim("The score", [], ">", 0.3)


@pytest.mark.parametrize(
    ("value", "op", "bound", "unit", "wanted"),
    [
        (0.123456, "<", 0.2, "nats", "✓ S: 0.123 nats (needed under 0.200)"),
        (3830, "==", 3830, None, "✓ S: 3830"),
        (0.5, "between", (0.25, 0.75), None, "✓ S: 0.500 (needed between 0.250 and 0.750)"),
        ("L0H3", "==", "L0H3", None, "✓ S: L0H3"),
        (True, "==", True, None, "✓ S"),
        (torch.tensor([2.0]), ">", 1, "steps", "✓ S: 2 steps (needed more than 1)"),
        (np.float32(0.5), "<=", np.int64(1), None, "✓ S: 0.500 (needed at most 1)"),
        (12.5, ">", 10, "%", "✓ S: 12.5% (needed more than 10)"),
        # a number that just misses its bound must not read like it
        (1.0004, ">", 1.0, None, "✓ S: 1.0004 (needed more than 1)"),
        # rounding errors differ between processors: only the bound is shown
        (3.1e-16, "<", 1e-12, None, "✓ S: under 1e-12"),
    ],
)
def test_numbers_are_shown_with_three_digits(value, op, bound, unit, wanted, capsys):
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
    with pytest.raises(
        ClaimFailed, match=r"Heads copy: got 0\.333, needed at least 0\.500, untrained: 0\.250"
    ):
        claim("Heads copy", 1 / 3, ">=", 0.5, control=("untrained", 0.25))


@pytest.mark.parametrize(
    ("value", "op", "bound", "control"),
    [(1, "<", 2, 1.5), (3, ">=", 2, 2), (0.5, "between", (0, 1), 0.9), (2, "==", 2, 2)],
)
def test_a_control_that_passes_too_is_an_error(value, op, bound, control):
    with pytest.raises(ClaimFailed, match="control passes too"):
        claim("S", value, op, bound, control=("rival", control))


def test_a_control_that_is_not_a_number_is_an_error():
    with pytest.raises(ClaimFailed, match="control is not a number"):
        claim("S", 1, "<", 2, control=("rival", math.nan))


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
    with pytest.raises(TypeError, match=r"control: a pair \(name, number\)"):
        claim("S", 1, "<", 2, control=3)
    with pytest.raises(TypeError, match="paper: a Paper"):
        claim("S", 1, "<", 2, paper="10 of 12")
    with pytest.raises(ValueError, match="of: 9 of 8 is more than the whole"):
        claim("S", 9, ">", 2, of=8)
    with pytest.raises(ValueError, match="wants: got 'up'"):
        Paper("Someone 1999", 1, wants="up")
    with pytest.raises(ValueError, match=r"number .* or its words"):
        Paper("Someone 1999")
    with pytest.raises(ValueError, match="unlike"):
        Paper("Someone 1999", says="a few")
    with pytest.raises(TypeError, match="paper: a number of a paper's stands beside numbers"):
        claim("S", "a", "==", "a", paper=Paper("Someone 1999", 1))
    with pytest.raises(ValueError, match="must rise"):
        claim("S", 1, "between", (2, 1))


def test_collect_gathers_the_records(capsys):
    with collect(quiet=True) as records:
        claim(
            "A", 1, "<", 2, control=("B", 3), unit="nats", of=4,
            paper=Paper("Someone 1999", 0.5, says="about half", wants="less"),
        )  # fmt: skip
        claim("B", torch.tensor(5), "==", 5)
    assert capsys.readouterr().out == ""
    assert records[0] == {
        "sentence": "A",
        "value": 1,
        "values": None,
        "op": "<",
        "bound": 2,
        "of": 4,
        "unit": "nats",
        "digits": 3,
        "control": {"name": "B", "value": 3, "values": [3]},
        "paper": {
            "source": "Someone 1999",
            "text": "0.500 (about half)",
            "unlike": None,
            "verdict": "weaker",
        },
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
    assert capsys.readouterr().out.splitlines()[0].startswith("✗ A: got 3, needed under 2")
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
    truth = {name: value_holds and math.isfinite(value) for name, value_holds in truth.items()}
    assert records[0]["holds"] == truth[op]
    assert line(records[0])[0] == ("✓" if truth[op] else "✗")


@given(value=NUMBERS, control=NUMBERS, bound=st.floats(allow_nan=False))
def test_value_and_control_never_stand_on_one_side(value, control, bound):
    with collect(keep_going=True, quiet=True) as records:
        claim("S", value, ">", bound, control=("rival", control))
    assert records[0]["holds"] == (bound < value < math.inf and control <= bound)


def test_in_a_notebook_the_record_goes_into_the_output(monkeypatch, capsys):
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    monkeypatch.setattr(IPython.display, "display", lambda *a, **k: shown.append((a, k)))
    claim("A < B", 1, "<", 2)
    ((data,), options) = shown[0]
    assert data["text/plain"] == "✓ A < B: 1 (needed under 2)"
    assert "A &lt; B: 1" in data["text/html"]
    assert data["text/html"].startswith('<div class="claim">')
    assert options["raw"] is True
    assert options["metadata"]["mechlib_claim"]["sentence"] == "A < B"
    assert capsys.readouterr().out == ""


def test_the_box_reads_as_the_line_does_without_a_style():
    with collect(quiet=True) as records:
        claim("{} of the heads copy", 7, ">=", 4, of=8, control=("untrained & <b>", 0),
              paper=Paper("Elhage 2021", 10, of=12))  # fmt: skip
        claim("a fact", True, "==", True)
    for record in records:
        text = html.unescape(re.sub(r"<[^>]+>", "", box(record)))
        assert text == line(record)


def test_importing_mechlib_brings_nothing_heavy():
    code = (
        "import sys, mechlib, mechlib.pages.claims\n"
        "heavy = {'torch', 'numpy', 'IPython', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- the verdict beside a paper's number -----------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "values", "of", "wanted"),
    [
        (Paper("P", 10.0), [9.5], None, "replicates"),  # within a tenth
        (Paper("P", 10.0), [8.0, 12.0], None, "replicates"),  # within the seeds
        (Paper("P", 10.0), [8.0], None, "differs"),
        (Paper("P", 10.0, error=1.5), [8.0], None, "replicates"),  # within the reading error
        (Paper("P", 10.0, wants="more"), [20.0, 30.0], None, "replicates"),  # beyond it
        (Paper("P", 10.0, wants="more"), [2.0, 3.0], None, "weaker"),
        (Paper("P", 10.0, wants="less"), [2.0, 3.0], None, "replicates"),
        (Paper("P", 10.0, wants="less"), [20.0], None, "weaker"),
        (Paper("P", 10, of=12, wants="more"), [7], 8, "replicates"),  # shares are compared
        (Paper("P", 10, of=12, wants="more"), [4], 8, "weaker"),
        (Paper("P", 10.0, unlike="another unit"), [10.0], None, "not comparable"),
        (Paper("P", says="many", unlike="no number"), [10.0], None, "not comparable"),
    ],
)
def test_the_verdict_follows_by_rule(paper, values, of, wanted):
    assert verdict(paper, values, of) == wanted


@given(
    theirs=st.floats(-1e6, 1e6),
    ours=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    wants=st.sampled_from(["more", "less", None]),
)
def test_a_wider_reading_error_never_undoes_a_replication(theirs, ours, wants):
    narrow = verdict(Paper("P", theirs, wants=wants), ours)
    wide = verdict(Paper("P", theirs, wants=wants, error=10.0), ours)
    if narrow == "replicates":
        assert wide == "replicates"
    assert wants is not None or narrow in ("replicates", "differs")
    assert wants is None or narrow in ("replicates", "weaker")


def test_numbers_of_numpy_are_numbers(capsys):
    claim("It is {}", [np.float64(0.25), np.float64(0.5)], ">", 0.1, paper=Paper("A", 0.3))
    assert capsys.readouterr().out.startswith("✓ It is 0.375 (0.250 to 0.500 over 2 seeds)")
