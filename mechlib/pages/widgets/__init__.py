"""Arrays to widgets that live in the page: one small `.py` and one `.js` each.

All computation happens in the browser, from state stored in the notebook, so the rendered book
needs no kernel, no server and no network. In JupyterLab the settings go both ways.
"""

from mechlib.pages.widgets.attention import AttentionWidget
from mechlib.pages.widgets.bigram import BigramExplorer
from mechlib.pages.widgets.bigram_live import BigramLive
from mechlib.pages.widgets.clock import ClockAdder
from mechlib.pages.widgets.curves import CurveScrubber
from mechlib.pages.widgets.eigenvalues import EigenvaluesAndComposition
from mechlib.pages.widgets.grokking_live import GrokkingLive
from mechlib.pages.widgets.kronecker import KroneckerWidget
from mechlib.pages.widgets.live_reading import LiveReading
from mechlib.pages.widgets.othello import PlayOthello
from mechlib.pages.widgets.playground import Playground
from mechlib.pages.widgets.softmax import SoftmaxExplorer
from mechlib.pages.widgets.tables import TablesThatAnswer
from mechlib.pages.widgets.toy_live import ToyLive
from mechlib.pages.widgets.turn import TurnAnArc
from mechlib.pages.widgets.type_your_own import TypeYourOwn

__all__ = [
    "AttentionWidget",
    "BigramExplorer",
    "BigramLive",
    "ClockAdder",
    "CurveScrubber",
    "EigenvaluesAndComposition",
    "GrokkingLive",
    "KroneckerWidget",
    "LiveReading",
    "PlayOthello",
    "Playground",
    "SoftmaxExplorer",
    "TablesThatAnswer",
    "ToyLive",
    "TurnAnArc",
    "TypeYourOwn",
]
