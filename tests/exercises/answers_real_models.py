"""Right and wrong answers to the exercises of chapter 20."""

import torch


def unfused(fused, n_heads):
    return [W.unflatten(1, (n_heads, -1)).transpose(0, 1) for W in fused.chunk(3, dim=1)]


def unfused_by_loop(fused, n_heads):
    d_model = len(fused)
    width = d_model // n_heads
    parts = []
    for start in (0, d_model, 2 * d_model):
        columns = [start + head * width for head in range(n_heads)]
        parts.append(torch.stack([fused[:, c : c + width] for c in columns]))
    return tuple(parts)


def unfused_in_one_stack(fused, n_heads):
    return fused.unflatten(1, (3, n_heads, -1)).permute(1, 2, 0, 3)


def values_first(fused, n_heads):
    return unfused(fused, n_heads)[::-1]


def rows_as_heads(fused, n_heads):
    return [W.reshape(n_heads, len(fused), -1) for W in fused.chunk(3, dim=1)]


def taking_turns(fused, n_heads):
    return [W.unflatten(1, (-1, n_heads)).permute(2, 0, 1) for W in fused.chunk(3, dim=1)]


def head_by_head(fused, n_heads):
    return fused.unflatten(1, (n_heads, 3, -1)).permute(2, 1, 0, 3).unbind(0)


def not_by_head(fused, n_heads):
    return fused.chunk(3, dim=1)


def folded(gain, shift, W, bias):
    return gain[:, None] * W, shift @ W + bias


def folded_by_diagonal(gain, shift, W, bias):
    return torch.diag(gain) @ W, W.T @ shift + bias


def no_shift(gain, shift, W, bias):
    return gain[:, None] * W, bias


def no_bias(gain, shift, W, bias):
    return gain[:, None] * W, shift @ W


def no_gain(gain, shift, W, bias):
    return W, shift @ W + bias


def gain_on_shift(gain, shift, W, bias):
    return gain[:, None] * W, (gain * shift) @ W + bias


def divided(gain, shift, W, bias):
    return W / gain[:, None], shift @ W + bias


def stripe(pattern, period):
    return pattern.diagonal(1 - period)[1:].mean()


def stripe_by_loop(pattern, period):
    return sum(pattern[q, q - period + 1] for q in range(period, len(pattern))) / period


def same_token(pattern, period):
    return pattern.diagonal(-period).mean()


def place_before(pattern, period):
    return pattern.diagonal(-1 - period).mean()


def from_first_copy(pattern, period):
    return pattern.diagonal(1 - period).mean()


def summed(pattern, period):
    return pattern.diagonal(1 - period)[1:].sum()


RIGHT = {
    "unfuse": [unfused, unfused_by_loop, unfused_in_one_stack],
    "fold-norm": [folded, folded_by_diagonal],
    "repeat-score": [stripe, stripe_by_loop],
}
WRONG = {
    "unfuse": [
        (values_first, "the order is queries"),
        (rows_as_heads, "took the rows"),
        (taking_turns, "do not take turns"),
        (head_by_head, "all queries come first"),
        (not_by_head, "the shape should be"),
    ],
    "fold-norm": [
        (no_shift, "the shift is lost"),
        (no_bias, "the old bias"),
        (no_gain, "the gain is lost"),
        (gain_on_shift, "not multiplied by it"),
        (divided, "divide by the gain"),
    ],
    "repeat-score": [
        (same_token, "the same token"),
        (place_before, "the place before it"),
        (from_first_copy, "only queries of the second copy"),
        (summed, "a mean is wanted"),
    ],
}
