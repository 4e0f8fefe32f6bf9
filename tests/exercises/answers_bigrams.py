"""Right and wrong answers to the exercises of chapter 5."""

import torch

# ---- count-pairs ----


def pairs_by_bincount(tokens, d_vocab):
    flat = (tokens[:, :-1] * d_vocab + tokens[:, 1:]).flatten()
    return torch.bincount(flat, minlength=d_vocab**2).view(d_vocab, d_vocab)


def pairs_by_one_hot(tokens, d_vocab):
    hot = torch.nn.functional.one_hot(tokens, d_vocab).double()
    return torch.einsum("rpa,rpb->ab", hot[:, :-1], hot[:, 1:])


def pairs_turned(tokens, d_vocab):
    return pairs_by_bincount(tokens, d_vocab).T


def pairs_across_rows(tokens, d_vocab):
    return pairs_by_bincount(tokens.reshape(1, -1), d_vocab)


def pairs_assigned(tokens, d_vocab):
    counts = torch.zeros(d_vocab, d_vocab)
    counts[tokens[:, :-1], tokens[:, 1:]] += 1  # an index that comes twice is written once
    return counts


def pairs_without_the_last(tokens, d_vocab):
    return pairs_by_bincount(tokens[:, :-1], d_vocab)


# ---- table-gradient ----


def parts(table, counts):
    of_row = counts.sum(1, keepdim=True)
    given = (counts / of_row).nan_to_num()
    return of_row / counts.sum(), table.softmax(-1), given


def gradient_by_formula(table, counts):
    share, Q, given = parts(table, counts)
    return share * (Q - given)


def gradient_by_counts(table, counts):
    expected = counts.sum(1, keepdim=True) * table.softmax(-1)
    return (expected - counts) / counts.sum()


def gradient_without_share(table, counts):
    _, Q, given = parts(table, counts)
    return (Q - given) * (counts.sum(1, keepdim=True) > 0)


def gradient_downhill(table, counts):
    return -gradient_by_formula(table, counts)


def gradient_of_the_sum(table, counts):
    return counts.sum() * gradient_by_formula(table, counts)


def gradient_with_holes(table, counts):
    of_row = counts.sum(1, keepdim=True)
    return of_row / counts.sum() * (table.softmax(-1) - counts / of_row)


def gradient_of_logits(table, counts):
    share, _, given = parts(table, counts)
    return share * (table - given)


# ---- conditional-entropy ----


def entropy_by_difference(counts):
    joint = counts / counts.sum()
    return torch.special.entr(joint).sum() - torch.special.entr(joint.sum(1)).sum()


def entropy_by_rows(counts):
    kept = counts[counts.sum(1) > 0]
    given = kept / kept.sum(1, keepdim=True)
    logs = torch.where(given > 0, given, 1).log()
    return -(kept / counts.sum() * logs).sum()


def entropy_of_pairs(counts):
    return torch.special.entr(counts / counts.sum()).sum()


def entropy_unweighted(counts):
    kept = counts[counts.sum(1) > 0]
    return torch.special.entr(kept / kept.sum(1, keepdim=True)).sum(1).mean()


def entropy_in_bits(counts):
    return entropy_by_difference(counts) / torch.tensor(2.0).log()


def entropy_with_holes(counts):
    joint = counts / counts.sum()
    return -(joint * (joint / joint.sum(1, keepdim=True)).log()).sum()


# ---- smoothed-table ----


def smoothed(counts, k):
    single = counts.sum(0) / counts.sum()
    return (counts + k * single) / (counts.sum(1, keepdim=True) + k)


def smoothed_as_mixture(counts, k):
    of_row = counts.sum(1, keepdim=True)
    trust = of_row / (of_row + k)
    own = counts / of_row.clamp(min=1)
    return trust * own + (1 - trust) * counts.sum(0) / counts.sum()


def smoothed_each(counts, k):
    return (counts + k) / (counts + k).sum(1, keepdim=True)


def smoothed_evenly(counts, k):
    return (counts + k / len(counts)) / (counts.sum(1, keepdim=True) + k)


def smoothed_by_row(counts, k):
    single = counts.sum(1) / counts.sum()
    return (counts + k * single) / (counts.sum(1, keepdim=True) + k)


def smoothed_logarithms(counts, k):
    return smoothed(counts, k).log()


RIGHT = {
    "count-pairs": [pairs_by_bincount, pairs_by_one_hot],
    "table-gradient": [gradient_by_formula, gradient_by_counts],
    "conditional-entropy": [entropy_by_difference, entropy_by_rows],
    "smoothed-table": [smoothed, smoothed_as_mixture],
}
WRONG = {
    "count-pairs": [
        (pairs_turned, "the table is turned"),
        (pairs_across_rows, "the start of the next"),
        (pairs_assigned, "comes twice counts once"),
        (pairs_without_the_last, "the last pair"),
    ],
    "table-gradient": [
        (gradient_without_share, "the factor P(a) is missing"),
        (gradient_downhill, "the sign"),
        (gradient_of_the_sum, "the summed loss"),
        (gradient_with_holes, "gives nan"),
        (gradient_of_logits, "compare logits"),
    ],
    "conditional-entropy": [
        (entropy_of_pairs, "entropy of pairs"),
        (entropy_unweighted, "weigh them by P(a)"),
        (entropy_in_bits, "these are bits"),
        (entropy_with_holes, "0 log 0"),
    ],
    "smoothed-table": [
        (smoothed_each, "add k to every entry"),
        (smoothed_evenly, "spread evenly"),
        (smoothed_by_row, "the token in front"),
        (smoothed_logarithms, "logarithms"),
    ],
}
