"""What every widget shares: arrays packed into few bytes, and the page's source and style.

A widget's whole computation runs in the page, so that a book built from the stored notebook is
alive with no kernel. Its state travels inside the notebook: it is kept small by storing numbers
as half-precision floats, or as single bytes with one scale where colours and two digits are all
that is shown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets as T
from IPython.display import HTML, display
from torch import Tensor

from mechlib.pages.figures import token_labels

_HERE = Path(__file__).parent


def source(*names: str) -> str:
    """The JavaScript of one widget, with what all of them share placed in front of it.

    Text, not a path: a stored notebook must hold the source and no name of a folder.
    """
    every = ("arrays.js", "shared.js", *names)
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in every)


class PageWidget(anywidget.AnyWidget):
    """A widget whose `repr` is the same at every run, so that stored notebooks can be compared.

    `caption` stands below it. `still()` is plain HTML that stands before it: what a reader sees in
    print, without JavaScript, and on a code host. The widget hides it once it runs.
    """

    caption = T.Unicode().tag(sync=True)

    _css = (_HERE / "widget.css").read_text(encoding="utf-8")

    def still(self) -> str:
        """The first state as HTML, made of the same numbers that the page computes."""
        return ""

    def _ipython_display_(self) -> None:
        if self.still():
            display(HTML(f'<div class="mechlib-still">{self.still()}</div>'))
        display({"text/plain": repr(self)} | self._repr_mimebundle_()[0], raw=True)

    def _summary(self) -> str:
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary()})"


def array(values: Any, name: str, shape: Sequence[int | None]) -> np.ndarray:
    """`values` as float64, with its shape checked; None in `shape` stands for any size.

    Raises ValueError naming the argument, the shape it has and the one it should have.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}")
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    matches = values.ndim == len(shape) and all(
        n is None or n == size for n, size in zip(shape, values.shape, strict=True)
    )
    if not matches:
        raise ValueError(f"{name} must have shape {wanted}, got {values.shape}")
    if 0 in values.shape:
        raise ValueError(f"{name} is empty: shape {values.shape}")
    return values.astype(np.float64)


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """`values`, or ValueError where one of them is NaN or infinite."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite; {int((~np.isfinite(values)).sum())} are not")
    return values


def labels(tokens: Any, name: str = "tokens") -> list[str]:
    """Tokens as visible labels; a string is refused, as its letters are seldom what is meant."""
    if isinstance(tokens, str):
        raise ValueError(f"{name} must be a list of tokens, got one string")
    found = token_labels(tokens)
    if not found:
        raise ValueError(f"{name} is empty")
    return found


def index(value: int, size: int, name: str) -> int:
    """`value` when it is one of range(size), else ValueError."""
    if not 0 <= value < size:
        raise ValueError(f"{name} must be 0..{size - 1}, got {value}")
    return int(value)


def whole(value: Any, name: str) -> int:
    """`value` as an int when it is a whole number, of whatever type, else ValueError."""
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def pack_half(values: np.ndarray) -> bytes:
    """Two bytes a number: half precision, about three digits. ValueError above 65,504."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest > 65_504:
        raise ValueError(f"values: half precision ends at 65,504, got {largest:g}")
    return np.ascontiguousarray(values, dtype="<f2").tobytes()


def pack_single(values: np.ndarray) -> bytes:
    """Four bytes a number: single precision, about seven digits."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def pack_indices(values: np.ndarray) -> bytes:
    """Two bytes an index below 65,536."""
    return np.ascontiguousarray(values, dtype="<u2").tobytes()


def pack_bytes(values: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    """One byte a number, and its scale: 255 steps up, or 127 either way if some are negative."""
    largest = float(np.abs(values).max()) or 1.0
    signed = bool(values.min() < 0)
    steps = np.rint(values / largest * (127 if signed else 255))
    return steps.astype("i1" if signed else "u1").tobytes(), {"scale": largest, "signed": signed}


def pack_rows(values: np.ndarray) -> bytes:
    """One signed byte a number, with a scale for each row: first the scales (float32), then rows.

    values: (..., width); a row is what runs along the last axis, and is kept to a 254th of twice
    its largest entry.
    """
    rows = np.asarray(values).reshape(-1, values.shape[-1])
    scales = np.abs(rows).max(1, keepdims=True) / 127
    steps = np.rint(rows / np.where(scales > 0, scales, 1))
    return scales.astype("<f4").tobytes() + steps.astype("i1").tobytes()
