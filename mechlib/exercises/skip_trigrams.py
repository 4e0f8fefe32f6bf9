"""Checkers of chapter 7: how much a destination looks, the table, its lift, what pairing costs."""

import math

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, numbers, shaped

VOCAB = 11


@exercise("look", chapter=7)
def look(answer: Answer) -> None:
    """From scores S (destination, source) and frequencies f (token) to look(d, s): the log of how
    much more attention d gives to s than to an average token, (destination, source)."""
    S = 2 * numbers(7, VOCAB)
    f = numbers(VOCAB, seed=1).exp()
    f = f / f.sum()
    found = shaped(answer(S, f), (7, VOCAB), "(destination, source)")
    wanted = torch.zeros(7, VOCAB, dtype=torch.float64)  # by a plain loop
    for d in range(7):
        average = sum(float(f[t]) * math.exp(S[d, t]) for t in range(VOCAB))
        for s in range(VOCAB):
            wanted[d, s] = math.log(math.exp(S[d, s]) / average)
    close(
        found,
        wanted,
        "look(d, s) = S_ds - log of the average of exp(S_dt) over tokens",
        mistakes={
            "every token counts alike: the average is over tokens as frequent as f": (
                S - S.exp().mean(1, keepdim=True).log()
            ),
            "you average the scores; softmax averages their exponentials": S - (S @ f)[:, None],
            "you average over destinations, not over sources": S - S.exp().mean(0).log(),
            "you give the ratio itself; its logarithm is wanted": wanted.exp(),
            "you give the log of the attention, where the average token still has weight": (
                S.log_softmax(1)
            ),
        },
    )


@exercise("skip-trigram-table", chapter=7)
def skip_trigram_table(answer: Answer) -> None:
    """One row of the table: from look (destination, source), OV (source, out) and a source s to
    the k destinations that look most at s and the k outs that s raises most, as one tensor
    (2, k) of token numbers, largest first."""
    looks, OV, s, k = numbers(VOCAB, VOCAB, seed=2), numbers(VOCAB, VOCAB, seed=3), 4, 3
    found = shaped(answer(looks, OV, s, k), (2, k), "(destinations and outs, k)")

    def largest(values: Tensor) -> list[int]:
        return sorted(range(VOCAB), key=lambda t: -float(values[t]))[:k]

    def table(destinations: Tensor, outs: Tensor) -> Tensor:
        return torch.tensor([largest(destinations), largest(outs)])

    right = looks[:, s], OV[s]
    wanted = table(*right)
    close(
        found,
        wanted,
        "destinations by look(., s), outs by OV(s, .)",
        mistakes={
            "you read the row of s in look, which says where s looks as a destination": table(
                looks[s], OV[s]
            ),
            "you read the column of s in OV, which says what raises s": table(
                looks[:, s], OV[:, s]
            ),
            "both tables are read the wrong way round": table(looks[s], OV[:, s]),
            "the order is reversed: the largest comes first": wanted.flip(1),
            "you take the smallest entries": table(-right[0], -right[1]),
            "outs come first and destinations second": wanted.flip(0),
        },
    )


@exercise("lift", chapter=7)
def lift(answer: Answer) -> None:
    """From a list of tokens and s, d, o, reach to the plain lift P(o | d, s near) / P(o | d):
    of the places where d stands, those with s among the `reach` tokens before it are near; the
    last token is no place, since nothing follows it."""
    tokens = torch.randint(5, (997,), generator=torch.Generator().manual_seed(4)).tolist()
    s, d, o, reach = 1, 2, 3, 3

    here = [i for i in range(len(tokens) - 1) if tokens[i] == d]

    def with_source(reach: int, step: int = 1) -> list[int]:
        found = []
        for i in here:
            window = tokens[max(i - reach, 0) : i] if step == 1 else tokens[i + 1 : i + 1 + reach]
            if s in window:
                found.append(i)
        return found

    def share(places: list[int]) -> float:
        return sum(tokens[i + 1] == o for i in places) / len(places)

    near = with_source(reach)
    rest = [i for i in here if i not in set(near)]
    base = tokens.count(o) / len(tokens)
    close(
        float(answer(tokens, s, d, o, reach)),
        share(near) / share(here),
        "P(o | d, s near) / P(o | d)",
        mistakes={
            "you divide by P(o), not by P(o | d): then the bigram counts as lift": (
                share(near) / base
            ),
            "the source is looked for after the destination": (
                share(with_source(reach, step=-1)) / share(here)
            ),
            "the reach is one token short": share(with_source(reach - 1)) / share(here),
            "the reach is one token long": share(with_source(reach + 1)) / share(here),
            "the source is looked for in the whole text before": (
                share(with_source(len(tokens))) / share(here)
            ),
            "you compare near places with the others; P(o | d) is over all places of d": (
                share(near) / share(rest)
            ),
            "this is P(o | d, s near) alone": share(near),
        },
        within=1e-9,
    )


@exercise("pairing-help", chapter=7)
def pairing_help(answer: Answer) -> None:
    """For one source: given the attention a (head, destination) that its m destinations pay to it
    and what it raises, v (head, out), where out j is right under destination j: by how much the
    heads raise a right pair above the mean over all pairs, as one number."""
    a, v = numbers(3, 5, seed=5).exp(), numbers(3, 5, seed=6)
    right, every = 0.0, 0.0
    for d in range(5):
        for o in range(5):
            logit = sum(float(a[h, d] * v[h, o]) for h in range(3))
            every += logit / 25
            right += logit / 5 if d == o else 0.0
    grid = a.T @ v
    off = (grid.sum() - grid.diagonal().sum()) / 20
    close(
        float(answer(a, v)),
        right - every,
        "mean over right pairs minus mean over all pairs",
        mistakes={
            "you take the mean over wrong pairs off; all pairs are asked for": right - float(off),
            "you sum over right pairs; the mean is wanted": 5 * right - every,
            "the heads are averaged; their logits add up": (right - every) / 3,
            "this is what right pairs get; what any pair gets is still in it": right,
        },
    )
    same = torch.ones(1, 5, dtype=torch.float64)
    close(
        float(answer(same, v[:1])),
        0.0,
        "one head with the same attention from all destinations cannot tell pairs apart",
    )
