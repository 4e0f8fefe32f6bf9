"""Latents as waves, and losses of a spliced model, on cases whose answer is known."""

import math

import pytest
import torch

from mechlib.model import Config, Transformer
from mechlib.superposition import networks, phases, tables
from mechlib.zoo.recipes.superposition import held_out_pairs, neuron_table, tuning

P = 37


def wave(k: int, of: str) -> torch.Tensor:
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    x = {"a": a, "b": b, "sum": a + b}[of]
    return (2 * math.pi * k * x.double() / P).cos()


def test_tuned_units_are_waves_of_a_key():
    noise = torch.randn(P, P, generator=torch.Generator().manual_seed(0)).double()
    units = [wave(2, "sum"), wave(3, "a"), wave(2, "a") + wave(3, "b"), noise]
    found = networks.tuned(torch.stack(units, 2), keys=[2, 5])
    assert found.tolist() == [True, False, False, False]


def test_a_bent_wave_is_in_its_harmonics():
    bent = torch.relu(wave(2, "sum") - 0.3)
    mixed = wave(2, "sum") * wave(5, "a")
    shares = networks.shares_with_harmonics(torch.stack([bent, mixed], 2), [2, 5])
    assert shares[0, 0] > 0.9
    assert shares[:, 1].max() < 0.1
    assert not networks.tuned(bent[..., None], [2]).any() or shares[0, 0] > 0.85


def test_share_in_one_group():
    group = torch.tensor([3, 3, 7, 7, 0])
    directions = torch.tensor([[3.0, 4, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1]])
    found = networks.share_in_one_group(directions, group, [3, 7])
    assert found.tolist() == [1.0, 0.5, 0.5]


def test_one_frequency_at_a_time_leaves_one_group_moving():
    grid = torch.rand(P, P, 4, generator=torch.Generator().manual_seed(0)).double()
    frequency = torch.tensor([2, 2, 5, 1])
    found = networks.one_frequency_at_a_time(grid, frequency, [2, 5])
    moves = (found - grid.mean((0, 1))).abs() > 1e-9
    assert not moves[..., 3].any(), "its frequency is no key"
    assert (moves[..., 0] == moves[..., 1]).all()
    assert not (moves[..., 0] & moves[..., 2]).any()
    assert torch.equal(found[moves], grid[moves])


@pytest.fixture(scope="module")
def model():
    config = Config(
        d_vocab=17, n_ctx=11, d_model=8, n_layers=1, n_heads=2, d_mlp=11, norm="layernorm"
    )
    return Transformer(config, seed=0)


def test_a_perfect_dictionary_changes_no_loss_and_the_mean_is_no_dictionary(model):
    tokens = torch.randint(17, (5, 11), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        losses = networks.spliced_losses(model, tokens, lambda x: x)
        assert (
            losses["reconstructed"] == losses["whole"] == pytest.approx(float(model.loss(tokens)))
        )
        half = networks.spliced_losses(model, tokens, lambda x: 0.5 * x)
        assert half["with the rest"] == pytest.approx(half["whole"], abs=1e-6)
        assert half["reconstructed"] != half["whole"]
        mean = networks.spliced_losses(model, tokens, lambda x: x.mean(0).expand_as(x))
        assert mean["reconstructed"] == pytest.approx(mean["mean"], abs=1e-6)


def test_loss_recovered():
    losses = {"whole": 2.0, "reconstructed": 2.25, "mean": 3.0, "zero": 4.0}
    assert networks.loss_recovered(losses) == 0.75
    assert networks.loss_recovered(losses, "zero") == 0.875
    with pytest.raises(ValueError, match="costs"):
        networks.loss_recovered(losses | {"mean": 2.0})


def test_single_token_share():
    tokens = torch.tensor([0, 0, 1, 2] * 10)
    one = (tokens == 1).float()
    every = torch.ones(40)
    rare = torch.zeros(40)
    rare[0] = 1
    found = networks.single_token_share(torch.stack([one, every, rare], 1), tokens)
    assert found == 0.5


# ---- tables ----


def test_a_table_comes_back_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "TABLES", tmp_path)
    tables.write("pentagons", [{"kind": "topk", "k": 4, "fvu": 0.1234567}, {"kind": "random"}])
    assert tables.read("pentagons") == [
        {"kind": "topk", "k": 4, "fvu": 0.12346},
        {"kind": "random"},
    ]
    with pytest.raises(KeyError, match="there are pentagons"):
        tables.path_of("pentagon")


def test_pairs_for_scores_are_not_trained_on():
    seen, held_out = held_out_pairs(P)
    assert sorted([*seen.tolist(), *held_out.tolist()]) == list(range(P * P))
    assert len(held_out) == 410


def test_the_scores_of_waves_that_are_keys():
    grid = torch.stack([1 + wave(2, "sum"), 1 + wave(5, "a")], 2)
    found = tuning(grid, [2, 5])
    assert found["tuned"] == found["tuned with harmonics"] == 1
    assert found["share"] == pytest.approx(1.0)
    assert tuning(grid, [2])["tuned"] == 0.5


def test_neurons_are_scaled_to_a_variance_of_one():
    grid = torch.stack([1 + 3 * wave(2, "sum"), 1 + wave(5, "a")], 2)
    rows, scale = neuron_table(grid)
    assert float(rows.var(0).sum()) == pytest.approx(1.0)
    assert torch.allclose((rows * scale).double().view_as(grid), grid, atol=1e-5)


def test_stored_rows_can_be_made_again():
    """The grid of the stored phase diagram, and what its least sparse corner trains to."""
    rows = tables.read("two-in-one")
    assert len(rows) == 256
    corner = rows[-1]
    W = torch.tensor([[corner["W0"], corner["W1"]]])
    b = torch.tensor([[corner["b0"], corner["b1"]]])
    density, importance = (torch.tensor([float(corner[k])]) for k in ("density", "importance"))
    assert phases.exact_loss(W, b, density, importance).item() == pytest.approx(
        corner["loss"], rel=1e-3
    )
