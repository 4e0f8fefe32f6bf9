"""The network of chapter 1 in the page: figures and answers are Python's, and a hand turns them."""

import re

import numpy as np
import pytest
import torch
from node import packed, run
from test_widgets import get, put, said, show, slide, table_rows  # noqa: F401

from mechlib import zoo
from mechlib.pages.widgets import TurnAnArc
from mechlib.vision.convnet import LAYERS, ShapeNet
from mechlib.vision.strokes import bar, bow, corner, probe
from mechlib.vision.tuning import answers, tuning


def numbers(net):
    layers = (net.layer1, net.layer2, net.layer3)
    return torch.cat([p.flatten() for layer in layers for p in (layer.weight, layer.bias)])


@torch.no_grad()
def test_figures_and_activations_are_torchs(tmp_path):
    rng = np.random.default_rng(0)
    for net in (zoo.load("shapes"), zoo.load("shapes-wide"), ShapeNet(seed=5)):
        given, expected = [], []
        for k in range(12):
            angle, radius, ink = (
                float(rng.uniform(0, 7)),
                float(rng.integers(3, 17)),
                0.8 - 1.6 * (k % 2),
            )
            kind = ("arc", "line", "corner")[k % 3]
            points = {"arc": bow(radius, half=min(0.9, 6 / radius)), "line": bar(),
                      "corner": corner()}[kind]  # fmt: skip
            image = probe(points, torch.tensor([angle]), ink)
            given.append({"kind": kind, "radius": radius, "angle": angle, "ink": ink})
            maps = net.activations(image)
            expected.append((image, [maps[name] for name in LAYERS], answers(net, "layer3", image)))
        widths = [layer.out_channels for layer in (net.layer1, net.layer2, net.layer3)]
        found = run(tmp_path, "convnet", {
            "numbers": packed(numbers(net)), "widths": widths, "images": [
                one | {"image": packed(image), "maps": [packed(m) for m in maps],
                       "middle": packed(middle)}
                for one, (image, maps, middle) in zip(given, expected, strict=True)],
        })  # fmt: skip
        for one in found:
            assert one["image"] < 1e-5
            assert max(one["maps"]) < 5e-5
            assert one["middle"] < 5e-5


def family(name, net):
    t = tuning(net, "layer3")
    units = t.curves().nonzero()[:, 0]
    return name, net, units, t.arc[:, units]


def widget(**given):
    networks = [family("trained", zoo.load("shapes")), family("untrained", ShapeNet(seed=100))]
    return TurnAnArc(networks, caption="Turn it.", **given)


def shares(net, image, units, curves):
    return answers(net.half().float(), "layer3", image)[0, units] / curves.amax(0)


@pytest.mark.browser
@torch.no_grad()
def test_a_figure_is_turned_in_the_page(show):  # noqa: F811
    page = show(widget(), has_touch=True)
    _, net, units, curves = family("trained", zoo.load("shapes"))

    def check(points, degrees, ink):
        angle = torch.deg2rad(torch.tensor([float(degrees)]))
        expected = torch.stack([shares(net, probe(points, angle, i), units, curves) for i in ink])
        expected = expected.amax(0).tolist()
        rows = table_rows(page)
        assert [name for name, _ in rows] == [f"unit {u}" for u in units.tolist()]
        np.testing.assert_allclose([float(text) for _, [text] in rows], expected, atol=0.02)

    check(bow(6.0), 0, (0.8, -0.8))
    slide(page, "turned by", 135)
    assert get(page, "angle") == 135
    check(bow(6.0), 135, (0.8, -0.8))
    page.get_by_role("slider", name="turned by").press("ArrowRight")
    assert get(page, "angle") == 140
    box = page.locator("canvas.big").bounding_box()
    page.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + 0.95 * box["height"])
    assert get(page, "angle") == 90  # down
    slide(page, "radius of the arc", 12)
    page.get_by_label("ink", exact=True).select_option("lighter")
    check(bow(12.0, half=0.5), 90, (-0.8,))
    page.get_by_label("figure", exact=True).select_option("line")
    check(bar(), 90, (-0.8,))
    assert not page.get_by_label("radius of the arc").is_visible()
    put(page, "figure", 2)
    check(corner(), 90, (-0.8,))
    page.locator("svg[aria-label^='answers over the angle']").wait_for()
    page.get_by_label("network").select_option("untrained")
    assert re.search(r"corner at 90°: .* of \d+ are nearly silent", said(page))


def test_turn_refuses():
    name, net, units, curves = family("trained", zoo.load("shapes"))
    with pytest.raises(ValueError, match="networks is empty"):
        TurnAnArc([])
    with pytest.raises(ValueError, match=r"units: each must be 0\.\.23, got 24"):
        TurnAnArc([(name, net, [24], curves[:, :1])])
    with pytest.raises(ValueError, match="curves must have shape"):
        TurnAnArc([(name, net, units, curves[:, :1])])
    with pytest.raises(ValueError, match=r"radius must be 3\.\.16 pixels, got 2"):
        TurnAnArc([(name, net, units, curves)], radius=2)
    with pytest.raises(ValueError, match="all must have one size"):
        TurnAnArc([(name, net, units, curves), ("b", zoo.load("shapes-wide"), units, curves)])


def test_the_still_picture_shows_the_family():
    assert widget().still().count("<polyline") == len(family("", zoo.load("shapes"))[2])
