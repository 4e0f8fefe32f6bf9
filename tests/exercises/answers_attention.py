"""Right and wrong answers to the exercises of chapter 2."""

import torch


def _later(scores):
    return torch.ones(scores.shape[-2:]).triu(1).bool()


def by_softmax(scores):
    return scores.masked_fill(_later(scores), -torch.inf).softmax(-1)


def by_hand(scores):
    out = torch.zeros_like(scores)
    for q in range(scores.shape[-2]):
        row = scores[..., q, : q + 1]
        row = (row - row.max(-1, keepdim=True).values).exp()
        out[..., q, : q + 1] = row / row.sum(-1, keepdim=True)
    return out


def over_queries(scores):
    return scores.masked_fill(_later(scores), -torch.inf).softmax(-2)


def masked_late(scores):
    return scores.softmax(-1).masked_fill(_later(scores), 0.0)


def not_masked(scores):
    return scores.softmax(-1)


def overflows(scores):
    kept = scores.exp().masked_fill(_later(scores), 0.0)
    return kept / kept.sum(-1, keepdim=True)


RIGHT = {"causal-pattern": [by_softmax, by_hand]}
WRONG = {
    "causal-pattern": [
        (over_queries, "softmax over the queries"),
        (masked_late, "after the softmax"),
        (not_masked, "no key is hidden"),
        (overflows, "overflow"),
    ],
}
