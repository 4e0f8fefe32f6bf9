"""The game of chapter 18 in the page: its rules, its network and its edit are Python's."""

import numpy as np
import pytest
import torch
from node import packed, run, text
from test_widgets import get, put, said, show  # noqa: F401

from mechlib import zoo
from mechlib.interventions import Steer
from mechlib.model import Config, Transformer
from mechlib.othello import edits, probes, scores
from mechlib.othello.games import NAMES, random_games, replay
from mechlib.pages.widgets import PlayOthello, weights

PROBE, PUSH, STRENGTH = 4, 3, 3.0


@pytest.fixture(scope="module")
def othello():
    """(model as the page has it, probe, writing), fitted on fewer games than in the chapter."""
    model, games = weights.rounded(zoo.load("othello")), random_games(120, 0)
    streams = probes.streams(model, games)
    probe = probes.fit(streams[PROBE], probes.classes(games, "mine"))
    probe = probes.Probe(*(x.half().float() for x in (probe.weight, probe.bias)))  # as it travels
    known = probes.classes(games, "mine")
    return model, probe, edits.writing(streams[PUSH], known, probes.steps(games)).half().float()


def opinions(folder, probe, writing, games):
    """What the page makes of these games: logits, the board that is read, errors."""
    return run(folder, "othello_opinions", {
        "model": text(weights.pack(zoo.load("othello"), "int8")), "games": games,
        "probe_after": PROBE, "probe_weight": packed(probe.weight),
        "probe_bias": packed(probe.bias), "push_after": PUSH, "strength": STRENGTH,
        "writing": packed(writing),
    })  # fmt: skip


def lists(games):
    return [[int(s) for s in moves if s >= 0] for moves in games.moves]


def test_the_rules_are_pythons(tmp_path):
    games = random_games(200, 5)
    found = run(tmp_path, "othello_games", {"games": lists(games)})
    for g, one in enumerate(found):
        for t, seen in enumerate(one):
            assert seen["board"] == games.colours[g, t].tolist()
            if t < games.moves.shape[1] - 1 or games.legal[g, t].any():
                assert seen["legal"] == np.flatnonzero(games.legal[g, t]).tolist()


def test_illegal_moves_are_refused_with_their_name(tmp_path):
    rng, games = np.random.default_rng(1), random_games(25, 6)
    wrong, expected = [], []
    for g, moves in enumerate(lists(games)):
        t = int(rng.integers(1, len(moves)))
        forbidden = np.flatnonzero(~games.legal[g, t - 1])
        move = int(rng.choice(forbidden))
        wrong.append([*moves[:t], move])
        expected.append(f"Move {t + 1}, {NAMES[move]}, is not legal.")
        with pytest.raises(ValueError, match=f"{NAMES[move]} is not legal"):
            replay(np.array([wrong[-1]]))
    assert run(tmp_path, "othello_refuses", {"games": wrong}) == expected


@torch.no_grad()
def test_predictions_reading_and_edit_are_torchs(othello, tmp_path):
    model, probe, writing = othello
    games, rng, given, expected = random_games(25, 7), np.random.default_rng(2), [], []
    for g, moves in enumerate(lists(games)):
        moves = moves[: int(rng.integers(1, len(moves)))]
        t, tokens = len(moves) - 1, torch.tensor([moves])
        board = games.boards[g, t]
        squares = rng.choice(np.flatnonzero(board), size=1 + g % 2, replace=False)
        vector = -STRENGTH * sum(float(board[s]) * writing[s] for s in squares)
        steer = Steer(f"blocks.{PUSH - 1}.hook_resid_post", vector, positions=[-1])
        seen = model.trace(tokens)
        classes = probe.read(seen[f"blocks.{PROBE - 1}.hook_resid_post"][:, -1])[0]
        mover = 1 if len(moves) % 2 == 0 else -1
        given.append({"moves": moves, "flipped": squares.tolist()})
        expected.append((
            seen.logits[0, -1], model(tokens, interventions=[steer])[0, -1],
            (torch.where(classes == 2, -1, classes) * mover).tolist(),
        ))  # fmt: skip
    found = opinions(tmp_path, probe, writing, given)
    for one, (plain, pushed, read) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one["plain"], plain, atol=1e-3)
        np.testing.assert_allclose(one["pushed"], pushed, atol=1e-3)
        assert one["read"] == read


@torch.no_grad()
def test_errors_are_counted_as_in_the_chapter(othello, tmp_path):
    model, probe, writing = othello
    flips = edits.flips(random_games(40, 8), seed=1)
    given = [{"moves": moves[: step + 1].tolist(), "flipped": [int(square)]}
             for moves, step, square in zip(flips.moves, flips.step, flips.square)]  # fmt: skip
    pushes = {PUSH - 1: flips.pushes(writing, strength=STRENGTH)}
    expected = [edits.errors(edits.logits_after(model, flips, vectors), flips.after).tolist()
                for vectors in ({}, pushes)]  # fmt: skip
    found = opinions(tmp_path, probe, writing, given)
    assert [one["errors"] for one in found] == [list(pair) for pair in zip(*expected, strict=True)]


@torch.no_grad()
def test_one_byte_a_weight_plays_as_well(othello):
    games = random_games(150, 9)
    whole, small = (scores.play_scores(m, games) for m in (zoo.load("othello"), othello[0]))
    assert small["loss"] - whole["loss"] < 0.005
    assert small["first"] - whole["first"] < 0.004


def untrained():
    """The same widget around a small network that has learned nothing: for looks, not for sense."""
    config = Config(d_vocab=36, n_ctx=31, d_model=12, n_heads=2, d_head=6, n_layers=2, d_mlp=16,
                    act="relu", norm="layernorm")  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    probe = probes.Probe(torch.randn(12, 36, 3, generator=draw), torch.zeros(36, 3))
    return PlayOthello(
        Transformer(config, seed=1), replay(random_games(1, 6).moves[:, :13]), probe=probe,
        probe_after=2, writing=torch.randn(36, 12, generator=draw), push_after=1, strength=1.0,
        caption="Play.",
    )  # fmt: skip


def widget(othello, moves=13):
    _, probe, writing = othello
    game = replay(random_games(3, 6).moves[:1, :moves])
    return PlayOthello(zoo.load("othello"), game, probe=probe, probe_after=PROBE, writing=writing,
                       push_after=PUSH, strength=STRENGTH, caption="Play.")  # fmt: skip


@pytest.mark.browser
def test_a_game_in_the_page(show, othello):  # noqa: F811
    page = show(widget(othello), has_touch=True)
    moves = get(page, "moves")
    assert "After 13 moves" in said(page)
    assert f"the last: {NAMES[moves[-1]]}" in said(page)
    squares = page.locator(".board button")
    legal = [i for i in range(36) if "may" in squares.nth(i).get_attribute("class")]
    assert legal == np.flatnonzero(replay(np.array([moves])).legal[0, -1]).tolist()
    # a flip by a finger, with its random rivals, and back
    disc = next(i for i in range(36) if "disc" in squares.nth(i).get_attribute("aria-label"))
    squares.nth(disc).tap()
    assert get(page, "flipped") == [disc]
    assert f"{NAMES[disc]} flipped in the stream" in said(page)
    page.get_by_text("19 random pushes").wait_for(timeout=30_000)
    page.get_by_role("button", name="flip nothing").click()
    assert "flipped in the stream" not in said(page)
    # a move by the keyboard
    squares.nth(14).focus()
    for key, count in (("ArrowUp", 5), ("ArrowLeft", 5), ("ArrowDown", legal[0] // 6),
                       ("ArrowRight", legal[0] % 6)):  # fmt: skip
        for _ in range(count):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert get(page, "moves") == [*moves, legal[0]]
    # one that is not legal
    empty = [i for i in range(36) if squares.nth(i).get_attribute("aria-label").endswith("empty")]
    squares.nth(empty[0]).click()
    assert f"may not play {NAMES[empty[0]]}" in said(page)
    page.get_by_role("button", name="a random move").click()
    page.get_by_role("button", name="take back").click()
    assert get(page, "moves") == [*moves, legal[0]]
    page.get_by_role("button", name="new game").click()
    assert "After 0 moves black is to move" in said(page)
    squares.nth(14).click()
    assert "Play a move first" in said(page)
    put(page, "moves", [0])
    assert "Move 1, a1, is not legal" in said(page)
    put(page, "moves", [])


def test_play_othello_refuses(othello):
    model, probe, writing = othello
    game = random_games(1, 0)
    given = dict(probe=probe, probe_after=PROBE, writing=writing, push_after=PUSH, strength=1.0)
    with pytest.raises(ValueError, match=r"probe_after must be 1\.\.6, got 7"):
        PlayOthello(model, game, **given | {"probe_after": 7})
    with pytest.raises(ValueError, match="game: got 2 games"):
        PlayOthello(model, random_games(2, 0), **given)
    with pytest.raises(ValueError, match=r"writing must have shape \(36, 112\)"):
        PlayOthello(model, game, **given | {"writing": writing[:, :5]})
    with pytest.raises(ValueError, match="a board has 36 squares"):
        PlayOthello(zoo.load("two-layer-repeats"), game, **given)


def test_the_still_picture_holds_three_boards(othello):
    still = widget(othello).still()
    assert still.count("<circle") >= 3 * (4 + 13) - 6
    assert "the network&#x27;s next move" in still or "the network's next move" in still
