"""Checkers of chapter 5: counting pairs, the best table and its gradient, smoothing."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("count-pairs", chapter=5)
def count_pairs(answer: Answer) -> None:
    """How often token b follows token a within the rows of `tokens` (row, pos), at [a, b] of a
    table (d_vocab, d_vocab)."""
    tokens = torch.tensor([[0, 1, 1, 4, 0], [4, 0, 1, 2, 1], [0, 1, 3, 3, 3]])
    found = shaped(answer(tokens, 7), (7, 7), "(token, next)")
    wanted, across, no_last = (torch.zeros(7, 7, dtype=torch.float64) for _ in range(3))
    for row in tokens.tolist():
        for place, (a, b) in enumerate(pairwise(row)):
            wanted[a, b] += 1
            no_last[a, b] += place < len(row) - 2
    whole = tokens.flatten().tolist()
    for a, b in pairwise(whole):
        across[a, b] += 1
    close(
        found,
        wanted,
        "each neighbouring pair within a row counts once",
        mistakes={
            "the table is turned: its rows should be the first token of the pair": wanted.T,
            "you count from the end of one row to the start of the next": across,
            "a pair that comes twice counts once: index_put or bincount adds up": wanted.clamp(
                max=1
            ),
            "the last pair of each row is missing": no_last,
            "these are shares, not counts": wanted / wanted.sum(),
        },
    )


def _loss(table: Tensor, counts: Tensor) -> Tensor:
    return -(counts * (table - table.logsumexp(-1, keepdim=True))).sum() / counts.sum()


@exercise("table-gradient", chapter=5)
def table_gradient(answer: Answer) -> None:
    """The gradient of the mean loss of a table of logits T (token, next) on a text with these pair
    counts (token, next), without autograd. Some tokens may never have come."""
    table = numbers(5, 7)
    counts = numbers(5, 7, seed=1).mul(3).round().clamp(min=0)
    counts[3] = 0  # a token that never came
    found = shaped(answer(table, counts), (5, 7), "(token, next)")
    holds(
        bool(torch.isfinite(torch.as_tensor(found)).all()),
        "a token that never came gives nan: its row of the gradient is zero",
    )
    wanted, step = torch.zeros(5, 7, dtype=torch.float64), 1e-5
    for a in range(5):
        for b in range(7):
            nudge = torch.zeros(5, 7, dtype=torch.float64)
            nudge[a, b] = step
            wanted[a, b] = (_loss(table + nudge, counts) - _loss(table - nudge, counts)) / 2 / step
    of_row = counts.sum(1, keepdim=True)
    Q, given = table.softmax(-1), counts / of_row.clamp(min=1)
    share = of_row / counts.sum()
    close(
        found,
        wanted,
        "it is the slope of the loss in every entry",
        mistakes={
            "the factor P(a) is missing: a row moves in proportion to how often its token comes": (
                Q - given
            )
            * (of_row > 0),
            "the factor P(a) is missing, for tokens that never came, too": Q - given,
            "the sign is the wrong way round: what is predicted too often has a positive slope": (
                share * (given - Q)
            ),
            "this is the gradient of the summed loss: divide by the number of pairs": of_row
            * (Q - given),
            "the model's own probabilities are missing": -share * given,
            "you compare logits, not probabilities, with the shares": share * (table - given),
        },
        within=1e-7,
    )


@exercise("conditional-entropy", chapter=5)
def conditional_entropy(answer: Answer) -> None:
    """The conditional entropy of the next token given the token, in nats, of a text with these pair
    counts (token, next); pairs that never came count for nothing."""
    counts = numbers(5, 7, seed=2).mul(3).round().clamp(min=0)
    counts[4] = 0
    found = shaped(answer(counts), (), "a single number")
    holds(
        bool(torch.isfinite(torch.as_tensor(found)).all()),
        "0 log 0 gives nan: a pair that never came adds nothing",
    )
    joint, total = 0.0, float(counts.sum())
    wanted, rows = 0.0, []
    for row in counts.tolist():
        of_row = sum(row)
        here = sum(-c / of_row * math.log(c / of_row) for c in row if c)
        wanted += of_row / total * here
        rows += [here] if of_row else []
        joint += sum(-c / total * math.log(c / total) for c in row if c)
    single = [c / total for c in counts.sum(0).tolist()]
    close(
        found,
        wanted,
        "the entropy of a row, averaged over how often its token comes",
        mistakes={
            "this is the entropy of pairs: take away that of single tokens": joint,
            "rare rows count as much as common ones: weigh them by P(a)": sum(rows) / len(rows),
            "these are bits: use the natural logarithm": wanted / math.log(2),
            "the sign is the wrong way round": -wanted,
            "you leave the token in front out of account": -sum(
                p * math.log(p) for p in single if p
            ),
        },
    )


@exercise("smoothed-table", chapter=5)
def smoothed_table(answer: Answer) -> None:
    """Smoothed probabilities of the next token (token, next) from pair counts (token, next): to
    each row k imagined tokens are added, spread as single next tokens are in the counts."""
    counts = numbers(5, 5, seed=3).mul(3).round().clamp(min=0)
    counts[2] = 0
    k = 11.0
    found = shaped(answer(counts, k), (5, 5), "(token, next)").double()
    wanted = torch.zeros(5, 5, dtype=torch.float64)
    by_row, evenly = wanted.clone(), wanted.clone()
    for a in range(5):
        of_row = float(counts[a].sum())
        for b in range(5):
            single = float(counts[:, b].sum() / counts.sum())
            first = float(counts[b].sum() / counts.sum())
            wanted[a, b] = (float(counts[a, b]) + k * single) / (of_row + k)
            by_row[a, b] = (float(counts[a, b]) + k * first) / (of_row + k)
            evenly[a, b] = (float(counts[a, b]) + k / 5) / (of_row + k)
    each = (counts + k) / (counts + k).sum(1, keepdim=True)
    of_rows = counts.sum(1, keepdim=True)
    close(
        found,
        wanted,
        "(count + k P(b)) / (count of the row + k)",
        mistakes={
            "you add k to every entry, and so k times the vocabulary to a row": each,
            "the imagined tokens are spread evenly, not as single tokens are": evenly,
            "you spread them by the token in front: sum the counts over rows, not columns": by_row,
            "the rows sum to more than one: the k imagined tokens belong below the line, too": (
                wanted * (of_rows + k) / of_rows.clamp(min=1)
            ),
            "these are logarithms": wanted.log(),
        },
    )
