"""What a unit answers to: test figures turned by degrees, and a rule for what counts as a curve.

    answers(net, "layer3", images)          (image, unit): the largest answer in the middle
    tuning(net, "layer3")                   Tuning: arcs, lines and corners at every angle
    tuning(...).curves()                    which units answer to curves, by the rule

The rule was fixed on other seeds: a unit is a curve unit when it answers to its best arc 1.2 times
as strongly as to the best straight line, and to the arc turned by half a turn under 0.6 times as
strongly as to its best one. An untrained network has such units too: every count needs that
control. Used in chapter 1, after Olah et al. 2020 (Zoom In) and Cammarata et al. 2020.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechlib.vision.convnet import ShapeNet
from mechlib.vision.strokes import bar, bow, corner, probe

ANGLES = 24  # 15 degrees apart
RADII = (5.0, 7.0)  # of the arcs, in pixels
ABOVE_LINE, AT_HALF_TURN = 1.2, 0.6
SILENT = 1e-3  # a unit that never answers more than this is taken for dead


def angles() -> Float[Tensor, " angle"]:
    """The angles of the test figures, in radians."""
    return 2 * math.pi * torch.arange(ANGLES) / ANGLES


@torch.no_grad()
def answers(
    model: ShapeNet, layer: str, images: Float[Tensor, "n 1 y x"]
) -> Float[Tensor, "n unit"]:
    """The largest answer of each unit in the middle of the image (4 x 4 positions)."""
    maps = model.activations(images)[layer]
    low = maps.shape[-1] // 2 - 2
    return maps[:, :, low : low + 4, low : low + 4].amax((2, 3))


def best_ink(model: ShapeNet, layer: str, points: Tensor) -> Float[Tensor, "angle unit"]:
    """Answers to one figure at every angle, the larger of light on dark and dark on light."""
    both = [answers(model, layer, probe(points, angles(), ink)) for ink in (0.8, -0.8)]
    return torch.maximum(*both)


@dataclass(frozen=True)
class Tuning:
    """Answers of the units of one layer to the test figures, each (angle, unit)."""

    arc: Float[Tensor, "angle unit"]
    line: Float[Tensor, "angle unit"]
    corner: Float[Tensor, "angle unit"]

    def preferred(self) -> Int[Tensor, " unit"]:
        """The angle, as an index, of the arc that each unit answers to most."""
        return self.arc.argmax(0)

    def curves(self) -> Bool[Tensor, " unit"]:
        """Which units answer to curves, by the rule above."""
        best = self.arc.amax(0)
        opposite = self.arc.gather(0, (self.preferred()[None] + ANGLES // 2) % ANGLES)[0]
        above_line = best > ABOVE_LINE * self.line.amax(0)
        return (best > SILENT) & above_line & (opposite < AT_HALF_TURN * best)

    def corners(self) -> Bool[Tensor, " unit"]:
        """Which units answer to a corner 1.2 times as strongly as to any arc."""
        best = self.corner.amax(0)
        return (best > SILENT) & (best > ABOVE_LINE * self.arc.amax(0))


def tuning(model: ShapeNet, layer: str) -> Tuning:
    """Show a layer every test figure at every angle."""
    arcs = torch.stack([best_ink(model, layer, bow(radius)) for radius in RADII]).amax(0)
    return Tuning(arcs, best_ink(model, layer, bar()), best_ink(model, layer, corner()))


def aligned(curves: Float[Tensor, "angle unit"]) -> Float[Tensor, "angle unit"]:
    """Tuning curves as shares of their peak, each turned so that its peak stands at angle 0."""
    peak = curves.argmax(0)
    steps = torch.arange(len(curves))[:, None]
    turned = curves.gather(0, (steps + peak) % len(curves))
    return turned / turned[0].clamp(min=SILENT)


def covered(peaks: Int[Tensor, " unit"]) -> int:
    """How many degrees of the full turn lie within 30 degrees of some unit's preferred angle."""
    near = torch.zeros(ANGLES, dtype=torch.bool)
    for peak in peaks.tolist():
        near[[(peak + step) % ANGLES for step in range(-2, 3)]] = True
    return int(near.sum()) * 360 // ANGLES


# ---- what is written in the weights ----


def orientation(model: ShapeNet) -> Float[Tensor, "angle unit"]:
    """How much each layer2 unit prefers a line at an angle to the line across it.

    Lines are the same after half a turn, so ANGLES // 2 angles are enough. In (-1, 1).
    """
    lines = best_ink(model, "layer2", bar())[: ANGLES // 2]
    across = lines.roll(-(ANGLES // 4), 0)
    return (lines - across) / (lines + across).clamp(min=SILENT)


def along_the_tangent(model: ShapeNet, preferred: Int[Tensor, " unit"]) -> Float[Tensor, " unit"]:
    """Read off layer3's weights: do units of layer2 excite where a line of theirs follows the arc,
    and inhibit where it crosses it?

    preferred: each unit's angle, as an index. Over the unit's 3 x 3 x layer2 weights, the
    correlation between the weight and how well the layer2 unit's orientation fits the arc there:
    1 for a circuit that is nothing but this. Scale-free.
    """
    fit = fit_of(model, preferred)  # (unit, layer2 unit, y, x)
    weights = model.layer3.weight.detach().flatten(1)
    fit = fit.flatten(1)
    weights, fit = (x - x.mean(1, keepdim=True) for x in (weights, fit))
    return (weights * fit).sum(1) / (weights.norm(dim=1) * fit.norm(dim=1)).clamp(min=1e-12)


def fit_of(
    model: ShapeNet, preferred: Int[Tensor, " unit"], radius: float = 6.0
) -> Float[Tensor, "unit two y x"]:
    """How well each layer2 unit's orientation fits an arc through the middle, at the places that a
    layer3 unit sees: positive along the tangent, negative across. The handwritten circuit.

    One place of layer3's 3 x 3 is four pixels from the next.
    """
    orient = orientation(model)  # (angle, two)
    turn = 2 * math.pi / ANGLES
    bulge = preferred * turn  # (unit,), the direction in which the arc bulges
    steps = 4.0 * torch.arange(-1, 2)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    centre = -radius * torch.stack([bulge.cos(), bulge.sin()], -1)  # of the arc's circle
    dx, dy = x - centre[:, 0, None, None], y - centre[:, 1, None, None]
    distance = (dx.square() + dy.square()).sqrt()
    # a bar at angle 0 stands upright, as the tangent of an arc that bulges to the right
    normal = torch.atan2(dy, dx)
    index = (normal / turn).round().long() % (ANGLES // 2)
    nearness = (-(distance - radius).square() / (2 * 2.0**2)).exp()
    return (orient[index] * nearness[..., None]).movedim(-1, 1)


def written_by_hand(
    model: ShapeNet, units: Int[Tensor, " some"], kernels: Tensor, answers: Mapping[str, Tensor]
) -> ShapeNet:
    """A copy of the network in which the 3 x 3 x layer2 weights of these layer3 units are replaced.

    Each new kernel (some, two, y, x) is given the mean and the spread of the unit's trained
    weights, and the bias that leaves its mean largest answer as it was: only the pattern of the
    weights is new. answers: what `model.activations` gives for some images.
    """
    copy = ShapeNet(
        tuple(layer.out_channels for layer in (model.layer1, model.layer2, model.layer3))
    )
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        for unit, kernel in zip(units.tolist(), kernels):
            trained = model.layer3.weight[unit]
            fitted = (kernel - kernel.mean()) / kernel.std() * trained.std() + trained.mean()
            copy.layer3.weight[unit] = fitted
        wanted = answers["layer3"].amax((2, 3)).mean(0)
        sums = copy.sums_from(answers["layer2"]).amax((2, 3)).mean(0)
        copy.layer3.bias[units] += (wanted - sums)[units]
    return copy
