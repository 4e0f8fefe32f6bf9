"""Checkers of chapter 18: the rules by hand, a probe by least squares, and the push."""

import numpy as np
import torch

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped
from mechlib.othello.games import random_games


@exercise("othello-legal-moves", chapter=18)
def legal_moves(answer: Answer) -> None:
    """The legal moves on a board (row, column) of 1 mine, -1 yours and 0 empty, as a table of truth
    values: empty squares from which, in one of eight directions, an unbroken row of at least one
    -1 leads to a 1."""
    games = random_games(6, seed=(18, 0))
    boards = torch.from_numpy(games.boards.astype(np.int64)).view(6, -1, 6, 6)
    legal = torch.from_numpy(games.legal).view(6, -1, 6, 6)
    for game, t in ((0, 0), (1, 3), (2, 8), (3, 13), (4, 19), (5, 25)):
        board, wanted = boards[game, t], legal[game, t]
        found = shaped(answer(board), (6, 6), "(row, column)").bool()
        mistakes = {
            "you look at the four straight directions only": _by_walking(board, diagonal=False),
            "a row of yours that ends at the edge or at an empty square encloses nothing": (
                _by_walking(board, closed=False)
            ),
            "you take the moves of the other player": _by_walking(-board),
            "you allow squares that have a disc": _by_walking(board, empty=False),
            "you let a row be one disc long only": _by_walking(board, longest=1),
        }
        wrong = {hint: table for hint, table in mistakes.items() if not torch.equal(table, wanted)}
        close(found, wanted, f"the legal moves after move {t} of a random game", mistakes=wrong)


def _by_walking(board, diagonal=True, closed=True, empty=True, longest=6):
    found = torch.zeros(6, 6, dtype=torch.bool)
    inside = range(6)
    for row in inside:
        for column in inside:
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if (down and right and not diagonal) or not (down or right):
                        continue
                    r, c, length = row + down, column + right, 0
                    while r in inside and c in inside and board[r, c] == -1:
                        r, c, length = r + down, c + right, length + 1
                    ends = r in inside and c in inside and board[r, c] == 1
                    if 0 < length <= longest and (ends or not closed):
                        found[row, column] |= board[row, column] == 0 or not empty
    return found


@exercise("othello-probe", chapter=18)
def probe(answer: Answer) -> None:
    """The matrix W (d_model + 1, output) with which [x, 1] @ W comes nearest to the targets
    (position, output) in squared error; the last row of W is the bias."""
    x = numbers(60, 5) + 2
    targets = x @ numbers(5, 3, seed=1) + numbers(60, 3, seed=2) + torch.tensor([3.0, -1.0, 0.5])
    ones = torch.ones(60, 1, dtype=torch.float64)
    wanted = torch.linalg.lstsq(torch.cat([x, ones], 1), targets).solution
    found = answer(x, targets)
    without = torch.cat([torch.linalg.lstsq(x, targets).solution, 0 * wanted[-1:]])
    correlation = torch.cat([x, ones], 1).T @ targets
    close(
        shaped(found, (6, 3), "(d_model + 1, output)"),
        wanted,
        "the solution of least squares",
        mistakes={
            "you leave the bias out: put a column of ones beside x": without,
            "X^T Y alone is the probe only if the columns of X stand at right angles": correlation,
            "the bias belongs in the last row, and you have it in the first": wanted.roll(1, 0),
        },
        within=1e-5,
    )


@exercise("othello-push", chapter=18)
def push(answer: Answer) -> None:
    """The stream (position, d_model) after each position's disc was flipped: add `strength` times
    the square's row of `writing` (square, d_model), which leads from yours to mine, where the disc
    is yours (-1 on the board), and take it away where it is mine (1)."""
    stream, writing = numbers(6, 4), numbers(36, 4, seed=1)
    board = torch.zeros(6, 36, dtype=torch.int64)
    square = torch.tensor([3, 8, 14, 20, 8, 35])
    disc = torch.tensor([1, -1, -1, 1, 1, -1])
    board[torch.arange(6), square] = disc
    board[:, 21] = -disc  # another disc in each position, of the other colour
    change = disc[:, None] * writing[square]
    wanted = stream - 2.5 * change
    found = shaped(answer(stream, board, square, writing, 2.5), (6, 4), "(position, d_model)")
    close(
        found,
        wanted,
        "six streams with a disc flipped in each",
        mistakes={
            "your signs are the other way about: a disc that is mine must become yours": (
                stream + 2.5 * change
            ),
            "you add the same sign for mine and for yours": stream + 2.5 * writing[square],
            "you leave the strength out": stream - change,
            "this is the change alone: add it to the stream": -2.5 * change,
        },
    )
