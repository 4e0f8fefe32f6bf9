"""Progress measures, on logits whose Fourier content is known."""

import math

import pytest
import torch
import torch.nn.functional as F

from mechlib.grokking import fourier, progress
from mechlib.train import History

P = 13
NUMBERS = torch.arange(P)
SUM = (NUMBERS[:, None] + NUMBERS[None, :]) % P


def clock(frequencies, height=9.0):
    """Logits sum over k of cos w_k(a+b-c): the algorithm itself."""
    gap = (SUM[:, :, None] - NUMBERS) % P
    w = 2 * math.pi / P
    return height * sum((w * k * gap.double()).cos() for k in frequencies)


def noise(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("terms", ["sums", "products", "all"])
def test_restricted_keeps_the_circuit_and_excluded_what_is_left(terms):
    keys = [2, 5]
    circuit, bias = clock(keys), noise(P)
    other = clock([3], height=4.0)
    logits = circuit + other + bias
    assert torch.allclose(progress.restricted_logits(logits, keys, terms), circuit + bias)
    assert torch.allclose(progress.excluded_logits(logits, keys, terms), other + bias)


def test_terms_nest_and_sums_drop_the_difference():
    keys = [4]
    difference = (2 * math.pi * 4 * (NUMBERS[:, None] - NUMBERS[None, :]).double() / P).cos()
    single = (2 * math.pi * 4 * NUMBERS.double() / P).cos()[:, None].expand(P, P)
    logits = torch.stack([difference, single], dim=2).repeat(1, 1, 7)[:, :, :P]
    kept = {
        t: fourier.project(logits, fourier.terms_of(P, keys, t)).norm() / logits.norm()
        for t in ("sums", "products", "all")
    }
    assert kept["sums"] < 1e-12
    assert 0.5 < kept["products"] < 0.99
    assert kept["all"] == pytest.approx(1)


def test_pair_loss_is_cross_entropy_on_the_chosen_pairs():
    logits = noise(P, P, P) * 3
    where = noise(P, P, seed=1) > 0
    want = F.cross_entropy(logits[where], SUM[where])
    assert progress.pair_loss(logits, SUM, where) == pytest.approx(want.item(), rel=1e-10)
    every = F.cross_entropy(logits.flatten(0, 1), SUM.flatten())
    assert progress.pair_loss(logits, SUM) == pytest.approx(every.item(), rel=1e-10)
    with pytest.raises(ValueError, match="where"):
        progress.pair_loss(logits, SUM, torch.zeros(P, P, dtype=torch.bool))


def test_losses_of_a_memorising_and_of_a_generalising_model():
    train = progress.mask(torch.arange(0, P * P, 3), P)
    assert int(train.sum()) == len(range(0, P * P, 3))
    assert train[0, 3]
    assert not train[0, 1]
    keys = [1, 4, 6]
    general = clock(keys)
    table = torch.where(train[:, :, None], 20.0 * F.one_hot(SUM, P), 0.0).double()
    # the circuit alone scores well everywhere; without its frequencies it is at chance
    assert progress.restricted_loss(general, SUM, keys, ~train) < 1e-3
    assert progress.excluded_loss(general, SUM, keys, train) == pytest.approx(math.log(P))
    # a table that knows only the training pairs: excluded loss stays low there
    assert progress.excluded_loss(table, SUM, keys, train) < 0.1
    assert progress.restricted_loss(table, SUM, keys, ~train) > 0.1
    assert progress.excluded_loss(table + general, SUM, keys, train) < 0.1


def test_pair_loss_keeps_tiny_losses():
    logits = 100.0 * F.one_hot(SUM, P).double()
    want = (P - 1) * math.exp(-100)
    assert progress.pair_loss(logits, SUM) == pytest.approx(want, rel=1e-9)


def test_pair_loss_of_confident_mistakes_is_finite():
    logits = 400.0 * F.one_hot((SUM + 1) % P, P).float()
    assert progress.pair_loss(logits, SUM) == pytest.approx(400)


def test_gini_of_known_distributions():
    assert progress.gini(torch.ones(7)) == pytest.approx(0)
    one = torch.zeros(7)
    one[3] = 2.5
    assert progress.gini(one) == pytest.approx(1 - 1 / 7)
    # mean absolute difference over twice the mean, written out
    v = torch.tensor([1.0, 2.0, 5.0, 11.0])
    want = (v[:, None] - v[None, :]).abs().mean() / (2 * v.mean())
    assert progress.gini(v) == pytest.approx(want.item())
    for bad in (torch.zeros(3), torch.tensor([1.0, -1.0]), torch.zeros(0)):
        with pytest.raises(ValueError, match="values"):
            progress.gini(bad)


def test_squared_norm():
    assert progress.squared_norm([torch.tensor([3.0, 4.0]), torch.ones(2, 5)]) == 35


def test_halfway_for_falling_and_rising_curves():
    steps = list(range(0, 900, 100))
    falling = [
        5.0,
        6.0,
        9.0,
        10.0,
        8.0,
        4.0,
        1.0,
        0.0,
        0.0,
    ]
    # farthest 10 at 300; half is 5, first met at 500
    assert progress.halfway(steps, falling) == 500
    rising = [
        5.0,
        1.0,
        0.0,
        1.0,
        2.0,
        4.0,
        7.0,
        8.0,
        8.0,
    ]
    # down first, then up: farthest 0 at 200, half 4 at 500
    assert progress.halfway(steps, rising) == 500
    assert progress.halfway(steps, falling, after=400) == 500
    assert progress.halfway(steps, falling, until=400) == 200  # 5 -> 8, half 6.5
    with pytest.raises(ValueError, match="after"):
        progress.halfway(steps, falling, after=800)


def test_phases_by_rule():
    steps = list(range(0, 800, 100))
    test = [0.0, 0.0, 0.1, 0.1, 0.3, 0.7, 0.9, 1.0]
    loss = [5.0, 8.0, 12.0, 13.0, 9.0, 6.0, 1.0, 0.0]
    got = progress.phases(steps, test, loss)
    assert got == {"memorised": 300, "circuit formed": 500, "cleaned up": 700}
    never = progress.phases(steps, [0.1] * 8, loss)
    assert set(never.values()) == {None}


def test_bad_curves_are_refused():
    with pytest.raises(ValueError, match="values"):
        progress.first_step([0, 1], [1.0], above=0.0)
    with pytest.raises(ValueError, match="steps"):
        progress.first_step([1, 0], [1.0, 2.0], above=0.0)
    assert progress.first_step([0, 1], [1.0, 2.0], above=3.0) is None
    assert progress.first_step([0, 1, 2], [1.0, 2.0, 3.0], above=1.5, after=2) == 2


def test_reached_is_the_first_step_of_a_history():
    history = History()
    for step, value in ((0, 0.1), (10, 0.6), (20, 0.4), (30, 0.9)):
        history.record(step, {"accuracy": value})
    assert progress.reached(history, "accuracy", 0.5) == 10
    assert progress.reached(history, "accuracy", 0.95) is None
    with pytest.raises(KeyError):
        progress.reached(history, "loss", 0.5)
