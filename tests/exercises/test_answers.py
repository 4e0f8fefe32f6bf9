"""Each checker accepts right answers however they are written, and names what is wrong with others.

A module answers_<topic>.py beside this one holds RIGHT, {exercise: [function, ...]}, and WRONG,
{exercise: [(function, part of the hint that it must get), ...]}.
"""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from mechlib.exercises import check, exercises, result

RIGHT: dict[str, list] = {}
WRONG: dict[str, list] = {}
for path in sorted(Path(__file__).parent.glob("answers_*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    RIGHT |= module.RIGHT
    WRONG |= module.WRONG

rights = [(name, f) for name, answers in RIGHT.items() for f in answers]
wrongs = [(name, f, hint) for name, answers in WRONG.items() for f, hint in answers]


@cache
def judged(name: str, answer):
    """What the checker says of a wrong answer; two tests want to know."""
    return result(name, answer)


def label(part) -> str:
    return getattr(part, "__name__", str(part))


def test_every_exercise_has_answers_to_judge():
    assert set(RIGHT) == set(WRONG) == set(exercises())
    for name in exercises():
        assert len(RIGHT[name]) >= 2, f"{name}: two right answers, written differently"
        hints = [hint for _, hint in WRONG[name]]
        assert len(hints) >= 3, f"{name}: three wrong answers"
        assert len(hints) == len(set(hints)), f"{name}: each with its own hint"


@pytest.mark.parametrize(("name", "answer"), rights, ids=label)
def test_a_right_answer_is_accepted(name, answer):
    found = result(name, answer)
    assert found.verdict == "right", found


@pytest.mark.parametrize(
    ("name", "answer", "hint"), wrongs, ids=lambda x: getattr(x, "__name__", x)
)
def test_a_wrong_answer_gets_its_hint(name, answer, hint):
    found = judged(name, answer)
    assert found.verdict == "wrong"
    assert hint in found.message


def test_the_mutation_score(capsys):
    hits = sum(hint in judged(name, f).message for name, f, hint in wrongs)
    with capsys.disabled():
        print(f"\nmutation score: {hits} of {len(wrongs)} wrong answers get their hint")
    assert hits == len(wrongs)


@pytest.mark.parametrize("name", list(exercises()))
def test_an_open_stub_is_no_mistake(name, capsys):
    check(name, lambda *arguments: None)
    check(name, lambda *arguments: ...)
    assert capsys.readouterr().out == f"○ {name}: nothing filled in yet\n" * 2


def test_what_an_answer_raises_is_said():
    found = result("causal-pattern", lambda scores: scores[99])
    assert found.verdict == "wrong"
    assert "IndexError" in found.message


def test_an_answer_cannot_change_its_arguments_for_the_checker():
    def spoils(scores):
        kept = scores.clone()
        scores.zero_()
        later = kept.new_ones(kept.shape[-2:]).triu(1).bool()
        return kept.masked_fill(later, -float("inf")).softmax(-1)

    assert result("causal-pattern", spoils).verdict == "right"


def test_an_unknown_exercise_is_named():
    with pytest.raises(KeyError, match=r"no exercise is called .*; nearest: 'causal-pattern'"):
        check("casual-pattern", print)
    with pytest.raises(TypeError, match="wants a function, got int"):
        check("causal-pattern", 3)
