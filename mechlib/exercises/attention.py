"""Checkers of chapter 2: attention from scratch."""

import torch

from mechlib.exercises.checking import Answer, close, exercise, holds, numbers, shaped


@exercise("causal-pattern", chapter=2)
def causal_pattern(answer: Answer) -> None:
    """From scores (head, query, key) to a pattern: each query spreads a weight of one over itself
    and the keys before it, in proportion to exp(score)."""
    scores = 3 * numbers(3, 5, 5)
    pattern = shaped(answer(scores), (3, 5, 5), "(head, query, key)").double()
    later = torch.ones(5, 5).triu(1).bool()

    def looking_back(exponential: torch.Tensor, axis: int) -> torch.Tensor:
        kept = exponential.masked_fill(later, 0.0)
        return kept / kept.sum(axis, keepdim=True)

    wanted = torch.zeros(3, 5, 5, dtype=torch.float64)  # by a plain loop
    for head in range(3):
        for query in range(5):
            row = scores[head, query, : query + 1].exp()
            wanted[head, query, : query + 1] = row / row.sum()
    masked_late = scores.softmax(-1).masked_fill(later, 0.0)
    transposed = scores.masked_fill(later.T, -torch.inf).softmax(-1)
    close(
        pattern,
        wanted,
        "each query spreads a weight of one over itself and the keys before it",
        mistakes={
            "you take the softmax over the queries, so that columns sum to one": looking_back(
                scores.exp(), -2
            ),
            "you hide later keys after the softmax, so that rows sum to less than one": masked_late,
            "no key is hidden: a query sees what comes after it": scores.softmax(-1),
            "your mask is transposed: a query sees itself and what comes after it": transposed,
            "you hide the scores by making them zero, and exp(0) is one": scores.masked_fill(
                later, 0.0
            ).softmax(-1),
        },
    )
    large = shaped(answer(1000 * scores), (3, 5, 5), "(head, query, key)")
    holds(
        bool(torch.isfinite(large).all()),
        "large scores overflow: subtract each row's largest score before the exponential",
    )
