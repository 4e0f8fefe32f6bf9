"""Right and wrong answers to the exercises of chapter 7."""

import torch

# -- look


def by_formula(S, f):
    return S - (S.exp() @ f).log()[:, None]


def by_logsumexp(S, f):
    return S - torch.logsumexp(S + f.log(), dim=1, keepdim=True)


def all_alike(S, f):
    return S - S.exp().mean(1, keepdim=True).log()


def scores_averaged(S, f):
    return S - (S @ f)[:, None]


def over_destinations(S, f):
    return S - S.exp().mean(0).log()


def no_logarithm(S, f):
    return by_formula(S, f).exp()


def log_attention(S, f):
    return S.log_softmax(-1)


# -- skip-trigram-table


def by_topk(look, OV, s, k):
    return torch.stack([look[:, s].topk(k).indices, OV[s].topk(k).indices])


def by_sorting(look, OV, s, k):
    pairs = (look[:, s], OV[s])
    return torch.stack([values.argsort(descending=True)[:k] for values in pairs])


def row_of_look(look, OV, s, k):
    return torch.stack([look[s].topk(k).indices, OV[s].topk(k).indices])


def column_of_OV(look, OV, s, k):
    return torch.stack([look[:, s].topk(k).indices, OV[:, s].topk(k).indices])


def both_wrong(look, OV, s, k):
    return by_topk(look.T, OV.T, s, k)


def smallest_first(look, OV, s, k):
    return by_topk(look, OV, s, k).flip(1)


def outs_first(look, OV, s, k):
    return by_topk(look, OV, s, k).flip(0)


# -- lift


def _lift(tokens, d, o, near_to, base=None):
    here = [i for i in range(len(tokens) - 1) if tokens[i] == d]
    near = [i for i in here if near_to(i)]

    def share(places):
        return sum(tokens[i + 1] == o for i in places) / len(places)

    return share(near) / (share(here) if base is None else base)


def by_windows(tokens, s, d, o, reach):
    return _lift(tokens, d, o, lambda i: s in tokens[max(0, i - reach) : i])


def by_tensors(tokens, s, d, o, reach):
    t = torch.tensor(tokens)
    place = torch.arange(len(t))
    last = torch.where(t == s, place, -reach - 1).cummax(0).values
    last = torch.cat([torch.tensor([-reach - 1]), last[:-1]])[:-1]  # before each place
    here, hit = t[:-1] == d, t[1:] == o
    near = here & (place[:-1] - last <= reach)
    return (hit[near].double().mean() / hit[here].double().mean()).item()


def over_unigrams(tokens, s, d, o, reach):
    base = tokens.count(o) / len(tokens)
    return _lift(tokens, d, o, lambda i: s in tokens[max(0, i - reach) : i], base)


def source_after(tokens, s, d, o, reach):
    return _lift(tokens, d, o, lambda i: s in tokens[i + 1 : i + 1 + reach])


def one_short(tokens, s, d, o, reach):
    return by_windows(tokens, s, d, o, reach - 1)


def anywhere_before(tokens, s, d, o, reach):
    return _lift(tokens, d, o, lambda i: s in tokens[:i])


def no_comparison(tokens, s, d, o, reach):
    return _lift(tokens, d, o, lambda i: s in tokens[max(0, i - reach) : i], 1.0)


# -- pairing-help


def by_grid(a, v):
    grid = torch.einsum("hd,ho->do", a, v)
    return grid.diagonal().mean() - grid.mean()


def by_covariance(a, v):
    return sum(((x - x.mean()) * (y - y.mean())).mean() for x, y in zip(a, v))


def against_wrong_pairs(a, v):
    grid = a.T @ v
    wrong = ~torch.eye(len(grid), dtype=torch.bool)
    return grid.diagonal().mean() - grid[wrong].mean()


def summed(a, v):
    grid = a.T @ v
    return grid.diagonal().sum() - grid.mean()


def heads_averaged(a, v):
    return by_grid(a, v) / len(a)


def right_pairs_only(a, v):
    return (a.T @ v).diagonal().mean()


RIGHT = {
    "look": [by_formula, by_logsumexp],
    "skip-trigram-table": [by_topk, by_sorting],
    "lift": [by_windows, by_tensors],
    "pairing-help": [by_grid, by_covariance],
}
WRONG = {
    "look": [
        (all_alike, "every token counts alike"),
        (scores_averaged, "averages their exponentials"),
        (over_destinations, "over destinations"),
        (no_logarithm, "its logarithm is wanted"),
        (log_attention, "log of the attention"),
    ],
    "skip-trigram-table": [
        (row_of_look, "you read the row of s in look"),
        (column_of_OV, "you read the column of s in OV"),
        (both_wrong, "both tables"),
        (smallest_first, "the order is reversed"),
        (outs_first, "outs come first"),
    ],
    "lift": [
        (over_unigrams, "you divide by P(o)"),
        (source_after, "after the destination"),
        (one_short, "one token short"),
        (anywhere_before, "in the whole text before"),
        (no_comparison, "P(o | d, s near) alone"),
    ],
    "pairing-help": [
        (against_wrong_pairs, "mean over wrong pairs"),
        (summed, "the mean is wanted"),
        (heads_averaged, "their logits add up"),
        (right_pairs_only, "still in it"),
    ],
}
