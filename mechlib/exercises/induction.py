"""Checkers of chapter 10: the detector, and the circuit set by hand."""

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, patterns, shaped

TEXT = torch.tensor([3, 1, 4, 1, 5, 3, 3, 1, 4, 2, 3])  # eleven tokens; "3 3" stands in it


def _places(tokens: torch.Tensor, offset: int, itself: bool = False) -> torch.Tensor:
    """(query, key): True `offset` after each earlier occurrence of the query's token."""
    n = len(tokens)
    found = torch.zeros(n, n, dtype=torch.bool)
    for query in range(n):
        for occurrence in range(query):
            key = occurrence + offset
            if tokens[occurrence] == tokens[query] and 0 <= key < query + itself:
                found[query, key] = True
    return found


@exercise("induction-score", chapter=10)
def induction_score(answer: Answer) -> None:
    """From a pattern (query, key) and its tokens (pos,) to one number: the attention from a token
    to the places one after its earlier occurrences, summed for each query, averaged over the
    queries that have such a place. A query's own place does not count."""
    pattern = patterns(1, 11, seed=1)[0]
    wanted = _places(TEXT, 1)
    has = wanted.any(-1)
    mass = (pattern * wanted).sum(-1)
    last = torch.zeros_like(wanted)
    for query in range(11):
        if has[query]:
            last[query, int(wanted[query].nonzero().max())] = True
    with_itself = _places(TEXT, 1, itself=True)
    score = shaped(answer(pattern, TEXT), (), "one number")

    def score_at(places):
        return (pattern * places).sum(-1)[places.any(-1)].mean()

    close(
        score,
        mass[has].mean(),
        "the mean attention to the places one after a match",
        mistakes={
            "you look at the earlier occurrence itself": score_at(_places(TEXT, 0)),
            "you look one place before the earlier occurrence": score_at(_places(TEXT, -1)),
            "you average over all queries, also those without an earlier occurrence": mass.mean(),
            "you count only the last earlier occurrence": (pattern * last).sum(-1)[has].mean(),
            "you average over places: a head may divide its attention among them": pattern[
                wanted
            ].mean(),
            "a token that repeats at once lets a query count itself": score_at(with_itself),
        },
    )
    ideal = wanted.double() / wanted.sum(-1, keepdim=True).clamp(min=1)
    close(answer(ideal, TEXT), 1.0, "the ideal pattern scores one")


@exercise("previous-token-head", chapter=10)
def previous_token_head(answer: Answer) -> None:
    """Weights by hand: for a stream that holds the position, one-hot, (W_Q, W_K), each
    (n_ctx, d_head), such that softmax of W_Q W_K^T over the keys at or before the query gives more
    than 0.99 of each query's attention to the place before it."""
    for n_ctx in (5, 11):
        found = answer(n_ctx)
        holds(
            isinstance(found, tuple | list) and len(found) == 2,
            "give two matrices back: W_Q and W_K",
        )
        W_Q, W_K = (torch.as_tensor(each).double() for each in found)
        for name, W in (("W_Q", W_Q), ("W_K", W_K)):
            holds(
                W.ndim == 2 and len(W) == n_ctx,
                f"{name} should be ({n_ctx}, d_head), a row a position; yours is {tuple(W.shape)}",
            )
        scores = W_Q @ W_K.T
        later = torch.ones(n_ctx, n_ctx).triu(1).bool()
        pattern = scores.masked_fill(later, -torch.inf).softmax(-1)
        looks_at = [int(row[: q + 1].argmax()) for q, row in enumerate(pattern)]
        if all(at == q for q, at in enumerate(looks_at)):
            ahead = all(int(row.argmax()) == q + 1 for q, row in enumerate(scores[:-1]))
            holds(
                not ahead,
                "the best key stands one place ahead, where nobody may look: shift the other way",
            )
            holds(False, "each query looks at its own place: the key must be shifted by one")
        holds(
            not all(at == max(q - 2, 0) for q, at in enumerate(looks_at) if q > 1),
            "each query looks two places back: you shifted twice",
        )
        wrong = [q for q in range(1, n_ctx) if looks_at[q] != q - 1]
        holds(not wrong, f"the query at {wrong[0] if wrong else 0} does not look one back")
        least = min(float(pattern[q, q - 1]) for q in range(1, n_ctx))
        holds(
            least > 0.99,
            f"the place before is preferred, but gets only {least:.2f}: "
            "a softmax needs larger differences",
        )


@exercise("follower-shares", chapter=10)
def follower_shares(answer: Answer) -> None:
    """What the two heads compute together, by matrix products: from tokens (pos,) and d_vocab to
    (pos, d_vocab), which tokens came after the earlier occurrences of the present one, as shares;
    zeros where it has not occurred before."""
    d_vocab, n = 7, len(TEXT)

    def count(after: int, upto_present: bool = False) -> torch.Tensor:
        found = torch.zeros(n, d_vocab, dtype=torch.float64)
        for query in range(n):
            for i in range(query + upto_present):
                if TEXT[i] == TEXT[query] and 0 <= i + after <= min(query + upto_present, n - 1):
                    found[query, TEXT[i + after]] += 1
        return found

    def share(counts: torch.Tensor) -> torch.Tensor:
        return counts / counts.sum(-1, keepdim=True).clamp(min=1)

    found = shaped(answer(TEXT, d_vocab), (n, d_vocab), "(pos, d_vocab)").double()
    holds(
        not bool(found.isnan().any()),
        "where a token has not occurred before you divide zero by zero: these rows are zeros",
    )
    earlier = (TEXT[:, None] == TEXT).double().tril(-1)
    uniform = torch.where(share(count(1)).sum(-1, keepdim=True) == 0, 1 / d_vocab, share(count(1)))
    close(
        found,
        share(count(1)),
        "the shares of the followers",
        mistakes={
            "these are counts and not yet shares": count(1),
            "you count the token itself: look one place after it": share(count(0)),
            "you use what comes after the present token, which is not known yet": share(
                count(1, upto_present=True)
            ),
            "you count what stood before the token": share(count(-1)),
            "you divide by the number of tokens so far and not of matches": count(1)
            / torch.arange(1, n + 1)[:, None],
            "where nothing is known you guess uniformly; zeros are asked for": uniform,
        },
    )
    close(found.sum(-1), earlier.any(-1).double(), "rows with an earlier occurrence sum to one")


@exercise("two-token-match", chapter=10)
def two_token_match(answer: Answer) -> None:
    """From tokens (pos,) to a mask (query, key): True one place after each earlier place where both
    the present token and the one before it stood in that order."""
    n = len(TEXT)
    wanted = torch.zeros(n, n, dtype=torch.bool)
    skipped = torch.zeros(n, n, dtype=torch.bool)
    for query in range(1, n):
        for key in range(2, query):
            if TEXT[key - 1] == TEXT[query] and TEXT[key - 2] == TEXT[query - 1]:
                wanted[query, key] = True
        for key in range(1, query):
            skipped[query, key] = TEXT[key - 1] == TEXT[query - 1]
    found = shaped(answer(TEXT), (n, n), "(query, key)")
    at_match = torch.zeros_like(wanted)
    at_match[:, :-1] = wanted[:, 1:]
    close(
        found,
        wanted,
        "the places where two tokens match",
        mistakes={
            "you match the present token only": _places(TEXT, 1),
            "you match the token before only": skipped,
            "you mark the second of the two tokens and not the place after it": at_match,
        },
    )
