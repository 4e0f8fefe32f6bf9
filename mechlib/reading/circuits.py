"""The circuits of attention heads, read off their weights.

Row vectors throughout: a token's vector stands on the left, `x @ W`. (The papers use columns; their
`W_QK` and `W_OV` are the transposes of ours.)

    scores[q, k] = x_q W_QK x_k^T / sqrt(d_head)     W_QK = W_Q W_K^T    where the head looks
    result[q]    = sum_k pattern[q, k] x_k W_OV      W_OV = W_V W_O      what it moves
    logits       = sum over paths of  A_n ... A_1  x  W_OV_1 ... W_OV_n  W_U

The last line holds for an attention-only model without LayerNorm once its attention patterns are
frozen: then it is linear in x, and multiplying out the layers, each `x + sum_h A_h x W_OV_h`, gives
one term for every way through the model.

Functions take tensors and factored matrices, never a model. Source: Elhage et al. 2021, A
Mathematical Framework for Transformer Circuits. Chapters 06, 07 and 09.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mechlib.reading.factored import FactoredMatrix

# ---- one head ---------------------------------------------------------------------------------


def W_QK(
    W_Q: Float[Tensor, "*heads d_model d_head"], W_K: Float[Tensor, "*heads d_model d_head"]
) -> FactoredMatrix:
    """`W_Q W_K^T`, (... d_model d_model): whose vector asks for whose. Without 1/sqrt(d_head)."""
    return FactoredMatrix(W_Q, W_K.mT)


def W_OV(
    W_V: Float[Tensor, "*heads d_model d_head"], W_O: Float[Tensor, "*heads d_head d_model"]
) -> FactoredMatrix:
    """`W_V W_O`, (... d_model d_model): what a head adds to the stream per vector attended to."""
    return FactoredMatrix(W_V, W_O)


def full_QK(W_E: Float[Tensor, "d_vocab d_model"], W_QK: FactoredMatrix) -> FactoredMatrix:
    """`W_E W_QK W_E^T`, (... query token, key token): how much one token looks for another.

    The scale is not in: an attention score is an entry divided by sqrt(d_head).
    """
    return W_E @ W_QK @ W_E.mT


def full_OV(
    W_E: Float[Tensor, "d_vocab d_model"],
    W_OV: FactoredMatrix,
    W_U: Float[Tensor, "d_model d_vocab"],
) -> FactoredMatrix:
    """`W_E W_OV W_U`, (... source token, output token): the logits that a source token adds."""
    return W_E @ W_OV @ W_U


def qk_parts(
    token: Float[Tensor, "d_vocab d_model"],
    position: Float[Tensor, "n_ctx d_model"],
    W_QK: FactoredMatrix,
) -> dict[tuple[str, str], FactoredMatrix]:
    """The four parts of QK, by what the query and what the key is read from.

    A query is read from token plus position, `(t_q + p_q)`, and so is a key: the score is the sum
    of `t W_QK t^T`, `t W_QK p^T`, `p W_QK t^T` and `p W_QK p^T`. Keys of the result are
    ("token", "position") and so on, query first. The scale 1/sqrt(d_head) is not in.

    Give the tables (`W_E`, `W_pos`) for the circuits, or the embedded tokens of one text and the
    positions they stand at for the four parts of its scores.
    """
    sources = {"token": token, "position": position}
    return {
        (query, key): x_q @ W_QK @ x_k.mT
        for query, x_q in sources.items()
        for key, x_k in sources.items()
    }


# ---- all paths through an attention-only model ------------------------------------------------


@dataclass(frozen=True)
class Term:
    """One path: `path` holds its heads as (layer, head), first layer first; () is the direct path.

    `logits` is what the path adds to the logits, (batch, pos, d_vocab).
    """

    path: tuple[tuple[int, int], ...]
    logits: Float[Tensor, "batch pos d_vocab"]

    @property
    def name(self) -> str:
        """ "direct", "0.3" for head 3 of layer 0, "0.3 > 1.2" for a virtual head."""
        return " > ".join(f"{layer}.{head}" for layer, head in self.path) or "direct"

    @property
    def order(self) -> int:
        """How many heads the path goes through."""
        return len(self.path)


def path_expansion(
    resid: Float[Tensor, "batch pos d_model"],
    patterns: Float[Tensor, "layer batch head query key"],
    W_V: Float[Tensor, "layer head d_model d_head"],
    W_O: Float[Tensor, "layer head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    max_terms: int = 1000,
) -> list[Term]:
    """The logits of an attention-only model as a list of terms, one for every path.

    `resid` is what enters layer 0 (token and position embedding), `patterns` the attention patterns
    of that same run, held fixed. There are (1 + heads)^layers terms, each (batch, pos, d_vocab),
    the direct path first. Their sum equals the model's logits when the model has neither MLP nor
    LayerNorm.

    Raises ValueError when shapes disagree or there would be more than `max_terms` terms.
    Source: Elhage et al. 2021, "Path expansion of logits".
    """
    _check_layers(resid, patterns, W_V, W_O, W_U)
    n_layers, n_heads = W_V.shape[:2]
    if (1 + n_heads) ** n_layers > max_terms:
        raise ValueError(
            f"{n_layers} layers of {n_heads} heads have {(1 + n_heads) ** n_layers} paths, "
            f"more than max_terms={max_terms}"
        )
    streams = [((), resid)]
    for layer in range(n_layers):
        extended = [
            ((*path, (layer, head)), moved)
            for path, x in streams
            for head, moved in enumerate(
                (_looked_up(x, patterns[layer], W_V[layer]) @ W_O[layer]).unbind(1)
            )
        ]
        streams = streams + extended
    return [Term(path, x @ W_U) for path, x in streams]


def _looked_up(
    x: Float[Tensor, "batch pos d_model"],
    pattern: Float[Tensor, "batch head query key"],
    W_V: Float[Tensor, "head d_model d_head"],
) -> Float[Tensor, "batch head query d_head"]:
    """What each head of a layer brings from where it looks when its pattern is given."""
    return pattern @ (x[:, None] @ W_V)


def _layer_writes(
    z: Float[Tensor, "batch head query d_head"], W_O: Float[Tensor, "head d_head d_model"]
) -> Float[Tensor, "batch query d_model"]:
    """What all heads of a layer write together: one product, not a sum over heads."""
    return z.transpose(1, 2).flatten(2) @ W_O.flatten(0, 1)


class VirtualHead(NamedTuple):
    """Two heads of different layers acting as one: a pattern and an OV circuit of their own."""

    pattern: Float[Tensor, "... query key"]
    W_OV: FactoredMatrix


def virtual_head(
    pattern_1: Float[Tensor, "*batch query key"],
    W_OV_1: FactoredMatrix,
    pattern_2: Float[Tensor, "*batch query key"],
    W_OV_2: FactoredMatrix,
) -> VirtualHead:
    """The head that head 1 and, in a later layer, head 2 make together.

    `A_2 (A_1 x W_OV_1) W_OV_2 = (A_2 A_1) x (W_OV_1 W_OV_2)`: the patterns multiply from the left,
    later head first; the OV circuits from the right, earlier head first (row vectors).
    """
    return VirtualHead(pattern_2 @ pattern_1, W_OV_1 @ W_OV_2)


# ---- composition ------------------------------------------------------------------------------


def composition_scores(
    W_OV_1: FactoredMatrix, W_QK_2: FactoredMatrix, W_OV_2: FactoredMatrix
) -> dict[str, Float[Tensor, "head_1 head_2"]]:
    """How much each head of a later layer reads of what each head of an earlier one writes.

    The share of the largest possible norm, ||A B|| / (||A|| ||B||) in Frobenius norms, 0 to 1:

        Q: ||W_OV_1 W_QK_2||      K: ||W_OV_1 W_QK_2^T||      V: ||W_OV_1 W_OV_2||

    Head 1 writes `x W_OV_1`; the query side of W_QK_2 is its left, the key side its right. This is
    the corrected form, in row vectors, of Elhage et al. 2021 (their first diagram rested on a wrong
    transpose). Each argument has one batch axis, the heads of its layer; the result is a dict of
    "Q", "K", "V". Only d_head x d_head products are formed. Compare with `composition_baseline`.
    """
    for name, circuit in {"W_OV_1": W_OV_1, "W_QK_2": W_QK_2, "W_OV_2": W_OV_2}.items():
        if circuit.ndim != 3 or circuit.shape[1:] != (W_OV_1.shape[-1],) * 2:
            raise ValueError(
                f"{name} must have shape (head, d_model, d_model) with the d_model of W_OV_1 "
                f"{tuple(W_OV_1.shape)}, got {tuple(circuit.shape)}"
            )
    second = {"Q": W_QK_2, "K": W_QK_2.T, "V": W_OV_2}
    return {kind: _norm_ratio(W_OV_1, circuit) for kind, circuit in second.items()}


def _norm_ratio(first: FactoredMatrix, second: FactoredMatrix) -> Float[Tensor, "head_1 head_2"]:
    """||M_1 M_2|| / (||M_1|| ||M_2||) for every pair, in Frobenius norms.

    M_1 M_2 = A_1 (B_1 A_2) B_2, and orthonormal factors do not change the norm, so that the product
    of three small matrices, R(A_1) (B_1 A_2) R(B_2^T)^T, has the norm of the large one.
    """
    left, right = first.triangles()[0], second.triangles()[1]
    middle = first.B[:, None] @ second.A  # (head_1, head_2, d_head, d_head)
    norms = (left[:, None] @ middle @ right.mT).flatten(-2).norm(dim=-1)
    return norms / (first.norm()[:, None] * second.norm())


class Baseline(NamedTuple):
    """Mean and standard deviation of a score over random draws."""

    mean: float
    std: float


def composition_baseline(d_model: int, d_head: int, samples: int = 200, seed: int = 0) -> Baseline:
    """The composition score of two unrelated heads: random matrices of that shape and rank.

    Each circuit is a product of (d_model, d_head) and (d_head, d_model) Gaussian matrices; about
    1/sqrt(d_model). Subtract the mean from a score to see what training has put there: 0 is no more
    than chance, and `std` says how far chance strays. Q, K and V have the same baseline.
    """
    generator = torch.Generator().manual_seed(seed)
    ratios = []
    for _ in range(samples):
        A_1, B_1, A_2, B_2 = torch.randn(
            4, d_model, d_head, generator=generator, dtype=torch.float64
        )
        pair = [FactoredMatrix(A[None], B.T[None]) for A, B in ((A_1, B_1), (A_2, B_2))]
        ratios.append(_norm_ratio(*pair))
    ratios = torch.cat(ratios)
    return Baseline(ratios.mean().item(), ratios.std().item())


def above_baseline(
    scores: dict[str, Float[Tensor, "head_1 head_2"]], baseline: Baseline
) -> dict[str, Float[Tensor, "head_1 head_2"]]:
    """Composition scores with the mean of the baseline taken off."""
    return {kind: score - baseline.mean for kind, score in scores.items()}


# ---- what paths of each length are worth ------------------------------------------------------


class TermImportance(NamedTuple):
    """`losses[n]` is the loss, in nats, of the paths through at most n heads.

    `marginal[n]` is what the paths of length exactly n add: `losses[n] - losses[n-1]`, and for
    n = 0, `losses[0]` minus the loss of a uniform guess, ln d_vocab. They sum to the loss of the
    whole model minus that of the uniform guess.
    """

    uniform: float
    losses: list[float]
    marginal: list[float]


def term_importance(
    resid: Float[Tensor, "batch pos d_model"],
    patterns: Float[Tensor, "layer batch head query key"],
    W_V: Float[Tensor, "layer head d_model d_head"],
    W_O: Float[Tensor, "layer head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    norm: Callable[[int, Tensor], Tensor] = lambda layer, x: x,
) -> TermImportance:
    """What direct path, heads and virtual heads are worth, in n + 1 passes with frozen patterns.

    In pass 0 every head's output is computed and kept, but nothing is added to the stream: only the
    direct path reaches the logits. In each later pass the outputs kept from the pass before are
    added, which lets through the paths of one head more. No path is ever enumerated.

    `norm(layer, x)` is applied before each layer and, with layer = n_layers, before unembedding:
    leave it out for a model without LayerNorm; with one, the passes are the same but the model is
    no longer a sum over paths, so an order is a pass and not a set of terms. The loss is that of
    the next token, mean over all positions but the last.

    Source: Elhage et al. 2021, "Term importance analysis".
    """
    _check_layers(resid, patterns, W_V, W_O, W_U)
    n_layers = W_V.shape[0]
    written = [torch.zeros_like(resid)] * n_layers
    losses = []
    for order in range(n_layers + 1):
        x, kept = resid, list(written)
        for layer in range(n_layers):
            if layer >= order:  # lower layers read what they read in the pass before
                z = _looked_up(norm(layer, x), patterns[layer], W_V[layer])
                kept[layer] = _layer_writes(z, W_O[layer])
            x = x + written[layer]
        losses.append(logit_loss(norm(n_layers, x) @ W_U, tokens))
        written = kept
    uniform = math.log(W_U.shape[1])
    marginal = [now - before for before, now in zip([uniform, *losses], losses)]
    return TermImportance(uniform, losses, marginal)


class LayerWorth(NamedTuple):
    """Nats that the heads of two layers take off the loss; negative is better. `layer_worth`."""

    first_alone: float
    first_beside_second: float
    second_alone: float
    second_beside_first: float
    first_at_its_own_place: float

    @property
    def gap(self) -> float:
        """Nats that the second layer saves beyond the first, each beside the direct path alone."""
        return self.first_alone - self.second_alone


def layer_worth(
    resid: Float[Tensor, "batch pos d_model"],
    patterns: Float[Tensor, "layer batch head query key"],
    W_V: Float[Tensor, "layer head d_model d_head"],
    W_O: Float[Tensor, "layer head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    norm: Callable[[int, Tensor], Tensor] = lambda layer, x: x,
) -> LayerWorth:
    """What each of two layers of heads is worth, alone and beside the other, patterns frozen.

    Both layers read the stream that enters the first, so that virtual heads are left out. "At its
    own place" is the first layer with only the diagonal of its patterns: a head that looks at
    itself is a direct path by another name. Arguments as for `term_importance`; ValueError for
    another number of layers than two.

    Source: Elhage et al. 2021, "Term importance analysis".
    """
    _check_layers(resid, patterns, W_V, W_O, W_U)
    if len(patterns) != 2:
        raise ValueError(f"patterns must be of two layers, got {len(patterns)}")

    def written(layer: int, pattern: Tensor) -> Tensor:
        return _layer_writes(_looked_up(norm(layer, resid), pattern, W_V[layer]), W_O[layer])

    def loss(*streams: Tensor) -> float:
        return logit_loss(norm(2, resid + sum(streams)) @ W_U, tokens)

    first, second = written(0, patterns[0]), written(1, patterns[1])
    itself = written(0, patterns[0] * torch.eye(patterns.shape[-1]).to(patterns))
    none, one, two, both = loss(), loss(first), loss(second), loss(first, second)
    return LayerWorth(one - none, both - two, two - none, both - one, loss(itself) - none)


def logit_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> float:
    """Mean cross-entropy, in nats, of the token at i + 1 under the logits at i."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten().long()).item()


def _check_layers(resid: Tensor, patterns: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor) -> None:
    """ValueError naming the first argument whose shape does not fit the others."""
    batch, pos, d_model = resid.shape
    layers, heads, _, d_head = W_V.shape
    expected = {
        "patterns": (patterns, (layers, batch, heads, pos, pos)),
        "W_V": (W_V, (layers, heads, d_model, d_head)),
        "W_O": (W_O, (layers, heads, d_head, d_model)),
        "W_U": (W_U, (d_model, W_U.shape[-1])),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
