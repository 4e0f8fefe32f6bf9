"""Planted grammars: symbols drawn by a rule whose best prediction is known in closed form.

    Bigrams         each token depends on the one before             chapter 05
    SkipTrigrams    source ... destination -> out                    chapter 07
    Repeats         a random block, repeated                         chapters 09 to 11
    MarkovChains    every sequence has a transition matrix its own   chapter 11

Each has `.sample(batch, length, generator)` -> Int (batch, length) on the generator's device, and
the truth as log-probabilities in nats. Truth and model share one convention: entry p of a
prediction is about token p + 1, given tokens 0 to p.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


def _draw(
    probs: Float[Tensor, "*rows symbol"], generator: torch.Generator
) -> Int[Tensor, " *rows"]:
    """One symbol from each row of probabilities, by the inverse of the cumulative sum."""
    cumulative = probs.cumsum(-1)
    u = torch.rand(
        (*probs.shape[:-1], 1), generator=generator, device=probs.device, dtype=probs.dtype
    )
    drawn = (cumulative <= u * cumulative[..., -1:]).sum(-1)
    return drawn.clamp(max=probs.shape[-1] - 1)


@dataclass(frozen=True, eq=False)
class Bigrams:
    """A Markov chain over words with a known table: what a zero-layer model can learn whole.

    `probs[a, b]` is the probability that b follows a; `words` names the tokens (may be empty).
    The first token is drawn from the stationary distribution. Chapter 05.

    >>> people = Bigrams.people()
    >>> barack, obama = people.words.index("Barack"), people.words.index("Obama")
    >>> round(people.probs[barack, obama].item(), 3)
    0.97
    >>> generator = torch.Generator().manual_seed(0)
    >>> [" ".join(people.words[i] for i in row) for row in people.sample(2, 8, generator)]
    ['letter . Alan Turing saw Barack Obama met', 'Newton thanked Emmy Noether and the river .']
    """

    probs: Float[Tensor, "word next"]
    words: tuple[str, ...] = ()

    def __post_init__(self):
        if self.probs.ndim != 2 or self.probs.shape[0] != self.probs.shape[1]:
            raise ValueError(f"probs must be square, got shape {tuple(self.probs.shape)}")
        if (self.probs < 0).any() or not torch.allclose(
            self.probs.sum(1), torch.ones_like(self.probs[0])
        ):
            raise ValueError("probs: every row must be non-negative and sum to 1")
        if self.words and len(self.words) != len(self.probs):
            raise ValueError(f"words: {len(self.words)} names for {len(self.probs)} rows of probs")

    @classmethod
    def random(
        cls, d_vocab: int, successors: int = 4, floor: float = 0.05, seed: int = 0
    ) -> "Bigrams":
        """Each word has `successors` random followers with Dirichlet(1) weights.

        A share `floor` of every row is spread evenly over all words, so that no log is infinite.
        """
        _positive(d_vocab=d_vocab, successors=successors)
        if successors > d_vocab:
            raise ValueError(f"successors must be at most d_vocab = {d_vocab}, got {successors}")
        if not 0 < floor <= 1:
            raise ValueError(f"floor must be in (0, 1], got {floor}")
        generator = torch.Generator().manual_seed(seed)
        order = torch.rand(d_vocab, d_vocab, generator=generator, dtype=torch.float64)
        weights = -torch.rand(d_vocab, successors, generator=generator, dtype=torch.float64).log()
        weights = weights / weights.sum(1, keepdim=True)
        probs = torch.full((d_vocab, d_vocab), floor / d_vocab, dtype=torch.float64)
        probs.scatter_add_(1, order.argsort(1)[:, :successors], (1 - floor) * weights)
        return cls(probs)

    @classmethod
    def people(cls) -> "Bigrams":
        """A small language of sentences about people, in which "Obama" follows "Barack".

        In 97 of 100 cases a first name is followed by its own surname.
        """
        names = {
            "Barack": "Obama",
            "Marie": "Curie",
            "Ada": "Lovelace",
            "Alan": "Turing",
            "Emmy": "Noether",
            "Isaac": "Newton",
        }
        verbs, nouns = ("met", "saw", "heard", "thanked"), ("king", "song", "river", "letter")
        words = (".", "and", "the", *names, *names.values(), *verbs, *nouns)
        place = {word: i for i, word in enumerate(words)}
        probs = torch.zeros(len(words), len(words), dtype=torch.float64)

        def after(word: str, followers: tuple[str, ...], share: float) -> None:
            for follower in followers:
                probs[place[word], place[follower]] += share / len(followers)

        for first, surname in names.items():
            after(first, (surname,), 0.97)
            after(first, tuple(word for word in words if word != surname), 0.03)
            after(surname, verbs, 0.6)
            after(surname, (".", "and"), 0.35)
            after(surname, words, 0.05)
        for word, shares in {".": (0.7, 0.25), "and": (0.5, 0.45)}.items():
            after(word, tuple(names), shares[0])
            after(word, ("the",), shares[1])
            after(word, words, 0.05)
        for verb in verbs:
            after(verb, tuple(names), 0.55)
            after(verb, ("the",), 0.4)
            after(verb, words, 0.05)
        after("the", nouns, 0.95)
        after("the", words, 0.05)
        for noun in nouns:
            after(noun, (".",), 0.65)
            after(noun, ("and",), 0.3)
            after(noun, words, 0.05)
        return cls(probs / probs.sum(1, keepdim=True), words)

    @property
    def d_vocab(self) -> int:
        return len(self.probs)

    @property
    def log_probs(self) -> Float[Tensor, "word next"]:
        """The true table in nats."""
        return self.probs.log()

    @cached_property
    def stationary(self) -> Float[Tensor, " word"]:
        """The share of each word in a long text: the row vector s with s = s P and sum 1."""
        V = self.d_vocab
        system = torch.cat([self.probs.T - torch.eye(V), torch.ones(1, V)]).double()
        right = torch.cat([torch.zeros(V), torch.ones(1)]).double()
        return (
            torch.linalg.lstsq(system, right[:, None], driver="gelsd").solution[:, 0].clamp(min=0)
        )

    @property
    def entropy_rate(self) -> float:
        """Nats per token that no predictor can get below."""
        return (self.stationary @ torch.special.entr(self.probs.double()).sum(1)).item()

    @property
    def unigram_entropy(self) -> float:
        """Nats per token of the best predictor that ignores the word before."""
        return torch.special.entr(self.stationary).sum().item()

    def sample(
        self, batch: int, length: int, generator: torch.Generator
    ) -> Int[Tensor, "batch length"]:
        """Sequences of tokens; the first one is drawn from the stationary distribution."""
        _positive(batch=batch, length=length)
        probs = self.probs.to(generator.device)
        columns = [_draw(self.stationary.to(generator.device).expand(batch, -1), generator)]
        for _ in range(length - 1):
            columns.append(_draw(probs[columns[-1]], generator))
        return torch.stack(columns, dim=1)


PHRASES = (
    ("keep", "in", "mind"), ("keep", "at", "bay"), ("keep", "under", "wraps"),
    ("bear", "in", "mind"), ("bear", "to", "witness"),
    ("hold", "at", "bay"), ("hold", "in", "place"), ("hold", "to", "account"),
    ("put", "in", "place"), ("put", "at", "risk"), ("put", "under", "pressure"),
    ("put", "to", "rest"),
    ("take", "in", "stride"), ("take", "to", "heart"), ("take", "under", "advisement"),
    ("bring", "to", "light"), ("bring", "in", "line"), ("bring", "under", "control"),
)  # fmt: skip
FILLERS = (
    "she he it they we you this that one some many old new red small two now then here there "
    "very quite soon often"
).split()


@dataclass(frozen=True)
class SkipTrigrams:
    """Sequences in which "source ... destination" calls for "out", by a list of planted triples.

    Every sequence holds exactly one source, at a random one of its first `reach` places. All other
    tokens are drawn one by one: a destination word with probability `destinations_share` in all,
    an out word with `outs_share` in all, else a filler. But where the token before is a destination
    d, the sequence's source s came earlier, and (s, d, o) is planted, the next token is o with
    probability `strength`. So *keep ... in* is followed by *mind* and *keep ... at* by *bay*, and
    *keep ... in* by *bay* only as often as chance has it.

    Tokens are numbered as in `vocabulary`: sources, destinations, outs, fillers. Chapter 07.

    >>> phrases = SkipTrigrams()
    >>> generator = torch.Generator().manual_seed(0)
    >>> rows = phrases.sample(2, 12, generator)
    >>> for row in rows:
    ...     print(" ".join(phrases.vocabulary[i] for i in row))
    hold red they quite many now under light one to account under
    line bear we they he under old two under old at this
    """

    triples: tuple[tuple[str, str, str], ...] = PHRASES
    fillers: tuple[str, ...] = tuple(FILLERS)
    strength: float = 0.8
    reach: int = 8
    destinations_share: float = 0.3
    outs_share: float = 0.06

    def __post_init__(self):
        if not self.triples or not self.fillers:
            raise ValueError("triples and fillers must not be empty")
        _positive(reach=self.reach)
        groups = (*self._column(0), *self._column(1), *self._column(2), *self.fillers)
        if len(set(groups)) != len(groups):
            raise ValueError("a word must be only one of source, destination, out and filler")
        if len({(s, d) for s, d, _ in self.triples}) != len(self.triples):
            raise ValueError("triples: a source and a destination may have one out word only")
        if not 0 < self.strength < 1:
            raise ValueError(f"strength must be between 0 and 1, got {self.strength}")
        if not (
            self.destinations_share > 0
            and self.outs_share > 0
            and self.destinations_share + self.outs_share < 1
        ):
            raise ValueError(
                "destinations_share and outs_share must be positive and sum to less than 1, got "
                f"{self.destinations_share} and {self.outs_share}"
            )

    @classmethod
    def random(
        cls,
        n_sources: int,
        n_destinations: int,
        n_outs: int,
        n_triples: int,
        n_fillers: int = 20,
        seed: int = 0,
        **shares: float,
    ) -> "SkipTrigrams":
        """Random triples over words s0, s1, ..., d0, ..., o0, ..., f0, ...

        Each (source, destination) has at most one out word, and no source has one out word twice.
        Words that no triple uses are not in the vocabulary.
        """
        _positive(n_sources=n_sources, n_destinations=n_destinations, n_outs=n_outs)
        if not 1 <= n_triples <= n_sources * min(n_destinations, n_outs):
            raise ValueError(
                f"n_triples must be 1 to n_sources * min(n_destinations, n_outs) = "
                f"{n_sources * min(n_destinations, n_outs)}, got {n_triples}"
            )
        generator = torch.Generator().manual_seed(seed)
        cells = []
        for s in range(n_sources):
            d = torch.randperm(n_destinations, generator=generator).tolist()
            o = torch.randperm(n_outs, generator=generator).tolist()
            cells += [(f"s{s}", f"d{j}", f"o{k}") for j, k in zip(d, o)]
        keep = torch.randperm(len(cells), generator=generator)[:n_triples].sort().values
        fillers = tuple(f"f{i}" for i in range(n_fillers))
        return cls(tuple(cells[i] for i in keep), fillers, **shares)

    def _column(self, i: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(triple[i] for triple in self.triples))

    @property
    def sources(self) -> tuple[str, ...]:
        return self._column(0)

    @property
    def destinations(self) -> tuple[str, ...]:
        return self._column(1)

    @property
    def outs(self) -> tuple[str, ...]:
        return self._column(2)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """All words in the order of their tokens."""
        return (*self.sources, *self.destinations, *self.outs, *self.fillers)

    @property
    def d_vocab(self) -> int:
        return len(self.vocabulary)

    def ids(self, triples: tuple[tuple[str, str, str], ...]) -> Int[Tensor, "triple 3"]:
        """Triples of words as tokens: source, destination, out."""
        place = {word: i for i, word in enumerate(self.vocabulary)}
        return torch.tensor([[place[word] for word in t] for t in triples]).reshape(-1, 3)

    @property
    def crossings(self) -> tuple[tuple[str, str, str], ...]:
        """The wrong pairings: (s, d, o) where s has another out under d, and o under another d.

        *keep ... in -> bay* is one. The truth gives them no more than chance.
        """
        planted = set(self.triples)
        return tuple(
            (s, d, o)
            for s, d, right in self.triples
            for s2, d2, o in self.triples
            if s2 == s and d2 != d and o != right and (s, d, o) not in planted
        )

    @property
    def unrelated(self) -> tuple[tuple[str, str, str], ...]:
        """The control: (s, d, o) with a planted (s, d), but o planted under no d for this s."""
        own = {s: {o for s2, _, o in self.triples if s2 == s} for s in self.sources}
        return tuple((s, d, o) for s, d, _ in self.triples for o in self.outs if o not in own[s])

    @cached_property
    def background(self) -> Float[Tensor, " token"]:
        """Probabilities of a token where nothing planted calls; sources have none."""
        sizes = [len(g) for g in (self.sources, self.destinations, self.outs, self.fillers)]
        rest = 1 - self.destinations_share - self.outs_share
        shares = [0.0, self.destinations_share, self.outs_share, rest]
        return torch.cat(
            [torch.full((n,), share / n, dtype=torch.float64) for n, share in zip(sizes, shares)]
        )

    @cached_property
    def _out_of(self) -> Int[Tensor, "source token"]:
        """The planted out token for (source, token before), -1 where there is none."""
        table = torch.full((len(self.sources), self.d_vocab), -1, dtype=torch.long)
        source, destination, out = self.ids(self.triples).T
        table[source, destination] = out
        return table

    def sample(
        self, batch: int, length: int, generator: torch.Generator
    ) -> Int[Tensor, "batch length"]:
        """Sequences of tokens. ValueError when `length` is not above `reach`."""
        _positive(batch=batch)
        if length <= self.reach:
            raise ValueError(f"length must be above reach = {self.reach}, got {length}")
        device = generator.device
        tokens = _draw(self.background.to(device).expand(batch, length, -1), generator)
        source = torch.randint(len(self.sources), (batch,), generator=generator, device=device)
        place = torch.randint(self.reach, (batch,), generator=generator, device=device)
        called = torch.rand(batch, length, generator=generator, device=device) < self.strength
        tokens[torch.arange(batch, device=device), place] = source
        out_of = self._out_of.to(device)
        for t in range(1, length):
            out = out_of[source, tokens[:, t - 1]]
            planted = (out >= 0) & (place < t) & called[:, t]
            tokens[:, t] = torch.where(planted, out, tokens[:, t])
        return tokens

    def log_probs(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos token"]:
        """The true log-probability, in nats, of each next token given all tokens so far.

        Minus infinity where the grammar forbids a token (a second source, for example).
        """
        _check_range(tokens, self.d_vocab)
        length, device = tokens.shape[1], tokens.device
        n_sources = len(self.sources)
        is_source = tokens < n_sources
        seen = is_source.cumsum(1) > 0
        source = torch.where(is_source, tokens, 0).cummax(1).values  # of the one source, once seen
        out = torch.where(seen, self._out_of.to(device)[source, tokens], -1)
        q = self.strength * (out >= 0).double()[..., None]
        planted = torch.nn.functional.one_hot(out.clamp(min=0), self.d_vocab).double()
        probs = (1 - q) * self.background.to(device) + q * planted
        # Until it has come, the source comes next with chance 1 / (places that are left for it).
        left = self.reach - torch.arange(1, length + 1, device=device).double()
        hazard = torch.where(left > 0, 1 / left.clamp(min=1), 0.0)[None, :, None]
        hazard = torch.where(seen[..., None], 0.0, hazard)
        sources = torch.zeros(self.d_vocab, device=device, dtype=torch.float64)
        sources[:n_sources] = 1 / n_sources
        return ((1 - hazard) * probs + hazard * sources).log()


def _check_range(tokens: Int[Tensor, "batch pos"], d_vocab: int) -> None:
    if tokens.numel() and not (0 <= int(tokens.min()) and int(tokens.max()) < d_vocab):
        raise ValueError(
            f"tokens must be 0 to {d_vocab - 1}, got {int(tokens.min())} to {int(tokens.max())}"
        )


@dataclass(frozen=True)
class Repeats:
    """A block of uniformly random tokens, repeated to the end: what induction heads predict.

    `period` is the block's length, or (lowest, highest) for a length drawn anew, uniformly, for
    every sequence. `distinct`: no token comes twice in a block, so that one token is all that it
    takes to find the place again. Chapters 09 to 11.

    >>> Repeats(d_vocab=10, period=3).sample(2, 8, torch.Generator().manual_seed(0))
    tensor([[4, 9, 3, 4, 9, 3, 4, 9],
            [0, 3, 9, 0, 3, 9, 0, 3]])
    >>> Repeats(d_vocab=10, period=3).predictable(torch.tensor([[4, 9, 3, 4, 9, 3, 4, 9]])).int()
    tensor([[0, 0, 0, 1, 1, 1, 1, 0]], dtype=torch.int32)
    """

    d_vocab: int
    period: int | tuple[int, int]
    distinct: bool = False

    def __post_init__(self):
        low, high = self._range
        _positive(d_vocab=self.d_vocab, period=low)
        if low > high:
            raise ValueError(f"period must be a length or (lowest, highest), got {self.period}")
        if self.distinct and high > self.d_vocab:
            raise ValueError(
                f"distinct: a block of {high} needs as many different tokens, got {self.d_vocab}"
            )

    @property
    def _range(self) -> tuple[int, int]:
        return (self.period, self.period) if isinstance(self.period, int) else self.period

    def sample(
        self, batch: int, length: int, generator: torch.Generator
    ) -> Int[Tensor, "batch length"]:
        """Sequences of tokens. ValueError when `length` leaves no place for a repetition."""
        _positive(batch=batch)
        low, high = self._range
        if length <= high:
            raise ValueError(f"length must be above the longest period {high}, got {length}")
        device = generator.device
        if self.distinct:
            order = torch.rand(batch, self.d_vocab, generator=generator, device=device).argsort(1)
            block = order[:, :high]
        else:
            block = torch.randint(self.d_vocab, (batch, high), generator=generator, device=device)
        period = torch.randint(low, high + 1, (batch, 1), generator=generator, device=device)
        return block.gather(1, torch.arange(length, device=device) % period)

    def periods(self, tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, " batch"]:
        """The shortest allowed period that each sequence has. ValueError when one has none."""
        low, high = self._range
        found = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        for period in range(high, low - 1, -1):
            repeats = (tokens[:, period:] == tokens[:, :-period]).all(1)
            found = torch.where(repeats, period, found)
        if (found == 0).any():
            row = int((found == 0).nonzero()[0])
            raise ValueError(f"tokens: row {row} does not repeat with a period of {low} to {high}")
        return found

    def predictable(self, tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """True at p where token p repeats an earlier one and token p + 1 can be read off there.

        From the first token of the second block to the last token but one.
        """
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return (places >= self.periods(tokens)[:, None]) & (places < tokens.shape[1] - 1)

    def log_probs(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos token"]:
        """The true log-probability, in nats, of each next token given all tokens so far.

        With a range of periods: Bayes' rule over the period. Minus infinity where a token cannot
        come.
        """
        _check_range(tokens, self.d_vocab)
        batch, length = tokens.shape
        low, high = self._range
        t = torch.arange(1, length + 1, device=tokens.device)  # how many tokens have been seen
        draw, fresh, first = self._first_block(tokens)
        total = torch.zeros(batch, length, self.d_vocab, dtype=torch.float64, device=tokens.device)
        for period in range(low, high + 1):
            agrees = fresh.clone()
            agrees[:, period:] = tokens[:, period:] == tokens[:, : max(length - period, 0)]
            agrees = agrees.cumprod(1)  # (batch, pos): no contradiction among the tokens seen
            # Each token of the block costs a factor, 1 / d_vocab if it is drawn from all of them.
            # Counted from the highest period, the largest factor that all may share, so that
            # nothing underflows.
            cost = draw[t.clamp(max=high)] - draw[t.clamp(max=period)]
            weight = agrees * torch.exp(-cost)
            nexts = first.clone()
            if period <= length:
                known = tokens[
                    :, : length - period + 1
                ]  # token p + 1 - period, for p >= period - 1
                nexts[:, period - 1 :] = torch.nn.functional.one_hot(known, self.d_vocab).double()
            total += weight[..., None] * nexts
        return (total / total.sum(-1, keepdim=True)).log()

    def _first_block(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is known inside the block: the log-probability of its first n tokens, for n = 0 to
        `high`; which tokens may stand where they stand; the probabilities of the next one."""
        (batch, length), (_, high), V = tokens.shape, self._range, self.d_vocab
        left = torch.full((high + 1,), V, dtype=torch.float64, device=tokens.device)
        seen = torch.zeros(batch, length, V, dtype=torch.float64, device=tokens.device)
        fresh = torch.ones(batch, length, dtype=torch.bool, device=tokens.device)
        if self.distinct:
            left = left - torch.arange(high + 1, device=tokens.device)  # to choose the next from
            hot = torch.nn.functional.one_hot(tokens, V)
            fresh = (hot.cumsum(1) * hot).sum(-1) == 1
            seen = hot.cumsum(1).clamp(max=1).double()
        draw = torch.cat([left.new_zeros(1), -left[:-1].log().cumsum(0)])
        unseen = 1 - seen
        return draw, fresh, unseen / unseen.sum(-1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class MarkovChains:
    """In-context Markov chains: every sequence has a transition matrix of its own.

    Rows are drawn from Dirichlet(alpha), the first symbol uniformly, the rest by the chain (Edelman
    et al. 2024, arXiv:2402.11004, who draw the first symbol from the chain's stationary
    distribution; drawn uniformly it says nothing about the chain, and `bigram` is exactly optimal).
    Three predictors, each as log-probabilities (batch, pos, symbol) in nats: `uniform`, `unigram`
    (Bayes-optimal if symbols were drawn independently), `bigram` (Bayes-optimal). Chapter 11.

    >>> chains = MarkovChains(n_symbols=2)
    >>> tokens = torch.tensor([[0, 1, 1, 0, 1]])
    >>> chains.unigram(tokens)[0, -1].exp()      # 2 zeros and 3 ones so far: 3/7 and 4/7
    tensor([0.4286, 0.5714], dtype=torch.float64)
    >>> chains.bigram(tokens)[0, -1].exp()       # after a one came a one and a zero: 2/4 and 2/4
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    n_symbols: int
    alpha: float = 1.0

    def __post_init__(self):
        _positive(n_symbols=self.n_symbols)
        if not self.alpha > 0:
            raise ValueError(f"alpha must be positive, got {self.alpha}")

    @property
    def d_vocab(self) -> int:
        return self.n_symbols

    def sample(
        self, batch: int, length: int, generator: torch.Generator
    ) -> Int[Tensor, "batch length"]:
        """Sequences of symbols, each from a chain of its own."""
        _positive(batch=batch, length=length)
        tables = self.tables(batch, generator)
        device, rows = generator.device, torch.arange(batch, device=generator.device)
        columns = [torch.randint(self.n_symbols, (batch,), generator=generator, device=device)]
        for _ in range(length - 1):
            columns.append(_draw(tables[rows, columns[-1]], generator))
        return torch.stack(columns, dim=1)

    def tables(
        self, batch: int, generator: torch.Generator
    ) -> Float[Tensor, "batch symbol symbol"]:
        """One table of transitions a sequence: weights, each row up to a factor of its own."""
        # A Dirichlet row is a row of gamma variables over its sum.
        shape = (batch, self.n_symbols, self.n_symbols)
        alphas = torch.full(shape, self.alpha, dtype=torch.float64, device=generator.device)
        return torch._standard_gamma(alphas, generator=generator)

    def uniform(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos symbol"]:
        """Every symbol equally likely."""
        _check_range(tokens, self.n_symbols)
        like = torch.empty((*tokens.shape, self.n_symbols), device=tokens.device)
        return torch.full_like(like, -math.log(self.n_symbols), dtype=torch.float64)

    def unigram(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos symbol"]:
        """(n_j + alpha) / (n + V alpha), n_j the number of symbols j among the n seen so far."""
        return self._smooth(self._one_hot(tokens).cumsum(1))

    def bigram(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos symbol"]:
        """(n_ij + alpha) / (n_i + V alpha), n_ij the transitions i to j, i the last symbol."""
        hot = self._one_hot(tokens)
        same = (tokens[:, :, None] == tokens[:, None, :]).double().tril(-1)
        return self._smooth(same[:, :, :-1] @ hot[:, 1:])

    def _one_hot(self, tokens: Tensor) -> Tensor:
        _check_range(tokens, self.n_symbols)
        return torch.nn.functional.one_hot(tokens.long(), self.n_symbols).double()

    def _smooth(self, counts: Tensor) -> Tensor:
        smoothed = counts + self.alpha
        return (smoothed / smoothed.sum(-1, keepdim=True)).log()


class BalancedChains(MarkovChains):
    """Markov chains in which every symbol is as frequent as every other in the long run.

    The tables are doubly stochastic: columns sum to one as rows do, by dividing rows and columns by
    their sums in turn (Sinkhorn). So `unigram` learns next to nothing from a context, and `bigram`
    is near the best predictor but, not knowing of the columns, not exactly it. Edelman et al. 2024
    use such chains to ask whether the unigram stage holds a model up. Chapter 11.
    """

    def tables(
        self, batch: int, generator: torch.Generator
    ) -> Float[Tensor, "batch symbol symbol"]:
        """One doubly stochastic table a sequence, to nine digits or so."""
        tables = super().tables(batch, generator)
        for _ in range(50):
            tables = tables / tables.sum(1, keepdim=True)
            tables = tables / tables.sum(2, keepdim=True)
        return tables
