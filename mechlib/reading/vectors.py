"""Reading vectors: one direction for a concept, how well it reads, and its rivals.

A reading is the product of an activation with a direction. How good it is, is its AUROC: the
probability that a place where the concept holds reads higher than one where it does not. 0.5 is
chance.

    difference_of_means   (mechlib.reading.steering) mean where it holds less mean where it does not
    principal_direction   first principal component of pair differences: LAT, Zou et al. 2023
    probe                 logistic regression, about the best that one direction can do

Three rivals: a table of the present token (`lookup`), which knows no context; directions from the
same activations under shuffled labels (`shuffled_directions`), which lie where the activations
vary; and the same recipe in a network that was not trained.

Zou et al. 2023, "Representation engineering", arXiv:2310.01405, section 3.1. Chapter 19.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def auroc(scores: Float[Tensor, " place"], labels: Bool[Tensor, " place"]) -> float:
    """Probability that a place with the label scores higher than one without; ties count half.

    ValueError when all labels are the same.
    """
    n_yes = int(labels.sum())
    n_no = len(labels) - n_yes
    if not n_yes or not n_no:
        raise ValueError(f"labels: {n_yes} hold and {n_no} do not; both are needed")
    # numpy sorts several times faster than torch, which sorts the indices as well
    yes, no = (np.sort(scores[which].numpy(force=True)) for which in (labels, ~labels))
    won = np.searchsorted(no, yes).sum() + np.searchsorted(no, yes, side="right").sum()
    return float(won) / (2 * n_yes * n_no)


def _check_both(labels: Tensor) -> None:
    if bool(labels.all()) or not bool(labels.any()):
        raise ValueError("labels: they are all the same, there is nothing to tell apart")


def _gram(x: Float[Tensor, "place d"]) -> Float[Tensor, "d d"]:
    """x^T x. It equals its transpose: numpy sees that and computes one half."""
    rows = x.numpy(force=True)
    return torch.from_numpy(rows.T @ rows)


def _random_pairs(
    labels: Bool[Tensor, " place"], pairs: int, tokens: Int[Tensor, " place"] | None, seed: int
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Places with the label and places without, drawn in pairs; of equal tokens if given."""
    generator = torch.Generator().manual_seed(seed)

    def draw(where: Tensor, n: int) -> Tensor:
        return where[torch.randint(len(where), (n,), generator=generator)]

    yes, no = labels.nonzero()[:, 0], (~labels).nonzero()[:, 0]
    if tokens is None:
        return draw(yes, pairs), draw(no, pairs)
    yes = yes[torch.isin(tokens[yes], tokens[no])]
    if not len(yes):
        raise ValueError("tokens: no token stands both with and without the label")
    first = draw(yes, pairs)
    no = no[tokens[no].argsort(stable=True)]  # so that the places of one token stand together
    asked, order = tokens[first].sort(stable=True)
    token, wanted = asked.unique_consecutive(return_counts=True)
    begin, end = (torch.searchsorted(tokens[no], token, right=after) for after in (False, True))
    rows = zip(begin.tolist(), end.tolist(), wanted.tolist())
    second = torch.empty_like(first)
    second[order] = torch.cat([draw(no[start:stop], n) for start, stop, n in rows])
    return first, second


def principal_direction(
    activations: Float[Tensor, "place d_model"],
    labels: Bool[Tensor, " place"],
    pairs: int = 2_000,
    tokens: Int[Tensor, " place"] | None = None,
    seed: int = 0,
) -> Float[Tensor, " d_model"]:
    """First principal component of differences between random pairs, one of each kind; length 1.

    Within a pair the order is random, and the differences are centred, so the component is found
    without the labels' sign; they only decide which end of it is "yes".

    tokens: where given, both places of a pair have the same token. ValueError when all labels are
    the same, or no token stands with and without the label.
    """
    _check_both(labels)
    first, second = _random_pairs(labels, pairs, tokens, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    sign = 2 * torch.randint(2, (pairs, 1), generator=generator).to(activations) - 1
    differences = ((activations[first] - activations[second]) * sign).double()
    differences = differences - differences.mean(0)
    component = torch.linalg.eigh(_gram(differences)).eigenvectors[:, -1].to(activations)
    read = activations @ component
    return component if read[labels].mean() >= read[~labels].mean() else -component


def probe(
    activations: Float[Tensor, "place d_model"],
    labels: Bool[Tensor, " place"],
    penalty: float = 1e-3,
    steps: int = 8,
) -> Float[Tensor, " d_model"]:
    """Direction of a logistic regression, by Newton's method, in the units of the activations.

    penalty: times half the squared length, on activations scaled to spread 1 on average. ValueError
    when all labels are the same.
    """
    _check_both(labels)
    centred = activations - activations.mean(0)
    spread = (centred.square().sum(0) / (len(centred) - 1)).sqrt().mean()
    x = torch.cat([centred / spread, torch.ones_like(centred[:, :1])], dim=1)
    y, w = labels.to(x), torch.zeros(x.shape[1], dtype=torch.float64)
    ridge = penalty * torch.ones_like(w)
    ridge[-1] = 1e-9  # the intercept is free
    for _ in range(steps):
        # as exact as the activations are: in float64 the AUROC moves by less than a millionth
        p = torch.sigmoid(x @ w.to(x))
        slope = (x.T @ (p - y)).double() / len(y) + ridge * w
        curve = _gram(x * (p * (1 - p)).sqrt()[:, None])
        step = torch.linalg.solve(curve.double() / len(y) + ridge.diag(), slope)
        w = w - step
        if step.norm() < 1e-2 * w.norm():  # Newton's next step would be about its square
            break
    return (w[:-1] / spread).to(activations)


def lookup(
    keys: Int[Tensor, " place"],
    labels: Bool[Tensor, " place"],
    asked: Int[Tensor, " query"],
    prior: Float[Tensor, " query"] | None = None,
    weight: float = 1.0,
) -> Float[Tensor, " query"]:
    """For each key asked, the share of the places with that key where the label holds.

    The share is pulled towards `prior` (the share over all places if None) as if `weight` more
    places had it. With the present token as key it is the best that no context can do.
    """
    if not len(keys):
        raise ValueError("keys: there are none to count")
    size = int(max(keys.max(), asked.max())) + 1
    held = torch.bincount(keys, labels.double(), minlength=size)[asked]
    seen = torch.bincount(keys, minlength=size)[asked]
    prior = labels.double().mean() if prior is None else prior
    return (held + weight * prior) / (seen + weight)


def shuffled_directions(
    activations: Float[Tensor, "place d_model"],
    labels: Bool[Tensor, " place"],
    like: Float[Tensor, " d_model"],
    draws: int,
    seed: int = 0,
) -> Float[Tensor, "draw d_model"]:
    """Differences of means under shuffled labels, each with the norm of `like`.

    They lie where the activations vary most. There a push moves the logits further than a push in
    a direction drawn from the whole space does, so this is the harder null of the two.

    ValueError when all labels are the same.
    """
    if draws < 1:
        raise ValueError(f"draws: at least 1 expected, got {draws}")
    _check_both(labels)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(labels), generator=generator) for _ in range(draws)]
    yes = labels.to(activations)
    weights = yes / yes.sum() - (1 - yes) / (1 - yes).sum()  # of each place in the difference
    found = torch.stack([weights[order] for order in orders]) @ (activations - activations.mean(0))
    return found / found.norm(dim=1, keepdim=True) * like.norm()
