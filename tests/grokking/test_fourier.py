"""The Fourier basis on Z_P, against numpy's FFT and the angle-addition identities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.grokking import fourier


def random(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


@given(P=st.integers(2, 61))
def test_basis_is_orthonormal_and_complete(P):
    F = fourier.basis(P)
    eye = torch.eye(P, dtype=torch.float64)
    assert F.shape == (P, P)
    assert (F @ F.T - eye).abs().max() < 1e-12
    assert (F.T @ F - eye).abs().max() < 1e-12
    assert len(fourier.component_names(P)) == P


@given(P=st.integers(2, 61), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_transform_agrees_with_numpy_fft(P, seed):
    f = random(P, 3, seed=seed)
    z = np.fft.fft(f.numpy(), axis=0)  # sum_x f(x) exp(-i w_k x)
    c = fourier.transform(f).numpy()
    np.testing.assert_allclose(c[0], z[0].real / math.sqrt(P), atol=1e-10)
    for k in range(1, (P - 1) // 2 + 1):
        np.testing.assert_allclose(c[2 * k - 1], math.sqrt(2 / P) * z[k].real, atol=1e-10)
        np.testing.assert_allclose(c[2 * k], -math.sqrt(2 / P) * z[k].imag, atol=1e-10)
    if P % 2 == 0:
        np.testing.assert_allclose(c[-1], z[P // 2].real / math.sqrt(P), atol=1e-10)
    np.testing.assert_allclose(fourier.inverse(fourier.transform(f)), f, atol=1e-12)


@given(P=st.integers(2, 61), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_energy_agrees_with_the_power_spectrum(P, seed):
    f = random(P, 2, seed=seed)
    power = np.abs(np.fft.fft(f.numpy(), axis=0)) ** 2
    folded = np.array([power[k] + (power[-k] if 0 < k < P / 2 else 0) for k in range(P // 2 + 1)])
    np.testing.assert_allclose(fourier.energy(f), folded.sum(1) / P, atol=1e-9)
    np.testing.assert_allclose(fourier.energy(f[:, 0]), folded[:, 0] / P, atol=1e-9)


def test_transform_2d_agrees_with_numpy_and_inverts():
    P, Q = 7, 11
    g = random(P, Q, 3)
    c = fourier.transform_2d(g)
    z = np.fft.fft2(g.numpy(), axes=(0, 1))
    np.testing.assert_allclose(c[0, 0], z[0, 0].real / math.sqrt(P * Q), atol=1e-10)
    # cos a cos b sums the real parts at (i, j) and (i, -j)
    i, j = 2, 4
    want = math.sqrt(4 / (P * Q)) * (z[i, j].real + z[i, -j].real) / 2
    np.testing.assert_allclose(c[2 * i - 1, 2 * j - 1], want, atol=1e-10)
    want = math.sqrt(4 / (P * Q)) * -(z[i, j].imag + z[i, -j].imag) / 2
    np.testing.assert_allclose(c[2 * i, 2 * j - 1], want, atol=1e-10)
    np.testing.assert_allclose(fourier.inverse_2d(c), g, atol=1e-12)


def test_component_names_say_what_the_rows_are():
    P = 13
    F, x = fourier.basis(P), torch.arange(P)
    row = fourier.component(5, "sin")
    assert fourier.component_names(P)[row] == "sin 5"
    angle = 2 * math.pi * 5 * x.double() / P
    assert (F[row] - math.sqrt(2 / P) * angle.sin()).abs().max() < 1e-12
    assert fourier.component_names(4)[-1] == "cos 2"


def test_key_frequencies_by_the_stated_rule():
    P, x = 23, torch.arange(23).double()

    def wave(k):
        return (2 * math.pi * k * x / P).cos()

    f = torch.stack([5 + 4 * wave(3), 1.1 * wave(7), 0.9 * wave(11)], dim=1)
    e = fourier.energy(f)
    assert fourier.key_frequencies(e) == [3, 7]  # 1.1/4 is above a quarter, 0.9/4 is below
    assert fourier.key_frequencies(e, at_least=0.04) == [3, 7, 11]
    assert fourier.share(e, [3, 7]) == pytest.approx((16 + 1.21) / (16 + 1.21 + 0.81))


@pytest.mark.parametrize(("terms", "count"), [("sums", 2), ("products", 4), ("all", 8)])
def test_terms_are_orthonormal_and_have_mean_zero(terms, count):
    P, ks = 11, [1, 4, 5]
    D = fourier.terms_of(P, ks, terms).flatten(1)
    assert D.shape[0] == count * len(ks)
    assert (D @ D.T - torch.eye(D.shape[0], dtype=torch.float64)).abs().max() < 1e-12
    assert D.mean(1).abs().max() < 1e-15


def test_sums_are_functions_of_a_plus_b_and_lie_in_the_products():
    P = 13
    S = fourier.sum_directions(P, [2, 6])
    a, b = 3, 9
    for d in range(P):
        assert (S[:, (a + d) % P, (b - d) % P] - S[:, a, b]).abs().max() < 1e-14
    inside = fourier.project(S.permute(1, 2, 0), fourier.terms_of(P, [2, 6], "products"))
    assert (inside.permute(2, 0, 1) - S).abs().max() < 1e-12


@pytest.mark.parametrize("terms", ["sums", "products", "all"])
def test_frequency_shares_are_the_variance_explained(terms):
    P = 11
    grid = random(P, P, 3)
    shares = fourier.frequency_shares(grid, terms)
    for k in range(1, 6):
        want = fourier.variance_explained(grid, fourier.terms_of(P, [k], terms))
        np.testing.assert_allclose(shares[k - 1], want, atol=1e-12)
    assert (shares.sum(0) < 1).all()


def test_variance_explained_of_a_known_mixture():
    P, k = 17, 4
    x = torch.arange(P).double()
    w = 2 * math.pi / P
    one = (w * k * x).cos()[:, None] * (w * k * x).sin()[None, :]  # variance 1/4
    other = (w * 2 * x).cos()[:, None] * torch.ones(P).double()  # variance 1/2
    grid = torch.stack([10 + 2 * one + other, torch.full((P, P), 0.1).double()], dim=-1)
    D = fourier.terms_of(P, [k], "all")
    got = fourier.variance_explained(grid, D)
    assert got[0] == pytest.approx(1 / (1 + 0.5))
    assert got[1] == 0  # a constant
    k_best, share = fourier.best_frequency(grid)
    assert k_best.tolist() == [k, 0]
    assert share[0] == pytest.approx(2 / 3)
    assert share[1] == 0


def test_one_frequency_alone_is_the_mean_and_its_terms():
    P, k = 11, 3
    grid = random(P, P, 2)
    got = fourier.of_one_frequency(grid, torch.tensor([k, 0]))
    assert torch.allclose(got[:, :, 1], grid[:, :, 1].mean())
    part = got - got.mean((0, 1))
    share = part[:, :, 0].square().sum() / (grid - grid.mean((0, 1)))[:, :, 0].square().sum()
    assert float(share) == pytest.approx(float(fourier.frequency_shares(grid)[k - 1, 0]))
    again = fourier.of_one_frequency(got, torch.tensor([k, 0]))
    assert torch.allclose(again, got)
    with pytest.raises(ValueError, match="frequency"):
        fourier.of_one_frequency(grid, torch.tensor([1, 2, 3]))


@pytest.mark.parametrize("P", [0, 1, 2.0, True])
def test_basis_refuses_what_is_no_modulus(P):
    with pytest.raises((ValueError, TypeError)):
        fourier.basis(P)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="kind"):
        fourier.component(3, "tan")
    with pytest.raises(ValueError, match="k:"):
        fourier.component(0)
    with pytest.raises(ValueError, match="frequencies"):
        fourier.sum_directions(7, [4])
    with pytest.raises(ValueError, match="frequencies"):
        fourier.terms_of(7, [2, 2], "all")
    with pytest.raises(ValueError, match="terms"):
        fourier.terms_of(7, [2], "some")
    with pytest.raises(ValueError, match="terms"):
        fourier.frequency_shares(random(5, 5, 2), "some")
    with pytest.raises(ValueError, match="grid"):
        fourier.best_frequency(random(5, 7, 2))
    with pytest.raises(ValueError, match="at_least"):
        fourier.key_frequencies(torch.ones(4), at_least=0.0)
    with pytest.raises(ValueError, match="frequency_energy"):
        fourier.key_frequencies(torch.zeros(4))


def test_the_released_rule_asks_every_neuron():
    P = 11
    x = 2 * torch.pi * torch.arange(P, dtype=torch.float64) / P
    total = x[:, None] + x[None, :]
    noise = torch.randn(P, P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    neurons = torch.stack(
        [(2 * total).cos(), (4 * total).cos(), (3 * total).sin() + 3 * noise, 0 * noise], dim=2
    )
    lone = int(fourier.best_frequency(neurons)[0][2])
    assert fourier.neuron_frequencies(neurons) == sorted({2, 4, lone})
    assert fourier.neuron_frequencies(neurons, 0.85) == [2, 4]
    with pytest.raises(ValueError, match="at_least: a share"):
        fourier.neuron_frequencies(neurons, 2.0)
