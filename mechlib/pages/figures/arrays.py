"""Reading the arguments of a drawing function: arrays from whatever holds numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

ArrayLike = Tensor | np.ndarray | Sequence | float | int


def array(values: Any, name: str, ndim: int | Sequence[int] | None = None) -> np.ndarray:
    """`values` as a numpy array off the graph and the GPU, with its number of axes checked."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.numpy() if values.dtype.is_complex else values.double().numpy()
    elif isinstance(values, list | tuple) and any(isinstance(v, Tensor) for v in values):
        values = [array(v, name) for v in values]
    found = np.asarray(values)
    if found.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers, got dtype {found.dtype}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and found.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{name} must have {wanted} axes, got shape {found.shape}")
    return found


def check_labels(labels: Sequence | None, size: int, name: str, what: str) -> None:
    if labels is not None and len(labels) != size:
        raise ValueError(f"{name} has {len(labels)} labels, but there are {size} {what}")
