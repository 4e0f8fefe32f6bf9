"""Right and wrong answers to the exercises of chapter 13."""

import math

import torch


def _angle(P, k):
    return 2 * math.pi * k * torch.arange(P).double() / P


def basis_by_rows(P):
    rows = [torch.full((P,), 1 / math.sqrt(P)).double()]
    for k in range(1, (P + 1) // 2):
        rows += [math.sqrt(2 / P) * _angle(P, k).cos(), math.sqrt(2 / P) * _angle(P, k).sin()]
    return torch.stack(rows)


def basis_by_norms(P):
    turn = torch.exp(1j * torch.outer(torch.arange(1, (P + 1) // 2), _angle(P, 1)))
    pairs = torch.stack([turn.real, turn.imag], 1).reshape(P - 1, P)
    rows = torch.cat([torch.ones(1, P).double(), pairs])
    return rows / rows.norm(dim=1, keepdim=True)


def basis_not_scaled(P):
    rows = [torch.ones(P).double()]
    for k in range(1, (P + 1) // 2):
        rows += [_angle(P, k).cos(), _angle(P, k).sin()]
    return torch.stack(rows)


def basis_one_factor(P):
    return basis_not_scaled(P) * math.sqrt(2 / P)


def basis_sine_first(P):
    F = basis_by_rows(P)
    return F[[0, *(i for k in range(1, (P + 1) // 2) for i in (2 * k, 2 * k - 1))]]


def basis_apart(P):
    F = basis_by_rows(P)
    return torch.cat([F[:1], F[1::2], F[2::2]])


def basis_no_constant(P):
    return basis_by_rows(P)[1:]


def keys_by_loop(energy):
    largest = max(energy[1:].tolist())
    return [k for k, e in enumerate(energy.tolist()) if k > 0 and e >= largest / 16]


def keys_by_mask(energy):
    return (energy[1:] / energy[1:].max() >= 1 / 16).nonzero()[:, 0] + 1


def keys_with_constant(energy):
    return [k for k, e in enumerate(energy.tolist()) if e >= energy.max() / 16]


def keys_constant_among(energy):
    return [k for k, e in enumerate(energy.tolist()) if e >= energy[1:].max() / 16]


def keys_one_off(energy):
    return (energy[1:] / energy[1:].max() >= 1 / 16).nonzero()[:, 0]


def keys_quarter(energy):
    return [k for k, e in enumerate(energy.tolist()) if k and e >= energy[1:].max() / 4]


def keys_absolute(energy):
    return [k for k, e in enumerate(energy.tolist()) if k and e >= 10.0]


def _sum_waves(P, k):
    total = torch.arange(P)[:, None] + torch.arange(P)[None, :]
    angle = 2 * math.pi * k * total.double() / P
    return [w / w.norm() for w in (angle.cos(), angle.sin())]


def _along(logits, waves):
    return sum(w[:, :, None] * torch.einsum("ab,abc->c", w, logits) for w in waves)


def remove_by_projection(logits, k):
    return logits - _along(logits, _sum_waves(len(logits), k))


def remove_by_diagonals(logits, k):
    P = len(logits)
    x = torch.arange(P)
    total = (x[:, None] + x[None, :]) % P
    means = torch.stack([logits[total == s].mean(0) for s in range(P)])
    spectrum = torch.fft.rfft(means, dim=0)
    only = torch.zeros_like(spectrum)
    only[k] = spectrum[k]
    return logits - torch.fft.irfft(only, n=P, dim=0)[total]


def remove_kept(logits, k):
    return _along(logits, _sum_waves(len(logits), k))


def remove_cosine(logits, k):
    return logits - _along(logits, _sum_waves(len(logits), k)[:1])


def remove_products(logits, k):
    P = len(logits)
    one = [w / w.norm() for w in (_angle(P, k).cos(), _angle(P, k).sin())]
    return logits - _along(logits, [u[:, None] * v[None, :] for u in one for v in one])


def remove_too_long(logits, k):
    P = len(logits)
    total = torch.arange(P)[:, None] + torch.arange(P)[None, :]
    angle = 2 * math.pi * k * total.double() / P
    return logits - _along(logits, [angle.cos(), angle.sin()])


def share_by_projection(grid, k):
    P = len(grid)
    F = [torch.full((P,), 1 / math.sqrt(P)).double()]
    F += [math.sqrt(2 / P) * _angle(P, k).cos(), math.sqrt(2 / P) * _angle(P, k).sin()]
    picture = grid - grid.mean()
    found = sum(float(u @ picture @ v) ** 2 for u in F for v in F)
    return found / float(picture.square().sum())


def share_by_transform(grid, k):
    P = len(grid)
    Z = torch.fft.fft2(grid).abs().square()
    Z[0, 0] = 0
    rows = [0, k, P - k]
    return float(Z[rows][:, rows].sum() / Z.sum())


def share_with_constant(grid, k):
    P = len(grid)
    Z = torch.fft.fft2(grid).abs().square()
    rows = [0, k, P - k]
    return float(Z[rows][:, rows].sum() / Z.sum())


def share_of_square(grid, k):
    P = len(grid)
    Z = torch.fft.fft2(grid).abs().square()
    whole = Z.sum()
    Z[0, 0] = 0
    rows = [0, k, P - k]
    return float(Z[rows][:, rows].sum() / whole)


def share_products_only(grid, k):
    P = len(grid)
    Z = torch.fft.fft2(grid).abs().square()
    Z[0, 0] = 0
    rows = [k, P - k]
    return float(Z[rows][:, rows].sum() / Z.sum())


def share_left_over(grid, k):
    return 1 - share_by_projection(grid, k)


RIGHT = {
    "fourier-basis": [basis_by_rows, basis_by_norms],
    "key-frequencies": [keys_by_loop, keys_by_mask],
    "remove-frequency": [remove_by_projection, remove_by_diagonals],
    "neuron-share": [share_by_projection, share_by_transform],
}
WRONG = {
    "fourier-basis": [
        (basis_not_scaled, "not of length one"),
        (basis_one_factor, "the constant too"),
        (basis_sine_first, "sine comes before cosine"),
        (basis_apart, "all cosines come first"),
        (basis_no_constant, "the shape should be"),
    ],
    "key-frequencies": [
        (keys_with_constant, "sets the largest"),
        (keys_constant_among, "the constant, is among them."),
        (keys_one_off, "one too small"),
        (keys_quarter, "a quarter in amplitude"),
        (keys_absolute, "a thousandth of all energies"),
    ],
    "remove-frequency": [
        (remove_kept, "remove all else"),
        (remove_cosine, "the cosine only"),
        (remove_products, "waves of a - b"),
        (remove_too_long, "not of length one"),
    ],
    "neuron-share": [
        (share_with_constant, "the constant counts"),
        (share_of_square, "not by the variance"),
        (share_products_only, "waves of a alone"),
        (share_left_over, "left over"),
    ],
}
