"""Shapes drawn by code: a stroke is a list of points, its ink falls off with the distance to it.

    points (shape, point, 2) --draw--> images (shape, 1, SIZE, SIZE)

Ink is lighter or darker than the paper, both equally often: a unit that merely likes bright pixels
gets nowhere. Angles are in radians, turning from x (right) towards y (down). Used in chapter 1.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

SIZE = 28  # pixels on a side
POINTS = 72  # of one stroke


def arc(start: float, end: float, radius: float = 1.0, centre=(0.0, 0.0)) -> Float[Tensor, "p 2"]:
    """Points on a circle from one angle to another."""
    t = torch.linspace(start, end, POINTS)
    return torch.stack([centre[0] + radius * t.cos(), centre[1] + radius * t.sin()], dim=-1)


def path(*corners: tuple[float, float], closed: bool = False) -> Float[Tensor, "p 2"]:
    """Points along straight lines from corner to corner."""
    ends = torch.tensor([*corners, corners[0]] if closed else [*corners])
    t = torch.linspace(0, len(ends) - 1, POINTS).clamp(max=len(ends) - 1 - 1e-5)
    piece, part = t.long(), (t % 1)[:, None]
    return ends[piece] * (1 - part) + ends[piece + 1] * part


def polygon(sides: int) -> Float[Tensor, "p 2"]:
    """A regular polygon in a circle of radius 1."""
    angles = [2 * math.pi * k / sides for k in range(sides)]
    return path(*((math.cos(a), math.sin(a)) for a in angles), closed=True)


def together(*strokes: Float[Tensor, "p 2"]) -> Float[Tensor, "p 2"]:
    """Several strokes as one: every so-manieth point of each, POINTS in all."""
    return torch.cat([stroke[:: len(strokes)] for stroke in strokes])[:POINTS]


TURN = 2 * math.pi
SHAPES = {
    "circle": arc(0.0, TURN),
    "ellipse": arc(0.0, TURN) * torch.tensor([1.0, 0.5]),
    "C": arc(0.6, TURN - 0.6),
    "S": together(
        arc(0.5 * math.pi, 1.9 * math.pi, 0.5, (0.0, -0.5)),
        arc(-0.5 * math.pi, 0.9 * math.pi, 0.5, (0.0, 0.5)),
    ),
    "heart": together(
        arc(math.pi, TURN, 0.5, (-0.5, 0.0)),
        arc(math.pi, TURN, 0.5, (0.5, 0.0)),
        path((1.0, 0.0), (0.0, 1.1), (-1.0, 0.0)),
    ),
    "triangle": polygon(3),
    "square": polygon(4),
    "hexagon": polygon(6),
    "cross": together(path((-1.0, 0.0), (1.0, 0.0)), path((0.0, -1.0), (0.0, 1.0))),
    "L": path((-0.7, -1.0), (-0.7, 0.8), (0.8, 0.8)),
}
ROUND = ("circle", "ellipse", "C", "S", "heart")  # the others have straight sides only


def turned(points: Float[Tensor, "*n p 2"], angles: Float[Tensor, "*n"]) -> Float[Tensor, "*n p 2"]:
    """Each stroke turned about the origin."""
    c, s = angles.cos(), angles.sin()
    rotation = torch.stack([torch.stack([c, s], -1), torch.stack([-s, c], -1)], -2)
    return points @ rotation


def draw(
    points: Float[Tensor, "n p 2"],
    width: Float[Tensor, " n"],
    ink: Float[Tensor, " n"],
    paper: Float[Tensor, " n"],
) -> Float[Tensor, "n 1 size size"]:
    """Images of strokes given in pixels: paper + (ink - paper) exp(-distance² / 2 width²)."""
    pixels = torch.arange(SIZE, dtype=points.dtype)
    images = []
    for p, w, i, b in zip(*(x.split(256) for x in (points, width, ink, paper))):
        dx = (pixels - p[:, :, 0, None]).square()  # (n, point, x)
        dy = (pixels - p[:, :, 1, None]).square()  # (n, point, y)
        nearest = (dy[:, :, :, None] + dx[:, :, None, :]).amin(1)
        amount = (-nearest / (2 * w[:, None, None].square())).exp()
        images.append(b[:, None, None] + (i - b)[:, None, None] * amount)
    return torch.cat(images)[:, None]


@lru_cache(maxsize=4)
def shapes(
    n: int, seed: int, noise: float = 0.15
) -> tuple[Float[Tensor, "n 1 size size"], Int[Tensor, " n"]]:
    """`n` noisy images of the ten shapes at random angles, sizes and places, and their classes."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float, *more: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *more, generator=generator)

    labels = torch.randint(len(SHAPES), (n,), generator=generator)
    points = turned(torch.stack(list(SHAPES.values()))[labels], between(0.0, TURN))
    points = points * between(5.0, 11.0)[:, None, None] + between(11.0, 17.0, 1, 2)
    sign = 2 * torch.randint(2, (n,), generator=generator) - 1
    images = draw(points, between(0.7, 1.5), sign * between(0.6, 1.0), between(-0.2, 0.2))
    return images + noise * torch.randn(images.shape, generator=generator), labels


def probe(
    points: Float[Tensor, "p 2"], angles: Float[Tensor, " n"], ink: float = 0.8
) -> Float[Tensor, "n 1 size size"]:
    """One stroke, given about the origin in pixels, turned and drawn clean in the middle."""
    n = len(angles)
    placed = turned(points.expand(n, -1, -1), angles) + (SIZE - 1) / 2
    ones = torch.ones(n)
    return draw(placed, ones, ink * ones, 0 * ones)


# Test figures. Each passes through the origin; at angle 0 the arc bulges to the right.


def bow(radius: float, half: float = 0.9) -> Float[Tensor, "p 2"]:
    """An arc of the given radius in pixels, `half` radians to each side of its middle."""
    return arc(-half, half, radius, (-radius, 0.0))


def bar(half: float = 6.0) -> Float[Tensor, "p 2"]:
    """A straight line; at angle 0 it stands upright, as the tangent of the bow does."""
    return path((0.0, -half), (0.0, half))


def corner(side: float = 4.5) -> Float[Tensor, "p 2"]:
    """A right angle that points to the right."""
    return path((-side, -side), (0.0, 0.0), (-side, side))
