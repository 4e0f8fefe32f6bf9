"""Strokes are drawn where they should be, and turned the right way."""

import math

import pytest
import torch

from mechlib.vision.strokes import POINTS, SHAPES, SIZE, bar, bow, draw, path, probe, shapes, turned


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_stroke_of_size_one(name):
    points = SHAPES[name]
    assert points.shape[1] == 2
    assert POINTS - 3 <= len(points) <= POINTS
    assert 0.9 < points.norm(dim=-1).max() < 1.5


def test_a_path_goes_through_its_corners():
    points = path((0.0, 0.0), (2.0, 0.0), (2.0, 4.0))
    assert torch.allclose(points[0], torch.tensor([0.0, 0.0]))
    assert torch.allclose(points[-1], torch.tensor([2.0, 4.0]), atol=1e-3)
    assert (points - torch.tensor([2.0, 0.0])).norm(dim=-1).min() < 0.05


def test_turning_goes_from_right_to_down():
    point = torch.tensor([[[1.0, 0.0]]])
    assert torch.allclose(
        turned(point, torch.tensor([math.pi / 2]))[0, 0], torch.tensor([0.0, 1.0]), atol=1e-6
    )


def test_ink_is_full_on_the_stroke_and_falls_off_with_the_distance():
    points = torch.full((1, 5, 2), 10.0)
    image = draw(points, torch.tensor([2.0]), torch.tensor([0.8]), torch.tensor([-0.2]))[0, 0]
    assert image[10, 10] == pytest.approx(0.8)
    assert image[10, 13] == pytest.approx(-0.2 + math.exp(-9 / 8), abs=1e-6)  # y, then x
    assert image[10, 13] == image[13, 10]


def test_an_upright_bar_and_the_tangent_of_a_bow_agree():
    up = probe(bar(), torch.zeros(1))[0, 0]
    assert up.std(0).mean() < up.std(1).mean(), "constant along y"
    bulge = bow(6.0)
    assert bulge[:, 0].max() == pytest.approx(0.0, abs=1e-3), "it bulges to the right, to x = 0"


def test_images_come_out_the_same_and_in_both_inks():
    images, labels = shapes(300, seed=3)
    again, _ = shapes(300, seed=3)
    assert images.shape == (300, 1, SIZE, SIZE)
    assert torch.equal(images, again)
    assert set(labels.tolist()) == set(range(len(SHAPES)))
    lighter = images.amax((1, 2, 3)) > -images.amin((1, 2, 3))
    assert 0.3 < lighter.double().mean() < 0.7
