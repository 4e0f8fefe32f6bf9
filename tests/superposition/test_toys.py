"""Toy models, the geometry of their features, and the formula for two in one."""

import math

import pytest
import torch

from mechlib.superposition import geometry, phases, toys


def polygon(k: int, size: float = 1.0) -> torch.Tensor:
    turns = 2 * math.pi * torch.arange(k).double() / k
    return size * torch.stack([turns.cos(), turns.sin()], 1)


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_a_regular_polygon_shares_two_dimensions_equally(k):
    wanted = 0.5 if k == 2 else 2 / k  # two opposites leave the second dimension alone
    assert torch.allclose(geometry.dimensionality(polygon(k, 0.8)), torch.tensor(wanted).double())


def test_dimensionalities_are_the_definition_term_by_term(generator):
    W = torch.randn(3, 7, 2, generator=generator).double()
    W[1, 4] = 0
    found = geometry.dimensionality(W)
    for m in range(3):
        for i in range(7):
            length = W[m, i].norm()
            shared = sum(float((W[m, i] @ W[m, j]) / length) ** 2 for j in range(7))
            assert (m, i) == (1, 4) or found[m, i] == pytest.approx(float(length**2) / shared)
    assert found[1, 4] == 0


def test_features_with_a_dimension_each_have_one():
    W = torch.eye(4)[:, :3]
    assert geometry.dimensionality(W).tolist() == [1, 1, 1, 0]
    assert geometry.dimensions_per_feature(W) == 1
    assert geometry.represented(W).tolist() == [True, True, True, False]


def test_only_pentagons_are_pentagons():
    five = torch.stack([polygon(5, 0.9), torch.cat([polygon(4), torch.zeros(1, 2).double()])])
    assert geometry.are_pentagons(five).tolist() == [True, False]
    with pytest.raises(ValueError, match="five features in two dimensions"):
        geometry.are_pentagons(polygon(4))


def test_the_line_test_takes_a_line_and_leaves_a_smear():
    smear = torch.linspace(0.3, 0.9, 601)
    assert not geometry.line(smear, 0.5).stands
    with_line = torch.cat([smear, torch.full((30,), 0.5)])
    found = geometry.line(with_line, 0.5)
    assert found.stands
    assert found.at > 30
    assert not geometry.line(torch.full((9,), 0.5), 0.5).stands, "nine are no line"
    jittered = with_line + 0.05 * (2 * torch.rand(631, generator=torch.Generator()) - 1)
    assert not geometry.line(jittered, 0.5).stands


def test_share_near_fractions():
    values = torch.tensor([0.5, 0.41, 0.45, 0.99, 0.2])
    assert geometry.share_near_fractions(values) == pytest.approx(3 / 5)


def test_each_model_gets_its_own_density(generator):
    x = toys.independent(torch.tensor([0.0, 0.3, 1.0]), 5, 4000)(generator)
    there = (x > 0).double().mean((1, 2))
    assert there[0] == 0
    assert there[2] == 1
    assert abs(there[1] - 0.3) < 0.02
    with pytest.raises(ValueError, match="density"):
        toys.independent(torch.tensor([1.5]), 5, 3)


def test_pairs_come_together_or_never(generator):
    together = toys.pairs(2, 0.4, 3000, True)(generator) > 0
    assert (together[..., 0] == together[..., 1]).all()
    assert (together[..., 0] != together[..., 2]).any()
    never = toys.pairs(2, 0.4, 3000, False)(generator) > 0
    assert not (never[..., 0] & never[..., 1]).any()
    for drawn in (together, never):
        assert torch.allclose(drawn.double().mean((0, 1)), torch.tensor(0.4).double(), atol=0.03)
    with pytest.raises(ValueError, match="density"):
        toys.pairs(1, 0.6, 3, False)
    with pytest.raises(ValueError, match="even"):
        toys.pairs(1, 0.1, 3, True, features=5)


def test_models_trained_together_do_not_feel_each_other():
    alone = toys.train_toys(toys.independent(torch.tensor([0.2]), 3, 64), 2, steps=1, seed=3)
    assert alone.W.shape == (1, 3, 2)

    def twice(generator):  # the second model sees zeros only: nothing to learn
        x = toys.independent(torch.tensor([0.2, 0.0]), 3, 64)(generator)
        return x

    both = toys.train_toys(twice, 2, steps=40, seed=3)
    start = toys.train_toys(twice, 2, steps=0, seed=3)
    assert torch.equal(both.W[1], start.W[1]) or (both.W[1] - start.W[1]).abs().max() < 0.3
    assert not torch.equal(both.W[0], start.W[0])
    assert torch.equal(both.W, toys.train_toys(twice, 2, steps=40, seed=3).W), "seeded"


def test_reconstruction_by_hand():
    W = torch.tensor([[[1.0], [-1.0]]])
    x = torch.tensor([[[0.5, 0.0], [0.0, 0.25], [0.5, 0.25]]])
    made = toys.reconstructed(W, torch.zeros(1, 2), x)
    assert made[0].tolist() == [[0.5, 0.0], [0.0, 0.25], [0.25, 0.0]]
    model = toys.Toys(W, torch.zeros(1, 2))
    assert model.loss(x).item() == pytest.approx((0.25**2 + 0.25**2) / 6)


@pytest.mark.parametrize("p", [0.05, 0.4, 1.0])
def test_the_formula_is_the_exact_loss_of_its_three_answers(p):
    I = 1.7
    W = torch.tensor([[1.0, 0.0], [1.0, -1.0], [0.0, 1.0]]).double()
    b = torch.tensor([[0, p / 2], [0, 0], [p / 2, 0]]).double()
    density, importance = torch.full((3,), p).double(), torch.full((3,), I).double()
    exact = phases.exact_loss(W, b, density, importance, points=200)
    wanted = phases.losses_by_formula(torch.tensor(p).double(), torch.tensor(I).double())
    assert torch.allclose(exact, wanted, rtol=1e-3)


def test_the_exact_loss_is_what_samples_come_to(generator):
    W = torch.tensor([[0.9, -0.7]]).double()
    b = torch.tensor([[0.05, 0.1]]).double()
    p, I = torch.tensor([0.6]).double(), torch.tensor([2.0]).double()
    x = torch.rand(200_000, 2, generator=generator).double()
    x = x * (torch.rand(200_000, 2, generator=generator) < 0.6)
    error = (x - torch.relu((x @ W[0])[:, None] * W[0] + b[0])).square()
    sampled = (error * torch.tensor([1.0, 2.0])).sum(1).mean()
    assert phases.exact_loss(W, b, p, I, points=40).item() == pytest.approx(
        sampled.item(), rel=0.01
    )


def test_the_phase_boundary_is_where_the_closed_form_says():
    for I in (0.2, 1.0, 4.0):
        edge = 4 * I / (2 + 5 * I) if I <= 1 else 4 / (5 + 2 * I)
        p = torch.tensor([0.99 * edge, 1.01 * edge]).double()
        found = phases.phase_by_formula(p, torch.full((2,), I).double())
        assert found[0] == 1
        assert found[1] != 1


def test_trained_phases_away_from_the_boundary():
    p, I = torch.tensor([0.05, 0.9, 0.9]), torch.tensor([1.0, 5.0, 0.2])
    W, _b, loss = phases.train_two_in_one(p, I, starts=8, steps=500)
    assert phases.phase_of(W).tolist() == [1, 2, 0]
    assert (loss <= phases.losses_by_formula(p, I).amin(0) * 1.02).all()
    assert phases.phase_of(torch.zeros(1, 2)).tolist() == [-1]
