"""Othello on six by six squares: the rules, many boards at a time, and games of random moves.

Two players, black first, put discs on an empty board but for four in the middle. A move must
enclose, in at least one of the eight directions, an unbroken row of the other's discs between the
new disc and one of one's own; all discs so enclosed change colour. Here a game ends when the player
to move has no legal move (in a club that player would pass, and most games would go on a little),
so each move is drawn from the legal ones and from nothing else: no game is thrown away.

A board is two sets of squares, those of the player to move ("mine") and those of the other
("yours"). A set is one 64-bit number: square (row, column) is bit 8 row + column. Rows are two bits
longer than the board, so a set that is shifted over the edge lands outside and is masked away.

Squares are numbered 0..35 row by row; "a1" is the first, "f6" the last.

Used in chapter 18.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int8, UInt64

SIDE = 6
SQUARES = SIDE * SIDE
LONGEST = SQUARES - 4  # moves in a full game
NAMES = tuple(f"{column}{row + 1}" for row in range(SIDE) for column in "abcdef")
CENTRE = (14, 15, 20, 21)  # the four squares that are never empty

_BITS = np.array([1 << (8 * (s // SIDE) + s % SIDE) for s in range(SQUARES)], dtype=np.uint64)
_BOARD = np.bitwise_or.reduce(_BITS)
_STEPS = (1, -1, 8, -8, 9, -9, 7, -7)  # the eight directions, as differences of bits


# ---------------------------------------------------------------------------------------- the rules


def to_set(squares: Bool[np.ndarray, "*board 36"]) -> UInt64[np.ndarray, "*board"]:
    """Boolean squares as sets of bits."""
    return np.where(squares, _BITS, np.uint64(0)).sum(-1, dtype=np.uint64)


def to_squares(sets: UInt64[np.ndarray, "*board"]) -> Bool[np.ndarray, "*board 36"]:
    """Sets of bits as boolean squares."""
    return (np.asarray(sets, dtype=np.uint64)[..., None] & _BITS) != 0


def start(boards: int) -> tuple[UInt64[np.ndarray, "board"], UInt64[np.ndarray, "board"]]:
    """So many boards at the start, black to move: black's squares, white's squares."""
    black, white = _BITS[15] | _BITS[20], _BITS[14] | _BITS[21]
    return np.full(boards, black), np.full(boards, white)


def _shifted(sets: np.ndarray, step: int) -> np.ndarray:
    moved = sets << np.uint64(step) if step > 0 else sets >> np.uint64(-step)
    return moved & _BOARD


def _row_of(sets: np.ndarray, yours: np.ndarray, step: int) -> np.ndarray:
    """The discs of `yours` in an unbroken row that begins one step from a square of `sets`."""
    row = _shifted(sets, step) & yours
    for _ in range(SIDE - 3):  # at most SIDE - 2 discs lie between two others
        row |= _shifted(row, step) & yours
    return row


def legal_moves(
    mine: UInt64[np.ndarray, "*board"], yours: UInt64[np.ndarray, "*board"]
) -> UInt64[np.ndarray, "*board"]:
    """Where the player who owns `mine` may put a disc: beyond a row of `yours` next to `mine`."""
    empty, legal = _BOARD & ~(mine | yours), np.zeros_like(mine)
    for step in _STEPS:
        legal |= _shifted(_row_of(mine, yours, step), step) & empty
    return legal


def play(
    mine: UInt64[np.ndarray, "board"],
    yours: UInt64[np.ndarray, "board"],
    move: Int[np.ndarray, "board"],
) -> tuple[UInt64[np.ndarray, "board"], UInt64[np.ndarray, "board"]]:
    """Both sets after the owner of `mine` moved to square `move` (which must be legal)."""
    disc, flipped = _BITS[move], np.zeros_like(mine)
    for step in _STEPS:
        row = _row_of(disc, yours, step)
        enclosed = (_shifted(row | disc, step) & mine) != 0
        flipped |= np.where(enclosed, row, np.uint64(0))
    return mine | disc | flipped, yours & ~flipped


# -------------------------------------------------------------------------------------------- games


@dataclass(frozen=True)
class Games:
    """Games, move by move. Everything at index t is as it stands after move t (from 0).

    moves: squares; -1 once the game is over.
    boards: as the player sees it who is to move next: 1 mine, -1 yours, 0 empty.
    legal: where that player may move; the next move is one of these.
    """

    moves: Int[np.ndarray, "game move"]
    boards: Int8[np.ndarray, "game move 36"]
    legal: Bool[np.ndarray, "game move 36"]

    def __len__(self) -> int:
        return len(self.moves)

    @property
    def going(self) -> Bool[np.ndarray, "game move_minus_1"]:
        """Where a next move was made: the positions that a model can be asked about."""
        return self.moves[:, 1:] >= 0

    @property
    def colours(self) -> Int8[np.ndarray, "game move 36"]:
        """The boards by colour: 1 black, -1 white, 0 empty. Black moves first, so after move 0, 2,
        4, ... it is white who is to move and sees black's discs as "yours"."""
        black_to_move = np.where(np.arange(self.boards.shape[1]) % 2 == 0, -1, 1)
        return self.boards * black_to_move[:, None].astype(np.int8)


def random_games(count: int, seed: int | tuple[int, ...]) -> Games:
    """Games in which every move is drawn evenly from the legal ones.

    Raises ValueError for a count below 1.
    """
    rng = np.random.default_rng(seed)
    return _played(count, LONGEST, lambda t, legal: (rng.random(legal.shape) * legal).argmax(-1))


def replay(moves: Int[np.ndarray, "game move"]) -> Games:
    """The boards of games whose moves are given (-1 from the end on; shorter than 32 is fine).

    Raises ValueError for a move that is not legal, naming game, move and square.
    """
    moves = np.atleast_2d(np.asarray(moves))
    if moves.ndim != 2 or not 1 <= moves.shape[1] <= LONGEST:
        raise ValueError(f"moves: got shape {moves.shape}, needs (game, 1 to {LONGEST} moves)")
    if moves.min() < -1 or moves.max() >= SQUARES:
        raise ValueError(
            f"moves: squares are 0 to 35, or -1 for none; got {moves.min()} to {moves.max()}"
        )

    def given(t: int, legal: np.ndarray) -> np.ndarray:
        move = moves[:, t]
        wrong = (move >= 0) & ~legal[np.arange(len(move)), move]
        if wrong.any():
            game = int(wrong.argmax())
            raise ValueError(f"moves: game {game}, move {t}: {NAMES[move[game]]} is not legal")
        return move

    return _played(*moves.shape, given)


def _played(count: int, length: int, choose) -> Games:
    """Play `count` games; `choose(t, legal)` gives each game's square, -1 to stop there."""
    if count < 1:
        raise ValueError(f"count: got {count}, needs at least 1 game")
    moves = np.full((count, length), -1, dtype=np.int64)
    boards = np.zeros((count, length, SQUARES), dtype=np.int8)
    legal = np.zeros((count, length, SQUARES), dtype=bool)
    mine, yours = start(count)
    may = to_squares(legal_moves(mine, yours))
    going = np.ones(count, dtype=bool)
    for t in range(length):
        move = choose(t, may)
        going &= may.any(-1) & (move >= 0)
        after, others = play(mine, yours, np.where(going, move, 0))
        moves[going, t] = move[going]
        # the turn passes: what was mine is now yours; a game that is over stays as it is
        mine, yours = np.where(going, others, mine), np.where(going, after, yours)
        may = to_squares(legal_moves(mine, yours)) & going[:, None]
        boards[:, t] = to_squares(mine).astype(np.int8) - to_squares(yours)
        legal[:, t] = may
    return Games(moves, boards, legal)
