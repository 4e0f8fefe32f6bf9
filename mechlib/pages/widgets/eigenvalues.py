"""Spectra of heads and who reads whom: click a head for its eigenvalues, a pair for Q, K and V."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as T

from mechlib.pages.figures import token_label
from mechlib.pages.widgets.page import PageWidget, array, index, pack_single, source
from mechlib.pages.widgets.still import still_bars


class EigenvaluesAndComposition(PageWidget):
    """The eigenvalues of every head's circuit in the plane, and composition scores beside chance.

    `spectra` has for each model, by its name, complex (head, k) eigenvalues; the page orders them
    by size. `words`, when given, has for each model and head a list of k lists of tokens, in the
    order of `spectra`. `rival` are the eigenvalues (k,) of a head before training.

    `composition` has for each model {"Q", "K", "V"}: scores (earlier head, later head), held
    against `baseline`, (mean, spread) of random matrices; `pairs` are the names of the earlier and
    of the later heads. ValueError names what does not fit.
    """

    _esm = source("live.js", "eigenvalues.js")
    models = T.List(T.Unicode()).tag(sync=True)
    head_names = T.List(T.Unicode()).tag(sync=True)
    sizes = T.Dict().tag(sync=True)
    spectra = T.Bytes(b"").tag(sync=True)  # (model, head, k, 2) float32
    rival = T.Bytes(b"").tag(sync=True)  # (k, 2) float32
    words = T.List().tag(sync=True)
    composition = T.Bytes(b"").tag(sync=True)  # (model, kind, earlier, later) float32
    baseline = T.Dict({"mean": 0.0, "std": 1.0}).tag(sync=True)
    pairs = T.Dict({"early": [], "late": []}).tag(sync=True)
    which = T.Int(0).tag(sync=True)
    head = T.Int(0).tag(sync=True)
    eigenvalue = T.Int(0).tag(sync=True)
    pair = T.List(T.Int(), minlen=2, maxlen=2, default_value=[0, 0]).tag(sync=True)

    def __init__(
        self,
        spectra: Mapping[str, Any],
        head_names: Sequence[str],
        *,
        words: Mapping[str, Sequence] | None = None,
        rival: Any = None,
        composition: Mapping[str, Mapping[str, Any]] | None = None,
        baseline: tuple[float, float] = (0.0, 1.0),
        pairs: tuple[Sequence[str], Sequence[str]] = ((), ()),
        head: int = 0,
        pair: tuple[int, int] = (0, 0),
        caption: str = "",
    ) -> None:
        if not spectra:
            raise ValueError("spectra is empty: it needs one model at least")
        lists = {name: _complex(values, f"spectra[{name!r}]") for name, values in spectra.items()}
        first = next(iter(lists.values()))
        for name, values in lists.items():
            if values.shape != first.shape or len(values) != len(head_names):
                raise ValueError(
                    f"spectra[{name!r}] must have shape {(len(head_names), first.shape[1])}, "
                    f"got {values.shape}"
                )
        # the largest first; of a pair the one above the axis, so that the order is the same always
        orders = {
            name: np.lexsort((-values.imag, -np.round(np.abs(values), 6)), axis=-1)
            for name, values in lists.items()
        }
        if composition is not None and set(composition) != set(spectra):
            raise ValueError(
                f"composition must have the models {list(spectra)}, got {list(composition)}"
            )
        if baseline[1] <= 0:
            raise ValueError(f"baseline: the spread must be positive, got {baseline[1]}")
        self._sizes = {"which": len(lists), "head": len(head_names), "eigenvalue": first.shape[1]}
        ordered = np.stack([np.take_along_axis(lists[n], orders[n], -1) for n in lists])
        super().__init__(
            models=list(lists),
            head_names=list(head_names),
            sizes={"heads": len(head_names), "values": first.shape[1]},
            spectra=_pairs_of_numbers(ordered),
            rival=b"" if rival is None else _pairs_of_numbers(_complex(rival[None], "rival")),
            words=[] if words is None else [
                [[[token_label(t) for t in words[n][h][k]] for k in orders[n][h]]
                 for h in range(len(head_names))] for n in lists
            ],
            composition=b"" if composition is None else _scores(composition, pairs),
            baseline={"mean": float(baseline[0]), "std": float(baseline[1])},
            pairs={"early": list(pairs[0]), "late": list(pairs[1])},
            head=head,
            pair=list(pair),
            caption=caption,
        )  # fmt: skip

    @T.validate("which", "head", "eigenvalue")
    def _exists(self, proposal: dict) -> int:
        return index(proposal["value"], self._sizes[proposal["trait"].name], proposal["trait"].name)

    def still(self) -> str:
        shape = len(self.models), len(self.head_names), -1, 2
        values = np.frombuffer(self.spectra, "<f4").reshape(shape)
        sizes = np.hypot(values[0, ..., 0], values[0, ..., 1]).sum(-1)
        scores = values[0, ..., 0].sum(-1) / np.where(sizes > 0, sizes, 1)
        rows = [(name, float(score)) for name, score in zip(self.head_names, scores, strict=True)]
        return still_bars(rows, f"{self.models[0]}: the copying score of each head")

    def _summary(self) -> str:
        return f"models={len(self.models)}, heads={len(self.head_names)}"


def _complex(values: Any, name: str) -> np.ndarray:
    values = values.detach().cpu() if hasattr(values, "detach") else values
    values = np.asarray(values, dtype=complex)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"{name} must hold finite complex numbers (head, k), got {values.shape}")
    return values


def _pairs_of_numbers(values: np.ndarray) -> bytes:
    return pack_single(np.stack([values.real, values.imag], -1))


def _scores(composition: Mapping[str, Mapping[str, Any]], pairs: tuple) -> bytes:
    shape = tuple(len(names) for names in pairs)
    parts = [
        array(scores[kind], f"composition[{name!r}][{kind!r}]", shape)
        for name, scores in composition.items()
        for kind in "QKV"
    ]
    return pack_single(np.stack(parts))
