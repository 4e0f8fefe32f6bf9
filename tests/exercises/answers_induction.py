"""Right and wrong answers to the exercises of chapter 10."""

import torch
import torch.nn.functional as F


def _earlier(tokens):
    return (tokens[:, None] == tokens).tril(-1)


def _after(tokens, offset=1):
    earlier = _earlier(tokens)
    places = torch.zeros_like(earlier)
    places[:, offset:] = earlier[:, : len(tokens) - offset] if offset else earlier
    return places.tril(-1)


def score(pattern, tokens):
    places = _after(tokens)
    return (pattern * places).sum(-1)[places.any(-1)].mean()


def score_by_loop(pattern, tokens):
    shares = []
    for q in range(len(tokens)):
        keys = [k for k in range(1, q) if tokens[k - 1] == tokens[q]]
        if keys:
            shares.append(sum(float(pattern[q, k]) for k in keys))
    return sum(shares) / len(shares)


def at_occurrence(pattern, tokens):
    places = _after(tokens, 0)
    return (pattern * places).sum(-1)[places.any(-1)].mean()


def one_before(pattern, tokens):
    places = torch.zeros_like(_earlier(tokens))
    places[:, :-1] = _earlier(tokens)[:, 1:]
    return (pattern * places).sum(-1)[places.any(-1)].mean()


def all_queries(pattern, tokens):
    return (pattern * _after(tokens)).sum(-1).mean()


def last_only(pattern, tokens):
    places = _after(tokens)
    rows = [float(row[p.nonzero().max()]) for row, p in zip(pattern, places) if p.any()]
    return sum(rows) / len(rows)


def over_places(pattern, tokens):
    return pattern[_after(tokens)].mean()


def counts_itself(pattern, tokens):
    places = torch.zeros_like(_earlier(tokens))
    places[:, 1:] = _earlier(tokens)[:, :-1]
    return (pattern * places).sum(-1)[places.any(-1)].mean()


def shifted(n_ctx, by=-1, sharp=20.0):
    eye = torch.eye(n_ctx)
    W_K = torch.zeros(n_ctx, n_ctx)
    for place in range(n_ctx):
        if 0 <= place - by < n_ctx:
            W_K[place, place - by] = 1.0
    return sharp * eye, W_K


def angles(n_ctx):
    """By waves: a query turned back by one step meets the key before it."""
    k = torch.arange(1, n_ctx + 1) * torch.pi / n_ctx
    place = torch.arange(n_ctx)[:, None]
    W_K = torch.cat([(place * k).cos(), (place * k).sin()], 1)
    W_Q = torch.cat([((place - 1) * k).cos(), ((place - 1) * k).sin()], 1)
    return 20 * W_Q, W_K


def own_place(n_ctx):
    return shifted(n_ctx, 0)


def ahead(n_ctx):
    W_Q, W_K = shifted(n_ctx, 1)
    return W_Q + 0.5 * torch.eye(n_ctx), W_K + 0.2 * torch.eye(n_ctx)


def two_back(n_ctx):
    W_Q, W_K = shifted(n_ctx, -2)
    W_K = W_K.clone()
    W_K[0, :2] = 1.0
    return W_Q, W_K


def too_faint(n_ctx):
    return shifted(n_ctx, sharp=1.0)


def one_matrix(n_ctx):
    return shifted(n_ctx)[0]


def _matches(tokens):
    return _earlier(tokens).double()


def followers(tokens, d_vocab):
    counts = _matches(tokens)[:, :-1] @ F.one_hot(tokens[1:], d_vocab).double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def followers_by_loop(tokens, d_vocab):
    out = []
    for q in range(len(tokens)):
        after = [int(tokens[i + 1]) for i in range(q) if tokens[i] == tokens[q]]
        out.append([after.count(t) / len(after) if after else 0.0 for t in range(d_vocab)])
    return torch.tensor(out)


def counts_only(tokens, d_vocab):
    return _matches(tokens)[:, :-1] @ F.one_hot(tokens[1:], d_vocab).double()


def nan_rows(tokens, d_vocab):
    counts = counts_only(tokens, d_vocab)
    return counts / counts.sum(-1, keepdim=True)


def itself(tokens, d_vocab):
    counts = _matches(tokens) @ F.one_hot(tokens, d_vocab).double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def knows_the_future(tokens, d_vocab):
    same = (tokens[:, None] == tokens).double().tril()[:, :-1]
    counts = same @ F.one_hot(tokens[1:], d_vocab).double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def what_stood_before(tokens, d_vocab):
    counts = _matches(tokens)[:, 1:] @ F.one_hot(tokens[:-1], d_vocab).double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def over_all_tokens(tokens, d_vocab):
    return counts_only(tokens, d_vocab) / torch.arange(1, len(tokens) + 1)[:, None]


def uniform_where_unknown(tokens, d_vocab):
    shares = followers(tokens, d_vocab)
    return torch.where(shares.sum(-1, keepdim=True) == 0, 1 / d_vocab, shares)


def both_match(tokens):
    one = _after(tokens)
    before = torch.zeros_like(one)
    before[1:, 1:] = one[:-1, :-1]
    return one & before


def both_match_by_loop(tokens):
    n = len(tokens)
    return torch.tensor(
        [
            [
                2 <= k < q and tokens[k - 1] == tokens[q] and tokens[k - 2] == tokens[q - 1]
                for k in range(n)
            ]
            for q in range(n)
        ]
    )


def before_only(tokens):
    n = len(tokens)
    found = torch.zeros(n, n, dtype=torch.bool)
    found[1:, 1:] = (tokens[:-1, None] == tokens[None, :-1]).tril(-1)
    return found.tril(-1)


def second_of_the_two(tokens):
    found = torch.zeros_like(both_match(tokens))
    found[:, :-1] = both_match(tokens)[:, 1:]
    return found


RIGHT = {
    "induction-score": [score, score_by_loop],
    "previous-token-head": [shifted, angles],
    "follower-shares": [followers, followers_by_loop],
    "two-token-match": [both_match, both_match_by_loop],
}
WRONG = {
    "induction-score": [
        (at_occurrence, "the earlier occurrence itself"),
        (one_before, "one place before"),
        (all_queries, "average over all queries"),
        (last_only, "only the last"),
        (over_places, "average over places"),
        (counts_itself, "count itself"),
    ],
    "previous-token-head": [
        (own_place, "its own place"),
        (ahead, "one place ahead"),
        (two_back, "two places back"),
        (too_faint, "larger differences"),
        (one_matrix, "two matrices"),
    ],
    "follower-shares": [
        (counts_only, "not yet shares"),
        (nan_rows, "zero by zero"),
        (itself, "count the token itself"),
        (knows_the_future, "not known yet"),
        (what_stood_before, "stood before"),
        (over_all_tokens, "number of tokens so far"),
        (uniform_where_unknown, "guess uniformly"),
    ],
    "two-token-match": [
        (_after, "present token only"),
        (before_only, "token before only"),
        (second_of_the_two, "second of the two"),
    ],
}
