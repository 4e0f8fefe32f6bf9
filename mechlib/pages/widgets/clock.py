"""Addition by turning: numbers as angles, and the logits that a sum of cosines gives."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, source, whole
from mechlib.pages.widgets.still import still_bars


class ClockAdder(PageWidget):
    """Pick a and b: on each clock of frequency k the hand turns by 2πk/P times a, then times b.

    The logit of c is the sum over the chosen frequencies of amplitude × cos(2πk(a + b - c)/P):
    one frequency alone hardly tells c from its rivals, several agree only at a + b mod P.
    `a`, `b` and `active` (which clocks count) can be read and set from Python.
    Raises ValueError unless P is at least 3, the frequencies are different numbers of 1..P//2,
    and `amplitudes`, when given, has one entry for each.
    """

    _esm = source("clock.js")
    P = T.Int(0).tag(sync=True)
    frequencies = T.List(T.Int()).tag(sync=True)
    amplitudes = T.List(T.Float()).tag(sync=True)
    active = T.List(T.Bool()).tag(sync=True)
    a = T.Int(0).tag(sync=True)
    b = T.Int(0).tag(sync=True)

    def __init__(
        self,
        P: int,
        frequencies: Iterable,
        *,
        amplitudes: Any = None,
        a: int = 5,
        b: int = 9,
        caption: str = "",
    ) -> None:
        if P < 3:
            raise ValueError(f"P must be at least 3, got {P}")
        frequencies = [whole(k, "frequencies: each") for k in frequencies]
        if not frequencies or len(set(frequencies)) != len(frequencies):
            raise ValueError(f"frequencies must be different numbers, got {frequencies}")
        for k in frequencies:
            if not 1 <= k <= P // 2:
                raise ValueError(f"frequencies must lie in 1..{P // 2}, got {k}")
        sizes = [1.0] * len(frequencies)
        if amplitudes is not None:
            sizes = finite(array(amplitudes, "amplitudes", (len(frequencies),)), "amplitudes")
        self._size = P
        super().__init__(
            P=P,
            frequencies=frequencies,
            amplitudes=[round(float(s), 4) for s in sizes],
            active=[True] * len(frequencies),
            a=a % P,
            b=b % P,
            caption=caption,
        )

    @T.validate("a", "b")
    def _in_range(self, proposal: dict) -> int:
        return index(proposal["value"], self._size, proposal["trait"].name)

    @T.validate("active")
    def _one_each(self, proposal: dict) -> list[bool]:
        if len(proposal["value"]) != len(self.frequencies):
            raise ValueError(f"active needs {len(self.frequencies)} entries, one for each clock")
        return proposal["value"]

    def still(self) -> str:
        turn = 2 * np.pi / self.P
        away = turn * (self.a + self.b - np.arange(self.P))
        clocks = zip(self.frequencies, self.amplitudes, strict=True)
        logits = sum(size * np.cos(k * away) for k, size in clocks)
        best = sorted(range(self.P), key=lambda c: (-round(logits[c], 6), c))[:5]
        return still_bars(
            [(f"c = {c}", float(logits[c])) for c in best],
            f"{self.a} + {self.b} modulo {self.P}: the largest logits, from clocks of frequency "
            f"{', '.join(map(str, self.frequencies))}",
        )

    def _summary(self) -> str:
        return f"P={self.P}, frequencies={self.frequencies}"
