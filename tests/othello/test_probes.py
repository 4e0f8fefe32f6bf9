"""Probes and edits on a stream that was made by hand, so that the right answers are known."""

import pytest
import torch

from mechlib.interventions import Steer
from mechlib.model import Config, Transformer
from mechlib.othello import edits, games, probes
from mechlib.othello.games import SQUARES, random_games, replay

GAMES = random_games(300, seed=8)
BOARD, STEP = probes.classes(GAMES, "mine"), probes.steps(GAMES)


def stream_of(board: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Each square writes a direction of its own, each step another; a little noise on top."""
    generator = torch.Generator().manual_seed(0)
    signed = (board == 1).float() - (board == 2).float()
    disc = (board > 0).float()
    write = torch.randn(2, SQUARES, 90, generator=generator)
    clock = torch.randn(32, 90, generator=generator)
    noise = 0.01 * torch.randn(len(board), 90, generator=generator)
    return signed @ write[0] + disc @ write[1] + clock[step] + noise


def test_a_board_that_is_there_is_read():
    x = stream_of(BOARD, STEP)
    probe = probes.fit(x[:6000], BOARD[:6000])
    assert probes.accuracy(probe.read(x[6000:]), BOARD[6000:]) > 0.98
    colour = probes.classes(GAMES, "colour")
    named = probes.fit(x[:6000], colour[:6000])
    held_out = colour[6000:]
    assert probes.accuracy(named.read(x[6000:]), held_out, held_out > 0) < 0.7


def test_a_board_that_is_not_there_is_not_read():
    x = torch.randn(len(BOARD), 40, generator=torch.Generator().manual_seed(1))
    probe = probes.fit(x[:6000], BOARD[:6000])
    found, board = probe.read(x[6000:]), BOARD[6000:]
    assert probes.accuracy(found, board, board > 0) < 0.45


def test_the_two_namings_are_one_another_turned_by_the_step():
    colour = probes.classes(GAMES, "colour")
    black_to_move = STEP % 2 == 1  # after an odd index black moves
    assert torch.equal(colour[black_to_move], BOARD[black_to_move])
    other = BOARD[~black_to_move]
    assert torch.equal(colour[~black_to_move], torch.where(other > 0, 3 - other, 0))
    with pytest.raises(ValueError, match="'mine', 'colour'"):
        probes.classes(GAMES, "black")


def test_the_usual_board_is_the_most_frequent_one():
    usual = probes.usual(BOARD, STEP)
    for step, square in ((0, 14), (5, 20), (20, 3)):
        there = BOARD[STEP == step, square]
        counts = torch.bincount(there, minlength=3)
        assert counts[usual[step, square]] == counts.max()


def test_writing_is_what_a_square_writes():
    x = stream_of(BOARD, STEP)
    generator = torch.Generator().manual_seed(0)
    write = torch.randn(2, SQUARES, 90, generator=generator)[0]
    found = edits.writing(x, BOARD, STEP).float()
    cosine = torch.cosine_similarity(found, write, dim=1)
    assert cosine.min() > 0.9
    assert 1.8 < float((found.norm(dim=1) / write.norm(dim=1)).median()) < 2.2


def test_flips_change_one_disc_and_know_what_is_legal_then():
    made = random_games(80, seed=2)
    found = edits.flips(made, seed=0)
    assert 20 < len(found) < 80
    for i in range(len(found)):
        step, square = int(found.step[i]), int(found.square[i])
        now = replay(found.moves[i : i + 1, : step + 1].numpy())
        board = torch.from_numpy(now.boards[0, step])
        assert torch.equal(board, found.board[i])
        assert torch.equal(torch.from_numpy(now.legal[0, step]), found.before[i])
        assert board[square] != 0
        assert board[found.another[i]] != 0
        assert found.another[i] != square
        board[square] *= -1
        mine, yours = (games.to_set((board == side).numpy()[None]) for side in (1, -1))
        after = torch.from_numpy(games.to_squares(games.legal_moves(mine, yours))[0])
        assert torch.equal(after, found.after[i])
        assert not torch.equal(after, found.before[i])
    with pytest.raises(ValueError, match="first, last"):
        edits.flips(made, seed=0, first=9, last=3)


def test_a_push_leads_away_from_what_the_disc_is():
    found = edits.flips(random_games(80, seed=2), seed=0)
    writing = torch.randn(SQUARES, 5, generator=torch.Generator().manual_seed(3))
    disc = found.board.gather(1, found.square[:, None])
    own = found.pushes(writing)
    assert torch.equal(own, -disc * writing[found.square])
    assert torch.allclose(found.pushes(writing, strength=2.5), 2.5 * own)
    other = -found.board.gather(1, found.another[:, None]) * writing[found.another]
    for kind in ("another", "random"):
        rival = found.pushes(writing, kind)
        assert torch.allclose(rival.norm(dim=1), own.norm(dim=1))
        cosine = torch.cosine_similarity(rival, other, dim=1)
        assert (cosine.min() > 0.999) == (kind == "another")
    with pytest.raises(ValueError, match="kind: got 'other'"):
        found.pushes(writing, "other")


def test_errors_are_wrong_moves_plus_missing_ones():
    legal = torch.zeros(3, SQUARES, dtype=torch.bool)
    legal[:, :3] = True
    logits = torch.zeros(3, SQUARES)
    logits[0, :3] = 1.0  # all three named
    logits[1, 1:4] = 1.0  # one wrong, one missing
    logits[2, 10:13] = 1.0  # all wrong
    assert edits.errors(logits, legal).tolist() == [0, 2, 6]


def test_a_vector_goes_in_after_its_layer_at_its_step():
    model = Transformer(
        Config(d_vocab=36, n_ctx=31, d_model=16, n_layers=2, n_heads=2, d_mlp=8, norm="layernorm")
    )
    found = edits.flips(random_games(30, seed=2), seed=0)
    plain = edits.logits_after(model, found, {})
    rows = torch.arange(len(found))
    with torch.no_grad():
        torch.testing.assert_close(plain, model(found.moves)[rows, found.step])
    vector = torch.randn(len(found), 16, generator=torch.Generator().manual_seed(0))
    pushed = edits.logits_after(model, found, {1: vector})
    for i in range(len(found)):  # the last block's output, pushed by hand
        with torch.no_grad():
            x = model.trace(found.moves[i : i + 1])["blocks.1.hook_resid_post"][0, found.step[i]]
            x = torch.nn.functional.layer_norm(x + vector[i], (16,))
            torch.testing.assert_close(pushed[i], x @ model.W_U, atol=1e-5, rtol=1e-5)
    assert (pushed - plain).abs().max() > 1e-3
    two = {0: -vector, 1: vector}
    everywhere = torch.zeros(*found.moves.shape, 16)
    everywhere[rows, found.step] = vector
    with torch.no_grad():  # both pushes in one pass over the whole games
        steps = [Steer(f"blocks.{l}.hook_resid_post", everywhere, scale=2.0 * l - 1) for l in two]
        whole = model(found.moves, interventions=steps)[rows, found.step]
    torch.testing.assert_close(edits.logits_after(model, found, two), whole)
    wanted = edits.errors(pushed, found.after).double().mean()
    assert edits.mean_errors(model, found, {1: vector}) == pytest.approx(float(wanted))


def test_a_dose_of_nothing_changes_nothing():
    model = Transformer(Config(d_vocab=36, n_ctx=31, d_model=16, n_layers=2, n_heads=2), seed=2)
    found = edits.flips(random_games(30, seed=2), seed=0)
    writing = torch.randn(SQUARES, 16, generator=torch.Generator().manual_seed(3))
    nothing, much = edits.dose(model, found, 1, writing, (0.0, 30.0))
    assert nothing == edits.mean_errors(model, found, {})
    assert much != nothing
