"""Numbers as a person would write them, the same on every processor.

    shown(0.87512)            '0.875'
    shown(-3.2e-16)           '0'         rounding noise, whatever its sign
    shown(12_769)             '12,769'
    shown(4.4e-5)             '0.000044'
    shown(2.2e7)              '22 million'
    fixed(-0.001, 2)          '0.00'      never a signed zero

Used by every claim, table and figure that prints a number.
"""

import math
from typing import Any

# What is smaller than this is taken for rounding noise of float64 and shown as 0.
NOISE = 1e-9


def shown(value: Any, digits: int = 3) -> str:
    """`value` with `digits` significant digits. Whole numbers, words and None are shown whole."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    if abs(value) < NOISE:
        return "0"
    if abs(value) >= 1e6:
        power, word = (9, "billion") if abs(value) >= 1e9 else (6, "million")
        return f"{_significant(value / 10**power, digits)} {word}"
    return _significant(value, digits)


def fixed(value: float | int, places: int) -> str:
    """`value` with `places` decimals and no signed zero: what rounds to 0 has no sign."""
    return f"{float(value):z.{places}f}"


def _significant(value: float, digits: int) -> str:
    value = float(f"{value:.{digits - 1}e}")  # round first: 0.9996 has its first digit elsewhere
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}" if abs(value) >= 10_000 else f"{value:.{places}f}"
    # 0.500 says that three digits are known, 0.5 says less: cut only what a whole number repeats
    return text.rstrip("0").rstrip(".") if "." in text and value == int(value) else text
