"""Progress measures: numbers that move while the test loss still stands still.

From the logits of every pair, a P x P x P grid (a, b, answer), and the key frequencies of the
finished model:

    restricted loss   only the key frequencies are kept: what the final circuit alone would score
    excluded loss     only the key frequencies are removed: what everything else would score

Both keep the constant (the mean over all pairs, for each answer). What "a frequency" stands for
differs between the published versions, so it is an argument, `terms` (see `fourier.terms_of`):

    "sums"      cos w(a+b) and sin w(a+b), 2 for each frequency: the released code, and its
                notebook, which takes excluded loss for one frequency at a time
    "products"  the four products of waves of a and of b: "constant + 20 terms" for 5 frequencies,
                the paper's text on restricted loss
    "all"       products and single waves, 8 for each: "constant + 40" in the paper's ablations

Nor is the split the same: the paper looks at restricted loss on the test pairs or on all, and at
excluded loss on the training pairs. Here the caller says which. Losses are in nats.

Nanda et al. 2023, section 5 and appendix. Chapter 14.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechlib.grokking import fourier
from mechlib.train import History

# --- restricted and excluded loss --------------------------------------------------------------


def restricted_logits(
    logits: Float[Tensor, "a b answer"], frequencies: list[int], terms: str = "sums"
) -> Float[Tensor, "a b answer"]:
    """The constant and the terms of the given frequencies: everything else is dropped."""
    directions = fourier.terms_of(logits.shape[0], frequencies, terms)
    return logits.mean((0, 1)) + fourier.project(logits, directions)


def excluded_logits(
    logits: Float[Tensor, "a b answer"], frequencies: list[int], terms: str = "sums"
) -> Float[Tensor, "a b answer"]:
    """Everything but the terms of the given frequencies."""
    directions = fourier.terms_of(logits.shape[0], frequencies, terms)
    return logits - fourier.project(logits, directions)


def pair_loss(
    logits: Float[Tensor, "a b answer"],
    answers: Int[Tensor, "a b"],
    where: Bool[Tensor, "a b"] | None = None,
) -> float:
    """Mean cross-entropy in nats over the pairs chosen by `where` (all of them for None).

    Computed as log(1 + sum over wrong answers), which float64 holds down to 1e-300. ValueError
    when no pair is chosen.
    """
    if where is None:
        where = torch.ones_like(answers, dtype=torch.bool)
    if not bool(where.any()):
        raise ValueError("where: no pair is chosen")
    logits, column = logits[where], answers[where][:, None]  # only the pairs that are asked for
    gaps = (logits - logits.gather(1, column)).scatter_(1, column, -math.inf)
    return float(torch.logaddexp(gaps.logsumexp(1), gaps.new_zeros(())).mean())


def mask(indices: Int[Tensor, "pair"], P: int) -> Bool[Tensor, "a b"]:
    """A P x P mask from indices a P + b, as `modular.Task.train` holds them."""
    out = torch.zeros(P * P, dtype=torch.bool)
    out[indices] = True
    return out.view(P, P)


def restricted_loss(
    logits: Float[Tensor, "a b answer"],
    answers: Int[Tensor, "a b"],
    frequencies: list[int],
    where: Bool[Tensor, "a b"] | None = None,
    terms: str = "sums",
) -> float:
    """Loss, in nats, of the constant and the key frequencies alone."""
    return pair_loss(restricted_logits(logits, frequencies, terms), answers, where)


def excluded_loss(
    logits: Float[Tensor, "a b answer"],
    answers: Int[Tensor, "a b"],
    frequencies: list[int],
    where: Bool[Tensor, "a b"] | None = None,
    terms: str = "sums",
) -> float:
    """Loss, in nats, when the key frequencies are gone."""
    return pair_loss(excluded_logits(logits, frequencies, terms), answers, where)


# --- measures that need no key frequencies -----------------------------------------------------


def gini(values: Float[Tensor, "entry"]) -> float:
    """How unequal non-negative numbers are: 0 when all are equal, 1 - 1/n when all but one are 0.

    Over the norms of the Fourier components of W_E it says how sparse the embedding is in
    frequency (Nanda et al. 2023, appendix; Hurley and Rickard 2009).
    """
    if values.numel() == 0 or bool((values < 0).any()) or not float(values.sum()) > 0:
        raise ValueError("values: non-negative numbers wanted, at least one of them positive")
    v = values.double().sort().values
    n = len(v)
    rank = torch.arange(1, n + 1, dtype=torch.float64, device=v.device)
    return float((2 * rank - n - 1) @ v / (n * v.sum()))


def squared_norm(weights: Iterable[Tensor]) -> float:
    """Sum of the squares of all entries: what weight decay shrinks."""
    return float(sum(w.detach().double().square().sum() for w in weights))


# --- when things happen ------------------------------------------------------------------------


def first_step(
    steps: Sequence[int],
    values: Sequence[float],
    *,
    above: float = -math.inf,
    below: float = math.inf,
    after: int = 0,
) -> int | None:
    """The first step, not before `after`, with above <= value <= below; None if there is none."""
    _check_curve(steps, values)
    return next(
        (s for s, v in zip(steps, values, strict=True) if s >= after and above <= v <= below), None
    )


def reached(history: History, name: str, above: float) -> int | None:
    """The first step at which the curve `name` of a history is at least `above`; None if never."""
    return first_step(history.steps(name), history.values(name), above=above)


def halfway(
    steps: Sequence[int], values: Sequence[float], *, after: int = 0, until: int | None = None
) -> int:
    """The step at which a curve has gone half of its way, by one rule for rising and falling ones.

    Within the window from `after` to `until` take the last value and the value farthest from it;
    half-way is the first step after that farthest point which is nearer to the last value.
    """
    _check_curve(steps, values)
    window = [
        (s, float(v))
        for s, v in zip(steps, values, strict=True)
        if s >= after and (until is None or s <= until)
    ]
    if len(window) < 2:
        raise ValueError(f"after, until: fewer than two points between {after} and {until}")
    last = window[-1][1]
    far = max(range(len(window)), key=lambda i: abs(window[i][1] - last))
    half = abs(window[far][1] - last) / 2
    return next(s for s, v in window[far:] if abs(v - last) <= half)


def phases(
    steps: Sequence[int],
    test_accuracy: Sequence[float],
    test_loss: Sequence[float],
    learned: float = 0.99,
) -> dict[str, int | None]:
    """Where the three phases of grokking end, by rule. The paper sets them by eye.

    memorised: the step at which the test loss is largest: until here the network only grew surer of
        what it had stored, and of wrong answers with it.
    circuit formed: the step at which the test loss has gone half of its way down (see `halfway`):
        up to here the circuit grew beside the memorised answers.
    cleaned up: the first step at which test accuracy reaches `learned`.

    All three are None for a run that never gets there.
    """
    cleaned = first_step(steps, test_accuracy, above=learned)
    if cleaned is None:
        return {"memorised": None, "circuit formed": None, "cleaned up": None}
    top = steps[max(range(len(steps)), key=lambda i: test_loss[i])]
    formed = halfway(steps, test_loss, after=top)
    return {"memorised": top, "circuit formed": formed, "cleaned up": cleaned}


def _check_curve(steps: Sequence[int], values: Sequence[float]) -> None:
    if len(steps) != len(values) or len(steps) == 0:
        raise ValueError(f"values: one for each step wanted, got {len(values)} for {len(steps)}")
    if any(b <= a for a, b in itertools.pairwise(steps)):
        raise ValueError("steps: must rise")


# --- all measures of one model -----------------------------------------------------------------


def measures(
    logits: Float[Tensor, "a b answer"],
    answers: Int[Tensor, "a b"],
    train: Bool[Tensor, "a b"],
    frequencies: list[int],
    W_E: Float[Tensor, "x d_model"],
) -> dict[str, float]:
    """Losses (nats), accuracies and the sparsity of W_E, for one moment of training.

    Restricted and excluded losses are given in the definitions whose names follow the comma (see
    the top of this file), each on the split that its author used: "restricted loss" is the
    released code's, on all pairs; "excluded loss" the paper's, on the training pairs.
    """
    right = logits.argmax(2) == answers
    kept = restricted_logits(logits, frequencies)
    components = fourier.energy(W_E).sqrt()[1:]
    return {
        "train loss": pair_loss(logits, answers, train),
        "test loss": pair_loss(logits, answers, ~train),
        "train accuracy": float(right[train].double().mean()),
        "test accuracy": float(right[~train].double().mean()),
        "restricted loss": pair_loss(kept, answers),
        "restricted loss, test": pair_loss(kept, answers, ~train),
        "restricted loss, products": restricted_loss(
            logits, answers, frequencies, None, "products"
        ),
        "excluded loss": excluded_loss(logits, answers, frequencies, train),
        "excluded loss, products": excluded_loss(logits, answers, frequencies, train, "products"),
        "gini of W_E": gini(components),
        "key share of W_E": fourier.share(fourier.energy(W_E), frequencies),
    }
