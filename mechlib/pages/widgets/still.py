"""Pieces of still pictures: plain HTML for print, for code hosts, and where no script runs."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mechlib.pages.figures import CYCLE, token_label

# the palette of the figures, without its black; this grey is seen on a dark page, too
COLORS = (*(color.lower() for color in CYCLE[:6]), "#8a8a8a")


def still_tokens(tokens: list[str], shares: Sequence[float] | None = None) -> str:
    """Tokens as a line of HTML, each framed; shares from -1 to 1 colour them, in tenths."""
    framed = []
    for i, token in enumerate(tokens):
        style = ""
        if shares is not None:
            color = "0,114,178" if shares[i] >= 0 else "213,94,0"
            strength = round(0.62 * min(abs(float(shares[i])), 1), 1)
            style = f" style='background:rgba({color},{strength})'"
        framed.append(f"<code{style}>{escape(token_label(token))}</code>")
    return f"<p>{' '.join(framed)}</p>"


def still_bars(rows: list[tuple[str, float | str]], caption: str) -> str:
    """Names beside numbers (two decimals) or texts, as a table."""
    body = "".join(
        f"<tr><th scope='row'><code>{escape(token_label(name))}</code></th>"
        f"<td>{value if isinstance(value, str) else format(value, '.2f')}</td></tr>"
        for name, value in rows
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"


def still_patterns(patterns: np.ndarray, names: list[str]) -> str:
    """(head, query, key) patterns side by side as one drawing, in steps of a fifth."""
    heads, n = patterns.shape[:2]
    steps = np.rint(patterns * 5 - 1e-6).astype(int)
    parts = []
    for h in range(heads):
        x = h * (n + 4)
        parts.append(f"<text x='{x}' y='-2' font-size='4' fill='currentColor'>{names[h]}</text>")
        parts.append(
            f"<path d='M{x} 0h{n}v{n}h-{n}z' fill='none' stroke='#888' stroke-width='.2'/>"
        )
        for step in range(1, 6):
            cells = zip(*np.nonzero(steps[h] == step), strict=True)
            path = "".join(f"M{x + j} {i}h1v1h-1z" for i, j in cells)
            if path:
                parts.append(f"<path d='{path}' fill='#0072b2' opacity='{step / 5}'/>")
    return (
        f"<svg viewBox='0 -7 {heads * (n + 4)} {n + 8}' width='100%' role='img' "
        f"aria-label='attention patterns of {', '.join(names)}'>{''.join(parts)}</svg>"
    )


def still_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], logx: bool, logy: bool
) -> str:
    """(x, y) of each name as one drawing of lines, with the names beside their colours."""
    points = {}
    for name, (x, y) in curves.items():
        good = np.isfinite(y) & (y > 0 if logy else True)
        x, y = np.asarray(x, float)[good], np.asarray(y, float)[good]
        points[name] = (np.log10(np.maximum(x, 1)) if logx else x, np.log10(y) if logy else y)
    every = [np.concatenate(part) for part in zip(*points.values(), strict=True)]
    (left, low), (right, high) = ([float(f(part)) for part in every] for f in (np.min, np.max))
    lines, names = [], []
    for i, (name, (x, y)) in enumerate(points.items()):
        keep = np.unique(np.linspace(0, len(x) - 1, 120).astype(int)) if len(x) else []
        across = 198 * (x - left) / ((right - left) or 1) + 1
        down = 69 - 68 * (y - low) / ((high - low) or 1)
        path = " ".join(f"{across[k]:.1f},{down[k]:.1f}" for k in keep)
        color = COLORS[i % len(COLORS)]
        lines.append(f"<polyline points='{path}' fill='none' stroke='{color}'/>")
        names.append(f"<span style='color:{color}'>━</span> {escape(name)}")
    return (
        "<svg viewBox='0 0 200 70' width='100%' role='img' aria-label='"
        f"{escape(', '.join(points), quote=True)}'>{''.join(lines)}</svg><p>{' '.join(names)}</p>"
    )
