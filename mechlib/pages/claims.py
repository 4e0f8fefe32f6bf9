"""Claims: a sentence that states a fact about a model, followed by its check.

    claim("{} heads of the one-layer model copy", copying, ">=", 4, of=8,
          control=("untrained", random_heads), paper=Paper("Elhage 2021", 10, of=12))

prints one line,

    ✓ 7 of 8 heads of the one-layer model copy (needed at least 4; untrained: 0;
      Elhage 2021: 10 of 12, replicates)

raises `ClaimFailed` when the fact does not hold, and leaves a record from which the book's
replication scoreboard is built. The number stands where the braces are, or after the sentence.

A control is the same quantity where the claim's own explanation would be wrong: its nearest
rival (untrained weights, another head, shuffled data), and it has a name. It must fail the bound
that the value passes: otherwise the claim could not have failed, and that is an error too.

A list of values is one value a seed. Every one of them must pass; the line shows the median and
the range. Where the list runs over something else, `over` names it (over="models").

Used in every chapter.
"""

import html
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mechlib.pages.numbers import shown

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "==": lambda value, bound: value == bound,
    "between": lambda value, bound: bound[0] <= value <= bound[1],
}
WORDS = {"<": "under", "<=": "at most", ">": "more than", ">=": "at least", "==": "exactly"}

# A bound this small speaks of rounding error. Its exact size differs from processor to processor,
# so the line says only "under the bound"; the record keeps the number.
ROUNDING = 1e-5

# How near to a paper's number counts as the same number: a tenth of it. Fixed for the whole course.
NEAR = 0.1


class ClaimFailed(AssertionError):
    """A claim that does not hold, or one whose control passes too. `.record` has the numbers."""

    def __init__(self, message: str, record: dict):
        super().__init__(message)
        self.record = record


@dataclass(frozen=True)
class Paper:
    """What a paper reports, in the same unit as the claim's value.

    source: who and when, "Elhage 2021". value: the paper's number, or None with `says`.
    of: what it is a part of; shares are compared then. error: the reading error, in the unit of
    `value` (a number read off a plot has one). wants: "more" or "less", the direction in which
    the paper's effect is stronger; None where neither is. says: the paper's words, where it gives
    no number, or beside it. unlike: why the two are not comparable, in half a sentence.
    """

    source: str
    value: float | int | None = None
    of: float | int | None = None
    error: float | int = 0.0
    wants: str | None = None
    says: str | None = None
    unlike: str | None = None

    def __post_init__(self) -> None:
        if self.wants not in (None, "more", "less"):
            raise ValueError(f"wants: got {self.wants!r}, accepted are 'more', 'less' and None")
        if self.value is None and self.says is None:
            raise ValueError("Paper needs the paper's number (value) or its words (says)")
        if self.value is None and self.unlike is None:
            raise ValueError("unlike: without a number of the paper's, say why none is compared")

    def text(self) -> str:
        """The paper's number as it is shown, "10 of 12"."""
        if self.value is None:
            return str(self.says)
        number = shown(self.value) + (f" of {shown(self.of)}" if self.of is not None else "")
        number += f" ± {shown(self.error)}" if self.error else ""
        return number + (f" ({self.says})" if self.says else "")


def verdict(paper: Paper, values: Sequence, of: float | int | None = None) -> str:
    """How our numbers stand to the paper's, by one rule for the whole course.

    not comparable   the claim says why (`Paper.unlike`)
    replicates       the paper's number lies within the range of our seeds, widened by a tenth of
                     it (`NEAR`) and by its reading error; or all our seeds lie beyond it in the
                     direction in which the effect is stronger
    weaker           the effect has the paper's direction and passed its bound, but falls short
    differs          anything else
    """
    if paper.unlike is not None or paper.value is None:
        return "not comparable"
    if not all(type(value) in (int, float) for value in values):
        raise TypeError(f"paper: a number of a paper's stands beside numbers, got {values!r}")
    theirs, error = float(paper.value), paper.error
    ours = [float(value) for value in values]
    if paper.of is not None and of is not None:
        theirs, error = theirs / paper.of, error / paper.of
        ours = [value / of for value in ours]
    slack = abs(theirs) * NEAR + error
    low, high = min(ours) - slack, max(ours) + slack
    if low <= theirs <= high:
        return "replicates"
    if paper.wants is None:
        return "differs"
    beyond = theirs < low if paper.wants == "more" else theirs > high
    return "replicates" if beyond else "weaker"


def claim(
    sentence: str,
    value: Any,
    op: str,
    bound: Any,
    *,
    of: Any = None,
    control: Any = None,
    paper: Any = None,
    unit: str | None = None,
    digits: int = 3,
    over: str = "seeds",
) -> None:
    """Check one fact, show it in one line, leave a record.

    Args:
        sentence: the fact in words; `{}` is where the number goes ("{} of the heads copy").
        value: the measured number (a Python or numpy number, or a tensor of one element; with
            "==" also a string or a bool), or a list of numbers, one for each seed.
        op: "<", "<=", ">", ">=", "==" or "between" (both ends included).
        bound: the number that every value must reach; for "between" a pair (low, high).
        of: what `value` is a part of, printed "7 of 8".
        control: (name, number or list of numbers): the same quantity for the nearest rival.
            It must fail the bound. Where nothing nearer than the bound itself, the value's
            negation or a constant can serve, say why in a third entry: (name, number, reason).
        paper: what a paper reports; its verdict is given by `verdict`, never checked.
        unit: "nats", "steps", "tokens", "%", ...
        digits: significant digits shown.
        over: what a list of values runs over, in the plural: "seeds", "models", "packages".

    Raises:
        ClaimFailed: a value fails the bound or is not finite, or the control passes.
        ValueError: an unknown operator, a part larger than the whole. TypeError: something that
            is not a number.
    """
    if op not in OPERATORS:
        raise ValueError(f"op: got {op!r}, accepted are {', '.join(OPERATORS)}")
    if not over:
        raise ValueError(f"over: a word in the plural is wanted, like 'models', got {over!r}")
    values, of = _plain_list(value, "value"), _plain(of, "of")
    name, controls, reason = _named(control)
    bound = _checked_bound(op, bound)
    if paper is not None and not isinstance(paper, Paper):
        raise TypeError(f"paper: a Paper(source, value, ...) is wanted, got {paper!r}")
    if op != "==":
        for what, numbers in (("value", values), ("control", controls or [])):
            for each in numbers:
                if isinstance(each, str) or each is None:
                    raise TypeError(f"{what}: {op!r} compares numbers, got {each!r}")
    if of is not None and any(each > of for each in values):
        raise ValueError(f"of: {shown(max(values))} of {shown(of)} is more than the whole")

    check = OPERATORS[op]
    passes = all(_finite(each) and check(each, bound) for each in values)
    control_passes = controls is not None and any(
        not _number_at_all(each) or check(each, bound) for each in controls
    )
    record = {
        "sentence": sentence,
        "value": _json(_middle(values)),
        "values": [_json(each) for each in values] if len(values) > 1 else None,
        "op": op,
        "bound": [_json(end) for end in bound] if op == "between" else _json(bound),
        "of": _json(of),
        "unit": unit,
        "digits": digits,
        "control": None if controls is None else _control_record(name, controls, reason),
        "paper": None
        if paper is None
        else {
            "source": paper.source,
            "text": paper.text(),
            "unlike": paper.unlike,
            "verdict": verdict(paper, values, of),
        },
        "holds": bool(passes and not control_passes),
    }
    if over != "seeds":
        record["over"] = over
    if _COLLECTORS:
        _COLLECTORS[-1].append(record)
    if record["holds"]:
        _show(record)
        return
    got = f"got {_measured(record)}, needed {needed(record)}"
    if controls is not None:
        got += f", {name}: {_spread(controls, digits)}"
    if not passes:
        why = got
    elif not all(map(_number_at_all, controls)):
        why = "the control is not a number"
    else:
        why = f"the control passes too, so the claim separates nothing: {got}"
    if _COLLECTORS and _COLLECTORS[-1].keep_going:
        _COLLECTORS[-1].say(f"✗ {plain_sentence(record)}: {why}")
        return
    raise ClaimFailed(f"{plain_sentence(record)}: {why}", record)


# ---- a record in words ----


def statement(record: dict) -> str:
    """The sentence with its number, as a person would say it."""
    if record["bound"] is True and record["holds"]:
        return record["sentence"]  # a fact with no number in it
    number = _measured(record)
    if "{}" in record["sentence"]:
        return record["sentence"].replace("{}", number, 1)
    return f"{record['sentence']}: {number}"


def plain_sentence(record: dict) -> str:
    """The sentence without its number."""
    return " ".join(record["sentence"].replace("{}", "…", 1).split())


def needed(record: dict) -> str:
    """The bound in words, "at least 4"."""
    bound, digits = record["bound"], record.get("digits", 3)
    if record["op"] == "between":
        return f"between {shown(bound[0], digits)} and {shown(bound[1], digits)}"
    if record["op"] == "==":
        return f"exactly {shown(bound, digits)}"
    return f"{WORDS[record['op']]} {shown(bound, digits)}"


def notes(record: dict) -> list[tuple[str, str]]:
    """What stands beside the statement: (kind, text) with kind needed, control or paper."""
    found = []
    if not rounding(record) and record["op"] != "==":
        found.append(("needed", f"needed {needed(record)}"))
    control, paper = record["control"], record["paper"]
    if control is not None:
        found.append(("control", f"{control['name']}: {_control(record)}"))
    if paper is not None:
        found.append(("paper", f"{paper['source']}: {paper['text']}, {paper['verdict']}"))
    return found


def line(record: dict) -> str:
    """The one line that stands for a record, as `claim` shows it."""
    mark = "✓" if record["holds"] else "✗"
    beside = "; ".join(text for _, text in notes(record))
    return f"{mark} {statement(record)}" + (f" ({beside})" if beside else "")


def _measured(record: dict) -> str:
    digits, values = record.get("digits", 3), record["values"] or [record["value"]]
    if rounding(record) and record["holds"]:
        return f"under {_small(record['bound'])}" + _unit(record)
    bounds = record["bound"] if record["op"] == "between" else [record["bound"]]
    # the number nearest to its bound must not read like the bound: "1 (needed more than 1)"
    of = f" of {shown(record['of'], digits)}" if record["of"] is not None else ""
    return _spread(values, digits, bounds, of + _unit(record), record.get("over", "seeds"))


def _control(record: dict) -> str:
    bound = record["bound"]
    bounds = bound if isinstance(bound, list) else [bound]
    return _spread(record["control"]["values"], record.get("digits", 3), bounds)


def _unit(record: dict) -> str:
    unit = record["unit"]
    return f" {unit}" if unit and unit != "%" else unit or ""


def _spread(
    values: Sequence, digits: int, bounds: Sequence = (), unit: str = "", each: str = ""
) -> str:
    """One number, or the median of several with their range, told apart from the bounds."""
    if not all(type(value) in (int, float) for value in values):
        return ", ".join(dict.fromkeys(shown(value, digits) for value in values)) + unit
    low, high = min(values), max(values)
    digits = max(digits, *(_digits_apart(v, b, digits) for v in (low, high) for b in bounds), 1)
    if len(values) == 1:
        return shown(values[0], digits) + unit
    over = f" over {len(values)} {each}" if each else ""
    low, high = shown(low, digits), shown(high, digits)
    ends = f"{low} to {high}"
    if low == high:  # as shown: whether the last bits agree is one processor's business
        ends = "in each"
        over = f" of {len(values)} {each}" if each else ""
    return f"{shown(_middle(values), digits)}{unit} ({ends}{over})"


def _digits_apart(value: Any, bound: Any, digits: int) -> int:
    """How many digits keep `value` from reading like a bound that it does not equal."""
    while value != bound and digits < 12 and shown(value, digits) == shown(bound, digits):
        digits += 1
    return digits


def rounding(record: dict) -> bool:
    """Whether the claim says that something is zero, up to rounding error."""
    bound = record["bound"]
    if record["op"] not in ("<", "<=") or not isinstance(bound, float):
        return False
    # an error has no sign: a number far below 0 is a number, and is shown
    values = [record["value"], *(record["values"] or [])]
    return 0 < bound <= ROUNDING and all(
        type(value) in (int, float) and value >= -ROUNDING for value in values
    )


def _small(bound: float) -> str:
    return f"{bound:.0e}".replace("e-0", "e-") if bound < 1e-4 else shown(bound)


# ---- collecting ----


class Records(list):
    """The records gathered by `collect`, in order; a plain list of dicts."""

    def __init__(self, keep_going: bool, quiet: bool):
        super().__init__()
        self.keep_going, self.quiet = keep_going, quiet

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text)


_COLLECTORS: list[Records] = []


@contextmanager
def collect(keep_going: bool = False, quiet: bool = False) -> Iterator[Records]:
    """Gather the records of the claims made inside the `with` block.

    keep_going: a failing claim is printed and recorded (`holds` False) instead of raised.
    quiet: nothing is printed. Collectors nest; a claim goes to the innermost one.
    """
    records = Records(keep_going, quiet)
    _COLLECTORS.append(records)
    try:
        yield records
    finally:
        _COLLECTORS.pop()


def _show(record: dict) -> None:
    if _COLLECTORS and _COLLECTORS[-1].quiet:
        return
    if _in_notebook():
        from IPython.display import display

        data = {"text/plain": line(record), "text/html": box(record)}
        display(data, raw=True, metadata={"mechlib_claim": record})
    else:
        print(line(record))


def box(record: dict) -> str:
    """The line as HTML: the statement, then what it needed, its control and the paper's number.

    Without a style it reads as `line` does; the book's style puts the notes on a line of their own
    and leaves out the marks between them.
    """
    parts = [
        f'<span class="claim-{kind}">{html.escape(text)}</span>' for kind, text in notes(record)
    ]
    beside = _mark("(") + _mark("; ").join(parts) + _mark(")")
    mark = "✓" if record["holds"] else "✗"
    return (
        f'<div class="claim"><span class="claim-mark">{mark}</span> '
        f'<span class="claim-statement">{html.escape(statement(record))}</span>'
        + (f' <span class="claim-notes">{beside}</span>' if parts else "")
        + "</div>"
    )


def _mark(text: str) -> str:
    return f'<span class="claim-between">{text}</span>'


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # never import it just to find out
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


# ---- reading the arguments ----


def _plain(x: Any, name: str) -> Any:
    """A Python number, string, bool or None from whatever holds one element."""
    if isinstance(x, float):
        return float(x)  # numpy's float64 is a float of another type
    if x is None or isinstance(x, (str, bool, int)):
        return x
    if getattr(x, "size", None) == 1 or (callable(getattr(x, "numel", None)) and x.numel() == 1):
        x = x.item()
        if isinstance(x, (bool, int, float)):
            return x
    raise TypeError(f"{name}: one number wanted, got {type(x).__name__} {x!r}"[:200])


def _plain_list(x: Any, name: str) -> list:
    """One value, or a list of values, one for each seed that there is."""
    if not isinstance(x, (list, tuple)):
        return [_plain(x, name)]
    if not x:
        raise ValueError(f"{name}: a list holds one value for each seed, at least one; got {x!r}")
    return [_plain(each, name) for each in x]


def _named(control: Any) -> tuple[str | None, list | None, str | None]:
    if control is None:
        return None, None, None
    name, *rest = control if isinstance(control, tuple) and len(control) in (2, 3) else (None,)
    reason = rest[1] if len(rest) == 2 else None
    if not isinstance(name, str) or not isinstance(reason, str | None):
        raise TypeError(
            f"control: a pair (name, number), or (name, number, reason), is wanted, got {control!r}"
        )
    return name, _plain_list(rest[0], "control"), reason


def _control_record(name: str, controls: list, reason: str | None) -> dict:
    kept = {"name": name, "value": _json(_middle(controls)), "values": [*map(_json, controls)]}
    return kept if reason is None else kept | {"reason": reason}


def _checked_bound(op: str, bound: Any) -> Any:
    if op != "between":
        bound = _plain(bound, "bound")
        if op != "==" and (isinstance(bound, str) or bound is None):
            raise TypeError(f"bound: {op!r} compares numbers, got {bound!r}")
        return bound
    if not isinstance(bound, (tuple, list)) or len(bound) != 2:
        raise TypeError(f"bound: 'between' needs a pair (low, high), got {bound!r}")
    ends = [_plain(end, "bound") for end in bound]
    if any(isinstance(end, str) or end is None for end in ends):
        raise TypeError(f"bound: 'between' compares numbers, got {bound!r}")
    if not ends[0] <= ends[1]:
        raise ValueError(f"bound: the pair must rise, got {bound!r}")
    return ends


def _finite(x: Any) -> bool:
    return not isinstance(x, float) or math.isfinite(x)


def _number_at_all(x: Any) -> bool:
    return not (isinstance(x, float) and math.isnan(x))


def _middle(values: Sequence) -> Any:
    """The median, and for words and truth values what they all are."""
    if len(values) == 1 or not all(type(value) in (int, float) for value in values):
        return values[0]
    return statistics.median(values)


def _json(x: Any) -> Any:
    """JSON has no infinity and no NaN: these are kept as words."""
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x
