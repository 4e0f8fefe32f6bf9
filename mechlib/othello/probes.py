"""Reading the board out of the stream: linear probes, and what they have to beat.

A probe is a matrix, fitted by least squares to say from a model's stream what lies on each of the
36 squares. There are two ways to name it:

    "mine"      mine, yours or empty, as the player to move would say
    "colour"    black, white or empty

One can be told from the other when the step is known, but not by one linear map for all steps.

Used in chapter 18.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mechlib.othello import scores
from mechlib.othello.games import Games

NAMINGS = ("mine", "colour")
EMPTY, FIRST, SECOND = 0, 1, 2  # classes: first is mine or black, second is yours or white


@torch.no_grad()
def streams(
    model: nn.Module, games: Games, passed: Sequence[int] | None = None
) -> tuple[Float[Tensor, "position d_model"], ...]:
    """The stream at every position that is asked about, when so many blocks have been passed: 0,
    1, ... up to all of them for None."""
    names = ["blocks.0.hook_resid_pre"]
    names += [f"blocks.{layer}.hook_resid_post" for layer in range(model.config.n_layers)]
    names = names if passed is None else [names[blocks] for blocks in passed]
    going = torch.from_numpy(games.going)
    nowhere = torch.zeros(scores.BATCH, going.shape[1], dtype=torch.bool)  # no logits are needed
    traces = [model.trace(moves, names=names, where=nowhere[: len(moves)])
              for moves in scores.read(games).split(scores.BATCH)]  # fmt: skip
    return tuple(torch.cat([trace[name] for trace in traces])[going] for name in names)


def classes(games: Games, naming: str) -> Int[Tensor, "position 36"]:
    """What lies on each square at these positions: 0 empty, 1 mine (black), 2 yours (white).

    Raises ValueError for a naming that is neither "mine" nor "colour".
    """
    if naming not in NAMINGS:
        raise ValueError(f"naming: got {naming!r}, accepts {NAMINGS}")
    boards = games.boards if naming == "mine" else games.colours
    signed = torch.from_numpy(boards[:, :-1][games.going]).long()
    return torch.where(signed < 0, SECOND, signed)


def steps(games: Games) -> Int[Tensor, "position"]:
    """The index of the last move made, at these positions."""
    return torch.from_numpy(games.going).nonzero()[:, 1]


@dataclass(frozen=True)
class Probe:
    """Scores for three classes on each square: `x @ weight + bias`."""

    weight: Float[Tensor, "d_model 36 3"]
    bias: Float[Tensor, "36 3"]

    def scores(self, x: Float[Tensor, "position d_model"]) -> Float[Tensor, "position 36 3"]:
        """One number per square and class; for a good probe near 1 where the class is right."""
        return torch.einsum("pd,dsc->psc", x.to(self.weight), self.weight) + self.bias

    def read(self, x: Float[Tensor, "position d_model"]) -> Int[Tensor, "position 36"]:
        """The class with the highest score on each square."""
        return self.scores(x).argmax(-1)


def fit(
    x: Float[Tensor, "position d_model"], board: Int[Tensor, "position 36"], ridge: float = 1e-4
) -> Probe:
    """The probe with the least squared error against one-hot classes.

    ridge: a penalty on large weights, as a share of the stream's mean variance; keeps the solution
    defined when some directions of the stream are never used.
    """
    x, wanted = x.double(), (board[..., None] == torch.arange(3)).flatten(1).double()
    x_mean, wanted_mean = x.mean(0), wanted.mean(0)
    centred = x - x_mean
    square = centred.T @ centred / len(x)
    square += ridge * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    weight = torch.linalg.solve(square, centred.T @ wanted / len(x))
    bias = wanted_mean - x_mean @ weight
    return Probe(weight.view(-1, board.shape[1], 3), bias.view(-1, 3))


def accuracy(
    found: Int[Tensor, "position 36"],
    board: Int[Tensor, "position 36"],
    where: Bool[Tensor, "position 36"] | None = None,
) -> float:
    """Share of squares that are read rightly, over all or `where` only. Occupied squares are
    `board > 0`; most of the others are easy, for who has seen the moves knows what is empty."""
    right = found == board
    return float((right if where is None else right[where]).double().mean())


def usual(
    board: Int[Tensor, "position 36"], step: Int[Tensor, "position"]
) -> Int[Tensor, "step 36"]:
    """What most often lies on each square after each move: the best guess for one who knows how
    many moves were made, and not which."""
    counts = torch.zeros(int(step.max()) + 1, board.shape[1], 3, dtype=torch.long)
    counts.index_add_(0, step, nn.functional.one_hot(board, 3))
    return counts.argmax(-1)
