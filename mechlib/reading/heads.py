"""What a head does, as one number a head, and what chance would give.

Scores of patterns take a pattern tensor (..., head, query, key) and, where it matters, the tokens
that it was made on: any model's will do. Axes before `head` are examples and are averaged over, so
that the result has shape (head,); a single pattern (query, key) gives a scalar. A pattern's rows
sum to one and are causal. Scores are shares of attention, 0 to 1, unless said otherwise.

A number means little alone: `uniform_pattern` and `random_patterns` are heads that do nothing in
particular, and the same score of those is the control.

Sources: Elhage et al. 2021 (copying by eigenvalues); Olsson et al. 2022, "Head activation
evaluators" (prefix matching, copying). Chapters 07, 08, 10 and 11.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from mechlib.reading.factored import FactoredMatrix

# ---- controls ---------------------------------------------------------------------------------


def uniform_pattern(n_pos: int) -> Float[Tensor, "query key"]:
    """The pattern of a head that looks at everything it can see alike: 1/(q+1) at each key <= q."""
    visible = torch.ones(n_pos, n_pos, dtype=torch.float64).tril()
    return visible / visible.sum(-1, keepdim=True)


def random_patterns(n_heads: int, n_pos: int, seed: int) -> Float[Tensor, "head query key"]:
    """Causal softmax of standard normal scores: heads that look at random."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n_heads, n_pos, n_pos, generator=generator, dtype=torch.float64)
    later = torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1)


def fixed_distances(n_pos: int, shares: Sequence[float | int]) -> Float[Tensor, "query key"]:
    """The pattern of a head that looks by distance alone: `shares[d]` of it lies d places back.

    What would fall in front of position 0 lies on position 0, so that rows sum to one.
    `fixed_distances(n, [0, 1])` is a perfect previous-token head. ValueError unless the shares are
    not negative and sum to one.
    """
    if not shares or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares must not be negative and must sum to 1, got {list(shares)}")
    pattern = torch.zeros(n_pos, n_pos, dtype=torch.float64)
    query = torch.arange(n_pos)
    for distance, share in enumerate(shares):
        pattern[query, (query - distance).clamp(min=0)] += share
    return pattern


def shuffled_keys(pattern: Float[Tensor, "*heads query key"], seed: int) -> Float[Tensor, "..."]:
    """The same attention, dealt at random among the keys that each query can see.

    Keeps how concentrated every row is, and loses where it points.
    """
    n_pos = pattern.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(pattern.shape, generator=generator, dtype=torch.float64)
    # keys that cannot be seen sort behind those that can, and change places among themselves only
    order = order.masked_fill(torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1), 2.0)
    return pattern.gather(-1, order.argsort(-1).to(pattern.device))


def repeated_tokens(
    choices: Int[Tensor, " n_choices"],
    batch: int,
    length: int = 25,
    repeats: int = 4,
    start: int | None = None,
    seed: int = 0,
) -> Int[Tensor, "batch pos"]:
    """Random tokens, `length` different ones, the same sequence `repeats` times over.

    Drawn from `choices` (leave the very common and very rare tokens out, as Olsson et al. do),
    after the token `start` if there is one. Two rows, for choices 5, 6, 7, length 2, repeats 2 and
    start 0, might be [0, 7, 5, 7, 5] and [0, 5, 6, 5, 6]. The defaults are the paper's.

    ValueError when there are fewer than `length` choices.
    """
    if len(choices) < length:
        raise ValueError(f"choices holds {len(choices)} tokens, fewer than length={length}")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(batch, len(choices), generator=generator).argsort(-1)[:, :length]
    tokens = choices[drawn].repeat(1, repeats)
    if start is None:
        return tokens
    return torch.cat([torch.full_like(tokens[:, :1], start), tokens], dim=1)


# ---- where a head looks, by position ----------------------------------------------------------


def previous_token_score(pattern: Float[Tensor, "... query key"]) -> Float[Tensor, "..."]:
    """Mean attention from i to i - 1, over i >= 1."""
    return _mean_over_examples(pattern.diagonal(-1, dim1=-2, dim2=-1).mean(-1))


def current_token_score(pattern: Float[Tensor, "... query key"]) -> Float[Tensor, "..."]:
    """Mean attention from i to i, over i >= 1 (position 0 has no choice)."""
    return _mean_over_examples(pattern.diagonal(dim1=-2, dim2=-1)[..., 1:].mean(-1))


def first_token_score(pattern: Float[Tensor, "... query key"]) -> Float[Tensor, "..."]:
    """Mean attention to position 0, over queries >= 1: where many heads rest."""
    return _mean_over_examples(pattern[..., 1:, 0].mean(-1))


def _mean_over_examples(score: Tensor) -> Tensor:
    """(..., head) -> (head,); a scalar stays one."""
    return score.flatten(0, -2).mean(0) if score.ndim > 1 else score


def positional_share(pattern: Float[Tensor, "*batch head query key"]) -> Float[Tensor, " head"]:
    """How much of a head's pattern positions alone explain: 1 all of it, 0 none.

    The part of each entry's distance from uniform attention, 1/(q+1), that is the same in all
    examples:

        1 - sum over (query, key) of  variance over examples / mean of (pattern - uniform)^2

    with both sums taken before dividing. The variance is the unbiased one (n - 1), so that a small
    sample does not explain itself: a pattern that has nothing to do with position comes out near 0,
    above or below (`shuffled_keys` is such a one). Query 0 is left out. A head that is uniform to
    the last digit counts as 1.

    ValueError with fewer than two examples.
    """
    if pattern.ndim < 4 or pattern.shape[:-3].numel() < 2:
        raise ValueError(
            "pattern must have shape (example, head, query, key) with two or more examples, "
            f"got {tuple(pattern.shape)}"
        )
    pattern = pattern.double().flatten(0, -4)[..., 1:, :]  # (example, head, query, key)
    uniform = uniform_pattern(pattern.shape[-1])[1:].to(pattern)
    unexplained = pattern.var(0).sum((-2, -1))
    total = (pattern - uniform).square().mean(0).sum((-2, -1))
    share = 1 - unexplained / total.clamp(min=torch.finfo(total.dtype).tiny)
    return torch.where(total == 0, torch.ones_like(share), share)


# ---- where a head looks, by token -------------------------------------------------------------


def match_score(
    pattern: Float[Tensor, "*heads query key"],
    tokens: Int[Tensor, "*batch pos"],
    offset: int,
) -> Float[Tensor, "..."]:
    """Mean attention of a token to the places `offset` after its own earlier occurrences.

    For each query the attention to all such places is summed (a head may divide it among several
    occurrences); the mean is over the queries that have such a place, in all examples. A query's
    own position does not count: on "aa" the place after the first a is the second a itself, and a
    head that looks at itself shows nothing.

    `tokens` is (pos,) for one text and (batch, pos) when the pattern's first axis is that batch.
    ValueError when shapes do not fit, the offset is negative or no token comes back.
    """
    if offset < 0:
        raise ValueError(f"offset: 0 or more places after an earlier occurrence, got {offset}")
    (mass,), (n_queries,) = _attention_to_matches(pattern, tokens, [offset])
    if n_queries == 0:
        raise ValueError(
            f"tokens of shape {tuple(tokens.shape)}: no token has a place {offset} after an "
            "earlier occurrence to look at"
        )
    return mass / n_queries


def _attention_to_matches(
    pattern: Tensor, tokens: Tensor, offsets: Sequence[int]
) -> tuple[Tensor, list[int]]:
    """For each offset the attention to all those places, summed over queries and examples, as
    (offset, *heads), and how many queries have such a place. The pattern is gone through once."""
    n_batch, n_pos = tokens.ndim - 1, tokens.shape[-1]
    fits = pattern.ndim >= n_batch + 2 and pattern.shape[:n_batch] == tokens.shape[:-1]
    if not fits or pattern.shape[-2:] != (n_pos, n_pos):
        raise ValueError(
            f"pattern of shape {tuple(pattern.shape)} does not fit tokens of shape "
            f"{tuple(tokens.shape)}: needs {tuple(tokens.shape[:-1])} + heads + ({n_pos}, {n_pos})"
        )
    targets = [_places_after_matches(tokens, offset) for offset in offsets]
    heads, n_texts = pattern.shape[n_batch:-2], math.prod(tokens.shape[:-1])
    flat = pattern.reshape(n_texts, math.prod(heads), n_pos * n_pos)
    wanted = torch.stack(targets).reshape(len(offsets), n_texts, -1).to(pattern.dtype)
    mass = torch.einsum("bhn,obn->obh", flat, wanted).sum(1)
    return mass.reshape(len(offsets), *heads), [int(t.any(-1).sum()) for t in targets]


def _places_after_matches(tokens: Tensor, offset: int) -> Bool[Tensor, "*batch query key"]:
    """For each query, the places `offset` after the earlier occurrences of its token."""
    earlier = (tokens[..., :, None] == tokens[..., None, :]).tril(-1)  # (..., query, occurrence)
    target = torch.zeros_like(earlier)
    target[..., offset:] = earlier[..., : max(tokens.shape[-1] - offset, 0)]
    return target.tril(-1)


def induction_score(
    pattern: Float[Tensor, "*heads query key"], tokens: Int[Tensor, "*batch pos"]
) -> Float[Tensor, "..."]:
    """Mean attention from a token to the token after its earlier occurrences, on any text.

    The text need not repeat as a whole: every token that occurred before counts. See `match_score`.
    """
    return match_score(pattern, tokens, offset=1)


def duplicate_token_score(
    pattern: Float[Tensor, "*heads query key"], tokens: Int[Tensor, "*batch pos"]
) -> Float[Tensor, "..."]:
    """Mean attention from a token to its own earlier occurrences: what induction is *not*."""
    return match_score(pattern, tokens, offset=0)


def prefix_matching_score(
    pattern: Float[Tensor, "*heads query key"], tokens: Int[Tensor, "*batch pos"]
) -> Float[Tensor, "..."]:
    """`induction_score` on `repeated_tokens`: the prefix matching score of Olsson et al. 2022.

    Their text averages "entries", but with four repeats the mean entry cannot pass 0.5, and they
    report 0.94; so, as here, the attention to all earlier occurrences together is meant.
    """
    return induction_score(pattern, tokens)


def repeat_score(
    pattern: Float[Tensor, "... query key"], period: int, start: int = 0
) -> Float[Tensor, "..."]:
    """Mean attention from q to q - period + 1, for q in the second and later copies of a segment.

    For text repeated with `period`, the first copy beginning at `start`: the one place that says
    what comes next, where `induction_score` counts every earlier occurrence of the token.
    ValueError when the pattern holds no second copy.
    """
    n_pos = pattern.shape[-1]
    if period < 2 or n_pos <= start + period:
        raise ValueError(
            f"{n_pos} positions hold no second copy with period={period} from start={start}"
        )
    stripe = pattern.diagonal(1 - period, dim1=-2, dim2=-1)  # entry i: query i + period - 1
    return _mean_over_examples(stripe[..., start + 1 :].mean(-1))


def is_induction_head(
    pattern: Float[Tensor, "*heads query key"],
    tokens: Int[Tensor, "*batch pos"],
    threshold: float = 0.4,
) -> Bool[Tensor, "..."]:
    """Which heads look for the token after an earlier occurrence of the present one.

    Three conditions: the induction score is at least `threshold`; it is at least three times what
    uniform attention would get on these tokens; and the places just before and just after (the
    earlier occurrence itself, and two on) get less. The last tells an induction head from one that
    finds the token, or spreads its attention about it. Raises as `match_score` does.
    """
    chance = chance_induction_score(tokens)
    masses, n_queries = _attention_to_matches(pattern, tokens, [0, 1, 2])
    before, score, after = (mass / max(n, 1) for mass, n in zip(masses, n_queries))
    return (score >= threshold) & (score >= 3 * chance) & (score > before) & (score > after)


def chance_induction_score(tokens: Int[Tensor, "*batch pos"]) -> float:
    """The induction score of uniform attention on these tokens."""
    uniform = uniform_pattern(tokens.shape[-1]).to(tokens.device)
    target = _places_after_matches(tokens, offset=1)
    n_queries = int(target.any(-1).sum())
    if n_queries == 0:
        raise ValueError(f"tokens of shape {tuple(tokens.shape)}: no token comes back")
    return float((uniform * target.reshape(-1, *uniform.shape).sum(0)).sum() / n_queries)


# ---- what a head does with what it sees -------------------------------------------------------


def copying_score(
    eigenvalues: Complex[Tensor, "*heads r"] | Float[Tensor, "*heads r"],
) -> Float[Tensor, "*heads"]:
    """Sum of the eigenvalues over the sum of their moduli: 1 if all are positive, -1 if negative.

    Of the full OV circuit: positive eigenvalues raise the tokens they are read from (Elhage et al.
    2021). Of the QK circuit, likewise, tokens that look for themselves. The eigenvalues of a real
    matrix come in conjugate pairs, so the sum is real. 0 when all are zero.
    """
    total = eigenvalues.abs().sum(-1)
    return eigenvalues.sum(-1).real / total.clamp(min=torch.finfo(total.dtype).tiny)


class OwnToken(NamedTuple):
    """What attending to a token does to that same token's logit, over all tokens, per head.

    `top`: share of tokens that are the largest entry of their own row of the full OV circuit.
    `above_mean`: share that lie above the mean of their row; chance is about 0.5.
    `rank`: mean share of the vocabulary with a larger logit, 0 (own token first) to 1; chance 0.5.
    """

    top: Float[Tensor, "*heads"]
    above_mean: Float[Tensor, "*heads"]
    rank: Float[Tensor, "*heads"]


def copying_by_logits(full_OV: FactoredMatrix, block: int = 256) -> OwnToken:
    """Copying read from the rows of the full OV circuit instead of its eigenvalues.

    Row t holds the logits that attending to token t adds. Goes over `block` rows at a time, so that
    (..., block, d_vocab) numbers are held. ValueError when the circuit is not square.
    """
    own = full_OV.diagonal()  # (..., d_vocab)
    d_vocab = own.shape[-1]
    mean = full_OV @ torch.full((d_vocab,), 1 / d_vocab, dtype=own.dtype, device=own.device)
    larger = []
    for start in range(0, d_vocab, block):
        tokens = torch.arange(start, min(start + block, d_vocab), device=own.device)
        rows = full_OV.rows(tokens)  # (..., block, d_vocab)
        # the row's own entry, not the diagonal's: the same sum may round differently there
        itself = rows.gather(-1, tokens.expand(rows.shape[:-1])[..., None])
        larger.append((rows > itself).sum(-1))
    larger = torch.cat(larger, dim=-1).double()
    return OwnToken(
        top=(larger == 0).double().mean(-1),
        above_mean=(own > mean).double().mean(-1),
        rank=larger.mean(-1) / max(d_vocab - 1, 1),
    )


def copying_by_activations(
    v: Float[Tensor, "batch pos head d_head"],
    pattern: Float[Tensor, "batch head query pos"],
    W_O: Float[Tensor, "head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, " head"]:
    """The copying score of Olsson et al. 2022, -1 to 1, from a run on random tokens.

    What the head adds to the logits from each key, `v W_O W_U`, less its mean over the vocabulary,
    and only where that is positive ("raised"). Then

        ratio = raised[own token] / (raised[own token] + raised[all tokens of the sample])

    which runs from 0 (others only) to 0.5 (own token only), and the score is 4 ratio - 1. The mean
    is over keys, weighted by the attention each receives. The paper's own range 0 to 0.5 is what
    tells that the own token stands twice in its denominator. A key that raises no token of the
    sample has ratio 0. Use distinct tokens (`repeated_tokens` with repeats=1); a token that occurs
    more than once in an example is counted once. A head that raises all k tokens of the sample
    alike gets 4/(k+1) - 1, which is the control: -0.85 for 25.
    """
    scores = []
    for v_i, pattern_i, tokens_i in zip(v, pattern, tokens):
        logits = torch.einsum("phd,hdm,mt->hpt", v_i, W_O, W_U)
        sample, own = tokens_i.unique(return_inverse=True)
        raised = (logits[..., sample] - logits.mean(-1, keepdim=True)).relu()  # (head, pos, sample)
        itself = raised.gather(-1, own.expand(raised.shape[:-1])[..., None])[..., 0]
        total = itself + raised.sum(-1)
        ratio = itself / total.clamp(min=torch.finfo(total.dtype).tiny)
        weight = pattern_i.mean(-2)  # (head, key): the share of all attention that the key receives
        scores.append((weight * (4 * ratio - 1)).sum(-1))
    return torch.stack(scores).mean(0)


def value_weighted(
    pattern: Float[Tensor, "batch head query key"],
    v: Float[Tensor, "batch key head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
) -> Float[Tensor, "batch head query key"]:
    """The pattern times the length of what each key would add to the stream, `|v W_O|`.

    Attention to a key that moves nothing (a resting place) vanishes. Scaled so that the largest
    entry of every head and example is 1.
    """
    length = torch.einsum("bkhd,hdm->bhkm", v, W_O).norm(dim=-1)
    weighted = pattern * length[:, :, None]
    return weighted / weighted.amax((-2, -1), keepdim=True).clamp(min=1e-30)
