"""The picture that a unit likes most, found by ascending its gradient.

Without a brake the ascent ends in noise that no reader can name. Three brakes: the picture is
smoothed after every step, its size is held, and it is shifted by a pixel or two before each look.
After Olah et al. 2017 (Feature Visualization). Used in chapter 1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mechlib.vision.convnet import ShapeNet
from mechlib.vision.strokes import SIZE


@torch.enable_grad()
def favourites(
    model: ShapeNet, layer: str, units: list[int], steps: int = 200, seed: int = 0
) -> Float[Tensor, "unit 1 y x"]:
    """One picture for each unit, ascended from faint noise; pixels of root mean square 0.35, the
    size of a drawn image."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.05 * torch.randn(len(units), 1, SIZE, SIZE, generator=generator)
    rows = torch.arange(len(units))
    for _ in range(steps):
        dx, dy = torch.randint(-2, 3, (2,), generator=generator).tolist()
        seen = images.roll((dy, dx), (2, 3)).requires_grad_()
        sums = model.sums(seen)[layer]  # before the ReLU: a silent unit has a slope there, too
        middle = sums.shape[-1] // 2
        sums[rows, units, middle, middle].sum().backward()
        slope = seen.grad.roll((-dy, -dx), (2, 3))
        size = slope.square().mean((1, 2, 3), keepdim=True).sqrt()
        images = _smooth(images + 0.1 * slope / size.clamp(min=1e-8))
        size = images.square().mean((1, 2, 3), keepdim=True).sqrt()
        images = images * (0.35 / size).clamp(max=1)
    return images


def _smooth(images: Float[Tensor, "n 1 y x"]) -> Float[Tensor, "n 1 y x"]:
    """A light blur: a fifth of each pixel goes to its neighbours."""
    kernel = torch.tensor([[0.0, 0.05, 0.0], [0.05, 0.8, 0.05], [0.0, 0.05, 0.0]])
    return F.conv2d(images, kernel[None, None], padding=1)
