"""Training as something to move along: curves with a cursor, and a picture for each snapshot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import (
    PageWidget,
    array,
    finite,
    index,
    labels,
    pack_bytes,
    pack_single,
    source,
    whole,
)
from mechlib.pages.widgets.still import still_curves


class CurveScrubber(PageWidget):
    """A slider over training: measures with a cursor, and one frame for each snapshot.

    `curves` maps a name to values at `steps`, or to its own (steps, values). `frames` maps a step
    to an array, all of one shape: (column,) is drawn as bars, (row, column) as a heat map (an
    attention pattern, Fourier norms over heads). The slider moves over the frames' steps, or over
    `steps` where there are no frames. Frames are kept to a 255th of the largest number.
    `axis` names what the slider moves over, where that is no training step.
    `position`, the slider's place, can be read and set from Python.

    Raises ValueError naming the curve or the frame whose shape does not fit.
    """

    _esm = source("curves.js")
    names = T.List(T.Unicode()).tag(sync=True)
    lengths = T.List(T.Int()).tag(sync=True)
    curve_steps = T.Bytes(b"").tag(sync=True)  # all curves one after another, float32
    curve_values = T.Bytes(b"").tag(sync=True)
    stops = T.List(T.Int()).tag(sync=True)  # the steps that the slider stops at
    shape = T.List(T.Int()).tag(sync=True)  # of a frame; empty without frames
    frames = T.Bytes(b"").tag(sync=True)  # (stop, *shape), one byte each
    scale = T.Dict().tag(sync=True)
    rows = T.List(T.Unicode()).tag(sync=True)
    columns = T.List(T.Unicode()).tag(sync=True)
    frame_label = T.Unicode("").tag(sync=True)
    divide = T.Int(0).tag(sync=True)  # columns of one map, where several stand side by side
    axis = T.Unicode("training step").tag(sync=True)
    logx = T.Bool(False).tag(sync=True)
    logy = T.Bool(False).tag(sync=True)
    position = T.Int(0).tag(sync=True)

    def __init__(
        self,
        steps: Any,
        curves: Mapping,
        frames: Mapping | None = None,
        *,
        rows: Sequence | None = None,
        columns: Sequence | None = None,
        frame_label: str = "snapshot",
        divide: int = 0,
        axis: str = "training step",
        logx: bool = False,
        logy: bool = False,
        position: int | None = None,
        caption: str = "",
    ) -> None:
        if not curves:
            raise ValueError("curves is empty: give at least one name and its values")
        series = [_series(name, curve, steps) for name, curve in curves.items()]
        if frames is not None and not frames:
            raise ValueError("frames is empty: leave it out, or map steps to arrays")
        packed, scale, shape = b"", {}, []
        if frames is None:
            stops = [whole(s, "steps: each") for s in array(steps, "steps", (None,))]
        else:
            stops = sorted(whole(s, "frames: each step") for s in frames)
            stack = _stack(frames)
            shape = list(stack.shape[1:])
            packed, scale = pack_bytes(stack)
        row_names = [] if rows is None else labels(rows, "rows")
        column_names = [] if columns is None else labels(columns, "columns")
        for name, given, size in (
            ("rows", row_names, shape[0] if len(shape) == 2 else 0),
            ("columns", column_names, divide or (shape[-1] if shape else 0)),
        ):
            if given and len(given) != size:
                raise ValueError(f"{name} has {len(given)} labels, a frame has {size} {name}")
        wide = shape[-1] if len(shape) == 2 else 0
        if divide and (divide < 0 or wide % divide):
            raise ValueError(f"divide must divide the {wide} columns of a frame, got {divide}")
        self._sizes = {"position": len(stops)}
        super().__init__(
            names=[str(name) for name in curves],
            lengths=[len(x) for x, _ in series],
            curve_steps=pack_single(np.concatenate([x for x, _ in series])),
            curve_values=pack_single(np.concatenate([y for _, y in series])),
            stops=stops,
            shape=shape,
            frames=packed,
            scale=scale,
            rows=row_names,
            columns=column_names,
            frame_label=frame_label,
            divide=divide,
            axis=axis,
            logx=logx,
            logy=logy,
            position=len(stops) - 1 if position is None else position,
            caption=caption,
        )

    @T.validate("position")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes["position"], "position")

    def still(self) -> str:
        cuts = np.cumsum(self.lengths)[:-1]
        x, y = (np.split(np.frombuffer(part, "<f4"), cuts)
                for part in (self.curve_steps, self.curve_values))  # fmt: skip
        curves = dict(zip(self.names, zip(x, y, strict=True), strict=True))
        return still_curves(curves, self.logx, self.logy)

    def _summary(self) -> str:
        return f"curves={len(self.names)}, stops={len(self.stops)}, frame={tuple(self.shape)}"


def _series(name: Any, curve: Any, steps: Any) -> tuple[np.ndarray, np.ndarray]:
    label = f"curves[{name!r}]"
    own = isinstance(curve, tuple) and len(curve) == 2
    x = array(curve[0] if own else steps, f"steps of {label}", (None,))
    if len(x) > 1 and np.diff(x).min() <= 0:
        raise ValueError(f"steps of {label} must increase")
    return x, array(curve[1] if own else curve, label, (len(x),))


def _stack(frames: Mapping) -> np.ndarray:
    arrays = []
    for step in sorted(frames):
        name = f"frames[{step}]"
        ndim = np.ndim(frames[step])
        if ndim not in (1, 2):
            raise ValueError(f"{name} must have 1 or 2 axes, got {ndim}")
        wanted = arrays[0].shape if arrays else (None,) * ndim
        arrays.append(finite(array(frames[step], name, wanted), name))
    return np.stack(arrays)
