"""What is followed over training: how a model plays, what a probe reads, what an edit does.

At one layer, on games that no training step draws, so that a table over training steps needs one
call a step. Chapter 18 does the same at all layers, for the trained models.

Used in chapter 18.
"""

from torch import nn

from mechlib.othello import edits, probes, scores
from mechlib.othello.games import random_games

STRENGTHS = (1.0, 2.0, 3.0, 4.0)


def board_scores(model: nn.Module, layer: int) -> dict[str, float]:
    """Probe and edit behind one layer (from 0), in one dict:

    mine, colour: how many occupied squares a probe reads rightly, of either naming.
    before, after: errors a position against the moves that are legal once a disc is flipped,
        without and with the push. another, random: with a push as long, of another disc, or in a
        random direction. The strength is the best of `STRENGTHS` on other positions.
    illegal: share of positions in which the first choice is not legal.
    """
    fitting, fresh = random_games(600, (2, 0)), random_games(200, (3, 0))
    [x], [x_fresh] = (probes.streams(model, games, [layer + 1]) for games in (fitting, fresh))
    found = {"illegal": scores.play_scores(model, fresh)["first"]}
    for naming in probes.NAMINGS:
        probe = probes.fit(x, probes.classes(fitting, naming))
        board = probes.classes(fresh, naming)
        found[naming] = probes.accuracy(probe.read(x_fresh), board, board > 0)

    writing = edits.writing(x, probes.classes(fitting, "mine"), probes.steps(fitting)).float()
    trial = edits.flips(random_games(200, (4, 0)), seed=0)
    errors = edits.dose(model, trial, layer, writing, STRENGTHS)
    strength = STRENGTHS[errors.index(min(errors))]
    flips = edits.flips(random_games(500, (5, 0)), seed=1)
    plain = edits.run(model, flips)
    before = edits.mean_errors(model, flips, {}, plain)
    found |= {"strength": strength, "before": before}
    for name, kind in (("after", "itself"), ("another", "another"), ("random", "random")):
        [found[name]] = edits.dose(model, flips, layer, writing, [strength], kind, plain)
    return found
