"""A toy model of superposition trained in the page: its features as arrows, live."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, source


class ToyLive(PageWidget):
    """Train ReLU(x W Wᵀ + b) with W (feature, 2) in the page, on features that the reader makes.

    Each feature is there with the chance `density`, and then uniform in [0, 1]; the squared error
    of feature i counts `decay` to the power i. Adam at 5e-3, 256 fresh inputs a step. Readers say
    first how many features two dimensions will keep.

    `shares` maps densities to the share of stored starts (five features, decay 1) that are
    pentagons; `pictures` maps a title to the (feature, 2) arrows of the still picture. `features`
    (3 to 20), `density`, `decay` and `seed` can be set. Raises ValueError outside these ranges.
    """

    _esm = source("training.js", "live.js", "toy.js", "toy_live.js")
    features = T.Int(5).tag(sync=True)
    density = T.Float(0.05).tag(sync=True)
    decay = T.Float(1.0).tag(sync=True)
    seed = T.Int(0).tag(sync=True)
    until = T.Int(3000).tag(sync=True)
    shares = T.Dict().tag(sync=True)

    def __init__(
        self,
        features: int = 5,
        *,
        density: float = 0.05,
        decay: float = 1.0,
        seed: int = 0,
        until: int = 3000,
        shares: Mapping[float, float] | None = None,
        pictures: Mapping[str, Any] | None = None,
        caption: str = "",
    ) -> None:
        if not 3 <= features <= 20:
            raise ValueError(f"features must be 3..20, got {features}")
        if not 0.01 <= density <= 1:
            raise ValueError(f"density must lie in 0.01..1, got {density}")
        if not 0.3 <= decay <= 1:
            raise ValueError(f"decay must lie in 0.3..1, got {decay}")
        if until < 20:
            raise ValueError(f"until must be at least 20, got {until}")
        self._still = _still(
            {title: array(W, "pictures", (None, 2)) for title, W in (pictures or {}).items()}
        )
        super().__init__(
            features=features, density=density, decay=decay, seed=seed, until=until,
            shares={f"{p:.2f}": float(share) for p, share in (shares or {}).items()},
            caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"features={self.features}, density={self.density:g}, decay={self.decay:g}"


def _still(pictures: dict[str, np.ndarray]) -> str:
    """Arrows side by side; nothing when there are none."""
    colors = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")
    parts = []
    for k, (title, W) in enumerate(pictures.items()):
        x, unit = 70 * k + 32, 28 / max(1.3, float(np.abs(W).max()))
        parts.append(
            f"<text x='{x}' y='5' font-size='5' text-anchor='middle' fill='currentColor'>"
            f"{title}</text>"
        )
        for i, (right, up) in enumerate(W):
            tip = f"{x + unit * right:.1f}", f"{40 - unit * up:.1f}"
            color = colors[i % len(colors)]
            parts.append(
                f"<line x1='{x}' y1='40' x2='{tip[0]}' y2='{tip[1]}' stroke='{color}'/>"
                f"<circle cx='{tip[0]}' cy='{tip[1]}' r='1.5' fill='{color}'/>"
            )
    if not parts:
        return ""
    return (
        f"<svg viewBox='0 0 {70 * len(pictures)} 74' width='100%' role='img' "
        f"aria-label='features as arrows: {', '.join(pictures)}'>{''.join(parts)}</svg>"
    )
