"""Right and wrong answers to the exercises of chapter 21."""

import torch


def inverses(table):
    return [int((table[x] == 0).nonzero()) for x in range(len(table))]


def part(f, table, character, size):
    kernel = character[table[:, inverses(table)]]
    return size / len(table) * kernel @ f


def part_by_loop(f, table, character, size):
    inverse, found = inverses(table), torch.zeros_like(f)
    for x in range(len(f)):
        for y in range(len(f)):
            found[x] += character[table[x, inverse[y]]] * f[y]
    return found * size / len(f)


def part_without_inverse(f, table, character, size):
    return size / len(table) * character[table] @ f


def part_without_size(f, table, character, size):
    return part(f, table, character, 1)


def part_without_mean(f, table, character, size):
    return part(f, table, character, size) * len(f)


def part_outside(f, table, character, size):
    return f * character[table[:, inverses(table)]].sum(1)[:, None] * size / len(f)


def quotient(logits, table):
    n, inverse = len(table), inverses(table)
    which = table[table][:, :, inverse]
    return torch.stack([logits[which == g].mean() for g in range(n)])


def quotient_by_bins(logits, table):
    which = table[table][:, :, inverses(table)].flatten()
    return torch.bincount(which, weights=logits.flatten()) / len(table) ** 2


def quotient_uninverted(logits, table):
    which = table[table]
    return torch.stack([logits[which == g].mean() for g in range(len(table))])


def quotient_left(logits, table):
    which = table[inverses(table)][:, table].permute(1, 2, 0)
    return torch.stack([logits[which == g].mean() for g in range(len(table))])


def quotient_swapped(logits, table):
    return quotient(logits.transpose(0, 1), table)


def quotient_sums(logits, table):
    return quotient(logits, table) * len(table) ** 2


def steps(f, H, table):
    means = f[table[:, H]].mean(1)
    return ((means - f.mean()) ** 2).sum() / ((f - f.mean()) ** 2).sum()


def steps_by_sets(f, H, table):
    between = 0.0
    for coset in {tuple(sorted(table[x, H].tolist())) for x in range(len(f))}:
        between += len(coset) * float(f[list(coset)].mean() - f.mean()) ** 2
    return between / float(((f - f.mean()) ** 2).sum())


def steps_right(f, H, table):
    return steps(f, H, table.T)


def steps_uncentred(f, H, table):
    return (f[table[:, H]].mean(1) ** 2).sum() / (f**2).sum()


def steps_lost(f, H, table):
    return 1 - steps(f, H, table)


RIGHT = {
    "group-part": [part, part_by_loop],
    "group-quotient": [quotient, quotient_by_bins],
    "group-cosets": [steps, steps_by_sets],
}
WRONG = {
    "group-part": [
        (part_without_inverse, "must be inverted"),
        (part_without_size, "size of the representation"),
        (part_without_mean, "number of elements"),
        (part_outside, "f(y) belongs under the sum"),
    ],
    "group-quotient": [
        (quotient_uninverted, "third one must be inverted"),
        (quotient_left, "the inverse stands on the right"),
        (quotient_swapped, "the order matters"),
        (quotient_sums, "these are sums"),
    ],
    "group-cosets": [
        (steps_right, "the cosets H x"),
        (steps_uncentred, "take the mean off"),
        (steps_lost, "what is left"),
    ],
}
