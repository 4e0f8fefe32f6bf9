"""How well a model plays: the share of illegal moves, and its loss beside the least possible one.

A model reads the moves made so far, as squares 0..35, and its logits at position t are for the move
after move t. Which move comes is drawn evenly from the legal ones, so the best possible loss is
known exactly: the mean of ln(number of legal moves). Nothing gets below it.

Used in chapter 18.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mechlib.othello.games import Games

BATCH = 50  # games that a model is asked about at once: so few stay in a processor's cache


def read(games: Games) -> Int[Tensor, "game 31"]:
    """The moves as a model reads them. What stands after the end of a game is not asked about, so
    any square will do there."""
    return torch.from_numpy(games.moves[:, :-1]).clamp(min=0)


def next_moves_loss(
    model: nn.Module, batch: tuple[Int[Tensor, "game 31"], Bool[Tensor, "game 31 36"]]
) -> Float[Tensor, ""]:
    """Mean cross-entropy against *all* moves that may come next, in nats.

    batch: moves as in `read`, and where the next player may move (nowhere: not asked about).

    One move drawn from the legal ones gives the same gradient on average, with noise on top; this
    is each position shown with every continuation, which spares the training of that noise.
    """
    moves, legal = batch
    going = legal.any(-1)
    target = legal[going].float()
    target = target / target.sum(-1, keepdim=True)
    return F.cross_entropy(model(moves)[going].float(), target)


def floor(games: Games) -> float:
    """The least loss that any model can have on such games, in nats: the mean of ln(legal moves)
    over the positions that are asked about."""
    return float(np.log(games.legal[:, :-1].sum(-1)[games.going]).mean())


def illegal(
    logits: Float[Tensor, "position 36"], legal: Bool[Tensor, "position 36"]
) -> dict[str, float]:
    """Shares of illegal moves: `first`, among the moves that are given the highest logit; `mass`,
    the mean probability on illegal moves together."""
    best = logits.argmax(-1, keepdim=True)
    mass = torch.where(legal, 0.0, logits.softmax(-1)).sum(-1)
    return {
        "first": float((~legal.gather(-1, best)).double().mean()),
        "mass": float(mass.double().mean()),
    }


@torch.no_grad()
def play_scores(model: nn.Module, games: Games) -> dict[str, float]:
    """Loss (nats) and both shares of illegal moves, over all positions that are asked about."""
    device = next(model.parameters()).device
    parts = read(games).split(BATCH)
    logits = torch.cat([model(moves.to(device)).float().cpu() for moves in parts])
    going = torch.from_numpy(games.going)
    made = torch.from_numpy(games.moves[:, 1:])[going]
    legal = torch.from_numpy(games.legal[:, :-1])[going]
    loss = float(F.cross_entropy(logits[going], made))
    return {"loss": loss, **illegal(logits[going], legal)}
