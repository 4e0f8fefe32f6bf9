"""Right and wrong answers to the exercises of chapter 11."""

import numpy as np
import torch
import torch.nn.functional as F


def _stretch(steps, slope, part=4):
    top = int(slope.argmax())
    low = high = top
    while low > 0 and slope[low - 1] >= slope[top] / part:
        low -= 1
    while high < len(slope) - 1 and slope[high + 1] >= slope[top] / part:
        high += 1
    return steps[low], steps[high + 1]


def by_walking(steps, curve):
    return _stretch(steps, curve.diff() / steps.diff())


def by_sets(steps, curve):
    steps, curve = steps.numpy(), curve.numpy()
    slope = np.convolve(np.diff(curve) / np.diff(steps), np.ones(3) / 3, mode="same")
    top = slope.argmax()
    slow = np.flatnonzero(slope < slope[top] / 4)
    begin = slow[slow < top].max(initial=-1) + 1
    end = slow[slow > top].min(initial=len(slope))
    return int(steps[begin]), int(steps[end])


def by_height(steps, curve):
    share = (curve - curve[0]) / (curve[-1] - curve[0])
    return steps[int((share > 0.25).float().argmax())], steps[int((share > 0.75).float().argmax())]


def by_differences(steps, curve):
    return _stretch(steps, curve.diff())


def all_that_is_steep(steps, curve):
    slope = curve.diff() / steps.diff()
    steep = (slope >= slope.max() / 4).nonzero()
    return steps[int(steep.min())], steps[int(steep.max()) + 1]


def indices(steps, curve):
    return _stretch(torch.arange(len(steps)), curve.diff() / steps.diff())


def one_step(steps, curve):
    return steps[int((curve.diff() / steps.diff()).argmax())]


def icl(losses, known):
    return losses[known].mean() - losses[~known].mean()


def icl_by_weights(losses, known):
    late, early = known.double(), (~known).double()
    return (losses * late).sum() / late.sum() - (losses * early).sum() / early.sum()


def turned(losses, known):
    return -icl(losses, known)


def text_by_text(losses, known):
    return torch.stack([icl(*row) for row in zip(losses, known)]).mean()


def ratio(losses, known):
    return losses[known].mean() / losses[~known].mean()


def against_all(losses, known):
    return losses[known].mean() - losses.mean()


def smeared(k, alpha):
    keep = alpha.sigmoid()[:, None]
    out = k.clone()
    out[1:] = keep * k[1:] + (1 - keep) * k[:-1]
    return out


def smeared_by_matrix(k, alpha):
    n, out = len(k), []
    for head, keep in enumerate(alpha.sigmoid()):
        mix = keep * torch.eye(n).double() + (1 - keep) * torch.eye(n).double().roll(-1, 1).tril()
        mix[0] = torch.eye(n).double()[0]
        out.append(mix @ k[:, head])
    return torch.stack(out, 1)


def exchanged(k, alpha):
    return smeared(k, -alpha)


def next_key(k, alpha):
    return smeared(k.flip(0), alpha).flip(0)


def rolled(k, alpha):
    keep = alpha.sigmoid()[:, None]
    return keep * k + (1 - keep) * k.roll(1, 0)


def zeros_in_front(k, alpha):
    keep = alpha.sigmoid()[:, None]
    return keep * k + (1 - keep) * torch.cat([torch.zeros_like(k[:1]), k[:-1]])


def no_sigmoid(k, alpha):
    out = k.clone()
    out[1:] = alpha[:, None] * k[1:] + (1 - alpha[:, None]) * k[:-1]
    return out


def chained(k, alpha):
    keep, out = alpha.sigmoid()[:, None], k.clone()
    for j in range(1, len(k)):
        out[j] = keep * k[j] + (1 - keep) * out[j - 1]
    return out


def _smooth(counts, add=1.0):
    return (counts + add) / (counts + add).sum(-1, keepdim=True)


def _transitions(tokens, n_symbols):
    same = (tokens[:, None] == tokens).double().tril(-1)
    return same[:, :-1] @ F.one_hot(tokens[1:], n_symbols).double()


def bigram(tokens, n_symbols):
    return _smooth(_transitions(tokens, n_symbols))


def bigram_by_table(tokens, n_symbols):
    table, out = torch.ones(n_symbols, n_symbols, dtype=torch.float64), []
    for position, here in enumerate(tokens):
        if position:
            table[tokens[position - 1], here] += 1
        out.append(table[here] / table[here].sum())
    return torch.stack(out)


def unigram(tokens, n_symbols):
    return _smooth(F.one_hot(tokens, n_symbols).double().cumsum(0))


def not_smoothed(tokens, n_symbols):
    counts = _transitions(tokens, n_symbols)
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def divided_by_zero(tokens, n_symbols):
    counts = _transitions(tokens, n_symbols)
    return counts / counts.sum(-1, keepdim=True)


def peeks(tokens, n_symbols):
    same = (tokens[:, None] == tokens).double().tril()[:, :-1]
    return _smooth(same @ F.one_hot(tokens[1:], n_symbols).double())


def backwards(tokens, n_symbols):
    same = (tokens[:, None] == tokens).double().tril()[:, 1:]
    return _smooth(same @ F.one_hot(tokens[:-1], n_symbols).double())


def one_in_all(tokens, n_symbols):
    return _smooth(_transitions(tokens, n_symbols), 1 / n_symbols)


RIGHT = {
    "change-by-rule": [by_walking, by_sets],
    "icl-score": [icl, icl_by_weights],
    "smeared-keys": [smeared, smeared_by_matrix],
    "bigram-guesser": [bigram, bigram_by_table],
}
WRONG = {
    "change-by-rule": [
        (by_height, "a quarter and three quarters high"),
        (by_differences, "differences and not slopes"),
        (all_that_is_steep, "not connected"),
        (indices, "places in the list"),
        (one_step, "two steps back"),
    ],
    "icl-score": [
        (turned, "sign is turned"),
        (text_by_text, "text by text"),
        (ratio, "difference is asked for"),
        (against_all, "all tokens"),
    ],
    "smeared-keys": [
        (exchanged, "shares are exchanged"),
        (next_key, "key after it"),
        (rolled, "goes round"),
        (zeros_in_front, "mixed with zeros"),
        (no_sigmoid, "without the sigmoid"),
        (chained, "smeared already"),
    ],
    "bigram-guesser": [
        (unigram, "unigram guesser"),
        (not_smoothed, "leave out the plus one"),
        (divided_by_zero, "zero is divided by zero"),
        (peeks, "counted already"),
        (backwards, "came before"),
        (one_in_all, "one in all"),
    ],
}
