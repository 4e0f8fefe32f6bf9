"""The network is what its docstring says, and reproducible from its seed."""

import torch

from mechlib.vision.convnet import LAYERS, ShapeNet, accuracy


def test_shapes_of_the_activations():
    model = ShapeNet((2, 3, 5), classes=7)
    maps = model.activations(torch.randn(11, 1, 28, 28))
    assert [tuple(maps[name].shape) for name in LAYERS] == [
        (11, 2, 28, 28), (11, 3, 14, 14), (11, 5, 7, 7)
    ]  # fmt: skip
    assert model(torch.randn(11, 1, 28, 28)).shape == (11, 7)
    assert all((m >= 0).all() for m in maps.values())


def test_it_has_7154_parameters():
    assert sum(p.numel() for p in ShapeNet().parameters()) == 7154


def test_a_seed_is_a_network():
    one, same, other = ShapeNet(seed=3), ShapeNet(seed=3), ShapeNet(seed=4)
    assert torch.equal(one.layer3.weight, same.layer3.weight)
    assert not torch.equal(one.layer3.weight, other.layer3.weight)


def test_the_largest_answer_counts_wherever_it_is(generator):
    model = ShapeNet((2, 3, 5), classes=7)
    maps = torch.rand(4, 5, 7, 7, generator=generator)
    turned = maps.flip(-1)
    assert torch.equal(model.read(maps), model.read(turned))


def test_accuracy_by_hand():
    class Always(torch.nn.Module):
        def forward(self, x):
            return torch.eye(3)[torch.zeros(len(x), dtype=torch.long)]

    assert accuracy(Always(), torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 0, 2])) == 0.5
