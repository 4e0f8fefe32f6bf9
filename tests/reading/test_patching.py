"""Patching and steering: their scale, their two directions, their null."""

import pytest
import torch

from mechlib.interventions import Patch, Steer
from mechlib.model import Config, Transformer
from mechlib.reading.patching import TwoRuns, logit_difference, probability
from mechlib.reading.steering import (
    PlainRun,
    difference_of_means,
    p_value,
    random_directions,
    steered,
)

CONFIG = Config(d_vocab=17, n_ctx=11, d_model=12, n_layers=3, n_heads=2, norm="layernorm")


@pytest.fixture(params=[CONFIG, CONFIG.but(d_mlp=9, norm="none")], ids=["attention", "mlp"])
def two(request):
    model = Transformer(request.param, seed=1).double().eval()
    clean = torch.randint(17, (3, 7), generator=torch.Generator().manual_seed(0))
    corrupted = clean.clone()
    corrupted[:, 2] = (corrupted[:, 2] + 5) % 17
    return TwoRuns(
        model, clean, corrupted, logit_difference(torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6]))
    )


def test_everything_patched_is_one_and_nothing_is_zero(two):
    for direction in ("denoising", "noising"):
        assert two.effect([], direction) == pytest.approx(0, abs=1e-9)
        assert two.patch("hook_embed", direction) == pytest.approx(1)
        assert two.patch("blocks.2.hook_resid_post", direction) == pytest.approx(1)
        assert two.patch("hook_embed", direction, position=2) == pytest.approx(1)
        assert two.patch("hook_embed", direction, position=1) == pytest.approx(0, abs=1e-9)


def test_maps_hold_what_single_patches_give(two):
    heads = two.head_map("denoising")
    assert heads.shape == (3, 2)
    single = two.patch("blocks.1.attn.hook_result", "denoising", head=1)
    assert float(heads[1, 1]) == pytest.approx(single, abs=1e-6)
    at, tokens = "blocks.1.attn.hook_result", two.tokens["corrupted"]
    with torch.no_grad():  # the same from the first layer on
        logits = two.model(tokens, [Patch(at, two.runs["clean"][at][:, :, 1], head=1)])
    moved = float(two.metric(logits).mean()) - two.means["corrupted"]
    assert single == pytest.approx(moved / two.gap, abs=1e-12)
    stream = two.position_map("noising")
    assert stream.shape == (4, 7)
    assert float(stream[0, 2]) == pytest.approx(1, abs=1e-6)
    assert stream[3, :-1].abs().max() < 1e-6  # only the last position is read at the end


def test_a_path_is_what_a_run_with_all_else_frozen_says(two):
    """By hand: the receiver's keys, recomputed from a stream in which one head's part is new."""
    model, direction = two.model, "denoising"
    base, other = two.runs["corrupted"], two.runs["clean"]
    change = (other["result", 0] - base["result", 0])[:, :, 1]
    stream = base["resid_pre", 1] + change
    if model.config.norm == "layernorm":
        stream = torch.nn.functional.layer_norm(stream, stream.shape[-1:])
    keys = stream @ model.blocks[1].attn.W_K[0]

    expected = two.effect([Patch("blocks.1.attn.hook_k", keys, head=0)], direction)
    assert two.path([(0, 1)], [(1, 0)], "k", direction) == pytest.approx(expected, abs=1e-9)
    assert abs(expected) > 1e-6


def test_two_runs_refuses(two):
    model, tokens = two.model, two.tokens["clean"]
    with pytest.raises(ValueError, match=r"corrupted: shape \(3, 6\), but clean has \(3, 7\)"):
        TwoRuns(model, tokens, tokens[:, 1:], two.metric)
    with pytest.raises(ValueError, match="nothing to patch"):
        TwoRuns(model, tokens, tokens, probability(torch.tensor([1, 2, 3])))
    with pytest.raises(ValueError, match="direction: got 'up'"):
        two.patch("hook_embed", "up")
    with pytest.raises(ValueError, match="does not come after layer 1"):
        two.path([(1, 0)], [(1, 1)], "k", "noising")
    with pytest.raises(ValueError, match="reads: got 'z'"):
        two.path([(0, 0)], [(1, 1)], "z", "noising")
    with pytest.raises(ValueError, match="senders: heads of one layer"):
        two.path([(0, 0), (1, 0)], [(2, 1)], "q", "noising")


@pytest.mark.parametrize(
    "at", ["blocks.2.hook_resid_post", "blocks.1.hook_resid_pre", "blocks.0.hook_attn_out"]
)
def test_steering_and_its_null(two, at):
    model, tokens = two.model, two.tokens["clean"]
    direction = model.W_U[:, 3].detach()

    def metric(logits):
        return float(logits[..., 3].mean())

    told = steered(model, tokens, at, direction, metric, draws=19, seed=3)
    with torch.no_grad():
        by_hand = metric(model(tokens, [Steer(at, direction)])) - metric(model(tokens))
    assert told.effect == pytest.approx(by_hand)
    assert len(told.null) == 19
    assert told.p == p_value(told.effect, told.null)
    assert steered(model, tokens, at, direction, metric, draws=19, seed=3) == told
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    there = steered(model, tokens, at, direction, metric, draws=19, seed=3, where=where)
    whole = steered(
        model, tokens, at, direction, lambda logits: metric(logits[where]), draws=19, seed=3
    )
    assert there.effect == pytest.approx(whole.effect)
    assert there.null == pytest.approx(whole.null)
    drawn = random_directions(direction, 5)
    torch.testing.assert_close(drawn.norm(dim=1), direction.norm().expand(5))


def test_a_text_is_run_once_for_pushes_at_many_places():
    model = Transformer(CONFIG.but(d_mlp=9), seed=1).double().requires_grad_(False)
    tokens = torch.randint(17, (3, 7), generator=torch.Generator().manual_seed(0))
    names = [name for name in model.activation_names() if "hook_resid" in name]
    run, directions = PlainRun(model, tokens, names), model.W_E[:2]
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    for at in names:
        pushed = [model(tokens, [Steer(at, direction)]) for direction in directions]
        by_hand = [float((logits - model(tokens))[where][:, 3].mean()) for logits in pushed]
        found = run.effects(at, directions, lambda logits: logits[:, 3].mean(), where)
        assert found == pytest.approx(by_hand)
        from_the_start = PlainRun(model, tokens, [])
        found = from_the_start.effects(at, directions, lambda logits: logits[:, 3].mean(), where)
        assert found == pytest.approx(by_hand)


def test_p_has_a_floor_and_counts_both_sides():
    assert p_value(5.0, [1.0] * 19) == 1 / 20
    assert p_value(1.0, [-2.0, 0.5, 3.0]) == 3 / 4
    with pytest.raises(ValueError, match="null: needs at least one draw"):
        p_value(1.0, [])
    with pytest.raises(ValueError, match="draws: at least 1"):
        random_directions(torch.ones(3), 0)


def test_a_difference_of_means():
    x = torch.arange(12.0).view(1, 4, 3)
    yes = torch.tensor([[True, False, False, True]])
    assert difference_of_means(x, yes, ~yes).tolist() == [0.0, 0.0, 0.0]
    no = torch.tensor([[False, True, False, False]])
    assert difference_of_means(x, yes, no).tolist() == [1.5, 1.5, 1.5]
    with pytest.raises(ValueError, match="no: it holds at no position"):
        difference_of_means(x, yes, torch.zeros_like(yes))
