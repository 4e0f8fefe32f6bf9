"""A model as bytes that the page's engine reads: a header in JSON, then the numbers.

    4 bytes    length of the header, little-endian
    header     {"config", "dtype", "tensors": [[name, shape], ...], "checksum"}
    numbers    the tensors one after another, float16 or float32, little-endian

The checksum (FNV-1a over the numbers) lets the page say that weights are damaged instead of
drawing nonsense.
"""

import json

import numpy as np
from torch import nn

DTYPES = {"float16": "<f2", "float32": "<f4"}


def pack(model: nn.Module, dtype: str = "float16") -> bytes:
    """A `mechlib.model.Transformer` for `read_model` in engine.js.

    dtype: "float16" (half the size) or "float32". ValueError for another one, when a weight is
    too large for it, or for a model that engine.js cannot run.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: got {dtype!r}, accepts {tuple(DTYPES)}")
    if model.config.bias or model.config.act == "gelu_new":
        raise ValueError("model: the page's engine knows neither attention biases nor gelu_new")
    tensors, parts = [], []
    for name, tensor in model.state_dict().items():
        with np.errstate(over="ignore"):
            numbers = tensor.detach().cpu().numpy().astype(DTYPES[dtype])
        if not np.isfinite(numbers).all():
            raise ValueError(f"dtype: {name} holds numbers that {dtype} cannot hold")
        tensors.append([name, list(tensor.shape)])
        parts.append(np.ascontiguousarray(numbers).tobytes())
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


def checksum(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
