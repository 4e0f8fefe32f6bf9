"""Toy models of superposition trained in the page: each step is torch's."""

import re

import numpy as np
import pytest
import torch
from node import packed, run
from test_widgets import get, said, show  # noqa: F401

from mechlib.pages.widgets import ToyLive
from mechlib.superposition import geometry, toys

SETTINGS = [(5, 0.05, 1.0), (8, 0.3, 0.8), (20, 0.1, 0.9)]  # features, density, decay


def first_steps(features, density, decay, steps=50, batch=256, lr=5e-3):
    """The first steps of torch's own training, and what the page needs to make the same."""
    g = torch.Generator().manual_seed(features)
    W = (0.3 * torch.randn(1, features, 2, generator=g)).requires_grad_()
    b = torch.zeros(1, features, requires_grad=True)
    given = {"W": packed(W), "b": packed(b), "batch": batch, "lr": lr, "batches": [],
             "importance": [decay**i for i in range(features)]}  # fmt: skip
    weight, draw = torch.tensor(given["importance"]), toys.independent(
        torch.tensor([density]), features, batch
    )  # fmt: skip
    optimizer, losses = torch.optim.Adam([W, b], lr=lr), []
    for _ in range(steps):
        x = draw(g)
        given["batches"].append(packed(x))
        loss = (weight * (x - toys.reconstructed(W, b, x)).square()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return given, losses, W.detach()[0], b.detach()[0]


def test_fifty_steps_are_torchs(tmp_path):
    expected = [first_steps(*settings) for settings in SETTINGS]
    found = run(tmp_path, "toy", {"runs": [given for given, *_ in expected]})
    for one, (_, losses, W, b) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one["losses"], losses, atol=1e-6)
        np.testing.assert_allclose(np.reshape(one["W"], W.shape), W, atol=1e-4)
        np.testing.assert_allclose(one["b"], b, atol=1e-4)
        np.testing.assert_allclose(one["own"], geometry.dimensionality(W), atol=1e-3)
        assert one["kept"] == int(geometry.represented(W).sum())


def test_rare_features_make_pentagons_and_common_ones_do_not(tmp_path):
    settings = [{"features": 5, "density": density, "decay": decay, "seed": seed, "batch": 256,
                 "until": until, "every": 500, "lr": 5e-3}
                for density, decay, until in ((0.05, 1, 1500), (1.0, 0.7, 1000))
                for seed in range(5)]  # fmt: skip
    found = run(tmp_path, "toy_trained", settings)
    W = torch.tensor([one["W"] for one in found]).view(2, 5, 5, 2)
    pentagons = geometry.are_pentagons(W, within=0.03)
    assert int(pentagons[0].sum()) >= 4
    assert int(pentagons[1].sum()) == 0
    assert all(one["kept"] == 2 for one in found[5:])
    # superposition pays where features are rare, and is not made where they are not
    assert all(one["loss"] < 0.5 * one["alone"] for one in found[:5])
    assert all(0.9 < one["loss"] / one["alone"] < 1.1 for one in found[5:])


def live():
    pentagon = [[np.cos(2 * np.pi * k / 5), np.sin(2 * np.pi * k / 5)] for k in range(5)]
    return ToyLive(until=60, shares={0.05: 0.95}, pictures={"rare": pentagon}, caption="Train it.")


@pytest.mark.browser
def test_a_toy_is_trained_in_the_page(show):  # noqa: F811
    page = show(live())
    assert "Guess first" in said(page)
    assert page.get_by_role("button", name="start").is_disabled()
    page.get_by_label("your guess").select_option("five")
    page.get_by_role("button", name="20 steps").click()
    page.get_by_text("Step 20 of 60").wait_for()
    assert page.locator("svg[aria-label^='columns as arrows']").count() == 1
    page.get_by_role("button", name="go on").click()
    page.get_by_text("Step 60 of 60").wait_for()
    assert re.search(r"\d of 5 features are kept", said(page))
    assert "95 % are pentagons" in said(page)
    page.locator(".map").focus()
    page.keyboard.press("ArrowRight")
    assert "Feature 0 adds" in page.locator(".status").nth(1).inner_text()
    page.get_by_label("features", exact=True).fill("21")
    page.keyboard.press("Tab")
    assert "21 will not do; choose 3 to 20" in said(page)
    page.get_by_label("features", exact=True).fill("9")
    page.keyboard.press("Tab")
    assert get(page, "features") == 9


def test_toy_live_refuses():
    for given, message in (
        ({"features": 2}, r"features must be 3\.\.20, got 2"),
        ({"density": 0.0}, r"density must lie in 0\.01\.\.1, got 0"),
        ({"decay": 1.5}, r"decay must lie in 0\.3\.\.1, got 1\.5"),
        ({"until": 5}, "until must be at least 20, got 5"),
    ):
        with pytest.raises(ValueError, match=message):
            ToyLive(**given)


def test_the_still_picture_shows_arrows():
    assert live().still().count("<line") == 5
    assert ToyLive().still() == ""
