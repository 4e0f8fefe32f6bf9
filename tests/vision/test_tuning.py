"""The curve rule, on units whose answers are known."""

import math

import torch

from mechlib.vision import tuning as tunings
from mechlib.vision.convnet import ShapeNet
from mechlib.vision.strokes import bar, probe
from mechlib.vision.tuning import ANGLES, Tuning, aligned, angles, covered, tuning


def bump(at: int, width: float = 0.5) -> torch.Tensor:
    return ((angles() - angles()[at]).cos() / width).exp() / math.exp(1 / width)


def test_the_rule_takes_a_curve_unit_and_leaves_its_rivals():
    one = bump(5)
    echo = torch.maximum(one, 0.9 * bump(5 + ANGLES // 2))
    nothing = torch.zeros(ANGLES)
    arc = torch.stack([one, echo, one, nothing], 1)
    line = torch.stack([0.5 * one, 0.5 * one, 0.9 * one, nothing], 1)
    found = Tuning(arc, line, 0 * arc)
    assert found.curves().tolist() == [True, False, False, False]
    assert found.preferred()[0] == 5


def test_corner_units():
    one = bump(2)
    arc, corner = torch.stack([one, one], 1), torch.stack([1.3 * one, 1.1 * one], 1)
    assert Tuning(arc, arc, corner).corners().tolist() == [True, False]


def test_aligned_curves_peak_at_angle_zero():
    curves = torch.stack([bump(3), 7 * bump(20)], 1)
    turned = aligned(curves)
    assert torch.allclose(turned[:, 0], turned[:, 1], atol=1e-6)
    assert turned[0].tolist() == [1.0, 1.0]


def test_covered_counts_degrees():
    assert covered(torch.tensor([], dtype=torch.long)) == 0
    assert covered(torch.tensor([0])) == 75
    assert covered(torch.tensor([0, 1])) == 90
    assert covered(torch.arange(0, ANGLES, 4)) == 360


def lined_up(model: ShapeNet) -> None:
    """Layer 1 passes the image on (in both signs); layer 2 has an upright and a flat line unit."""
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.layer1.weight[0, 0, 2, 2], model.layer1.weight[1, 0, 2, 2] = 1.0, -1.0
        ridge = torch.tensor([-1.0, -1.0, 4.0, -1.0, -1.0]).expand(5, 5) / 10
        for ink in (0, 1):
            model.layer2.weight[0, ink], model.layer2.weight[1, ink] = ridge, ridge.T


def test_orientation_and_tangent_are_read_off_made_up_weights():
    model = ShapeNet((2, 2, 3))
    lined_up(model)
    orient = tunings.orientation(model)
    assert orient[0, 0] > 0.5, "the first unit likes upright lines"
    assert orient[ANGLES // 4, 1] > 0.5, "the second likes flat ones"
    preferred = torch.tensor([0, 6, 12])
    with torch.no_grad():
        model.layer3.weight.copy_(tunings.fit_of(model, preferred))
    assert torch.allclose(tunings.along_the_tangent(model, preferred), torch.ones(3), atol=1e-5)
    assert (tunings.along_the_tangent(model, (preferred + 6) % ANGLES) < 0.5).all()


def test_tuning_has_a_row_for_each_angle():
    found = tuning(ShapeNet((2, 3, 5)), "layer3")
    assert found.arc.shape == found.line.shape == found.corner.shape == (ANGLES, 5)
    assert found.curves().shape == (5,)
    # a line is the same after half a turn
    half = ANGLES // 2
    assert torch.allclose(found.line[:half], found.line[half:], atol=1e-4)
    assert probe(bar(), angles()).shape[0] == ANGLES
