"""Text whose tokens are coloured by a number each."""

import html as _html
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mechlib.pages.figures.arrays import ArrayLike, array
from mechlib.pages.figures.html import MONO, Html, panel, reach_of, tint, written
from mechlib.pages.figures.tokens import token_label


def colored_text(
    tokens: Sequence,
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    present: int | Iterable[int] = (),
    vmax: float | int | None = None,
    digits: int = 2,
    caption: str | None = None,
) -> Html:
    """Text whose tokens are coloured by a number each: attention, logit effect, loss.

    `values` is one number for each token, or a mapping from a row's name to such numbers, which
    repeats the text once for each row with a colour scale of its own. Blue is positive,
    vermillion negative, strength is the share of `vmax` (default: the row's largest size).
    `present` are positions to outline: the token the model stands at. The number appears on
    hovering and is spoken by screen readers. A newline token also breaks the
    line. Raises ValueError where lengths differ or `present` is out of range.
    """
    tokens = list(tokens)
    rows = dict(values) if isinstance(values, Mapping) else {"": values}
    outlined = {present} if isinstance(present, int) else set(present)
    for p in outlined:
        if not 0 <= p < len(tokens):
            raise ValueError(f"present holds {p}, but there are {len(tokens)} tokens")
    parts, plain = [], []
    for name, row in rows.items():
        numbers = array(row, f"values[{name!r}]" if name else "values", 1)
        if numbers.size != len(tokens):
            raise ValueError(f"values has {numbers.size} numbers, there are {len(tokens)} tokens")
        reach = reach_of(numbers, vmax, "vmax")
        spans = []
        for i, (token, value) in enumerate(zip(tokens, numbers.tolist(), strict=True)):
            shown = written(value, digits)
            edge = "outline:2px solid currentColor;outline-offset:-1px;" if i in outlined else ""
            style = tint(value, -reach, reach) + edge
            spans.append(
                f'<span title="{_html.escape(shown)}" style="padding:.08em .1em;border-radius:.2em;'
                f'white-space:pre;{style}">{_html.escape(token_label(token))}</span>'
                + ("<br>" if str(token).endswith("\n") else "<wbr>")
            )
        head = f'<div style="font-size:.85em;opacity:.8">{_html.escape(name)}</div>' if name else ""
        parts.append(f'{head}<div style="{MONO}line-height:1.75">{"".join(spans)}</div>')
        top = [i for i in np.argsort(-np.abs(numbers), kind="stable")[:3] if numbers[i] != 0]
        most = ", ".join(f"{token_label(tokens[i])} {written(numbers[i], digits)}" for i in top)
        plain.append((f"{name}: " if name else "") + (most or "all zero"))
    return panel(parts, caption, f"{len(tokens)} tokens; strongest: " + "; ".join(plain))
