"""A figure that the reader turns by hand, and what the units of a small network answer to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, index, pack_half, source

FIGURES = ("arc", "line", "corner")


class TurnAnArc(PageWidget):
    """Turn an arc, a line or a corner; units of the convolutional network of chapter 1 answer.

    `networks` is a list of (name, `mechlib.vision.convnet.ShapeNet`, units of layer 3, curves):
    curves (angle, unit) are these units' answers to arcs at evenly spaced angles, and the largest
    of each stands for 1. All networks have one size. `which` of them is shown, the `figure` (0 arc,
    1 line, 2 corner), its `angle` in degrees, the `radius` of the arc in pixels (3 to 16) and
    its `ink` (0 the larger answer of both, 1 darker than the paper, 2 lighter) can be read and set
    from Python.

    Raises ValueError for no network, other sizes, or units that are not there.
    """

    _esm = source("live.js", "convnet.js", "turn.js")
    names = T.List(T.Unicode()).tag(sync=True)
    widths = T.List(T.Int()).tag(sync=True)
    numbers = T.Bytes(b"").tag(sync=True)  # the weights of each network, float16
    units = T.List(T.List(T.Int())).tag(sync=True)
    best = T.List(T.List(T.Float())).tag(sync=True)
    which = T.Int(0).tag(sync=True)
    figure = T.Int(0).tag(sync=True)
    angle = T.Int(0).tag(sync=True)
    radius = T.Int(6).tag(sync=True)
    ink = T.Int(0).tag(sync=True)

    def __init__(
        self,
        networks: Sequence[tuple[str, Any, Any, Any]],
        *,
        angle: int = 0,
        radius: int = 6,
        caption: str = "",
    ) -> None:
        if not networks:
            raise ValueError("networks is empty")
        sizes = {_widths(net) for _, net, *_ in networks}
        if len(sizes) > 1:
            raise ValueError(f"networks: all must have one size, got {sorted(sizes)}")
        if not 3 <= radius <= 16:
            raise ValueError(f"radius must be 3..16 pixels, got {radius}")
        widths, units, best, curves = sizes.pop(), [], [], []
        for _, _, chosen, answers in networks:
            chosen = [index(int(unit), widths[2], "units: each") for unit in chosen]
            answers = finite(array(answers, "curves", (None, len(chosen))), "curves")
            if answers.max(0).min() <= 0:
                raise ValueError("curves: a unit that never answers has no best arc")
            units.append(chosen)
            curves.append(answers / answers.max(0))
            best.append([round(float(top), 4) for top in answers.max(0)])
        self._still = _still(units[0], curves[0])
        super().__init__(
            names=[name for name, *_ in networks], widths=list(widths), units=units, best=best,
            numbers=b"".join(_numbers(net) for _, net, *_ in networks), angle=angle % 360,
            radius=radius, caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"networks={self.names}, units={len(self.units[0])}"


def _widths(net: Any) -> tuple[int, ...]:
    return tuple(layer.out_channels for layer in (net.layer1, net.layer2, net.layer3))


def _numbers(net: Any) -> bytes:
    parts = [part for layer in (net.layer1, net.layer2, net.layer3)
             for part in (layer.weight, layer.bias)]  # fmt: skip
    return b"".join(pack_half(part.detach().cpu().numpy()) for part in parts)


def _still(units: list[int], curves: np.ndarray) -> str:
    """The tuning curves of the first network, one polyline a unit."""
    colors = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")
    parts = []
    for i, unit in enumerate(units):
        points = " ".join(
            f"{20 + 180 * k / len(curves):.1f},{60 - 50 * y:.1f}"
            for k, y in enumerate(curves[:, i])
        )
        color = colors[i % len(colors)]
        parts.append(
            f"<polyline points='{points}' fill='none' stroke='{color}'/>"
            f"<text x='{20 + 180 * int(curves[:, i].argmax()) / len(curves):.1f}' y='8' "
            f"font-size='5' text-anchor='middle' fill='currentColor'>{unit}</text>"
        )
    axis = "".join(
        f"<text x='{20 + d / 2:.0f}' y='68' font-size='5' text-anchor='middle' "
        f"fill='currentColor'>{d}°</text>"
        for d in (0, 90, 180, 270)
    )
    return (
        "<svg viewBox='0 0 210 72' width='100%' role='img' aria-label='answers of "
        f"{len(units)} units to an arc, over its angle, each as a share of its largest'>"
        f"{''.join(parts)}{axis}</svg>"
    )
