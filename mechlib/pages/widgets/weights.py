"""A model as bytes that the page's engine reads: a header in JSON, then the numbers.

    4 bytes    length of the header, little-endian
    header     {"config", "dtype", "tensors": [[name, shape], ...], "checksum"}
    numbers    the tensors one after another, float16 or float32, little-endian; or int8: for each
               tensor a float32 scale for every row (what runs along its last axis), then its bytes

The checksum (FNV-1a over the numbers) lets the page say that weights are damaged instead of
drawing nonsense.
"""

import json
from copy import deepcopy

import numpy as np
import torch
from torch import nn

from mechlib.pages.widgets.page import pack_rows

DTYPES = {"float16": "<f2", "float32": "<f4", "int8": "i1"}


def pack(model: nn.Module, dtype: str = "float16") -> bytes:
    """A `mechlib.model.Transformer` for `read_model` in engine.js.

    dtype: "float32", "float16" (half the size) or "int8" (half of that; each weight is moved by at
    most a 254th of the largest in its row). ValueError for another one, when a weight is too large
    for it, or for a model that engine.js cannot run.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: got {dtype!r}, accepts {tuple(DTYPES)}")
    if model.config.bias or model.config.act == "gelu_new":
        raise ValueError("model: the page's engine knows neither attention biases nor gelu_new")
    tensors, parts = [], []
    for name, tensor in model.state_dict().items():
        tensors.append([name, list(tensor.shape)])
        parts.append(_numbers(name, tensor.detach().cpu().numpy(), dtype))
    numbers = b"".join(parts)
    header = {
        "config": model.config.to_dict(),
        "dtype": dtype,
        "tensors": tensors,
        "checksum": checksum(numbers),
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + numbers


def _numbers(name: str, values: np.ndarray, dtype: str) -> bytes:
    if dtype == "int8":
        part = pack_rows(values)
        return part + b"\0" * (-len(part) % 4)  # the next scales must lie on a border of four bytes
    with np.errstate(over="ignore"):
        numbers = values.astype(DTYPES[dtype])
    if not np.isfinite(numbers).all():
        raise ValueError(f"dtype: {name} holds numbers that {dtype} cannot hold")
    return np.ascontiguousarray(numbers).tobytes()


def rounded(model: nn.Module) -> nn.Module:
    """A copy of `model` with the weights that the page gets when they are packed as "int8"."""
    copy = deepcopy(model)
    with torch.no_grad():
        for parameter in copy.parameters():
            rows = parameter.reshape(-1, parameter.shape[-1])
            scales = rows.abs().amax(1, keepdim=True) / 127
            steps = (rows / torch.where(scales > 0, scales, 1)).round()
            parameter.copy_((steps * scales).reshape(parameter.shape))
    return copy


def checksum(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
