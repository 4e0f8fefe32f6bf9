"""Margins: how far each claim is from failing, and what its check says to its control.

`checked(record, value)` puts another value through a claim's own check, and runs it. With the
control's value the check must fail: the test of the tests, for every claim of the book.
`margins(record)` says how far the nearest value stands from the bound and from the control.
`weak_control(record)` finds the controls that control nothing: the bound itself, or the value's
own negation or complement. `page` writes the table of all claims, those nearest to failing first.

Used by the scoreboard.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mechlib.pages.claims import claim, collect, needed, plain_sentence, rounding
from mechlib.pages.numbers import shown

HEAD = """\
(margins)=
# How far each claim is from failing

A check that cannot fail says nothing. So each claim that names a control is put to a test of its
own: the control's number goes through the claim's own check in place of the measured one, and the
check has to fail. It is run for every number of every control whenever this page is made.

The table has all claims, those nearest to failing first.
*To the bound* is how far the nearest of the measured values is from the bound, in the claim's own
unit; *to the control* how far the nearest value is from the nearest of the control's.
Behind each stands the same as a share of the larger of the two numbers.
The order is by the smaller share. A small one is no fault by itself; it says which statement a
little less luck would have undone.

Unless its chapter says that a bound was fixed beforehand, take it as set after a first look at the
numbers, somewhere between them and their control: the margins tell how they lie, not that they
were foretold.

A claim that something is zero up to rounding has no margin to its bound that would be the same on
another processor, and a claim that a number is exactly so much has none at all.
They stand at the end, with their controls.
"""


@dataclass(frozen=True)
class Margins:
    """Distances of the nearest value, in the claim's unit; None where there is none."""

    to_bound: float | None
    bound_share: float | None
    to_control: float | None
    control_share: float | None

    @property
    def least(self) -> float:
        """The smaller share; infinite where there is none. The page is sorted by it."""
        return min(
            (s for s in (self.bound_share, self.control_share) if s is not None), default=math.inf
        )


def checked(record: dict, value: object) -> bool:
    """Whether the record's own check lets `value` pass. The check is run, not looked up."""
    bound = record["bound"]
    with collect(keep_going=True, quiet=True) as records:
        claim(
            record["sentence"],
            _number(value),
            record["op"],
            [*map(_number, bound)] if isinstance(bound, list) else _number(bound),
        )
    return records[0]["holds"]


def margins(record: dict) -> Margins:
    """How far the nearest value is from the bound and from the control."""
    values = [*map(_number, record["values"] or [record["value"]])]
    controls = [*map(_number, record["control"]["values"])] if record["control"] else []
    to_bound = bound_share = to_control = control_share = None
    if record["op"] != "==" and not rounding(record):
        bounds = record["bound"] if record["op"] == "between" else [record["bound"]]
        to_bound, bound_share = _nearest(values, [*map(_number, bounds)])
    if controls and all(_is_number(each) for each in values + controls):
        to_control, control_share = _nearest(values, controls)
    return Margins(to_bound, bound_share, to_control, control_share)


def weak_control(record: dict) -> str | None:
    """What is wrong with the control, in words; None when nothing is, or when a reason is given.

    A control equal to the bound separates nothing that the bound does not separate already. One
    that is the negation of the value, seed by seed, or its complement to the whole, is the value.
    (Zero against one is no complement of anything: it is nothing against all.)
    """
    if record["control"] is None or record["control"].get("reason"):
        return None
    values = [*map(_number, record["values"] or [record["value"]])]
    controls = [*map(_number, record["control"]["values"])]
    if not all(_is_number(each) for each in values + controls):
        return None
    bounds = record["bound"] if record["op"] == "between" else [record["bound"]]
    whole = record["of"] or 1
    if any(_same(control, _number(bound)) for control in controls for bound in bounds):
        return "the control is the bound"
    if len(values) == len(controls):
        pairs = [*zip(values, controls)]
        if all(_same(control, -value) and value for value, control in pairs):
            return "the control is the value's negation"
        inner = any(1e-6 < value / whole < 1 - 1e-6 for value in values)
        if inner and all(_same(control, whole - value) for value, control in pairs):
            return "the control is what the value leaves of the whole"
    return None


def page(entries: list[tuple[str, dict]], text: Callable[[object], str]) -> str:
    """The page: `entries` are (link to the chapter, record); `text` makes words safe."""
    ordered = sorted(entries, key=lambda entry: margins(entry[1]).least)
    fed = [(record, each) for _, record in entries for each in _controls(record)]
    failed = sum(not checked(record, each) for record, each in fed)
    controlled = sum(record["control"] is not None for _, record in entries)
    counts = (
        f"{len(entries)} claims, {controlled} with a control. {len(fed)} numbers of controls went "
        f"through the checks; {failed} failed them.\n"
    )
    reasons = [(link, r) for link, r in entries if r["control"] and r["control"].get("reason")]
    rows = [
        "| Claim | Chapter | Value | Needed | Control | To the bound | To the control |",
        "|---|---|---|---|---|---|---|",
        *(_row(link, record, text) for link, record in ordered),
    ]
    parts = [HEAD, counts, "\n".join(rows) + "\n"]
    if reasons:
        lines = [
            f"- {text(plain_sentence(record))} ({link}): {text(record['control']['reason'])}.\n"
            for link, record in reasons
        ]
        parts += [
            "## Controls that need a reason\n",
            "A control that is the bound itself, the negation of the value or a constant is the "
            "exception, and has its reason in writing.\n",
            "".join(lines),
        ]
    return "\n".join(parts)


def _row(link: str, record: dict, text: Callable[[object], str]) -> str:
    found, digits, control = margins(record), record.get("digits", 3), record["control"]
    values = record["values"] or [record["value"]]
    cells = [
        text(plain_sentence(record)),
        link,
        "0, up to rounding" if rounding(record) else _range(values, digits),
        text(needed(record)),
        "" if control is None else f"{text(control['name'])}: {_range(control['values'], digits)}",
        _distance(found.to_bound, found.bound_share),
        _distance(found.to_control, found.control_share),
    ]
    return "| " + " | ".join(cells) + " |"


def _distance(distance: float | None, share: float | None) -> str:
    if distance is None or not math.isfinite(distance):
        return ""
    return f"{shown(distance)} ({share:.0%})"


def _range(values: list, digits: int) -> str:
    values = [*map(_number, values)]
    if all(_is_number(each) for each in values):
        values = [min(values), max(values)]
    return " to ".join(dict.fromkeys(shown(each, digits) for each in values))


def _controls(record: dict) -> list:
    return record["control"]["values"] if record["control"] else []


def _nearest(values: list, others: list) -> tuple[float, float]:
    """The smallest distance between the two lists, and as a share of the larger number there."""
    pairs = [(abs(value - other), value, other) for value in values for other in others]
    distance, value, other = min(pairs)
    size = max(abs(value), abs(other))
    return float(distance), distance / size if 0 < size < math.inf else 1.0


def _number(x: object) -> object:
    """A record keeps infinity and NaN as words."""
    return float(x) if x in ("inf", "-inf", "nan") else x


def _is_number(x: object) -> bool:
    return type(x) in (int, float)


def _same(a: object, b: object) -> bool:
    return _is_number(a) and _is_number(b) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
