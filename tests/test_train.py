import math
import sys
import time
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mechlib.train import (
    History,
    next_token_loss,
    rate,
    tensors_digest,
    train,
    warm_up_and_fall,
)

VOCAB, WIDTH, BATCH, LENGTH = 11, 7, 5, 4


class Table(nn.Module):
    """The smallest language model: two matrices."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.W_E = nn.Parameter(torch.randn(VOCAB, WIDTH, generator=generator))
        self.W_U = nn.Parameter(torch.randn(WIDTH, VOCAB, generator=generator))

    def forward(self, tokens):
        return self.W_E[tokens] @ self.W_U


def batch_at(step):
    generator = torch.Generator().manual_seed(1000 + step)
    return torch.randint(VOCAB, (BATCH, LENGTH), generator=generator)


SETTINGS = {
    "steps": 37,
    "lr": 1e-2,
    "measure_every": 5,
    "measures": {"norm": lambda model: model.W_E.norm()},
    "snapshot_at": [0, 10, 20, 37],
    "checkpoint_every": 10,
    "progress": False,
    "device": "cpu",
}


def stop_at(where):
    def stopping(step):
        if step == where:
            raise KeyboardInterrupt
        return batch_at(step)

    return stopping


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ------------------------------------------------------------------------------------- the updates


def test_loss_is_the_cross_entropy_written_out():
    model, tokens = Table(), batch_at(0)
    total = 0.0
    for row in tokens:
        for here, following in pairwise(row):
            logits = model.W_E[here] @ model.W_U
            total += torch.logsumexp(logits, 0) - logits[following]
    assert next_token_loss(model, tokens).item() == pytest.approx(
        total.item() / (BATCH * (LENGTH - 1)), rel=1e-5
    )


def test_one_step_is_adamw_by_hand():
    # at the first step AdamW moves by lr * sign(gradient), after shrinking by lr * weight_decay
    model, fresh = Table(), Table()
    next_token_loss(fresh, batch_at(0)).backward()
    train(model, batch_at, steps=1, lr=0.01, weight_decay=0.3, progress=False, device="cpu")
    before, gradient = fresh.W_U.detach(), fresh.W_U.grad
    wanted = before * (1 - 0.01 * 0.3) - 0.01 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(model.W_U.detach(), wanted, rtol=1e-5, atol=1e-6)


def test_another_optimizer_and_the_schedule():
    # plain gradient descent, two steps, with a schedule of our own
    model, by_hand = Table(), Table()
    train(
        model,
        batch_at,
        steps=2,
        schedule=lambda step: [1.0, 0.5][step],
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.2),
        progress=False,
        device="cpu",
    )
    for step, size in enumerate([0.2, 0.1]):
        by_hand.zero_grad()
        next_token_loss(by_hand, batch_at(step)).backward()
        with torch.no_grad():
            for p in by_hand.parameters():
                p -= size * p.grad
    torch.testing.assert_close(model.W_E, by_hand.W_E)


def test_after_backward_can_change_the_gradient():
    def nothing_for_W_E(model, step):
        model.W_E.grad.zero_()

    model = Table()
    train(model, batch_at, steps=3, after_backward=nothing_for_W_E, progress=False, device="cpu")
    assert torch.equal(model.W_E, Table().W_E)
    assert not torch.equal(model.W_U, Table().W_U)


def test_rate():
    warm = [rate(step, 8, 4, "constant") for step in range(8)]
    assert warm == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    cosine = [rate(step, 4, 0, "cosine") for step in range(4)]
    assert cosine == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])


def test_a_schedule_of_ones_own_is_warmed_up_too():
    assert [rate(step, 4, 2, lambda step: 10.0) for step in range(4)] == [5, 10, 10, 10]


def test_it_learns():
    generator = torch.Generator().manual_seed(3)
    follows = torch.randperm(VOCAB, generator=generator)  # each token has one successor

    def chains(step):
        tokens = batch_at(step)[:, :1]
        for _ in range(LENGTH - 1):
            tokens = torch.cat([tokens, follows[tokens[:, -1:]]], dim=1)
        return tokens

    run = train(Table(), chains, steps=300, lr=0.03, progress=False, device="cpu")
    losses = run.history.values("loss")
    assert losses[0] > 1
    assert losses[-1] < 0.05


def test_autocast_gives_other_numbers_but_keeps_weights_in_float32():
    exact = train(Table(), batch_at, steps=3, progress=False, device="cpu")
    mixed = train(Table(), batch_at, steps=3, progress=False, device="cpu", autocast=True)
    assert mixed.model.W_E.dtype == torch.float32
    a, b = exact.history.values("loss"), mixed.history.values("loss")
    assert a != b
    assert a == pytest.approx(b, rel=0.05)


# ----------------------------------------------------------------------------- history, snapshots


def test_what_is_recorded_when():
    run = train(Table(), batch_at, **SETTINGS)
    assert run.history.steps("loss") == list(range(37))
    assert run.history.steps("norm") == [0, 5, 10, 15, 20, 25, 30, 35, 37]
    assert list(run.snapshots) == [0, 10, 20, 37]
    assert same(run.snapshots[0], Table().state_dict())
    assert same(run.snapshots[37], run.model.state_dict())
    assert run.history.values("norm")[0] == pytest.approx(Table().W_E.norm().item())
    assert run.history.values("norm")[2] == pytest.approx(run.snapshots[10]["W_E"].norm().item())


def test_loss_at_a_step_is_that_of_the_weights_before_its_update():
    run = train(Table(), batch_at, **SETTINGS)
    model = Table()
    model.load_state_dict(run.snapshots[20])
    assert run.history.at("loss", 20) == pytest.approx(next_token_loss(model, batch_at(20)).item())


def test_measures_see_eval_mode_and_no_gradients_and_may_give_several_numbers():
    seen = []

    def several(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return {"a": 1.0, "b": torch.tensor(2.0)}

    model = Table()
    run = train(
        model,
        batch_at,
        steps=7,
        measures={"m": several},
        measure_every=[3],
        progress=False,
        device="cpu",
    )
    assert seen == [(False, False)] * 3
    assert run.history.names() == ["m/a", "m/b", "loss"]
    assert run.history.steps("m/b") == [0, 3, 7]
    assert model.training


@given(
    st.lists(st.integers(0, 10**6), unique=True).map(sorted),
    st.lists(st.floats(allow_nan=False), min_size=40, max_size=40),
)
def test_history_survives_its_dict(steps, values):
    history = History()
    for step, value in zip(steps, values):
        history.record(step, {"x": value})
    back = History.from_dict(history.to_dict())
    assert back == history
    if steps:
        assert back.values("x") == values[: len(steps)]


def test_history_of_even_steps_is_compact_and_rounded():
    history = History()
    for step in range(0, 1000, 10):
        history.record(step, {"x": math.pi, "y": math.nan})
    stored = history.to_dict(digits=6)
    assert stored["x"]["steps"] == {"from": 0, "to": 990, "by": 10}
    assert stored["x"]["values"][0] == 3.14159
    back = History.from_dict(stored)
    assert back.steps("x") == list(range(0, 1000, 10))
    assert math.isnan(back.values("y")[0])


def test_thinned_keeps_the_mean():
    history = History()
    for step in range(10):
        history.record(step, {"loss": float(step), "other": 1.0})
    thin = history.thinned("loss", 4)  # windows of 3: 0-2, 3-5, 6-8, 9
    assert thin.values("loss") == [1, 4, 7, 9]
    assert thin.steps("loss") == [1, 4, 7, 9]
    assert thin.steps("other") == list(range(10))
    assert history.thinned("loss", 10) == history


def test_history_errors():
    history = History()
    history.record(3, {"x": 1.0})
    with pytest.raises(ValueError, match="already has step 3"):
        history.record(3, {"x": 1.0})
    with pytest.raises(KeyError, match="measured were x"):
        history.values("y")
    with pytest.raises(KeyError, match="not measured at 4"):
        history.at("x", 4)


# --------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("where", [3, 10, 25, 36])
def test_an_interrupted_run_ends_with_the_same_bits(where, tmp_path):
    whole = train(Table(), batch_at, **SETTINGS)
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Table(), stop_at(where), checkpoint=path, **SETTINGS)
    assert path.exists() == (where >= 10)
    resumed = train(Table(), batch_at, checkpoint=path, **SETTINGS)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert resumed.history == whole.history
    assert list(resumed.snapshots) == list(whole.snapshots)
    assert all(same(resumed.snapshots[s], whole.snapshots[s]) for s in whole.snapshots)


def test_a_finished_run_is_not_trained_again(tmp_path):
    path = tmp_path / "run.safetensors"
    first = train(Table(), batch_at, checkpoint=path, **SETTINGS)

    def only_the_first(step):
        assert step == 0  # read to tell this run from others
        return batch_at(step)

    again = train(Table(), only_the_first, checkpoint=path, **SETTINGS)
    assert same(again.model.state_dict(), first.model.state_dict())
    assert again.history == first.history


class Averaged:
    """A gradient filter with a memory, like Grokfast's."""

    def __init__(self):
        self.memory = {}

    def __call__(self, model, step):
        for name, p in model.named_parameters():
            old = self.memory.get(name, torch.zeros_like(p))
            self.memory[name] = 0.9 * old + 0.1 * p.grad
            p.grad += self.memory[name]

    def state_dict(self):
        return self.memory

    def load_state_dict(self, memory):
        self.memory = dict(memory)


def test_warm_up_and_fall():
    factors = [warm_up_and_fall(step, 100, warmup=10, fall_from=80) for step in range(101)]
    assert factors[0] == 0.1
    assert factors[9:81] == [1.0] * 72
    assert factors[90] == 0.5
    assert factors[-1] == 0.1


def test_other_optimizers_and_hooks_resume_too(tmp_path):
    def fresh():
        return SETTINGS | {
            "optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
            "after_backward": Averaged(),
            "schedule": "cosine",
            "warmup": 3,
        }

    whole = train(Table(), batch_at, **fresh())
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(Table(), stop_at(25), checkpoint=path, **fresh())
    resumed = train(Table(), batch_at, checkpoint=path, **fresh())
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    plain = train(Table(), batch_at, **fresh() | {"after_backward": None})
    assert not same(plain.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 0.02}, "lr"),
        ({"steps": 40}, "steps"),
        ({"weight_decay": 0.5}, "weight_decay"),
        ({"snapshot_at": [0]}, "snapshot steps"),
        ({"measures": {}}, "measures"),
        ({"schedule": "cosine"}, "schedule"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(change, named, tmp_path):
    path = tmp_path / "run.safetensors"
    train(Table(), batch_at, checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match=f"belongs to another run: its {named} is"):
        train(Table(), batch_at, checkpoint=path, **SETTINGS | change)
    assert path.exists()


def squared(model, tokens):
    return next_token_loss(model, tokens).square()


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({}, {"loss_fn": squared}, "first loss"),
        ({"schedule": lambda step: 1.0}, {"schedule": lambda step: 0.5}, "schedule"),
        (
            {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1)},
            {"optimizer": lambda p: torch.optim.SGD(p, lr=0.2)},
            "optimizer",
        ),
        ({}, {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1)}, "optimizer"),
    ],
)
def test_functions_are_known_by_what_they_do(first, second, named, tmp_path):
    path = tmp_path / "run.safetensors"
    train(Table(), batch_at, checkpoint=path, **SETTINGS | first)
    train(Table(), batch_at, checkpoint=path, **SETTINGS | first)  # the same again is the same
    with pytest.raises(ValueError, match=f"belongs to another run: its {named} is"):
        train(Table(), batch_at, checkpoint=path, **SETTINGS | second)


def test_other_weights_and_other_data_are_another_run(tmp_path):
    path = tmp_path / "run.safetensors"
    train(Table(), batch_at, checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match="initial weights"):
        train(Table(seed=1), batch_at, checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match="first batch"):
        train(Table(), lambda step: batch_at(step + 1), checkpoint=path, **SETTINGS)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    train(Table(), batch_at, checkpoint=path, **SETTINGS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        train(Table(), batch_at, checkpoint=path, **SETTINGS)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="altered"):
        train(Table(), batch_at, checkpoint=path, **SETTINGS)


# ---------------------------------------------------------------------------------- what goes wrong


def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path):
    path = tmp_path / "run.safetensors"

    def poisoned(model, tokens):
        loss = next_token_loss(model, tokens)
        return loss * math.nan if torch.equal(tokens, batch_at(23)) else loss

    with pytest.raises(FloatingPointError, match=r"loss is nan at step 23.*keeps the last good"):
        train(Table(), batch_at, loss_fn=poisoned, checkpoint=path, **SETTINGS)
    resumed = train(Table(), batch_at, checkpoint=path, **SETTINGS)  # from step 20, nothing lost
    assert same(resumed.model.state_dict(), train(Table(), batch_at, **SETTINGS).model.state_dict())


def test_a_gradient_that_is_not_finite_spoils_no_checkpoint(tmp_path):
    path = tmp_path / "run.safetensors"

    def spoil(model, step):  # the last step before the checkpoint at 20: its loss is still finite
        if step == 19:
            model.W_E.grad[0, 0] = math.nan

    message = r"W_E is not finite after step 20.*keeps the last good"
    with pytest.raises(FloatingPointError, match=message):
        train(Table(), batch_at, after_backward=spoil, checkpoint=path, **SETTINGS)
    resumed = train(Table(), batch_at, checkpoint=path, **SETTINGS)  # from step 10, nothing lost
    assert same(resumed.model.state_dict(), train(Table(), batch_at, **SETTINGS).model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps: needs at least 1"),
        ({"schedule": "linear"}, "schedule: got 'linear'"),
        ({"warmup": -1}, "warmup"),
        ({"measure_every": 0}, "measure_every"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"snapshot_at": [38, 3]}, r"snapshot_at: steps run from 0 to 37, got \[38\]"),
        ({"loss_fn": lambda model, tokens: model(tokens)}, "loss_fn: must give a scalar"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        train(Table(), batch_at, **SETTINGS | change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu_is_said_plainly():
    with pytest.raises(ValueError, match="finds no GPU"):
        train(Table(), batch_at, **SETTINGS | {"device": "cuda"})


def test_it_trains_where_the_model_is_although_there_is_a_gpu(monkeypatch):
    """A notebook's own loss holds tensors that nobody moves, and its model stays beside them."""

    def seen_from_here() -> bool:  # torch itself must not look for the GPU that is not there
        return sys._getframe(1).f_globals["__name__"].startswith("mechlib")

    monkeypatch.setattr(torch.cuda, "is_available", seen_from_here)
    seen = []
    look = {"x": lambda model: seen.append(model.W_E.device.type) or 0.0}
    train(Table(), batch_at, **SETTINGS | {"device": None, "measures": look})
    assert set(seen) == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_trains_the_same_thing(tmp_path):
    here = train(Table(), batch_at, **SETTINGS)
    there = train(Table(), batch_at, **SETTINGS | {"device": "cuda"})
    assert there.model.W_E.device.type == "cpu"
    torch.testing.assert_close(there.model.W_E, here.model.W_E, rtol=1e-3, atol=1e-4)
    with pytest.raises(KeyboardInterrupt):
        train(Table(), stop_at(25), checkpoint=tmp_path / "c", **SETTINGS | {"device": "cuda"})
    resumed = train(Table(), batch_at, checkpoint=tmp_path / "c", **SETTINGS | {"device": "cuda"})
    assert same(resumed.model.state_dict(), there.model.state_dict())


def test_the_progress_bar_shows_the_loss(capsys):
    train(Table(), batch_at, **SETTINGS | {"progress": True})
    err = capsys.readouterr().err
    assert "37/37" in err
    assert "loss" in err


def test_batches_may_be_tuples_and_dicts(tmp_path):
    def pairs(step):
        return {"tokens": batch_at(step), "more": (batch_at(step), 1.0)}

    def loss(model, batch):
        return next_token_loss(model, batch["tokens"]) * batch["more"][1]

    path = tmp_path / "run.safetensors"
    run = train(Table(), pairs, loss_fn=loss, checkpoint=path, **SETTINGS)
    assert same(run.model.state_dict(), train(Table(), batch_at, **SETTINGS).model.state_dict())


def test_digest_sees_names_shapes_types_and_bits():
    x = torch.arange(6.0)
    digests = [
        tensors_digest(t)
        for t in [
            {"a": x},
            {"b": x},
            {"a": x.reshape(2, 3)},
            {"a": x.double()},
            {"a": x + 1e-6},
            {"a": x.bfloat16()},
        ]
    ]
    assert len(set(digests)) == len(digests)
    assert tensors_digest({"a": x, "b": x}) == tensors_digest({"b": x.clone(), "a": x})


def test_waiting_losses_are_read_now_and_then(monkeypatch):
    # the clock decides when losses are read, never what they are
    frozen = train(Table(), batch_at, **SETTINGS)
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    assert train(Table(), batch_at, **SETTINGS).history == frozen.history
