"""A convolutional network with three layers, small enough to be read unit by unit.

    layer1   5 x 5, from the image        28 x 28 positions
    layer2   5 x 5, from layer1 halved    14 x 14
    layer3   3 x 3, from layer2 halved     7 x 7
    logits   from the largest answer of each layer3 unit anywhere in the image

Each layer is a convolution and a ReLU; halving keeps the largest of 2 x 2. With 8, 16 and 24 units
and ten classes there are 7,154 parameters. Used in chapter 1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LAYERS = ("layer1", "layer2", "layer3")


class ShapeNet(nn.Module):
    """widths: units in the three layers. seed: of the random weights it starts with."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 24), classes: int = 10, seed: int = 0):
        super().__init__()
        one, two, three = widths
        self.layer1 = nn.Conv2d(1, one, 5, padding=2)
        self.layer2 = nn.Conv2d(one, two, 5, padding=2)
        self.layer3 = nn.Conv2d(two, three, 3, padding=1)
        self.head = nn.Linear(three, classes)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.layer1, self.layer2, self.layer3, self.head):
            reach = layer.weight[0].numel() ** -0.5  # as torch does by default, from this seed
            for parameter in layer.parameters():
                torch.nn.init.uniform_(parameter, -reach, reach, generator=generator)

    def forward(self, images: Float[Tensor, "n 1 y x"]) -> Float[Tensor, "n classes"]:
        return self.read(self.activations(images)["layer3"])

    def activations(self, images: Float[Tensor, "n 1 y x"]) -> dict[str, Tensor]:
        """What every unit answers at every position: {layer: (n, unit, y, x)}, after the ReLU."""
        return {name: F.relu(sums) for name, sums in self.sums(images).items()}

    def sums(self, images: Float[Tensor, "n 1 y x"]) -> dict[str, Tensor]:
        """The same before the ReLU: a silent unit's sum is negative and says how far from zero."""
        one = self.layer1(images)
        two = self.layer2(F.relu(_halved(one)))
        return dict(zip(LAYERS, (one, two, self.sums_from(F.relu(two)))))

    def sums_from(self, layer2: Float[Tensor, "n unit2 y2 x2"]) -> Float[Tensor, "n unit y x"]:
        """The sums of layer3, from the answers of layer2: what comes before is not run again."""
        return self.layer3(_halved(layer2))

    def read(self, layer3: Float[Tensor, "n unit y x"]) -> Float[Tensor, "n classes"]:
        """The logits, from the answers of the last layer."""
        return self.head(layer3.amax((2, 3)))


def _halved(maps: Float[Tensor, "n unit y x"]) -> Float[Tensor, "n unit y2 x2"]:
    """The largest of each 2 x 2, as max_pool2d gives it, ten times as fast on a CPU."""
    rows = torch.maximum(maps[..., ::2, :], maps[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


@torch.no_grad()
def accuracy(model: nn.Module, images: Float[Tensor, "n 1 y x"], labels: Tensor) -> float:
    """Share of the images that get the right class."""
    right = [model(x).argmax(-1) == y for x, y in zip(images.split(500), labels.split(500))]
    return float(torch.cat(right).double().mean())
