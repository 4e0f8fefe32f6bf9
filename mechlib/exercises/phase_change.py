"""Checkers of chapter 11: scores over training, smeared keys, counting in context."""

import math

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped

TEXT = torch.tensor([0, 2, 1, 1, 0, 2, 2, 0, 2, 1, 0])  # eleven symbols of three


@exercise("change-by-rule", chapter=11)
def change_by_rule(answer: Answer) -> None:
    """From steps and a curve (two lists or arrays of one length, steps not evenly spaced) to
    (begin, end), in steps: the stretch around the steepest point in which the curve rises at least
    a quarter as fast as it does there. Slopes may be averaged over three neighbours."""

    def rise(step: int, middle: int, width: int) -> float:
        return 1 / (1 + math.exp(-(step - middle) / width))

    def stretch(steps: list[int], curve: list[float]) -> tuple[float, float]:
        found = answer(torch.tensor(steps), torch.tensor(curve, dtype=torch.float64))
        holds(
            isinstance(found, tuple | list) and len(found) == 2,
            "give two steps back: where the change begins and where it ends",
        )
        return float(found[0]), float(found[1])

    # a logistic rise is a quarter as steep where it is 0.067 and 0.933 high, 2.634 widths away
    steps = list(range(0, 2001, 10))
    begin, end = stretch(steps, [rise(s, 900, 40) for s in steps])
    near = 40  # a few measurements, since slopes may be averaged
    holds(
        max(begin, end) > 200 or max(begin, end) < 20,
        "these are places in the list and not steps",
    )
    holds(
        not (abs(begin - 856) < 25 and abs(end - 944) < 25),
        "you take where the curve is a quarter and three quarters high; "
        "the rule speaks of its slope",
    )
    holds(
        abs(begin - 795) <= near, f"a smooth rise at 900 begins at step 795, yours at {begin:.0f}"
    )
    holds(abs(end - 1005) <= near, f"a smooth rise at 900 ends at step 1005, yours at {end:.0f}")

    # a second, gentler rise far away: a third as steep, so beyond a quarter, and not connected
    two = [rise(s, 600, 40) + 0.4 * rise(s, 1600, 48) for s in steps]
    begin, end = stretch(steps, two)
    holds(
        end < 1000,
        "you go on to a second rise that is not connected with the steepest point",
    )
    holds(begin > 400, "the stretch begins long before the rise")

    # measured ten times as rarely later: one interval then holds a larger difference
    uneven = [*range(0, 1000, 10), *range(1000, 6001, 200)]
    slow = [rise(s, 500, 40) + 3 * rise(s, 3500, 700) for s in uneven]
    begin, end = stretch(uneven, slow)
    holds(
        end < 1500,
        "you compare differences and not slopes: divide by the steps between measurements",
    )
    holds(abs(begin - 395) <= near, f"this rise begins at step 395, yours at {begin:.0f}")


@exercise("icl-score", chapter=11)
def icl_score(answer: Answer) -> None:
    """The in-context-learning score from losses (text, pos) and a mask `known` of that shape, True
    where the context gives the next token away: mean late loss minus mean early loss."""
    losses = numbers(3, 7, seed=1).abs()
    known = torch.zeros(3, 7, dtype=torch.bool)
    for text, start in enumerate((2, 5, 6)):
        known[text, start:] = True
    late, early = losses[known].mean(), losses[~known].mean()
    by_text = torch.stack([row[k].mean() - row[~k].mean() for row, k in zip(losses, known)]).mean()
    close(
        shaped(answer(losses, known), (), "one number"),
        late - early,
        "mean loss where it is known minus mean loss where it is not",
        mistakes={
            "the sign is turned: it is late minus early, negative when context helps": early - late,
            "you average text by text, so that a text with one late token counts like the others": by_text,  # noqa: E501
            "you divide where a difference is asked for": late / early,
            "you take sums and not means": losses[known].sum() - losses[~known].sum(),
            "you compare with all tokens and not with the early ones": late - losses.mean(),
        },
    )


@exercise("smeared-keys", chapter=11)
def smeared_keys(answer: Answer) -> None:
    """From keys (pos, head, d_head) and one number alpha a head, (head,), to smeared keys: each is
    sigmoid(alpha) of itself and the rest of the key before it. The first key, which has none
    before it, stays as it is."""
    k, alpha = numbers(5, 3, 2, seed=2), torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64)
    keep = alpha.sigmoid()[:, None]

    def mixed(keep: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.cat([k[:1], keep * k[1:] + (1 - keep) * other])

    wanted = torch.stack([k[0]] + [keep * k[j] + (1 - keep) * k[j - 1] for j in range(1, 5)])
    following = torch.cat([keep * k[:-1] + (1 - keep) * k[1:], k[-1:]])
    chained = [k[0]]
    for j in range(1, 5):
        chained.append(keep * k[j] + (1 - keep) * chained[-1])
    close(
        shaped(answer(k, alpha), (5, 3, 2), "(pos, head, d_head)"),
        wanted,
        "each key is mixed with the one before it",
        mistakes={
            "the shares are exchanged: sigmoid(alpha) is what a key keeps of itself": mixed(
                1 - keep, k[:-1]
            ),
            "you mix with the key after it, which is not known yet": following,
            "the first key is mixed with the last one: a roll goes round": keep * k
            + (1 - keep) * k.roll(1, 0),
            "the first key is mixed with zeros; it stays as it is": torch.cat(
                [keep * k[:1], mixed(keep, k[:-1])[1:]]
            ),
            "alpha is used without the sigmoid": mixed(alpha[:, None], k[:-1]),
            "you mix with keys that are smeared already": torch.stack(chained),
        },
    )


@exercise("bigram-guesser", chapter=11)
def bigram_guesser(answer: Answer) -> None:
    """The best guesser of a Markov chain's next symbol: from tokens (pos,) and the number of
    symbols to probabilities (pos, symbol), (n_ij + 1) / sum of (n_ij' + 1), with i the present
    symbol and n_ij the transitions from i to j seen so far."""
    n, symbols = len(TEXT), 3

    def probabilities(count, add: float = 1.0) -> torch.Tensor:
        table = torch.full((n, symbols), add, dtype=torch.float64)
        for position in range(n):
            for j in range(symbols):
                table[position, j] += count(position, j)
        return table / table.sum(-1, keepdim=True).clamp(min=1e-12)

    def transitions(position: int, j: int, more: int = 0) -> int:
        here, last = TEXT[position], min(position + more, n - 1)
        return sum(int(TEXT[i] == here and TEXT[i + 1] == j) for i in range(last))

    wanted = probabilities(transitions)
    found = shaped(answer(TEXT, symbols), (n, symbols), "(pos, symbol)").double()
    holds(
        not bool(found.isnan().any()), "zero is divided by zero: each count is one more than seen"
    )
    close(
        found,
        wanted,
        "counts of transitions from the present symbol, each plus one",
        mistakes={
            "you count symbols and not transitions: this is the unigram guesser": probabilities(
                lambda position, j: int((TEXT[: position + 1] == j).sum())
            ),
            "you leave out the plus one": probabilities(transitions, 0.0),
            "the transition that is to be guessed is counted already": probabilities(
                lambda position, j: transitions(position, j, more=1)
            ),
            "you count what came before the present symbol": probabilities(
                lambda position, j: sum(
                    int(TEXT[i + 1] == TEXT[position] and TEXT[i] == j) for i in range(position)
                )
            ),
            "you add one in all and not one a symbol": probabilities(transitions, 1 / symbols),
        },
    )
