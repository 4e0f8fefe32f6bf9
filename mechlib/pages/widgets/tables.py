"""The tables of a small model without LayerNorm, asked one row at a time by the reader."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.figures import token_label
from mechlib.pages.widgets.page import (
    PageWidget,
    array,
    finite,
    index,
    labels,
    pack_rows,
    pack_single,
    source,
)
from mechlib.pages.widgets.still import still_bars

PICKED = ("source", "destination", "out", "rival_destination", "rival_out")


class TablesThatAnswer(PageWidget):
    """Pick source, destination and out: QK row, OV row, and a crossing that one head gets wrong.

    `model` has no LayerNorm, no MLP, and no layer (then the table is of next tokens) or one. The
    page keeps the tokens `keep` (ids, all when None), one byte a weight with a scale for each row,
    and multiplies one row at a time. Attention is that of one source among `among` ordinary
    tokens, which come as often as `frequencies` (token,) says; positions are left aside, and rows
    of the OV circuit have their mean over all tokens taken off.

    `presets` are (name, head, {"source": token, ...}): texts of tokens by the names "source",
    "destination", "out", "rival_destination", "rival_out" (without layers the head is None, and
    there are only "destination", the present token, and "out", the next). The first is what is
    shown at first. ValueError names what does not fit.
    """

    _esm = source("live.js", "tables.js")
    tokens = T.List(T.Unicode()).tag(sync=True)
    head_names = T.List(T.Unicode()).tag(sync=True)
    sizes = T.Dict().tag(sync=True)
    embedding = T.Bytes(b"").tag(sync=True)  # (token, d_model), as all below in bytes by row
    unembedding = T.Bytes(b"").tag(sync=True)  # (token, d_model)
    W_Q = T.Bytes(b"").tag(sync=True)  # (head, d_model, d_head), with 1/sqrt(d_head)
    W_K = T.Bytes(b"").tag(sync=True)
    W_V = T.Bytes(b"").tag(sync=True)
    W_O = T.Bytes(b"").tag(sync=True)  # (head, d_head, d_model)
    base = T.Bytes(b"").tag(sync=True)  # float32: log of a row's sum, (head, token) or (token,)
    among = T.Int(64).tag(sync=True)
    presets = T.List(T.Dict()).tag(sync=True)
    shown = T.Int(8).tag(sync=True)
    head = T.Int(0).tag(sync=True)
    source = T.Int(0).tag(sync=True)
    destination = T.Int(0).tag(sync=True)
    out = T.Int(0).tag(sync=True)
    rival_destination = T.Int(0).tag(sync=True)
    rival_out = T.Int(0).tag(sync=True)

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        presets: Sequence[tuple[str, int | None, dict[str, str]]],
        *,
        keep: Any = None,
        frequencies: Any = None,
        head_names: Sequence[str] | None = None,
        among: int = 64,
        k: int = 8,
        caption: str = "",
    ) -> None:
        config = model.config
        if config.norm == "layernorm" or config.d_mlp or config.n_layers > 1:
            raise ValueError("model must have no LayerNorm, no MLP, and at most one layer")
        V, heads = config.d_vocab, config.n_layers * config.n_heads
        if len(names) != V:
            raise ValueError(f"names has {len(names)} entries, the model {V} tokens")
        if k < 1 or among < 1:
            raise ValueError(f"k and among must be at least 1, got {k} and {among}")
        keep = np.arange(V) if keep is None else np.asarray(keep, dtype=int)
        if len(np.unique(keep)) < max(len(keep), 2) or keep.min() < 0 or keep.max() >= V:
            raise ValueError(f"keep must hold different tokens of 0..{V - 1}, two at least")
        f = np.full(V, 1 / V) if frequencies is None else array(frequencies, "frequencies", (V,))
        head_names = head_names or [f"L0H{h}" for h in range(heads)]
        if len(head_names) != heads:
            raise ValueError(f"head_names has {len(head_names)} names for {heads} heads")
        kept = [names[i] for i in keep]
        self._sizes = {"head": max(heads, 1), **dict.fromkeys(PICKED, len(keep))}
        states = [_preset(preset, kept, heads) for preset in presets]
        super().__init__(
            tokens=labels(kept),
            head_names=list(head_names),
            sizes={
                "tokens": len(keep), "d_model": config.d_model,
                "d_head": config.d_head, "n_heads": heads,
            },
            among=among,
            presets=states,
            shown=min(k, len(keep)),
            caption=caption,
            **_weights(model, keep, f),
            **(states[0]["state"] if states else {}),
        )  # fmt: skip
        self._still = self._first_state(model, keep, kept)

    @T.validate("head", *PICKED)
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes[proposal["trait"].name], proposal["trait"].name)

    def still(self) -> str:
        return self._still

    def _first_state(self, model: Any, keep: np.ndarray, names: list[str]) -> str:
        """What the first preset says, as a table."""
        E, U = _numbers(model.W_E), _numbers(model.W_U)
        if not self.head_names:
            row = E[keep[self.destination]] @ U
            p = np.exp(row - np.logaddexp.reduce(row))[keep]
            title = f"The likeliest tokens after {token_label(names[self.destination])}"
        else:
            W_V, W_O = _numbers(model.W_V)[0, self.head], _numbers(model.W_O)[0, self.head]
            row = E[keep[self.source]] @ W_V @ W_O @ U
            p = (row - row.mean())[keep]
            title = f"{self.head_names[self.head]}: what {token_label(names[self.source])} raises"
        best = np.argsort(-np.round(p, 6), kind="stable")[: self.shown]
        return still_bars([(names[i], float(p[i])) for i in best], title)

    def _summary(self) -> str:
        return f"tokens={len(self.tokens)}, heads={len(self.head_names)}"


def _numbers(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _weights(model: Any, keep: np.ndarray, f: np.ndarray) -> dict[str, bytes]:
    """The packed factors, and for each destination the logarithm that its row is measured from."""
    E, U = (finite(_numbers(W), name) for W, name in ((model.W_E, "W_E"), (model.W_U, "W_U")))
    if not model.config.n_layers:
        base = np.logaddexp.reduce(E[keep] @ U, axis=1)
        heads = {}
    else:
        W = {name: _numbers(getattr(model, name))[0] for name in ("W_Q", "W_K", "W_V", "W_O")}
        W["W_Q"] = W["W_Q"] / np.sqrt(model.config.d_head)
        scores = (E[keep] @ W["W_Q"]) @ (E @ W["W_K"]).transpose(0, 2, 1)  # (head, kept, token)
        top = scores.max(-1, keepdims=True)
        base = np.log(np.exp(scores - top) @ f) + top[..., 0]
        heads = {name: pack_rows(M) for name, M in W.items()}
        U = U - U.mean(1, keepdims=True)  # a constant in a row changes no prediction
    return {
        "embedding": pack_rows(E[keep]),
        "unembedding": pack_rows(U[:, keep].T),
        "base": pack_single(base),
        **heads,
    }


def _preset(preset: tuple, names: list[str], heads: int) -> dict[str, Any]:
    """(name, head, texts of tokens) as the settings of the page."""
    name, head, picked = preset
    state = {} if head is None else {"head": index(head, max(heads, 1), "presets: the head")}
    for role, text in picked.items():
        if role not in PICKED:
            raise ValueError(f"presets: got the role {role!r}, accepts {PICKED}")
        if text not in names:
            raise ValueError(f"presets: {text!r} is none of the {len(names)} tokens that are kept")
        state[role] = names.index(text)
    return {"name": name, "state": state}
