"""Scores against answers that are known beforehand: a player who knows the rules, and one who
knows nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from mechlib.othello import scores
from mechlib.othello.games import SQUARES, random_games

GAMES = random_games(40, seed=5)


class KnowsTheRules(nn.Module):
    """Puts the same logit on every legal move and a very low one on all others."""

    def __init__(self, games):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.legal = torch.from_numpy(games.legal[:, :-1])

    def forward(self, tokens):
        return torch.where(self.legal, 0.0, -50.0) + 0 * self.unused


class KnowsNothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(SQUARES))

    def forward(self, tokens):
        return self.logits.expand(*tokens.shape, SQUARES)


def test_who_knows_the_rules_reaches_the_floor_and_plays_legally():
    found = scores.play_scores(KnowsTheRules(GAMES), GAMES)
    assert found["loss"] == pytest.approx(scores.floor(GAMES), rel=1e-6)
    assert found["first"] == 0
    assert found["mass"] < 1e-12


def test_the_floor_is_the_mean_log_of_the_number_of_legal_moves():
    logs = [
        np.log(GAMES.legal[game, t].sum())
        for game in range(len(GAMES))
        for t in range(31)
        if GAMES.moves[game, t + 1] >= 0
    ]
    assert scores.floor(GAMES) == pytest.approx(np.mean(logs))


def test_who_knows_nothing_has_the_loss_of_a_guess_and_the_mass_of_the_illegal_squares():
    found = scores.play_scores(KnowsNothing(), GAMES)
    share = GAMES.legal[:, :-1][GAMES.going].mean()
    assert found["loss"] == pytest.approx(np.log(SQUARES), rel=1e-6)
    assert found["mass"] == pytest.approx(1 - share, rel=1e-6)


def test_all_continuations_give_the_gradient_of_one_on_average():
    model = KnowsNothing()
    legal = torch.from_numpy(GAMES.legal[:, :-1] & GAMES.going[..., None])
    scores.next_moves_loss(model, (scores.read(GAMES), legal)).backward()
    target = legal[legal.any(-1)].float()
    mean = (target / target.sum(-1, keepdim=True)).mean(0)
    assert torch.allclose(model.logits.grad, 1 / SQUARES - mean, atol=1e-6)


def test_illegal_counts_first_choices_and_probability():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    logits = torch.cat([logits, torch.full((2, SQUARES - 3), -100.0)], 1)
    legal = torch.zeros(2, SQUARES, dtype=torch.bool)
    legal[0, 1], legal[1, 2] = True, True
    found = scores.illegal(logits, legal)
    assert found["first"] == 0.5
    assert found["mass"] == pytest.approx((0.75 + 0.3) / 2)
