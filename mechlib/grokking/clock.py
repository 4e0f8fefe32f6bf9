"""Is it the rotation algorithm? The evidence of Nanda et al. 2023, measured on a trained model.

The algorithm ("clock"): for a few key frequencies w = 2 pi k / P,

    embed    a -> cos wa, sin wa         attention and MLP -> cos w(a+b), sin w(a+b)
    unembed  logits(c) = sum over k of  alpha_k cos w_k(a + b - c)

and the evidence for it, each function below a number between 0 and 1 or a loss in nats:

    1  the embedding's energy lies in the key frequencies
    2  the neuron-logit map W_L = W_out W_U has rank 2 per key frequency, and the MLP's output
       along each of its directions is cos w(a+b) or sin w(a+b)
    3  neurons and attention are degree-2 polynomials of one frequency
    4  removing the key frequencies from the logits ruins them; removing all the others does not;
       neurons can be replaced by what 3 says they are (`replacements`)

The key frequencies are read off W_L (`key_frequencies`), so that 1 and 3 do not assume what they
show. The last functions tell clock from "pizza" (Zhong et al. 2023). Chapters 13 and 15.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mechlib.grokking import fourier, modular, progress
from mechlib.model import Transformer

# --- the parts of a model that the evidence is read from ---------------------------------------


def modulus(model: nn.Module) -> int:
    """P of a one-layer transformer on `a b =`, or of an `EmbeddingMLP`."""
    if isinstance(model, Transformer):
        return modular.check_model(model)
    if isinstance(model, modular.EmbeddingMLP):
        return model.P
    raise TypeError(
        f"model: a one-layer Transformer or an EmbeddingMLP wanted, got {type(model).__name__}"
    )


def embedding(model: nn.Module) -> Float[Tensor, "x d_model"]:
    """The embedding of the numbers 0 ... P-1, in float64, without `=`."""
    return model.W_E.detach()[: modulus(model)].double()


def neuron_logit_map(model: nn.Module) -> Float[Tensor, "neuron answer"]:
    """W_L: what one unit of each neuron adds to each logit (W_out W_U, without `=`), in float64."""
    P = modulus(model)
    if isinstance(model, Transformer):
        W_out = model.blocks[0].mlp.W_out.detach().double()
        return W_out @ model.W_U.detach().double()[:, :P]
    return model.W_out.detach().double()


def key_frequencies(model: nn.Module, at_least: float = 1 / 16) -> list[int]:
    """The frequencies in which W_L writes, by `fourier.key_frequencies`'s rule: energy of at least
    1/16 (a quarter in amplitude) of the largest."""
    return fourier.key_frequencies(fourier.energy(neuron_logit_map(model).T), at_least)


def attention_to_first(model: Transformer) -> Float[Tensor, "a b head"]:
    """How much each head at `=` attends to a, on the grid of pairs, in float64."""
    return attention_grid(model)[:, :, :, 0]


@torch.no_grad()
def attention_grid(model: Transformer) -> Float[Tensor, "a b head key"]:
    """Attention at `=` to a, to b and to `=` itself, for every pair, in float64."""
    P = modulus(model)
    scores, _ = modular.head_tables(deepcopy(model).double())
    a, b = scores[:P, None].expand(P, P, -1), scores[None, P : 2 * P].expand(P, P, -1)
    return torch.stack([a, b, scores[2 * P].expand(P, P, -1)], dim=-1).softmax(-1)


# --- evidence ------------------------------------------------------------------------------------


def sum_cosines(P: int, frequencies: list[int]) -> Float[Tensor, "direction a_b_answer"]:
    """The functions cos w_k(a + b - c) of (a, b, c), one for each k, flat and of length one."""
    x = torch.arange(P)
    gap = (x[:, None, None] + x[None, :, None] - x) % P
    rows = fourier.basis(P)[[fourier.component(k) for k in frequencies]]
    return rows[:, gap].flatten(1) / P


def logit_variance(logits: Float[Tensor, "a b answer"], frequencies: list[int]) -> float:
    """Share of the logits' variance, over all pairs and answers, that one coefficient for each
    cos w_k(a + b - c) explains. Nanda et al.: 95 %."""
    flat = (logits - logits.mean()).flatten()
    weights = sum_cosines(logits.shape[0], frequencies).to(flat) @ flat
    return float(weights.square().sum() / flat.square().sum())


def direction_variance(
    neurons: Float[Tensor, "a b neuron"],
    W_L: Float[Tensor, "neuron answer"],
    frequencies: list[int],
) -> dict[str, float]:
    """For W_L's direction of each wave, "cos k" and "sin k": the share of the variance of the
    MLP's output along it that the same wave of a + b explains. Nanda et al.: 93 to 98 %."""
    P, out = W_L.shape[1], {}
    F = fourier.basis(P)
    for k in frequencies:
        sums = fourier.sum_directions(P, [k])
        for i, kind in enumerate(("cos", "sin")):
            read = neurons @ (W_L @ F[fourier.component(k, kind)])
            share = fourier.variance_explained(read[:, :, None], sums[i : i + 1])
            out[f"{kind} {k}"] = float(share[0])
    return out


def low_rank_residual(W_L: Float[Tensor, "neuron answer"], frequencies: list[int]) -> float:
    """Share of W_L's squared Frobenius norm outside the key frequencies (2 directions each)."""
    return 1 - float(fourier.energy(W_L.T)[frequencies].sum() / W_L.square().sum())


@dataclass(frozen=True)
class Grids:
    """What a model does with every pair, in float64, and what each neuron is best explained by."""

    logits: Float[Tensor, "a b answer"]
    neurons: Float[Tensor, "a b neuron"]
    frequency: Float[Tensor, "neuron"]
    share: Float[Tensor, "neuron"]


def grids(model: nn.Module) -> Grids:
    """All pairs through a model, once: `evidence` and `replacements` both start from this."""
    P = modulus(model)
    neurons = modular.all_neurons(model, P)
    return Grids(modular.all_logits(model, P), neurons, *fourier.best_frequency(neurons))


@torch.no_grad()
def evidence(
    model: nn.Module,
    task: modular.Task | None = None,
    on: str = "test",
    seen: Grids | None = None,
) -> dict[str, Any]:
    """All the numbers at once, in float64; losses in nats by the answers of `task` (a + b without
    one), over its test pairs, or with on="all" over all pairs.

    For subtraction the clock runs backwards in b, cos w(a - b - c): everything that speaks of a + b
    is read with -b in b's place. ValueError for a task of another P, or another `on`.

    seen: what `grids` gives for this model, when it is there already.

    Keys: key frequencies; embedding share; W_L residual; direction variance (the smallest and the
    mean); logit variance; neurons above 0.85 (count) and their share; neuron share in keys;
    head variance (transformers: one number a head) and head frequency; loss, accuracy;
    loss without keys, loss without others ("sums" kept), loss without each key.
    """
    P = modulus(model)
    keys, seen = key_frequencies(model), seen or grids(model)
    logits, neurons = seen.logits, seen.neurons
    W_L = neuron_logit_map(model)
    x = torch.arange(P)
    answers, where = (x[:, None] + x[None, :]) % P, torch.ones(P, P, dtype=torch.bool)
    if task is not None:
        answers, where = _pairs(task, P, on)
        if task.operation == "subtract":
            logits, neurons, answers, where = (t[:, -x] for t in (logits, neurons, answers, where))
    directions = direction_variance(neurons, W_L, keys)
    frequency, share = seen.frequency, seen.share  # the same with -b in b's place
    good = share > 0.85
    out: dict[str, Any] = {
        "key frequencies": keys,
        "embedding share": fourier.share(fourier.energy(embedding(model)), keys),
        "W_L residual": low_rank_residual(W_L, keys),
        "direction variance": directions,
        "logit variance": logit_variance(logits, keys),
        "neurons": int(share.numel()),
        "neurons above 0.85": int(good.sum()),
        "neurons above 0.85, of a key frequency": int(
            (good & torch.isin(frequency.long(), torch.tensor(keys))).sum()
        ),
        "loss": progress.pair_loss(logits, answers, where),
        "accuracy": float((logits.argmax(2) == answers)[where].double().mean()),
        "loss without keys": progress.excluded_loss(logits, answers, keys, where),
        "loss without others": progress.restricted_loss(logits, answers, keys, where),
        "loss without others, 8 terms a key": progress.restricted_loss(
            logits, answers, keys, where, "all"
        ),
        "loss without each key": {
            k: progress.excluded_loss(logits, answers, [k], where) for k in keys
        },
    }
    if isinstance(model, Transformer):
        k, explained = fourier.best_frequency(attention_to_first(model))
        out["head frequency"] = [int(f) for f in k]
        out["head variance"] = [float(s) for s in explained]
    return out


def _pairs(
    task: modular.Task, P: int, on: str = "test"
) -> tuple[Int[Tensor, "a b"], Bool[Tensor, "a b"]]:
    """The answers on the grid of pairs, and where the chosen pairs are: "test" or "all". Division
    has no pairs with b = 0. ValueError for another P or another word."""
    if task.P != P:
        raise ValueError(f"task: P is {task.P}, the model's is {P}")
    if on not in ("test", "all"):
        raise ValueError(f"on: got {on!r}, accepted: 'test', 'all'")
    chosen = task.test if on == "test" else torch.arange(len(task.pairs))
    answers = torch.zeros(P, P, dtype=torch.long)
    answers[task.pairs[:, 0], task.pairs[:, 1]] = task.answers
    where = torch.zeros(P, P, dtype=torch.bool)
    where[task.pairs[chosen, 0], task.pairs[chosen, 1]] = True
    return answers, where


# --- replacing what is inside by what it ought to be ---------------------------------------------


def written(
    neurons: Float[Tensor, "a b neuron"], W_L: Float[Tensor, "neuron answer"]
) -> Float[Tensor, "neuron"]:
    """How much each neuron moves the logits: its variance over the pairs, times the squared
    length of its row of W_L."""
    return neurons.flatten(0, 1).var(0, correction=0) * W_L.square().sum(1)


@torch.no_grad()
def replacements(
    model: nn.Module, task: modular.Task, above: float = 0.85, seen: Grids | None = None
) -> dict[str, float]:
    """Test losses, in nats, with something inside replaced by what the algorithm says it is.

    "whole"                     nothing replaced
    "good by polynomials"       every neuron that is more than `above` explained by one frequency,
                                by the polynomial of that frequency
    "all by polynomials"        every neuron by the polynomial of its best frequency
    "all by other polynomials"  by that of the frequency that follows: the control
    "good at their means"       the well-explained neurons, each at its mean over all pairs
    "others at their means"     the other neurons, likewise
    "along W_L"                 of the neurons' deviation from the mean, only what lies along the
                                directions that W_L reads at the key frequencies
    "off W_L"                   only what does not

    Not a loss: "written by good", the well-explained neurons' share of what all neurons write to
    the logits (see `written`).

    seen: what `grids` gives for this model, when it is there already.

    Nanda et al. 2023, section 4.4: polynomials for 433 neurons raise the loss by 3 %; "along W_L"
    lowers it by half, "off W_L" brings it to 5.27.
    """
    P = modulus(model)
    answers, test = _pairs(task, P)
    seen = seen or grids(model)
    logits, neurons, frequency = seen.logits, seen.neurons, seen.frequency
    W_L = neuron_logit_map(model)
    good, following = seen.share > above, frequency % ((P - 1) // 2) + 1

    def writes(neurons: Tensor) -> tuple[Tensor, Tensor]:
        """What neurons write to the logits: the good ones, and the others."""
        return neurons @ (W_L * good[:, None]), neurons @ (W_L * ~good[:, None])

    def to_mean(written: Tensor) -> Tensor:
        return written.mean((0, 1)) - written

    by_good, by_others = writes(neurons)
    good_polynomial, other_polynomial = writes(fourier.of_one_frequency(neurons, frequency))
    following_polynomial = fourier.of_one_frequency(neurons, following) @ W_L

    waves = [fourier.component(k, kind) for k in key_frequencies(model) for kind in ("cos", "sin")]
    read = torch.linalg.qr(W_L @ fourier.basis(P)[waves].T).Q  # (neuron, direction)
    without_read = to_mean(neurons @ read @ (read.T @ W_L))

    as_it_is = by_good + by_others
    changes = {
        "whole": torch.zeros_like(logits),
        "good by polynomials": good_polynomial - by_good,
        "all by polynomials": good_polynomial + other_polynomial - as_it_is,
        "all by other polynomials": following_polynomial - as_it_is,
        "good at their means": to_mean(by_good),
        "others at their means": to_mean(by_others),
        "along W_L": to_mean(as_it_is) - without_read,
        "off W_L": without_read,
    }
    losses = {
        name: progress.pair_loss(logits + change, answers, test) for name, change in changes.items()
    }
    by_neuron = written(neurons, W_L)
    return losses | {"written by good": float(by_neuron[good].sum() / by_neuron.sum())}


# --- clock or pizza ------------------------------------------------------------------------------


def distance_irrelevance(logits: Float[Tensor, "a b answer"]) -> float:
    """How much the correct logit depends on a - b, the distance of the two numbers.

    Mean standard deviation of the correct logit over all pairs of one a - b, divided by its
    standard deviation over all pairs. Near 1: the distance does not matter, as on a clock; near 0:
    it explains everything, as on a pizza. Zhong et al. 2023, section 4: 0.17 pizza, 0.85 clock.
    """
    P = logits.shape[0]
    x = torch.arange(P)
    right = logits.gather(2, ((x[:, None] + x[None, :]) % P)[:, :, None])[:, :, 0]
    by_distance = torch.stack([right[x, (x + d) % P] for d in range(P)])  # (distance, a)
    return float(by_distance.std(1, correction=0).mean() / right.std(correction=0))


def gradient_symmetricity(model: nn.Module, triples: Int[Tensor, "triple 3"]) -> float:
    """Mean cosine between the gradients of a logit with respect to the embeddings of a and of b.

    triples (a, b, c): the logit of c is differentiated. Near 1: both numbers enter in the same
    way, as on a pizza, which adds them first; lower: they are multiplied, as on a clock.
    Zhong et al. 2023, section 4: 0.99 pizza, 0.33 clock.
    """
    P = modulus(model)
    model = deepcopy(model).double()
    total = 0.0
    for a, b, c in triples.tolist():
        # the two numbers need embeddings of their own, or a == b would add their gradients
        x = torch.stack([model.W_E[a], model.W_E[b]]).detach().requires_grad_()
        logit = _logits_from_embeddings(model, x, P)[c]
        (slope,) = torch.autograd.grad(logit, x)
        total += float(torch.cosine_similarity(slope[0], slope[1], dim=0))
    return total / len(triples)


def _logits_from_embeddings(model: nn.Module, x: Float[Tensor, "2 d_model"], P: int) -> Tensor:
    if not isinstance(model, Transformer):
        hidden = torch.relu(x.flatten() @ model.W_in + model.b_in)
        return hidden @ model.W_out + model.b_out
    block = model.blocks[0]
    attn, mlp = block.attn, block.mlp
    stream = torch.cat([x, model.W_E[P:]]) + model.W_pos[:3]  # (pos, d_model)
    query = stream[2] @ attn.W_Q  # (head, d_head)
    keys, values = (torch.einsum("pd,hdk->phk", stream, W) for W in (attn.W_K, attn.W_V))
    scores = torch.einsum("hk,phk->ph", query, keys) / math.sqrt(query.shape[-1])
    z = torch.einsum("ph,phk->hk", scores.softmax(0), values)
    mid = stream[2] + torch.einsum("hk,hkd->d", z, attn.W_O)
    post = torch.relu(mid @ mlp.W_in + mlp.b_in)
    return (mid + post @ mlp.W_out + mlp.b_out) @ model.W_U
