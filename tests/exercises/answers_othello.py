"""Right and wrong answers to the exercises of chapter 18."""

import numpy as np
import torch

from mechlib.othello import games

STEPS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


def legal(board, steps=STEPS, closed=True, longest=6, empty=True):
    found = torch.zeros(6, 6, dtype=torch.bool)
    for row in range(6):
        for column in range(6):
            if empty and board[row, column] != 0:
                continue
            for down, right in steps:
                line = []
                r, c = row + down, column + right
                while 0 <= r < 6 and 0 <= c < 6:
                    line.append(int(board[r, c]))
                    r, c = r + down, c + right
                length = 0
                while length < len(line) and line[length] == -1:
                    length += 1
                end = line[length] if length < len(line) else 0
                found[row, column] |= 0 < length <= longest and (end == 1 or not closed)
    return found


def legal_by_sets(board):
    flat = np.asarray(board).reshape(1, 36)
    mine, yours = games.to_set(flat == 1), games.to_set(flat == -1)
    return torch.from_numpy(games.to_squares(games.legal_moves(mine, yours)).reshape(6, 6))


def legal_straight(board):
    return legal(board, steps=[s for s in STEPS if 0 in s])


def legal_open(board):
    return legal(board, closed=False)


def legal_of_the_other(board):
    return legal(-board)


def legal_on_discs(board):
    return legal(board, empty=False)


def legal_short(board):
    return legal(board, longest=1)


def with_ones(x):
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


def probe(x, targets):
    X = with_ones(x)
    return torch.linalg.solve(X.T @ X, X.T @ targets)


def probe_by_numpy(x, targets):
    return torch.from_numpy(np.linalg.lstsq(with_ones(x).numpy(), targets.numpy(), rcond=None)[0])


def probe_without_bias(x, targets):
    W = torch.linalg.solve(x.T @ x, x.T @ targets)
    return torch.cat([W, torch.zeros(1, W.shape[1], dtype=W.dtype)])


def probe_by_correlation(x, targets):
    return with_ones(x).T @ targets


def probe_bias_first(x, targets):
    return probe(x, targets).roll(1, 0)


def push(stream, board, square, writing, strength):
    disc = board.gather(1, square[:, None])
    return stream - strength * disc * writing[square]


def push_by_loop(stream, board, square, writing, strength):
    rows = []
    for x, b, s in zip(stream, board, square.tolist()):
        rows.append(x + strength * writing[s] if b[s] == -1 else x - strength * writing[s])
    return torch.stack(rows)


def push_backwards(stream, board, square, writing, strength):
    return push(stream, board, square, writing, -strength)


def push_one_sign(stream, board, square, writing, strength):
    return stream + strength * writing[square]


def push_without_strength(stream, board, square, writing, strength):
    return push(stream, board, square, writing, 1)


def push_alone(stream, board, square, writing, strength):
    return push(stream, board, square, writing, strength) - stream


RIGHT = {
    "othello-legal-moves": [legal, legal_by_sets],
    "othello-probe": [probe, probe_by_numpy],
    "othello-push": [push, push_by_loop],
}
WRONG = {
    "othello-legal-moves": [
        (legal_straight, "four straight directions"),
        (legal_open, "encloses nothing"),
        (legal_of_the_other, "the other player"),
        (legal_on_discs, "squares that have a disc"),
        (legal_short, "one disc long only"),
    ],
    "othello-probe": [
        (probe_without_bias, "leave the bias out"),
        (probe_by_correlation, "X^T Y alone"),
        (probe_bias_first, "the bias belongs in the last row"),
    ],
    "othello-push": [
        (push_backwards, "the other way about"),
        (push_one_sign, "the same sign"),
        (push_without_strength, "leave the strength out"),
        (push_alone, "the change alone"),
    ],
}
