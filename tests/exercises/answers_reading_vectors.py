"""Right and wrong answers to the exercises of chapter 19."""

import torch


def mean(x, labels):
    return x[labels].mean(0) - x[~labels].mean(0)


def mean_by_weights(x, labels):
    y = labels.to(x.dtype)
    return (y / y.sum() - (1 - y) / (1 - y).sum()) @ x


def mean_reversed(x, labels):
    return -mean(x, labels)


def mean_less_all(x, labels):
    return x[labels].mean(0) - x.mean(0)


def mean_of_sums(x, labels):
    return x[labels].sum(0) - x[~labels].sum(0)


def mean_over_all(x, labels):
    return mean_of_sums(x, labels) / len(x)


def pairs(scores, labels):
    yes, no = scores[labels][:, None], scores[~labels]
    return float((yes > no).double().mean() + 0.5 * (yes == no).double().mean())


def pairs_by_ranks(scores, labels):
    rank = [
        sum(float(other < one) + 0.5 * float(other == one) for other in scores) + 0.5
        for one in scores
    ]
    n, m = int(labels.sum()), int((~labels).sum())
    total = sum(r for r, label in zip(rank, labels, strict=True) if label)
    return (total - n * (n + 1) / 2) / (n * m)


def pairs_reversed(scores, labels):
    return 1 - pairs(scores, labels)


def pairs_at_zero(scores, labels):
    return ((scores > 0) == labels).double().mean()


def pairs_strict(scores, labels):
    return float((scores[labels][:, None] > scores[~labels]).double().mean())


def pairs_lax(scores, labels):
    return float((scores[labels][:, None] >= scores[~labels]).double().mean())


def drawn(like, draws, generator):
    x = torch.randn(draws, len(like), generator=generator, dtype=torch.float64)
    return x / x.norm(dim=1, keepdim=True) * like.norm()


def drawn_by_loop(like, draws, generator):
    rows = []
    for _ in range(draws):
        one = torch.randn(len(like), generator=generator).double()
        rows.append(one * (like.norm() / one.norm()))
    return torch.stack(rows)


def drawn_on_average(like, draws, generator):
    x = torch.randn(draws, len(like), generator=generator, dtype=torch.float64)
    return x * like.norm() / len(like) ** 0.5


def drawn_units(like, draws, generator):
    x = drawn(like, draws, generator)
    return x / x.norm(dim=1, keepdim=True)


def drawn_positive(like, draws, generator):
    x = torch.rand(draws, len(like), generator=generator, dtype=torch.float64)
    return x / x.norm(dim=1, keepdim=True) * like.norm()


def drawn_axes(like, draws, generator):
    axis = torch.randint(len(like), (draws,), generator=generator)
    sign = 2 * torch.randint(2, (draws, 1), generator=generator) - 1
    return torch.eye(len(like), dtype=torch.float64)[axis] * sign * like.norm()


def drawn_fixed(like, draws, generator):
    return drawn(like, draws, torch.Generator().manual_seed(0))


def p(effect, null):
    return (1 + int((torch.as_tensor(null).abs() >= abs(effect)).sum())) / (1 + len(null))


def p_by_rank(effect, null):
    everyone = sorted([abs(float(x)) for x in null] + [abs(effect)])
    return (len(everyone) - everyone.index(abs(effect))) / len(everyone)


def p_without_itself(effect, null):
    return int((null.abs() >= abs(effect)).sum()) / len(null)


def p_one_sided(effect, null):
    return (1 + int((null >= effect).sum())) / (1 + len(null))


def p_below(effect, null):
    return (1 + int((null.abs() < abs(effect)).sum())) / (1 + len(null))


def p_signed_effect(effect, null):
    return (1 + int((null.abs() >= effect).sum())) / (1 + len(null))


RIGHT = {
    "mean-difference": [mean, mean_by_weights],
    "auroc": [pairs, pairs_by_ranks],
    "norm-matched": [drawn, drawn_by_loop],
    "p-value": [p, p_by_rank],
}
WRONG = {
    "mean-difference": [
        (mean_reversed, "the other way round"),
        (mean_less_all, "mean of all places"),
        (mean_of_sums, "you take sums"),
        (mean_over_all, "number of all places"),
    ],
    "auroc": [
        (pairs_reversed, "without the label scores higher"),
        (pairs_at_zero, "depends on the threshold"),
        (pairs_strict, "equal scores as wrong"),
        (pairs_lax, "equal scores as right"),
    ],
    "norm-matched": [
        (drawn_on_average, "on average only"),
        (drawn_units, "each has length 1"),
        (drawn_positive, "lean to one side"),
        (drawn_axes, "not all directions are equally likely"),
        (drawn_fixed, "another generator"),
    ],
    "p-value": [
        (p_without_itself, "leave the effect itself out"),
        (p_one_sided, "one side only"),
        (p_below, "move less"),
        (p_signed_effect, "signed effect"),
    ],
}
