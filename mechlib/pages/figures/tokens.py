"""Tokens as labels: what cannot be seen is given a mark."""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

_GLYPHS = {" ": "␣", "\n": "⏎", "\r": "↵", "\t": "⇥", "": "∅"}


def token_label(token: Any) -> str:
    """A token as text that can be seen: space ␣, newline ⏎, tab ⇥, empty ∅, others by code.

    Only a space at either end of the token is marked, since one inside a word can be seen.
    Anything that is not a string is shown by `str`.
    """
    text = str(token)
    if text == "":
        return _GLYPHS[""]
    inner = text.strip(" ")
    left = len(text) - len(text.lstrip(" "))
    right = 0 if inner == "" else len(text) - len(text.rstrip(" "))
    seen = "".join(
        _GLYPHS[c] if c in "\n\r\t" else c if c.isprintable() else f"\\x{ord(c):02x}" for c in inner
    )
    return "␣" * left + seen + "␣" * right


def token_labels(tokens: Iterable[Any]) -> list[str]:
    """`token_label` of each token."""
    return [token_label(t) for t in tokens]


def tick_tokens(ax: Axes, axis: str, labels: Sequence, rotate: bool) -> None:
    """Tick labels that are taken literally: a dollar sign in a token starts no formula."""
    setter = ax.set_xticks if axis == "x" else ax.set_yticks
    turn = {"rotation": 90} if rotate else {}
    setter(range(len(labels)), token_labels(labels), parse_math=False, **turn)
