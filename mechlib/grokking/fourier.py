"""The Fourier basis on Z_P: functions of one number modulo P, and of a pair of them.

A function on Z_P is a list of P numbers, so P basis functions are enough:

    1/sqrt(P),  sqrt(2/P) cos(w_k x),  sqrt(2/P) sin(w_k x),    w_k = 2 pi k / P,  k = 1 ... (P-1)/2

They are orthonormal. (For even P a last row of alternating signs, k = P/2, completes them.) A
function of a pair (a, b) is a P x P grid; its basis functions are the P^2 products of a basis
function of a and one of b. Everything here takes tensors and computes in their own precision: give
float64 for analysis.

Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", section 4 and
appendix. Chapters 13 to 15.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

# --- one variable ----------------------------------------------------------------------------


def basis(P: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "component x"]:
    """The orthonormal real Fourier basis on Z_P, one function a row.

    Row 0 is the constant, rows 2k-1 and 2k are cos(w_k x) and sin(w_k x) for k = 1 ... (P-1)//2;
    for even P the last row is the alternating function, k = P/2. Any P >= 2 will do: the basis
    does not need a prime.
    """
    if isinstance(P, bool) or not isinstance(P, int) or P < 2:
        raise ValueError(f"P: the modulus must be a whole number >= 2, got {P!r}")
    return _rows(P).to(dtype, copy=True)


@lru_cache(maxsize=8)
def _rows(P: int) -> Tensor:
    x = torch.arange(P, dtype=torch.float64)
    rows = [torch.full((P,), 1 / math.sqrt(P), dtype=torch.float64)]
    for k in range(1, (P - 1) // 2 + 1):
        # the angle is reduced in whole numbers first: k * x itself would lose digits
        angle = 2 * math.pi * (torch.arange(P) * k % P).double() / P
        rows += [math.sqrt(2 / P) * angle.cos(), math.sqrt(2 / P) * angle.sin()]
    if P % 2 == 0:
        rows.append((1 - 2 * (x % 2)) / math.sqrt(P))
    return torch.stack(rows)


def component(k: int, kind: str = "cos") -> int:
    """The row of `basis` that holds cos(w_k x) or sin(w_k x); row 0 is the constant."""
    if kind not in ("cos", "sin"):
        raise ValueError(f"kind: 'cos' or 'sin', got {kind!r}")
    if k < 1:
        raise ValueError(f"k: frequencies begin at 1, got {k}")
    return 2 * k - (kind == "cos")


def component_names(P: int) -> list[str]:
    """What each row of `basis(P)` is: "1", "cos 1", "sin 1", "cos 2", ..."""
    names = ["1"]
    for k in range(1, (P - 1) // 2 + 1):
        names += [f"cos {k}", f"sin {k}"]
    return names + ([f"cos {P // 2}"] if P % 2 == 0 else [])


def transform(f: Float[Tensor, "x *rest"]) -> Float[Tensor, "component *rest"]:
    """Fourier coefficients of functions on Z_P held along the first axis.

    The transform is a rotation: sums of squares stay as they are.
    """
    return torch.tensordot(basis(f.shape[0], f.dtype).to(f.device), f, dims=1)


def inverse(coefficients: Float[Tensor, "component *rest"]) -> Float[Tensor, "x *rest"]:
    """Back from coefficients to values: `inverse(transform(f))` is f."""
    F = basis(coefficients.shape[0], coefficients.dtype).to(coefficients.device)
    return torch.tensordot(F.T, coefficients, dims=1)


def energy(f: Float[Tensor, "x *rest"]) -> Float[Tensor, "frequency"]:
    """Sum of squares of f at each frequency 0 ... P//2, summed over all the other axes.

    The entries add up to the sum of squares of f.
    """
    squares = transform(f).square().flatten(1).sum(1) if f.dim() > 1 else transform(f).square()
    P = squares.shape[0]
    out = squares.new_zeros(P // 2 + 1)
    return out.index_add(0, (torch.arange(P, device=f.device) + 1) // 2, squares)


def key_frequencies(
    frequency_energy: Float[Tensor, "frequency"], at_least: float = 1 / 16
) -> list[int]:
    """The frequencies that a model uses, by this rule: energy of at least `at_least` times the
    largest, the constant (frequency 0) left out.

    1/16 in energy is a quarter in amplitude. The paper publishes no threshold; its demonstration
    notebook takes a quarter of the largest amplitude. The released code has another rule, which
    asks the neurons: `neuron_frequencies`.
    """
    if not 0 < at_least <= 1:
        raise ValueError(f"at_least: a share between 0 and 1, got {at_least}")
    tones = frequency_energy[1:]
    if tones.numel() == 0 or not torch.isfinite(tones).all() or tones.max() <= 0:
        raise ValueError("frequency_energy: needs a finite positive entry beyond frequency 0")
    return [int(k) + 1 for k in torch.nonzero(tones >= at_least * tones.max()).flatten()]


def share(frequency_energy: Float[Tensor, "frequency"], frequencies: list[int]) -> float:
    """The share of the energy, the constant left out, that lies in the given frequencies."""
    _check_frequencies(frequencies, frequency_energy.shape[0] - 1)
    return float(frequency_energy[frequencies].sum() / frequency_energy[1:].sum())


# --- two variables ---------------------------------------------------------------------------


def transform_2d(grid: Float[Tensor, "a b *rest"]) -> Float[Tensor, "a_comp b_comp *rest"]:
    """Coefficients of functions of a pair: entry (i, j) belongs to basis_i(a) basis_j(b)."""
    F_a = basis(grid.shape[0], grid.dtype).to(grid.device)
    F_b = basis(grid.shape[1], grid.dtype).to(grid.device)
    half = torch.tensordot(F_a, grid, dims=1)  # (a_comp, b, ...)
    return torch.tensordot(F_b, half, dims=([1], [1])).movedim(0, 1)


def inverse_2d(coefficients: Float[Tensor, "a_comp b_comp *rest"]) -> Float[Tensor, "a b *rest"]:
    """Back from the coefficients of `transform_2d` to the grid."""
    F_a = basis(coefficients.shape[0], coefficients.dtype).to(coefficients.device)
    F_b = basis(coefficients.shape[1], coefficients.dtype).to(coefficients.device)
    half = torch.tensordot(F_a.T, coefficients, dims=1)
    return torch.tensordot(F_b.T, half, dims=([1], [1])).movedim(0, 1)


def sum_directions(P: int, frequencies: list[int]) -> Float[Tensor, "direction a b"]:
    """cos w_k(a+b) and sin w_k(a+b) on the grid, for each k given, scaled to length one.

    These are the functions of a + b alone: 2 directions for each frequency, orthonormal.
    """
    _check_frequencies(frequencies, (P - 1) // 2)
    total = (torch.arange(P)[:, None] + torch.arange(P)[None, :]) % P
    rows = [component(k, kind) for k in frequencies for kind in ("cos", "sin")]
    return basis(P)[rows][:, total] / math.sqrt(P)


def terms_of(P: int, frequencies: list[int], terms: str) -> Float[Tensor, "direction a b"]:
    """Orthonormal functions of (a, b) built from the given frequencies, one frequency at a time.

    terms:
        "sums"      cos w(a+b), sin w(a+b): 2 for each frequency
        "products"  the four products of cos or sin of wa and cos or sin of wb: 4; they contain
                    the sums, and a-b besides
        "all"       the four products and cos wa, sin wa, cos wb, sin wb: 8. With the constant
                    these are the degree-2 polynomials, linear in a's and in b's waves.
    """
    if terms not in ("sums", "products", "all"):
        raise ValueError(f"terms: 'sums', 'products' or 'all', got {terms!r}")
    if terms == "sums":
        return sum_directions(P, frequencies)
    _check_frequencies(frequencies, (P - 1) // 2)
    F = basis(P)
    out = []
    for k in frequencies:
        pair = [component(k, "cos"), component(k, "sin")]
        chosen = [(i, j) for i in pair for j in pair]
        if terms == "all":
            chosen += [(i, 0) for i in pair] + [(0, j) for j in pair]
        out += [F[i][:, None] * F[j][None, :] for i, j in chosen]
    return torch.stack(out)


def project(
    grid: Float[Tensor, "a b *rest"], directions: Float[Tensor, "direction a b"]
) -> Float[Tensor, "a b *rest"]:
    """The part of each function of (a, b) that lies in the span of orthonormal directions."""
    D = directions.to(grid).flatten(1)  # (direction, a * b)
    flat = grid.flatten(0, 1)
    weights = torch.tensordot(D, flat, dims=1)
    return torch.tensordot(D.T, weights, dims=1).reshape(grid.shape)


def variance_explained(
    grid: Float[Tensor, "a b *rest"], directions: Float[Tensor, "direction a b"]
) -> Float[Tensor, "*rest"]:
    """For each function of (a, b): the share of its variance in the span of the directions.

    Variance is taken over the P^2 pairs, so the constant does not count. The directions must be
    orthonormal and have mean zero. A function that is constant has share 0.
    """
    flat = grid.flatten(0, 1)
    centred = flat - flat.mean(0)
    total = centred.square().sum(0)
    weights = torch.tensordot(directions.to(grid).flatten(1), centred, dims=1)
    # rounding leaves a little "variance" in a constant
    floor = torch.finfo(grid.dtype).eps ** 1.5 * flat.square().sum(0).clamp(min=1e-300)
    return torch.where(total > floor, weights.square().sum(0) / total.clamp(min=1e-300), 0.0)


def frequency_shares(
    grid: Float[Tensor, "a b *rest"], terms: str = "all"
) -> Float[Tensor, "frequency *rest"]:
    """For every frequency at once: the share of a function's variance that its terms explain.

    Entry k - 1 is `variance_explained(grid, terms_of(P, [k], terms))`, read off one 2-D transform
    for k = 1 ... (P-1)//2.
    """
    if terms not in ("sums", "products", "all"):
        raise ValueError(f"terms: 'sums', 'products' or 'all', got {terms!r}")
    P = grid.shape[0]
    if grid.shape[1] != P:
        raise ValueError(f"grid: the first two axes must both be P, got {tuple(grid.shape)}")
    c = transform_2d(grid)
    floor = torch.finfo(grid.dtype).eps ** 1.5 * c.square().sum((0, 1)).clamp(min=1e-300)
    c[0, 0] = 0
    total = c.square().sum((0, 1))
    n = (P - 1) // 2
    cos, sin = torch.arange(1, 2 * n, 2), torch.arange(2, 2 * n + 1, 2)
    cc, cs, sc, ss = c[cos, cos], c[cos, sin], c[sin, cos], c[sin, sin]
    if terms == "sums":  # cos(a+b) = cos cos - sin sin, sin(a+b) = sin cos + cos sin
        explained = (cc - ss).square() / 2 + (sc + cs).square() / 2
    else:
        explained = cc.square() + cs.square() + sc.square() + ss.square()
    if terms == "all":
        for alone in (c[cos, 0], c[sin, 0], c[0, cos], c[0, sin]):
            explained = explained + alone.square()
    return torch.where(total > floor, explained / total.clamp(min=1e-300), 0.0)


def best_frequency(
    grid: Float[Tensor, "a b unit"], terms: str = "all"
) -> tuple[Float[Tensor, "unit"], Float[Tensor, "unit"]]:
    """For each unit (a function of the pair): its best single frequency, and the share of its
    variance that the functions of that one frequency explain (see `terms_of`).

    Returns (frequency, share), both of length unit. A unit that never varies has share 0 and
    frequency 0. Nanda et al. 2023, section 4.3.
    """
    best, k = frequency_shares(grid, terms).max(0)
    return torch.where(best > 0, (k + 1).to(best), 0.0), best


def neuron_frequencies(grid: Float[Tensor, "a b neuron"], at_least: float = 0.0) -> list[int]:
    """The key frequencies by the rule of Nanda et al.'s released code: every frequency that is the
    best one of some neuron, however badly it explains it.

    at_least: of neurons of which it explains that share or more. With 0, the released rule, one
    neuron of 512 is enough, so it finds more of them than `key_frequencies` while the network is
    still on its way; at 0.85 it counts the neurons that the paper calls well explained.

    ValueError for a share outside 0 ... 1.
    """
    if not 0 <= at_least <= 1:
        raise ValueError(f"at_least: a share between 0 and 1, got {at_least}")
    frequency, share = best_frequency(grid)
    chosen = frequency[(share >= at_least) & (frequency > 0)]
    return [int(k) for k in chosen.unique()]


def of_one_frequency(
    grid: Float[Tensor, "a b unit"],
    frequency: Float[Tensor, "one_a_unit"] | Int[Tensor, "one_a_unit"],
) -> Float[Tensor, "a b unit"]:
    """Each unit replaced by the nearest polynomial of degree 2 in the waves of its own frequency:
    its mean and its eight terms (see `terms_of`). Frequency 0 leaves the mean alone.

    frequency: one for each unit, as `best_frequency` gives them.
    """
    if frequency.shape != grid.shape[2:]:
        raise ValueError(
            f"frequency: one for each of {grid.shape[2]} units, got {tuple(frequency.shape)}"
        )
    out = grid.mean((0, 1)).expand_as(grid).clone()
    for k in sorted({int(k) for k in frequency} - {0}):
        units = frequency == k
        out[:, :, units] += project(grid[:, :, units], terms_of(grid.shape[0], [k], "all"))
    return out


def _check_frequencies(frequencies: list[int], largest: int) -> None:
    bad = [k for k in frequencies if not 1 <= k <= largest]
    if bad or len(set(frequencies)) != len(frequencies):
        raise ValueError(
            f"frequencies: distinct whole numbers from 1 to {largest}, got {list(frequencies)}"
        )
