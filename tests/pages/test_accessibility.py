"""Every widget before axe, which looks for what keeps readers out: names, roles, contrast."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from test_live_reading import widget as reading
from test_live_widgets import (  # noqa: F401
    CODE,
    NAMES,
    PRESET,
    code,
    explorer,
    one_layer,
    playground,
)
from test_play_othello import untrained
from test_toy_live import live as toy
from test_turn import widget as turning
from test_widgets import THEMES, everyone, show  # noqa: F401

from mechlib.pages.widgets import (
    BigramLive,
    CurveScrubber,
    GrokkingLive,
    TablesThatAnswer,
    TypeYourOwn,
)
from mechlib.text.corpus import Bigrams

# a bare page of a test has no headings, landmarks or title of its own
OFF = ("region", "page-has-heading-one", "landmark-one-main", "heading-order")
RULES = {name: {"enabled": False} for name in OFF}


def live(code):  # noqa: F811
    people = Bigrams.people()
    return [
        TypeYourOwn(*code, CODE, head=4),
        GrokkingLive(23),
        playground(code),
        TablesThatAnswer(one_layer(), NAMES, [PRESET]),
        explorer()[1],
        BigramLive(people.probs, people.stationary, people.words),
        CurveScrubber([0, 20], {"loss": [2, 1]}, {0: np.eye(4, 8), 20: np.ones((4, 8))}, divide=4),
        untrained(),
        toy(),
        turning(),
        reading(code),
    ]


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["bare", "book, dark"])
@pytest.mark.parametrize("which", range(17))
def test_axe_finds_nothing(show, code, which, theme):  # noqa: F811
    page = show([*everyone(), *live(code)][which])
    for name, value in THEMES[theme].items():
        page.evaluate("([k, v]) => document.body.style.setProperty(k, v)", [name, value])
    if THEMES[theme]:
        ground, ink = (THEMES[theme][f"--pst-color-{n}"] for n in ("background", "text-base"))
        page.evaluate("(s) => { document.body.style.cssText += s; }",
                      f"background:{ground};color:{ink}")  # fmt: skip
    found = Axe().run(page, options={"rules": RULES}).response["violations"]
    told = [f"{v['id']}: {[n['html'][:120] for n in v['nodes'][:3]]}" for v in found]
    assert told == []
