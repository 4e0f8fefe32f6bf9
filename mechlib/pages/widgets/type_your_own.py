"""The reader's own text through a stored model: tokens, patterns, predictions, heads to be cut."""

from typing import Any

import torch
import traitlets as T

from mechlib.pages.widgets.live import LIBRARY, ModelWidget, model_state
from mechlib.pages.widgets.page import source
from mechlib.pages.widgets.still import still_bars, still_patterns, still_tokens


class TypeYourOwn(ModelWidget):
    """Type a text; see its tokens, every head's pattern, and what comes next; cut heads.

    `tokenizer` is a `Tokenizer` or a `Vocabulary` with as many tokens as the model has. A text is
    read from its start, behind the separator if the tokenizer has one, up to `most` tokens.
    `text`, `head` (counted over all layers), `position` (-1: the last), `view` (0 attention,
    1 attention times value size, 2 loss) and `cut` (heads whose output is zero) can be read and
    set from Python. The model travels in half precision.
    """

    _esm = source(*LIBRARY, "type_your_own.js")
    text = T.Unicode().tag(sync=True)
    most = T.Int(128).tag(sync=True)
    head = T.Int(0).tag(sync=True)
    position = T.Int(-1).tag(sync=True)
    view = T.Int(0).tag(sync=True)
    cut = T.List(T.Int()).tag(sync=True)

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        text: str,
        *,
        head: int = 0,
        position: int = -1,
        most: int = 128,
        caption: str = "",
    ) -> None:
        config = model.config
        heads = max(config.n_layers * config.n_heads, 1)
        if not 0 <= head < heads:
            raise ValueError(f"head must be 0..{heads - 1}, got {head}")
        if not text:
            raise ValueError("text is empty: the first state needs one")
        state = model_state(model, tokenizer)
        self._still = _still(model, tokenizer, text, min(most, config.n_ctx), position)
        super().__init__(
            **state,
            text=text,
            head=head,
            position=position,
            most=most,
            caption=caption,
        )

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"text={self.text!r}" if len(self.text) < 40 else f"text={self.text[:37] + '...'!r}"


@torch.no_grad()
def _still(model: Any, tokenizer: Any, text: str, most: int, position: int) -> str:
    start = [tokenizer.id("<|doc|>")] if hasattr(tokenizer, "inner") else []
    tokens = (start + tokenizer.encode(text))[:most]
    trace = model.trace(torch.tensor([tokens]))
    names = [tokenizer.token(t) for t in tokens]
    p = trace.logits[0, position].softmax(-1)
    best = sorted(range(len(p)), key=lambda t: (-round(float(p[t]), 4), t))[:5]
    after = f"the likeliest next tokens after position {range(len(tokens))[position]}"
    html = still_tokens(names)
    for layer in range(model.config.n_layers):
        pattern = trace["pattern", layer][0].double().numpy()
        html += still_patterns(pattern, [f"L{layer}H{h}" for h in range(len(pattern))])
    return html + still_bars([(tokenizer.token(t), float(p[t])) for t in best], after)
