"""What each intervention does to the activation it is aimed at."""

import pytest
import torch

from mechlib.interventions import Ablate, FreezePattern, Patch, Steer, Tape, frozen_patterns
from mechlib.model import Config, Transformer

CONFIG = Config(d_vocab=13, n_ctx=11, d_model=17, n_layers=2, n_heads=3, d_head=7)
Z, PATTERN, STREAM = "blocks.0.attn.hook_z", "blocks.0.attn.hook_pattern", "blocks.1.hook_resid_pre"


@pytest.fixture
def model():
    return Transformer(CONFIG).double().requires_grad_(False)


@pytest.fixture
def tokens():
    return torch.randint(13, (2, 5), generator=torch.Generator().manual_seed(1))


def test_ablating_one_head_zeroes_that_head_alone(model, tokens):
    before, after = model.trace(tokens), model.trace(tokens, [Ablate(Z, head=1)])
    assert after[Z][:, :, 1].abs().max() == 0
    assert torch.equal(after[Z][:, :, [0, 2]], before[Z][:, :, [0, 2]])
    removed = before["result", 0][:, :, 1]
    torch.testing.assert_close(after[STREAM], before[STREAM] - removed)


def test_ablating_by_a_mean(model, tokens):
    mean = model.trace(tokens)[Z][:, :, 2].mean(dim=(0, 1))
    after = model.trace(tokens, [Ablate(Z, head=2, value=mean)])
    torch.testing.assert_close(after[Z][:, :, 2], mean.expand(2, 5, 7))


def test_an_ablated_result_equals_an_ablated_z(model, tokens):
    by_z = model(tokens, [Ablate(Z, head=1)])
    by_result = model(tokens, [Ablate("blocks.0.attn.hook_result", head=1)])
    torch.testing.assert_close(by_z, by_result)


def test_patching_the_whole_stream_takes_over_the_other_runs_answer(model, tokens):
    other = tokens.flip(1)
    stream = model.trace(other)[STREAM]
    torch.testing.assert_close(model(tokens, [Patch(STREAM, stream)]), model(other))


def test_patching_positions_leaves_the_rest(model, tokens):
    new = torch.full((2, 2, 17), 3.0, dtype=torch.float64)
    after = model.trace(tokens, [Patch(STREAM, new, positions=[1, -1])])[STREAM]
    before = model.trace(tokens)[STREAM]
    assert torch.equal(after[:, [1, 4]], new)
    assert torch.equal(after[:, [0, 2, 3]], before[:, [0, 2, 3]])


def test_patching_one_head_at_one_position(model, tokens):
    after = model.trace(tokens, [Patch(Z, torch.ones(7), head=2, positions=[3])])[Z]
    before = model.trace(tokens)[Z]
    assert torch.equal(after[:, 3, 2], torch.ones(2, 7).double())
    changed = (after != before).any(-1).any(0)  # (pos, head)
    assert changed.sum() == 1


def test_freezing_a_pattern_uses_that_pattern(model, tokens):
    uniform = torch.ones(5, 5).tril()
    uniform = (uniform / uniform.sum(-1, keepdim=True)).expand(2, 3, 5, 5)
    after = model.trace(tokens, [FreezePattern(0, uniform)])
    values = after["v", 0].cumsum(1) / torch.arange(1, 6)[:, None, None]
    torch.testing.assert_close(after["z", 0], values)
    one = model.trace(tokens, [FreezePattern(0, uniform[:, 0], head=1)])
    torch.testing.assert_close(one["z", 0][:, :, 1], values[:, :, 1])
    assert (one["z", 0][:, :, 0] - values[:, :, 0]).abs().max() > 1e-3


def test_frozen_patterns_of_a_trace_reproduce_it(model, tokens):
    trace = model.trace(tokens)
    frozen = frozen_patterns(trace)
    assert [f.layer for f in frozen] == [0, 1]
    torch.testing.assert_close(model(tokens, frozen), trace.logits)


def test_interventions_apply_in_the_order_given(model, tokens):
    one = torch.ones(17).double()
    steer, wipe = Steer(STREAM, one, 2.0), Ablate(STREAM)
    first = model.trace(tokens, [steer, wipe])[STREAM]
    then = model.trace(tokens, [wipe, steer])[STREAM]
    assert first.abs().max() == 0
    assert torch.equal(then, torch.full_like(then, 2.0))


def test_steering_at_some_positions(model, tokens):
    before = model.trace(tokens)[STREAM]
    after = model.trace(tokens, [Steer(STREAM, torch.ones(17), 0.5, positions=[2])])[STREAM]
    torch.testing.assert_close(after[:, 2], before[:, 2] + 0.5)
    assert torch.equal(after[:, [0, 1, 3, 4]], before[:, [0, 1, 3, 4]])


def test_the_original_activation_is_left_alone():
    activation = torch.zeros(2, 5, 3, 7)
    for intervention in (
        Ablate(Z, 1, torch.ones(7)),
        Patch(Z, torch.ones(7)),
        Steer(Z, torch.ones(7)),
    ):
        assert intervention.apply(activation).abs().max() == 1
        assert activation.abs().max() == 0


def test_the_tape_keeps_only_what_is_asked():
    tape = Tape([Ablate("a")], keep=["b"])
    assert tape.changes("a")
    assert tape.wants("a")
    assert tape.wants("b")
    assert not tape.changes("b")
    assert not tape.wants("c")
    assert tape("a", torch.ones(3)).sum() == 0
    tape("b", torch.ones(3))
    assert list(tape.kept) == ["b"]


@pytest.mark.parametrize(
    ("intervention", "says"),
    [
        (Ablate(Z, head=3), "heads 0 to 2"),
        (Ablate(Z, head=-1), "heads 0 to 2"),
        (Ablate(STREAM, head=0), "no head axis"),
        (Patch(STREAM, torch.zeros(3)), "does not fit"),
        (Patch(STREAM, torch.zeros(17), positions=[5]), "outside the 5"),
        (Patch(PATTERN, torch.zeros(5), positions=[1]), "two position axes"),
        (FreezePattern(0, torch.zeros(2, 3, 7, 7)), "does not fit"),
        (Steer(STREAM, torch.zeros(3)), "direction: length"),
    ],
)
def test_what_does_not_fit_is_refused(model, tokens, intervention, says):
    with pytest.raises(ValueError, match=says):
        model(tokens, [intervention])


def test_a_pattern_for_all_heads_is_the_same_as_one_for_each(model, tokens):
    """The first needs no scores, and leaves them out; the second computes them."""
    generator = torch.Generator().manual_seed(6)
    shape = model.trace(tokens)["pattern", 0].shape
    given = torch.rand(shape, generator=generator, dtype=torch.float64).tril()
    whole = [FreezePattern(0, given)]
    apart = [FreezePattern(0, given[:, h], head=h) for h in range(shape[1])]
    assert torch.equal(model(tokens, whole), model(tokens, apart))
    seen = model.trace(tokens, whole)
    assert torch.equal(seen["pattern", 0], given.to(seen["pattern", 0]))
    assert torch.equal(seen["scores", 0], model.trace(tokens)["scores", 0])


def test_frozen_patterns_need_patterns():
    with pytest.raises(ValueError, match="no attention patterns"):
        frozen_patterns({"hook_embed": torch.zeros(1)})
