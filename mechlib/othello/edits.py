"""Changing the board in the stream: does the model move as if a disc had been flipped?

Take a position, choose a disc, and add a vector to the stream at the last move, after one layer.
The model then names its moves, and we compare them with the moves that would be legal if that disc
had the other colour. The game that was read never led to such a board.

Used in chapter 18.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor, nn

from mechlib.interventions import Steer
from mechlib.model import Trace
from mechlib.othello import games as rules
from mechlib.othello.games import SQUARES, Games

KINDS = ("itself", "another", "random")


@dataclass(frozen=True)
class Flips:
    """Positions, in each of them one disc that is to change its colour, and what is legal then.

    moves: as a model reads them. step: after which move. board: 1 mine, -1 yours, 0 empty.
    square: whose disc is flipped. another: some other disc's square, for controls.
    before, after: the legal moves without and with the flip.
    """

    moves: Int[Tensor, "flip 31"]
    step: Int[Tensor, "flip"]
    board: Int8[Tensor, "flip 36"]
    square: Int[Tensor, "flip"]
    another: Int[Tensor, "flip"]
    before: Bool[Tensor, "flip 36"]
    after: Bool[Tensor, "flip 36"]

    def __len__(self) -> int:
        return len(self.step)

    def pushes(
        self,
        writing: Float[Tensor, "36 d_model"],
        kind: str = "itself",
        strength: float = 1.0,
        seed: int = 0,
    ) -> Float[Tensor, "flip d_model"]:
        """The vector that stands for each flip: the square's row of `writing`, which leads from
        yours to mine, with the sign turned where the disc is mine; times `strength`.

        kind: "another" gives the flip of the other disc, "random" a random direction (of `seed`),
        both as long as the flip's own vector. ValueError for a word that is none of the three.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}, accepts {KINDS}")
        own, another = (
            -self.board.gather(1, square[:, None]).to(writing) * writing[square]
            for square in (self.square, self.another)
        )
        if kind == "itself":
            return strength * own
        rival = another
        if kind == "random":
            generator = torch.Generator().manual_seed(seed)
            rival = torch.randn(own.shape, generator=generator).to(own)
        lengths = own.norm(dim=1, keepdim=True) / rival.norm(dim=1, keepdim=True)
        return strength * lengths * rival


def flips(games: Games, seed: int, first: int = 8, last: int = 24) -> Flips:
    """One flip in each game, after a random move from `first` to `last`, on a random disc. Games in
    which the flip would change no legal move, or leave none, are left out.

    Raises ValueError for steps outside the game.
    """
    if not 0 <= first <= last < games.moves.shape[1] - 1:
        raise ValueError(f"first, last: got {first}, {last}, need 0 <= first <= last <= 30")
    rng = np.random.default_rng(seed)
    game = np.arange(len(games))
    step = rng.integers(first, last + 1, len(games))
    board, before = games.boards[game, step], games.legal[game, step]
    discs = rng.random(board.shape) * (board != 0)
    square, another = discs.argsort(-1, kind="stable")[:, :-3:-1].T
    flipped = board.copy()
    flipped[game, square] *= -1
    after = rules.to_squares(
        rules.legal_moves(rules.to_set(flipped > 0), rules.to_set(flipped < 0))
    )
    asked = games.going[game, step] & (before != after).any(-1) & after.any(-1)
    parts = (games.moves[:, :-1].clip(0), step, board, square, another, before, after)
    return Flips(*(torch.from_numpy(part[asked]) for part in parts))


def errors(logits: Float[Tensor, "flip 36"], legal: Bool[Tensor, "flip 36"]) -> Int[Tensor, "flip"]:
    """Wrong moves plus missing moves, when a model names as many moves as are legal: those with the
    highest logits (Li et al. 2022)."""
    order = torch.argsort(logits, dim=-1, descending=True, stable=True)
    rank = order.argsort(-1)
    named = rank < legal.sum(-1, keepdim=True)
    return (named ^ legal).sum(-1)


@torch.no_grad()
def run(model: nn.Module, flips: Flips) -> Trace:
    """The model as it is, on the games as far as any flip goes: logits, and the stream behind every
    layer, from which pushes go on."""
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(model.config.n_layers)]
    return model.trace(flips.moves[:, : int(flips.step.max()) + 1], names=names)


@torch.no_grad()
def logits_after(
    model: nn.Module,
    flips: Flips,
    vectors: Mapping[int, Float[Tensor, "flip d_model"]],
    plain: Trace | None = None,
) -> Float[Tensor, "flip 36"]:
    """The model's logits at each flip's position, with a vector added after some layers (from 0).
    An empty mapping gives those of the model as it is.

    plain: what `run` gives, where many pushes start from it; it is made here for None.
    """
    plain = run(model, flips) if plain is None else plain
    tokens = flips.moves[:, : plain.logits.shape[1]]
    there = torch.arange(tokens.shape[1]) == flips.step[:, None]  # one position of each
    if not vectors:
        return plain.logits[there]
    pushes = []
    for layer, vector in vectors.items():
        push = torch.zeros_like(plain["resid_post", layer])
        push[there] = vector
        pushes.append(Steer(f"blocks.{layer}.hook_resid_post", push))
    return model.rerun(tokens, plain, pushes, there)


def mean_errors(
    model: nn.Module,
    flips: Flips,
    vectors: Mapping[int, Float[Tensor, "flip d_model"]],
    plain: Trace | None = None,
) -> float:
    """Errors a position against what is legal after the flip, with these vectors added."""
    return float(errors(logits_after(model, flips, vectors, plain), flips.after).double().mean())


def dose(
    model: nn.Module,
    flips: Flips,
    layer: int,
    writing: Float[Tensor, "36 d_model"],
    strengths: Sequence[float],
    kind: str = "itself",
    plain: Trace | None = None,
) -> list[float]:
    """Mean errors after pushes of these strengths behind one layer (from 0).

    plain: what `run` gives, where more than one dose starts from it.
    """
    plain = run(model, flips) if plain is None else plain
    return [
        mean_errors(model, flips, {layer: flips.pushes(writing, kind, strength)}, plain)
        for strength in strengths
    ]


def writing(
    x: Float[Tensor, "position d_model"],
    board: Int[Tensor, "position 36"],
    step: Int[Tensor, "position"],
) -> Float[Tensor, "36 d_model"]:
    """What the stream changes by, on average, when one disc goes from yours to mine and all else
    stays: the stream regressed on the board, each step with a mean of its own.

    board: classes as in `probes.classes`, 1 mine and 2 yours.
    """
    signed = (board == 1).double() - (board == 2).double()
    counts = torch.zeros(int(step.max()) + 1, 1, dtype=torch.float64)
    counts.index_add_(0, step, torch.ones(len(step), 1, dtype=torch.float64))

    def around_its_step(values: Tensor) -> Tensor:
        sums = torch.zeros(len(counts), values.shape[1], dtype=torch.float64)
        return values - (sums.index_add_(0, step, values) / counts.clamp(min=1))[step]

    signed, x = around_its_step(signed), around_its_step(x.double())
    square = signed.T @ signed / len(x)
    square += 1e-6 * torch.eye(SQUARES, dtype=torch.float64)
    return 2 * torch.linalg.solve(square, signed.T @ x / len(x))
