"""Who said so: the part of a logit, and of the loss, that each component answers for.

The residual stream is a sum, `x = embedding + head 0.0 + head 0.1 + ...`, and the unembedding is
linear, so a logit is a sum with one summand for every component:

    logit[t] = sum over components c of  x_c . W_U[:, t]

The loss is not linear: what a term is worth depends on what else is there. Two ways to say it are
given here, both with attention patterns frozen: take the term alone away, or add the terms one
after another. Chapters 06, 09 and 10. Source: Elhage et al. 2021 (path expansion, term importance).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from mechlib.reading.circuits import Term, logit_loss

# ---- logits -----------------------------------------------------------------------------------


def direct_logit_attribution(
    components: Float[Tensor, "component batch pos d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    targets: Int[Tensor, "batch pos"],
    against: Int[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "component batch pos"]:
    """What each component adds to the logit of the target token, straight through W_U.

    Logits are known only up to a constant, so it is the target's logit less the mean of all logits
    or, with `against`, less the logit of that token. Summed over components it is that difference
    in the model, if the components sum to what stands before the unembedding; for a model with a
    final LayerNorm pass them through `through_final_norm` first. `targets[b, i]` is the token
    looked for at position i, for example the next one, `tokens[:, i + 1]`.

    ValueError when shapes do not fit or a target is not in the vocabulary.
    """
    d_model = W_U.shape[0]
    if components.shape[1:] != (*targets.shape, d_model):
        raise ValueError(
            f"components must have shape (component, {', '.join(map(str, targets.shape))}, "
            f"{d_model}) to fit targets and W_U, got {tuple(components.shape)}"
        )
    direction = _columns(W_U, targets, "targets")
    if against is None:
        direction = direction - W_U.mean(1)
    else:
        direction = direction - _columns(W_U, against, "against")
    return (components * direction).sum(-1)


def _columns(W_U: Tensor, tokens: Tensor, name: str) -> Tensor:
    """(batch, pos, d_model): the column of W_U of every token."""
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= W_U.shape[1]:
        raise ValueError(f"{name} must be tokens 0 to {W_U.shape[1] - 1}, got {low} to {high}")
    return W_U.mT[tokens.long()]


def through_final_norm(
    components: Float[Tensor, "component batch pos d_model"], eps: float = 1e-5
) -> Float[Tensor, "component batch pos d_model"]:
    """Centre every component and divide it by the standard deviation of their sum.

    LayerNorm is linear but for its scale; with the scale of the whole stream for all, the results
    sum to the LayerNorm (without gain or bias) of the sum, and each can be attributed.
    """
    centred = components - components.mean(-1, keepdim=True)
    variance = centred.sum(0).square().mean(-1, keepdim=True)
    return centred / (variance + eps).sqrt()


# ---- the loss ---------------------------------------------------------------------------------


class TermLoss(NamedTuple):
    """What one term is worth, in nats; negative: it makes the loss smaller.

    `added`: change of the loss when it joins the terms before it in the list; the first is compared
    with the uniform guess. Over the list these sum to the loss of all minus ln d_vocab.
    `left_out`: the loss of all terms minus the loss of all but this one. These need not sum to
    anything: two heads that do the same job are each worth little beside the other.
    """

    name: str
    added: float
    left_out: float


def loss_by_term(
    terms: Mapping[str, Float[Tensor, "batch pos d_vocab"]], tokens: Int[Tensor, "batch pos"]
) -> list[TermLoss]:
    """What each term of the logits buys: added in the order given, and left out alone.

    `terms` maps names to logits that sum to the model's, as `sum_by` makes them from a path
    expansion. The loss is next-token cross-entropy, mean over positions but the last, in nats.
    ValueError when there is no term or a term's shape does not fit the tokens.
    """
    if not terms:
        raise ValueError("terms is empty: needs at least one")
    for name, logits in terms.items():
        if logits.shape[:-1] != tokens.shape:
            raise ValueError(
                f"term {name!r} has shape {tuple(logits.shape)}, tokens {tuple(tokens.shape)}"
            )
    total = sum(terms.values())
    whole = logit_loss(total, tokens)
    before, partial, result = math.log(total.shape[-1]), 0, []
    for name, logits in terms.items():
        partial = partial + logits
        now = logit_loss(partial, tokens)
        result.append(TermLoss(name, now - before, whole - logit_loss(total - logits, tokens)))
        before = now
    return result


def sum_by(
    terms: Iterable[Term], key: Callable[[Term], str | int]
) -> dict[str, Float[Tensor, "batch pos d_vocab"]]:
    """Add up the logits of the terms that share a key, in order of first appearance.

    The names of the sums are the keys as text.

    `sum_by(terms, lambda t: t.order)` gives "0", "1", "2": direct, heads, virtual heads;
    `sum_by(terms, lambda t: t.name)` leaves them apart; `sum_by(terms, layers_used)` groups the
    paths by the layers they pass through.
    """
    sums: dict[str, Tensor] = {}
    for term in terms:
        group = str(key(term))
        sums[group] = sums[group] + term.logits if group in sums else term.logits
    return sums


def layers_used(term: Term) -> str:
    """ "direct", "layer 0", "layers 0 1": the layers whose heads a path goes through."""
    layers = [str(layer) for layer, _ in term.path]
    return " ".join(["layer" if len(layers) == 1 else "layers", *layers]) if layers else "direct"
