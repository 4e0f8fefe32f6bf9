"""What a checker is written with.

    @exercise("causal-pattern", chapter=2)
    def causal_pattern(answer: Answer) -> None:
        '''Attention that looks only back: scores (head, query, key) to a pattern.'''
        scores = numbers(3, 5, 5)
        pattern = answer(scores)
        shaped(pattern, (3, 5, 5), "(head, query, key)")
        close(pattern.sum(-1), torch.ones(3, 5), "each row sums to one",
              mistakes={"you take the softmax over queries": ...})

The function's name does not matter, its docstring says what is asked for. `answer(...)` calls the
reader's function on copies of its arguments. The helpers below raise `Wrong` with a sentence for
the reader; the first one that does ends the check.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mechlib.nearest import nearest


class Open(Exception):
    """The stub is not filled in."""


class Wrong(Exception):
    """A sentence for the reader: what does not hold, and which mistake it looks like."""


@dataclass(frozen=True)
class Result:
    """How an answer did. verdict: "open", "right" or "wrong"; message: the line for the reader."""

    name: str
    verdict: str
    message: str

    def __str__(self) -> str:
        mark = {"open": "○", "right": "✓", "wrong": "✗"}[self.verdict]
        return f"{mark} {self.name}: {self.message}"


class Answer:
    """The reader's function, guarded: it gets copies, and what it raises becomes a sentence."""

    def __init__(self, function: Any):
        if not callable(function):
            raise TypeError(f"check wants a function, got {type(function).__name__}")
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        copies = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
        try:
            found = self.function(*copies)
        except NotImplementedError:
            raise Open from None
        except Exception as error:
            shapes = ", ".join(_describe(a) for a in arguments)
            raise Wrong(f"called with {shapes} it raises {type(error).__name__}: {error}") from None
        if found is None or found is ...:
            raise Open
        return found


@dataclass(frozen=True)
class Exercise:
    """One exercise and its checker. asks: the checker's docstring, what is to be written."""

    name: str
    chapter: int
    asks: str
    checker: Callable[[Answer], None]


_REGISTRY: dict[str, Exercise] = {}


def exercise(name: str, *, chapter: int) -> Callable[[Callable], Callable]:
    """Register a checker under the name by which a notebook asks for it."""

    def register(checker: Callable[[Answer], None]) -> Callable:
        if name in _REGISTRY and _REGISTRY[name].checker.__module__ != checker.__module__:
            raise ValueError(f"two exercises are called {name!r}")
        asks = " ".join((checker.__doc__ or "").split())
        if not asks:
            raise ValueError(f"{name}: the checker's docstring must say what is asked for")
        _REGISTRY[name] = Exercise(name, chapter, asks, checker)
        return checker

    return register


def exercises() -> dict[str, Exercise]:
    """Every exercise of the course by name, in the order of the chapters."""
    import mechlib.exercises as wing

    for module in pkgutil.iter_modules(wing.__path__):
        importlib.import_module(f"{wing.__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items(), key=lambda item: (item[1].chapter, item[0])))


def result(name: str, function: Any) -> Result:
    """How `function` does as an answer to the exercise. KeyError for an unknown name."""
    known = exercises()
    if name not in known:
        raise KeyError(f"no exercise is called {name!r}{nearest(name, known)}")
    try:
        known[name].checker(Answer(function))
    except Open:
        return Result(name, "open", "nothing filled in yet")
    except Wrong as wrong:
        return Result(name, "wrong", str(wrong))
    return Result(name, "right", "every property holds")


def check(name: str, function: Any) -> None:
    """Print how `function` does as an answer to the exercise; nothing is raised for a wrong one."""
    print(result(name, function))


# ---- what a checker says ----


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal random numbers in float64, the same at every call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def patterns(n_heads: int, n_pos: int, seed: int = 0) -> Tensor:
    """Causal attention patterns (head, query, key) of heads that look at random."""
    later = torch.ones(n_pos, n_pos).triu(1).bool()
    return numbers(n_heads, n_pos, n_pos, seed=seed).masked_fill(later, -torch.inf).softmax(-1)


def holds(fact: bool, otherwise: str) -> None:
    """Go on when the fact holds; else say `otherwise`."""
    if not fact:
        raise Wrong(otherwise)


def shaped(found: Any, shape: tuple[int, ...], axes: str) -> Tensor:
    """`found` as a tensor of this shape; `axes` names them: "(head, query, key)"."""
    if not isinstance(found, Tensor):
        try:
            found = torch.as_tensor(found)
        except (TypeError, ValueError, RuntimeError):
            raise Wrong(f"a tensor {axes} is wanted, got {type(found).__name__}") from None
    if tuple(found.shape) != shape:
        raise Wrong(f"the shape should be {shape}, {axes}; yours is {tuple(found.shape)}")
    return found


def close(
    found: Any,
    wanted: Any,
    what: str,
    mistakes: Mapping[str, Any] | None = None,
    within: float = 1e-6,
) -> None:
    """Go on when `found` equals `wanted` to `within` of its largest entry; else say `what`.

    mistakes: {sentence: the value that this mistake gives}. The first that `found` equals is
    named. A mistake's value must differ from `wanted`, or the checker itself is at fault.
    """
    for sentence, value in (mistakes or {}).items():
        if _near(value, wanted, within):
            raise AssertionError(f"the mistake {sentence!r} gives the right value")
    if _near(found, wanted, within):
        return
    for sentence, value in (mistakes or {}).items():
        if _near(found, value, within):
            raise Wrong(f"{what}: no. It looks as if {sentence}.")
    raise Wrong(f"{what}: no{_off_by(found, wanted)}.")


def _tensor(x: Any) -> Tensor:
    x = torch.as_tensor(x)
    return x if x.is_complex() else x.double()


def _near(found: Any, wanted: Any, within: float) -> bool:
    found, wanted = _tensor(found), _tensor(wanted)
    if found.shape != wanted.shape:
        return False
    if wanted.numel() == 0:
        return True
    finite = torch.isfinite(wanted)
    same_holes = bool((found[~finite] == wanted[~finite]).all())
    scale = max(1.0, float(wanted[finite].abs().max())) if finite.any() else 1.0
    gap = (found[finite] - wanted[finite]).abs()
    return same_holes and bool((gap <= within * scale).all())


def _off_by(found: Any, wanted: Any) -> str:
    found, wanted = _tensor(found), _tensor(wanted)
    if found.shape != wanted.shape:
        return f" (shape {tuple(found.shape)} where {tuple(wanted.shape)} is wanted)"
    gap = (found - wanted).abs()
    if not torch.isfinite(gap).all():
        return " (not a finite number somewhere)"
    return f" (off by up to {float(gap.max()):.2g})" if gap.numel() else ""


def _describe(argument: Any) -> str:
    if isinstance(argument, Tensor):
        return f"a tensor of shape {tuple(argument.shape)}"
    return repr(argument) if isinstance(argument, (int, float, str)) else type(argument).__name__
