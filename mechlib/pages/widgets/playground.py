"""Two texts of the reader's own: logit lens, patching in both directions, paths, steering."""

from typing import Any

import torch
import traitlets as T

from mechlib.pages.widgets.live import LIBRARY, ModelWidget, model_state
from mechlib.pages.widgets.page import source
from mechlib.pages.widgets.still import still_bars, still_tokens


class Playground(ModelWidget):
    """Activation patching, path patching and steering on two texts, in the page.

    The same numbers as `mechlib.reading.patching` and `mechlib.reading.steering` give; "copy as
    Python" writes the calls, in which `model_name` and `tokenizer_name` stand. `ordinary` is text
    on which the side effects of steering are measured. The state stands in the page's address.
    """

    _esm = source(*LIBRARY, "playground.js")
    a = T.Unicode().tag(sync=True)
    b = T.Unicode().tag(sync=True)
    ordinary = T.Unicode().tag(sync=True)
    model_name = T.Unicode().tag(sync=True)
    tokenizer_name = T.Unicode().tag(sync=True)

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        a: str,
        b: str,
        *,
        ordinary: str,
        model_name: str,
        caption: str = "",
    ) -> None:
        for name, text in (("a", a), ("b", b), ("ordinary", ordinary)):
            if not text:
                raise ValueError(f"{name} is empty: it needs a text")
        if not model.config.n_layers:
            raise ValueError("model: one without layers has nothing to patch")
        state = model_state(model, tokenizer)
        self._still = _still(model, tokenizer, a, b)
        super().__init__(
            **state, a=a, b=b, ordinary=ordinary, model_name=model_name,
            tokenizer_name=tokenizer.name, caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"model={self.model_name!r}"


@torch.no_grad()
def _still(model: Any, tokenizer: Any, a: str, b: str) -> str:
    html = ""
    for name, text in (("text A", a), ("text B", b)):
        tokens = [tokenizer.id("<|doc|>"), *tokenizer.encode(text)]
        p = model(torch.tensor([tokens]))[0, -1].softmax(-1)
        best = sorted(range(len(p)), key=lambda t: (-round(float(p[t]), 4), t))[:3]
        html += still_tokens([tokenizer.token(t) for t in tokens])
        html += still_bars([(tokenizer.token(t), float(p[t])) for t in best], f"after {name}")
    return html
