"""What counting alone knows: n-gram tables, their entropies, and the best table of a given rank.

Baselines for chapters 05 to 11. A token stream goes in (1-D integers below `d_vocab`), nats per
token come out. Entropies of counts describe the text they were counted on and flatter themselves
on rare pairs; `ngram_cross_entropy` smooths and is measured on other text.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def _check_stream(tokens: Tensor, d_vocab: int, name: str = "tokens") -> None:
    if len(tokens) < 3:
        raise ValueError(f"{name}: the corpus is too short: {len(tokens)} tokens")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= d_vocab:
        raise ValueError(f"{name} must be 0 to {d_vocab - 1}, got {low} to {high}")


# --------------------------------------------------------------------------- counts, entropies


def unigram_counts(tokens: Int[Tensor, " stream"], d_vocab: int) -> Int[Tensor, " token"]:
    """How often each token comes."""
    _check_stream(tokens, d_vocab)
    return torch.bincount(tokens, minlength=d_vocab)


def bigram_counts(tokens: Int[Tensor, " stream"], d_vocab: int) -> Int[Tensor, "token next"]:
    """How often token b follows token a, at [a, b]. Memory: 8 bytes d_vocab^2."""
    _check_stream(tokens, d_vocab)
    pairs = tokens[:-1].long() * d_vocab + tokens[1:]
    return torch.bincount(pairs, minlength=d_vocab**2).reshape(d_vocab, d_vocab)


def unigram_entropy(counts: Int[Tensor, " token"] | Float[Tensor, " token"]) -> float:
    """Nats per token of the best predictor that ignores the context."""
    return torch.special.entr(counts.double() / counts.sum()).sum().item()


def bigram_entropy(counts: Int[Tensor, "token next"] | Float[Tensor, "token next"]) -> float:
    """Nats per token of the best predictor that sees the token before: H(next | token)."""
    joint = counts.double() / counts.sum()
    return (torch.special.entr(joint).sum() - torch.special.entr(joint.sum(1)).sum()).item()


# --------------------------------------------------------------------------- smoothed n-grams

STRENGTHS = tuple(2.0**k for k in range(-2, 13))
_BLOCK = 8192  # tokens: every twentieth block of the training text chooses the smoothing


@dataclass(frozen=True)
class Ngram:
    """Result of `ngram_cross_entropy`: nats per token, and the smoothing that was chosen."""

    loss: float
    strengths: tuple[float, ...]


def ngram_cross_entropy(
    train: Int[Tensor, " train"], held_out: Int[Tensor, " held_out"], d_vocab: int, order: int
) -> Ngram:
    """Held-out loss, in nats per token, of a smoothed n-gram model; order 1, 2 or 3 tokens.

    p_n(c | context) = (count(context, c) + k_n p_{n-1}(c | shorter context)) / (count(context)
    + k_n), and p_0 uniform (MacKay and Peto 1995, hierarchical Dirichlet). Each k_n is the best of
    `STRENGTHS` on every twentieth block of the training text, which the counts leave out. Losses
    of the first two tokens of `held_out` are left out for every order, so that orders compare.
    """
    if not 1 <= order <= 3:
        raise ValueError(f"order must be 1, 2 or 3, got {order}")
    _check_stream(train, d_vocab, "train")
    _check_stream(held_out, d_vocab, "held_out")
    train, held_out = train.long(), held_out.long()
    target = torch.arange(2, len(train))
    aside = (target // _BLOCK) % 20 == 19
    if not aside.any():  # a short text: every twentieth token instead
        aside = target % 20 == 2
    fit, choose = target[~aside], target[aside]
    tests = torch.arange(2, len(held_out))
    # Probability of the true next token, at the places that choose and at those that are measured.
    p_choose = torch.full((len(choose),), 1 / d_vocab, dtype=torch.float64)
    p_test = torch.full((len(tests),), 1 / d_vocab, dtype=torch.float64)
    strengths = []
    for n in range(1, order + 1):
        whole = _keys(train, fit, n, d_vocab).sort().values
        c1, n1 = _counts(whole, _keys(train, choose, n, d_vocab), d_vocab)
        c2, n2 = _counts(whole, _keys(held_out, tests, n, d_vocab), d_vocab)
        losses = [-((c1 + k * p_choose) / (n1 + k)).log().mean().item() for k in STRENGTHS]
        k = STRENGTHS[min(range(len(losses)), key=losses.__getitem__)]
        strengths.append(k)
        p_choose = (c1 + k * p_choose) / (n1 + k)
        p_test = (c2 + k * p_test) / (n2 + k)
    return Ngram(-p_test.log().mean().item(), tuple(strengths))


def _keys(tokens: Tensor, places: Tensor, n: int, d_vocab: int) -> Tensor:
    """The n tokens that end at each place, as one number; the last token is the lowest digit."""
    key = torch.zeros_like(places)
    for back in range(n - 1, -1, -1):
        key = key * d_vocab + tokens[places - back]
    return key


def _counts(whole: Tensor, keys: Tensor, d_vocab: int) -> tuple[Tensor, Tensor]:
    """How often each n-gram, and its context with any last token, stands in a sorted list."""
    keys, back = keys.unique(return_inverse=True)  # in order: a sorted walk is kind to the cache
    first = keys - keys % d_vocab
    edges = [torch.searchsorted(whole, key) for key in (keys, keys + 1, first, first + d_vocab)]
    return (edges[1] - edges[0])[back], (edges[3] - edges[2])[back]


# --------------------------------------------------------------------------- skip-trigrams


class Places:
    """Where each token of a stream stands, and what comes next: sorted once, then asked often.

    The last token of the stream is no place: nothing comes next. `of[t]` holds the places of token
    t in reading order, `next[t]` the tokens that come after them.
    """

    def __init__(self, tokens: Int[Tensor, " stream"], d_vocab: int) -> None:
        _check_stream(tokens, d_vocab)
        order = tokens[:-1].argsort(stable=True)
        sizes = torch.bincount(tokens[:-1], minlength=d_vocab).tolist()
        self.d_vocab, self.n = d_vocab, len(order)
        self.of: tuple[Int[Tensor, " place"], ...] = order.split(sizes)
        self.next: tuple[Int[Tensor, " place"], ...] = tokens[1:][order].split(sizes)

    def near(self, source: int, here: Int[Tensor, " place"], reach: int) -> Bool[Tensor, " place"]:
        """Which of the places `here` have the source among the `reach` tokens before them.

        Cut the stream into blocks of `reach` tokens. A source that is near stands in the block of
        the place, before it, or in the block before that one: of the first it is enough to know the
        first source, of the second the last. Nothing is searched: two tables are looked up.
        """
        if reach < 1:
            raise ValueError(f"reach must be at least 1, got {reach}")
        sources, block, blocks = self.of[source], here // reach, self.n // reach + 2
        its_block = sources // reach + 1  # counted from 1, so that each block has one before it
        first = torch.full((blocks,), self.n).scatter_reduce_(0, its_block, sources, "amin")
        last = torch.full((blocks,), -reach - 1).scatter_reduce_(0, its_block, sources, "amax")
        in_its_block = first.index_select(0, block + 1) < here
        return in_its_block | (last.index_select(0, block) >= here - reach)


def skip_trigram_counts(
    places: Places, triples: Int[Tensor, "triple 3"], reach: int
) -> Int[Tensor, "triple 4"]:
    """Counts behind "source ... destination -> out" for each row (source, destination, out).

    Columns: places where the destination comes with the source among the `reach` tokens before it;
    those of them where out comes next; places of the destination at all; those of them where out
    comes next.
    """
    if triples.numel() and not 0 <= int(triples.min()) <= int(triples.max()) < places.d_vocab:
        raise ValueError(f"triples must hold tokens 0 to {places.d_vocab - 1}")
    asked: dict[int, dict[int, list[int]]] = {}  # source, destination: rows
    for row, (source, destination, _) in enumerate(triples.tolist()):
        asked.setdefault(source, {}).setdefault(destination, []).append(row)
    counts = torch.zeros(len(triples), 4, dtype=torch.long)
    for source, destinations in asked.items():
        here = [places.of[destination] for destination in destinations]
        near = places.near(source, torch.cat(here), reach).split([len(each) for each in here])
        for (destination, rows), close in zip(destinations.items(), near):
            for row in rows:
                hit = places.next[destination] == triples[row, 2]
                both = (close & hit).sum()
                counts[row] = torch.stack([close.sum(), both, torch.tensor(len(hit)), hit.sum()])
    return counts


def lift(counts: Int[Tensor, "triple 4"]) -> Float[Tensor, " triple"]:
    """P(out | destination, source near) / P(out | destination): 1 where the source says nothing.

    From `skip_trigram_counts`. NaN where the source never comes near the destination, or out never
    follows the destination.
    """
    near, near_hit, here, hit = counts.double().T
    return (near_hit / near) / (hit / here)


# --------------------------------------------------------------------------- the best rank-d table


@dataclass(frozen=True, eq=False)
class RankTable:
    """Result of `best_rank_table`: logits `A @ B`, and their mean loss on the counts in nats."""

    A: Float[Tensor, "token rank"]
    B: Float[Tensor, "rank next"]
    loss: float

    @property
    def log_probs(self) -> Float[Tensor, "token next"]:
        return (self.A @ self.B).log_softmax(-1)


def table_loss(
    logits: Float[Tensor, "token next"],
    counts: Int[Tensor, "token next"] | Float[Tensor, "token next"],
) -> float:
    """Nats per token of a table of logits on bigram counts."""
    joint = counts.to(logits.dtype) / counts.sum()
    return -(joint * logits.log_softmax(-1)).sum().item()


def best_rank_table(
    counts: Int[Tensor, "token next"] | Float[Tensor, "token next"],
    rank: int,
    *,
    max_iterations: int = 1000,
    tolerance: float = 1e-6,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> RankTable:
    """The logits A @ B of rank `rank` whose softmax best predicts the counted bigrams.

    What no zero-layer model with d_model = rank can beat on these counts. Found by L-BFGS on all
    counts at once, from the singular vectors of the smoothed log-probabilities; it stops when 20
    iterations together gain less than 20 times `tolerance` nats. The problem is not convex: a
    local optimum is what one gets, and several seeds (each adds noise to the start) show how far
    they differ. Takes seconds at d_vocab 512.
    """
    V = len(counts)
    if counts.shape != (V, V):
        raise ValueError(f"counts must be square, got shape {tuple(counts.shape)}")
    if not 1 <= rank <= V:
        raise ValueError(f"rank must be 1 to {V}, got {rank}")
    if counts.min() < 0 or counts.sum() == 0:
        raise ValueError("counts must be non-negative and not all zero")
    joint = counts.to(dtype) / counts.sum()
    row, column = joint.sum(1, keepdim=True), joint.sum(0)
    # Rows are scaled by the root of their share: without it the gradients of rare tokens are so
    # small that the optimiser never comes to them.
    scale = (row + 1e-12).sqrt()
    counted = counts.to(dtype)
    smooth = ((counted + 2 * (column + 1 / V**2)) / (counted.sum(1, keepdim=True) + 2)).log()
    smooth = smooth - smooth.mean(1, keepdim=True)
    U, S, Vh = torch.linalg.svd(scale * smooth, full_matrices=False)
    generator = torch.Generator().manual_seed(seed)
    root = S[:rank].sqrt()
    A = U[:, :rank] * root
    A = A + 1e-3 * A.std() * torch.randn(A.shape, generator=generator, dtype=dtype)
    B = root[:, None] * Vh[:rank]
    A, B = A.contiguous().requires_grad_(), B.contiguous().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [A, B],
        max_iter=20,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        # cross-entropy = sum of row share * logsumexp - the counted logits' mean
        logits = (A / scale) @ B
        loss = (row[:, 0] * logits.logsumexp(-1)).sum() - (joint * logits).sum()
        loss.backward()
        return loss

    loss = math.inf
    for _ in range(max(1, max_iterations // 20)):
        optimizer.step(closure)
        now = closure().item()
        if loss - now < 20 * tolerance:
            break
        loss = now
    A, B = (A / scale).detach(), B.detach()
    return RankTable(A, B, table_loss(A @ B, counts))
