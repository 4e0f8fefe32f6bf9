"""A game of Othello in the page: the board, what a probe reads, and what the network would play."""

from html import escape
from typing import Any

import torch
import traitlets as T

from mechlib.pages.widgets.page import PageWidget, array, finite, pack_half, source
from mechlib.pages.widgets.weights import pack, rounded


class PlayOthello(PageWidget):
    """Play moves on the six by six board; a network reads them, and a probe reads the network.

    `game` is a game of `mechlib.othello.games` (of one; all of its moves are played at the start).
    `probe` is a `mechlib.othello.probes.Probe` fitted behind `probe_after` blocks; `writing` holds
    the direction of each square as `mechlib.othello.edits.writing` gives it, behind `push_after`
    blocks; a flip pushes `strength` times along it, at the last move. The model travels with one
    byte a weight. `moves` (squares 0 to 35) and `flipped` (squares whose disc is flipped in the
    stream) can be read and set from Python.

    Raises ValueError for arrays of other sizes than the model's, and for blocks that it lacks.
    """

    _esm = source("engine.js", "live.js", "othello_rules.js", "othello.js")
    weights = T.Bytes(b"").tag(sync=True)
    probe_weight = T.Bytes(b"").tag(sync=True)
    probe_bias = T.Bytes(b"").tag(sync=True)
    probe_after = T.Int(0).tag(sync=True)
    writing = T.Bytes(b"").tag(sync=True)
    push_after = T.Int(0).tag(sync=True)
    strength = T.Float(1.0).tag(sync=True)
    moves = T.List(T.Int()).tag(sync=True)
    flipped = T.List(T.Int()).tag(sync=True)

    def __init__(
        self,
        model: Any,
        game: Any,
        *,
        probe: Any,
        probe_after: int,
        writing: Any,
        push_after: int,
        strength: float,
        caption: str = "",
    ) -> None:
        d = model.config.d_model
        if model.config.d_vocab != 36:
            raise ValueError(f"model: it has {model.config.d_vocab} tokens, a board has 36 squares")
        if len(game) != 1:
            raise ValueError(f"game: got {len(game)} games, needs one")
        for name, blocks in (("probe_after", probe_after), ("push_after", push_after)):
            if not 1 <= blocks <= model.config.n_layers:
                raise ValueError(f"{name} must be 1..{model.config.n_layers}, got {blocks}")
        weight = finite(array(probe.weight, "probe.weight", (d, 36, 3)), "probe.weight")
        bias = finite(array(probe.bias, "probe.bias", (36, 3)), "probe.bias")
        directions = finite(array(writing, "writing", (36, d)), "writing")
        moves = [int(s) for s in game.moves[0] if s >= 0]
        self._still = _still(model, game, moves, probe, probe_after)
        super().__init__(
            weights=pack(model, "int8"), probe_weight=pack_half(weight), probe_bias=pack_half(bias),
            probe_after=probe_after, writing=pack_half(directions), push_after=push_after,
            strength=strength, moves=moves, caption=caption,
        )  # fmt: skip

    def still(self) -> str:
        return self._still

    def _summary(self) -> str:
        return f"moves={len(self.moves)}, probe_after={self.probe_after}"


@torch.no_grad()
def _still(model: Any, game: Any, moves: list[int], probe: Any, probe_after: int) -> str:
    """Three boards: what lies there, what the probe reads, and the next move."""
    at = f"blocks.{probe_after - 1}.hook_resid_post"
    trace = rounded(model).trace(torch.tensor([moves]), names=[at])
    black_to_move = 1 if len(moves) % 2 == 0 else -1
    classes = probe.read(trace[at][:, -1])[0]
    read = torch.where(classes == 2, -1, classes) * black_to_move
    p = trace.logits[0, -1].softmax(-1)
    t = len(moves) - 1
    discs, legal = game.colours[0, t].tolist(), game.legal[0, t].tolist()
    shade = (p / p.max()).tolist()
    return _boards([
        ("the board", discs, [0.0] * 36, legal),
        ("what a probe reads", read.tolist(), [0.0] * 36, [False] * 36),
        ("the network's next move", discs, shade, legal),
    ])  # fmt: skip


def _boards(boards: list[tuple[str, list[int], list[float], list[bool]]]) -> str:
    """(title, discs, shade, framed squares) side by side, in colours that suit both themes."""
    parts = []
    for i, (title, discs, shade, framed) in enumerate(boards):
        x, y = 68 * i, 8
        parts.append(
            f"<text x='{x}' y='5' font-size='5' fill='currentColor'>{escape(title)}</text>"
        )
        for s in range(36):
            left, top = x + 10 * (s % 6), y + 10 * (s // 6)
            parts.append(
                f"<rect x='{left}' y='{top}' width='10' height='10' fill='#009e73' "
                f"fill-opacity='{0.9 * shade[s]:.1f}' stroke='#888' stroke-width='.3'/>"
            )
            if discs[s]:
                color = "#1a1a1a" if discs[s] > 0 else "#fff"
                parts.append(
                    f"<circle cx='{left + 5}' cy='{top + 5}' r='3.6' fill='{color}' "
                    "stroke='#888' stroke-width='.6'/>"
                )
            if framed[s]:
                parts.append(
                    f"<rect x='{left + 1}' y='{top + 1}' width='8' height='8' fill='none' "
                    "stroke='#d55e00' stroke-width='.8'/>"
                )
    return (
        f"<svg viewBox='0 0 {68 * len(boards) - 8} 70' width='100%' role='img' aria-label='"
        f"{', '.join(escape(board[0], quote=True) for board in boards)}'>{''.join(parts)}</svg>"
    )
