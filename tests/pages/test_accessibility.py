"""Every widget before axe, which looks for what keeps readers out: names, roles, contrast."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from test_live_widgets import (  # noqa: F401
    CODE,
    NAMES,
    PRESET,
    code,
    explorer,
    one_layer,
    playground,
)
from test_widgets import THEMES, everyone, show  # noqa: F401

from mechlib.pages.widgets import (
    BigramLive,
    CurveScrubber,
    GrokkingLive,
    TablesThatAnswer,
    TypeYourOwn,
)
from mechlib.text.corpus import Bigrams

AXE = "axe-core@4.10.3"
# a bare page of a test has no headings, landmarks or title of its own
OFF = ("region", "page-has-heading-one", "landmark-one-main", "heading-order")
RULES = {name: {"enabled": False} for name in OFF}


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The text of axe.min.js: the file named in the variable AXE, or fetched by npm."""
    if os.environ.get("AXE"):
        return Path(os.environ["AXE"]).read_text(encoding="utf-8")
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("axe-core: npm is not here to fetch it, and the variable AXE names no file")
    try:
        run = [npm, "pack", AXE, "--silent"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True, timeout=90)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"axe-core: npm could not fetch {AXE} ({type(error).__name__})")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as packed:
        return packed.extractfile("package/axe.min.js").read().decode("utf-8")


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
    ]


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["bare", "book, dark"])
@pytest.mark.parametrize("which", range(13))
def test_axe_finds_nothing(show, code, axe, which, theme):  # noqa: F811
    page = show([*everyone(), *live(code)][which])
    for name, value in THEMES[theme].items():
        page.evaluate("([k, v]) => document.body.style.setProperty(k, v)", [name, value])
    if THEMES[theme]:
        ground, ink = (THEMES[theme][f"--pst-color-{n}"] for n in ("background", "text-base"))
        page.evaluate("(s) => { document.body.style.cssText += s; }",
                      f"background:{ground};color:{ink}")  # fmt: skip
    page.evaluate(axe)
    found = page.evaluate("(rules) => axe.run(document, {rules})", RULES)["violations"]
    told = [f"{v['id']}: {[n['html'][:120] for n in v['nodes'][:3]]}" for v in found]
    assert told == []
