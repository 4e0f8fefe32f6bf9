"""The fast rules against slow ones that walk over the board square by square."""

import numpy as np
import pytest

from mechlib.othello import games
from mechlib.othello.games import NAMES, SIDE, SQUARES, random_games, replay


def slow_flips(board, player, square):
    """Which discs a move of `player` turns: walk from the square in each direction."""
    row, column = divmod(square, SIDE)
    if board[row][column]:
        return []
    flips = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            line, r, c = [], row + down, column + right
            while 0 <= r < SIDE and 0 <= c < SIDE and board[r][c] == -player and (down or right):
                line.append((r, c))
                r, c = r + down, c + right
            if line and 0 <= r < SIDE and 0 <= c < SIDE and board[r][c] == player:
                flips += line
    return flips


def slow_legal(board, player):
    return [bool(slow_flips(board, player, square)) for square in range(SQUARES)]


def slow_start():
    board = [[0] * SIDE for _ in range(SIDE)]
    board[2][2] = board[3][3] = -1
    board[2][3] = board[3][2] = 1
    return board


def test_every_board_and_every_legal_move_is_that_of_the_slow_rules():
    played = random_games(60, seed=3)
    ended = 0
    for moves, boards, legal, colours in zip(
        played.moves, played.boards, played.legal, played.colours
    ):
        board, player = slow_start(), 1
        for t, move in enumerate(moves):
            if move < 0:
                assert not any(slow_legal(board, player))
                assert (moves[t:] < 0).all()
                assert (boards[t:] == boards[t]).all()
                assert not legal[t - 1 :].any()
                ended += 1
                break
            flips = slow_flips(board, player, move)
            assert flips
            for r, c in [*flips, divmod(int(move), SIDE)]:
                board[r][c] = player
            player = -player
            flat = np.array(board).ravel()
            assert (boards[t] == flat * player).all()
            assert (colours[t] == flat).all()
            assert legal[t].tolist() == slow_legal(board, player)
    assert ended  # some games end early, or this test has seen no end


def test_moves_are_drawn_evenly_from_the_legal_ones():
    first = random_games(4000, seed=0).moves[:, 0]
    squares, counts = np.unique(first, return_counts=True)
    assert [NAMES[s] for s in squares] == ["c2", "b3", "e4", "d5"]
    assert (abs(counts - 1000) < 120).all()


def test_a_seed_gives_the_same_games_and_another_seed_others():
    again = random_games(5, seed=(1, 2)).moves
    assert (random_games(5, seed=(1, 2)).moves == again).all()
    assert (random_games(5, seed=(1, 3)).moves != again).any()


def test_a_replayed_game_is_the_game():
    played = random_games(20, seed=1)
    again = replay(played.moves)
    for name in ("moves", "boards", "legal", "going"):
        assert (getattr(again, name) == getattr(played, name)).all()
    short = replay(played.moves[:, :7])
    assert short.boards.shape == (20, 7, SQUARES)
    assert (short.boards == played.boards[:, :7]).all()


def test_sets_and_squares_are_one_another():
    squares = np.random.default_rng(0).random((50, SQUARES)) < 0.5
    assert (games.to_squares(games.to_set(squares)) == squares).all()


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ([[0]], "game 0, move 0: a1 is not legal"),
        ([[9], [36]], "0 to 35"),
        ([[8, -1, 8]], "game 0, move 2"),
        (np.zeros((1, 33), int), "1 to 32 moves"),
    ],
)
def test_moves_that_cannot_be_are_named(moves, words):
    with pytest.raises(ValueError, match=words):
        replay(np.array(moves))


def test_no_games_is_an_error():
    with pytest.raises(ValueError, match="count: got 0"):
        random_games(0, seed=0)
