"""Pictures that excite their unit, and units that are found again under another number."""

import pytest
import torch

from mechlib.vision.convnet import ShapeNet
from mechlib.vision.matching import best_match, between_all, correlations, one_to_one
from mechlib.vision.synthesis import favourites


def test_a_favourite_excites_its_unit_more_than_a_picture_of_the_same_size(generator):
    model = ShapeNet((3, 5, 7), seed=2)
    units = [0, 3]
    pictures = favourites(model, "layer3", units, steps=60)
    assert pictures.shape == (2, 1, 28, 28)
    assert (pictures.square().mean((1, 2, 3)).sqrt() <= 0.36).all()
    noise = 0.35 * torch.randn(50, 1, 28, 28, generator=generator)
    for row, unit in enumerate(units):
        with torch.no_grad():
            mine = model.activations(pictures)["layer3"][row, unit, 3, 3]
            others = model.activations(noise)["layer3"][:, unit, 3, 3].max()
        assert mine > others


def test_shuffled_units_are_matched_again(generator):
    answers = torch.randn(97, 5, generator=generator).relu()
    order = torch.tensor([3, 0, 4, 1, 2])
    table = correlations(answers, 2 * answers[:, order] + 1)
    assert one_to_one(table) == pytest.approx(1.0)
    assert best_match(table) == pytest.approx(1.0)
    assert table[3, 0] == pytest.approx(1.0)


def test_one_to_one_uses_each_unit_once():
    table = torch.tensor([[0.9, 0.1], [0.8, 0.2]], dtype=torch.float64)
    assert one_to_one(table) == pytest.approx((0.9 + 0.2) / 2)
    assert best_match(table) == pytest.approx((0.9 + 0.8) / 2)


def test_a_dead_unit_matches_nothing(generator):
    answers = torch.rand(31, 3, generator=generator)
    dead = torch.zeros(31, 1)
    assert correlations(answers, dead).abs().max() == 0
    tables = between_all([answers, dead, answers.flip(1)])
    assert set(tables) == {(0, 1), (0, 2), (1, 2)}
    assert torch.equal(tables[0, 2], correlations(answers, answers.flip(1)))
