"""Right and wrong answers to the exercises of chapter 14."""

import math

import torch


def _waves(P, keys):
    total = torch.arange(P)[:, None] + torch.arange(P)[None, :]
    angles = [2 * math.pi * k * total.double() / P for k in keys]
    return [f(angle) / f(angle).norm() for angle in angles for f in (torch.cos, torch.sin)]


def _circuit(logits, keys):
    return sum(
        w[:, :, None] * torch.einsum("ab,abc->c", w, logits) for w in _waves(len(logits), keys)
    )


def _losses(logits):
    P = len(logits)
    answers = (torch.arange(P)[:, None] + torch.arange(P)[None, :]) % P
    return -logits.log_softmax(2).gather(2, answers[:, :, None])[:, :, 0]


def restricted(logits, keys):
    return _losses(logits.mean((0, 1)) + _circuit(logits, keys)).mean()


def restricted_by_fft(logits, keys):
    P = len(logits)
    Z = torch.fft.fft2(logits, dim=(0, 1))
    kept = torch.zeros_like(Z)
    for k in (0, *keys):
        kept[k, k], kept[-k, -k] = Z[k, k], Z[-k, -k]
    answers = (torch.arange(P)[:, None] + torch.arange(P)[None, :]) % P
    rows = torch.fft.ifft2(kept, dim=(0, 1)).real.reshape(P * P, P)
    return torch.nn.functional.cross_entropy(rows, answers.flatten()).item()


def no_constant(logits, keys):
    return _losses(_circuit(logits, keys)).mean()


def the_rest(logits, keys):
    return _losses(logits - _circuit(logits, keys)).mean()


def products(logits, keys):
    P = len(logits)
    out = logits.mean((0, 1)).expand_as(logits).clone()
    for k in keys:
        angle = 2 * math.pi * k * torch.arange(P).double() / P
        one = [w / w.norm() for w in (angle.cos(), angle.sin())]
        for u in one:
            for v in one:
                w = u[:, None] * v[None, :]
                out += w[:, :, None] * torch.einsum("ab,abc->c", w, logits)
    return _losses(out).mean()


def first_key_only(logits, keys):
    return restricted(logits, keys[:1])


def whole(logits, keys):
    return _losses(logits).mean()


def excluded(logits, keys, shown):
    return _losses(logits - _circuit(logits, keys))[shown].mean()


def excluded_weighted(logits, keys, shown):
    losses = _losses(logits - _circuit(logits, keys))
    return float((losses * shown).sum() / shown.sum())


def all_pairs(logits, keys, shown):
    return _losses(logits - _circuit(logits, keys)).mean()


def test_pairs(logits, keys, shown):
    return _losses(logits - _circuit(logits, keys))[~shown].mean()


def constant_gone(logits, keys, shown):
    return _losses(logits - _circuit(logits, keys) - logits.mean((0, 1)))[shown].mean()


def circuit_kept(logits, keys, shown):
    return _losses(_circuit(logits, keys))[shown].mean()


def training_loss(logits, keys, shown):
    return _losses(logits)[shown].mean()


def gini_by_pairs(values):
    return (values[:, None] - values[None, :]).abs().mean() / (2 * values.mean())


def gini_by_rank(values):
    v, n = values.sort().values, len(values)
    rank = torch.arange(1, n + 1).double()
    return float((2 * rank - n - 1) @ v / (n * v.sum()))


def gini_no_half(values):
    return 2 * gini_by_pairs(values)


def gini_by_sum(values):
    return gini_by_pairs(values) / len(values)


def gini_other_pairs(values):
    n = len(values)
    return gini_by_pairs(values) * n / (n - 1)


def gini_not_divided(values):
    return (values[:, None] - values[None, :]).abs().mean() / 2


RIGHT = {
    "restricted-loss": [restricted, restricted_by_fft],
    "excluded-loss": [excluded, excluded_weighted],
    "gini": [gini_by_pairs, gini_by_rank],
}
WRONG = {
    "restricted-loss": [
        (no_constant, "the constant is missing"),
        (the_rest, "that is the excluded loss"),
        (products, "those of a - b too"),
        (first_key_only, "one frequency, not all"),
        (whole, "the whole network"),
    ],
    "excluded-loss": [
        (all_pairs, "you score all pairs"),
        (test_pairs, "you score the test pairs"),
        (constant_gone, "the constant is gone"),
        (circuit_kept, "drop the rest"),
        (training_loss, "this is the training loss"),
    ],
    "gini": [
        (gini_no_half, "the half is missing"),
        (gini_by_sum, "by the sum"),
        (gini_other_pairs, "a number with itself"),
        (gini_not_divided, "it is not divided by the mean"),
    ],
}
