"""Modular addition learned in the page: curves, the spectrum of W_E, and its circles, live."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets as T

from mechlib.pages.widgets.page import PageWidget, source
from mechlib.pages.widgets.still import still_bars

VIEWS = ("answers", "losses", "spectrum", "circles")
RUNS = Path(__file__).with_name("grokking_runs.json")


def stored_runs() -> list[dict[str, Any]]:
    """Runs of the page's own training that readers compare theirs with.

    Each has P, fraction, decay, seed, `grokked` (the first step, looked at every 20, with 99 % of
    the unseen pairs right, or None) and `until`, the step at which it was given up.
    """
    return json.loads(RUNS.read_text(encoding="utf-8"))


class GrokkingLive(PageWidget):
    """Train the one-layer transformer on a + b modulo P in the page, from scratch.

    d_model 48, 4 heads, MLP 96, full batch, AdamW with rate 5e-3, betas (0.9, 0.98). Readers say
    first what they expect; afterwards they see where their run lies among the stored ones.
    `P`, `fraction` (of the pairs to learn from), `decay` and `seed` can be set; `until` is where a
    run ends, `views` what is drawn: "answers", "losses" (with restricted and excluded loss),
    "spectrum" and "circles".
    """

    _esm = source("training.js", "live.js", "grokking_live.js")
    P = T.Int(43).tag(sync=True)
    fraction = T.Float(0.5).tag(sync=True)
    decay = T.Float(2.0).tag(sync=True)
    seed = T.Int(0).tag(sync=True)
    until = T.Int(1500).tag(sync=True)
    views = T.List(T.Enum(VIEWS), list(VIEWS)).tag(sync=True)
    stored = T.List(T.Dict()).tag(sync=True)

    def __init__(
        self,
        P: int = 43,
        *,
        fraction: float = 0.5,
        decay: float = 2.0,
        seed: int = 100,
        until: int = 1500,
        views: Sequence[str] = VIEWS,
        caption: str = "",
    ) -> None:
        if P < 5 or P % 2 == 0:
            raise ValueError(f"P must be odd and at least 5, got {P}")
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must lie strictly between 0 and 1, got {fraction}")
        if decay < 0:
            raise ValueError(f"decay must not be negative, got {decay}")
        for view in views:
            if view not in VIEWS:
                raise ValueError(f"views: got {view!r}, accepts {VIEWS}")
        super().__init__(
            P=P, fraction=fraction, decay=decay, seed=seed, until=until,
            stored=stored_runs(), views=list(views), caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        rows = [
            (f"decay {run['decay']:g}, seed {run['seed']}", f"step {run['grokked']}")
            for run in self.stored
            if run["grokked"] is not None
        ]
        late = sum(run["grokked"] is None for run in self.stored)
        return still_bars(
            rows,
            f"When 99 % of the unseen pairs are right, modulo 43, half of the pairs to learn from; "
            f"{late} more runs did not get there",
        )

    def _summary(self) -> str:
        return f"P={self.P}, fraction={self.fraction:g}, decay={self.decay:g}, seed={self.seed}"
