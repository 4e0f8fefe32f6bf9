"""Planted grammars: samples against truth, truth against brute force."""

import doctest
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.text import corpus, grammars, tokens
from mechlib.text.grammars import BalancedChains, Bigrams, MarkovChains, Repeats, SkipTrigrams


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("module", [grammars, corpus, tokens])
def test_examples_in_the_docstrings(module):
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0 or module is corpus


def surprise(log_probs, sample):
    """Nats of each next token under a prediction: (batch, pos - 1)."""
    return -log_probs[:, :-1].gather(-1, sample[:, 1:, None])[..., 0]


def expected(log_probs):
    """Nats that the prediction itself expects: (batch, pos - 1)."""
    return torch.special.entr(log_probs[:, :-1].exp()).sum(-1)


def assert_calibrated(grammar, log_probs, length, batch=2000, sigmas=5):
    """The truth's surprise on samples has the mean and spread that the truth itself predicts.

    A martingale: surprise - expected surprise has mean 0 given the past, so its sum over a sequence
    has mean 0 and the sequences are independent.
    """
    sample = grammar.sample(batch, length, seeded(5))
    lp = log_probs(sample)
    assert torch.allclose(lp.exp().sum(-1), torch.ones(1, dtype=torch.float64))
    gap = (surprise(lp, sample) - expected(lp)).sum(1)
    assert gap.isfinite().all()
    assert gap.mean().abs() <= sigmas * gap.std() / math.sqrt(batch) + 1e-9


# --------------------------------------------------------------------------- bigrams


def test_bigram_samples_follow_the_table():
    grammar = Bigrams.random(7, successors=3, floor=0.1, seed=1)
    sample = grammar.sample(3000, 11, seeded())
    assert sample.shape == (3000, 11)
    counts = torch.zeros(7, 7, dtype=torch.float64)
    pairs = sample[:, :-1].flatten(), sample[:, 1:].flatten()
    counts.index_put_(pairs, torch.ones(1, dtype=torch.float64), accumulate=True)
    n = counts.sum(1, keepdim=True)
    error = (counts / n - grammar.probs).abs()
    assert (error < 5 * (grammar.probs * (1 - grammar.probs) / n).sqrt() + 1e-6).all()


def test_stationary_distribution_holds_at_every_place():
    grammar = Bigrams.random(11, successors=2, seed=2)
    s = grammar.stationary
    assert torch.allclose(s @ grammar.probs, s, atol=1e-12)
    assert torch.allclose(s, torch.linalg.matrix_power(grammar.probs, 400)[0], atol=1e-9)
    sample = grammar.sample(5000, 3, seeded(1))
    for place in range(3):
        share = torch.bincount(sample[:, place], minlength=11) / 5000
        assert ((share - s).abs() < 5 * (s * (1 - s) / 5000).sqrt() + 1e-6).all()


def test_entropies_of_a_table_done_by_hand():
    # from 0 always to 1; from 1 evenly: stationary (1/3, 2/3), rate 2/3 ln 2
    grammar = Bigrams(torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64))
    assert torch.allclose(grammar.stationary, torch.tensor([1 / 3, 2 / 3], dtype=torch.float64))
    assert math.isclose(grammar.entropy_rate, 2 / 3 * math.log(2), rel_tol=1e-12)
    assert math.isclose(grammar.unigram_entropy, math.log(3) - 2 / 3 * math.log(2), rel_tol=1e-9)


def test_bigrams_are_calibrated():
    grammar = Bigrams.random(13, seed=3)
    assert_calibrated(grammar, lambda x: grammar.log_probs[x], 17)


def test_sparse_rows_have_the_followers_asked_for():
    grammar = Bigrams.random(17, successors=3, floor=0.02, seed=4)
    assert ((grammar.probs > 0.02 / 17 + 1e-12).sum(1) == 3).all()
    assert torch.allclose(grammar.probs.sum(1), torch.ones(17, dtype=torch.float64))
    assert not torch.equal(grammar.probs, Bigrams.random(17, 3, 0.02, seed=5).probs)


def test_people_know_barack_obama():
    people = Bigrams.people()
    i = people.words.index
    assert people.probs[i("Barack"), i("Obama")] == pytest.approx(0.97)
    sample = people.sample(2000, 23, seeded())
    after = sample[:, 1:][sample[:, :-1] == i("Barack")]
    assert len(after) > 500
    assert (after == i("Obama")).float().mean() > 0.94
    before = sample[:, :-1][sample[:, 1:] == i("Obama")]
    assert (before == i("Barack")).float().mean() > 0.9


def test_bigrams_errors():
    with pytest.raises(ValueError, match="square"):
        Bigrams(torch.full((2, 3), 0.5))
    with pytest.raises(ValueError, match="sum to 1"):
        Bigrams(torch.full((3, 3), 0.5))
    with pytest.raises(ValueError, match="2 names for 3 rows"):
        Bigrams(torch.full((3, 3), 1 / 3), ("a", "b"))
    with pytest.raises(ValueError, match="successors must be at most d_vocab = 3"):
        Bigrams.random(3, 4)
    with pytest.raises(ValueError, match="floor"):
        Bigrams.random(3, 2, floor=0.0)
    with pytest.raises(ValueError, match="length must be at least 1"):
        Bigrams.random(3, 2).sample(2, 0, seeded())


# --------------------------------------------------------------------------- skip-trigrams

TINY = SkipTrigrams(
    triples=(("s", "d", "o"), ("s", "e", "p"), ("t", "d", "p")), fillers=("x",), reach=3
)


def brute_skip_trigrams(grammar, seen):
    """Next-token probabilities from the definition, by summing over where the source stands."""
    V, n_sources = grammar.d_vocab, len(grammar.sources)
    words = [grammar.vocabulary[i] for i in seen]
    planted = {(s, d): o for s, d, o in grammar.triples}

    def draw(prefix, source, place):
        """Distribution of the token after `prefix`, if `source` is to stand at `place`."""
        t = len(prefix)
        if t == place:
            return {source: 1.0}
        background = dict(zip(grammar.vocabulary, grammar.background.tolist()))
        out = planted.get((source, prefix[-1])) if prefix and place < t else None
        if out is None:
            return background
        mixed = {w: p * (1 - grammar.strength) for w, p in background.items()}
        mixed[out] += grammar.strength
        return mixed

    total = torch.zeros(V, dtype=torch.float64)
    for source, place in itertools.product(grammar.sources, range(grammar.reach)):
        weight = 1 / (n_sources * grammar.reach)
        for t, word in enumerate(words):
            weight *= draw(words[:t], source, place).get(word, 0.0)
        for word, p in draw(words, source, place).items():
            total[grammar.vocabulary.index(word)] += weight * p
    return total / total.sum()


def test_skip_trigram_truth_against_brute_force():
    sample = TINY.sample(43, 7, seeded(2))
    truth = TINY.log_probs(sample).exp()
    for row, probs in zip(sample.tolist(), truth):
        for p in range(7):
            assert torch.allclose(probs[p], brute_skip_trigrams(TINY, row[: p + 1]), atol=1e-12)


def test_skip_trigrams_are_calibrated():
    assert_calibrated(TINY, TINY.log_probs, 13)
    phrases = SkipTrigrams()
    assert_calibrated(phrases, phrases.log_probs, 29)


def test_every_sequence_has_one_source_within_reach():
    phrases = SkipTrigrams()
    sample = phrases.sample(1000, 31, seeded())
    sources = sample < len(phrases.sources)
    assert (sources.sum(1) == 1).all()
    places = sources.int().argmax(1)
    assert places.unique().tolist() == list(range(phrases.reach))


def test_keep_in_mind_and_keep_at_bay():
    phrases = SkipTrigrams()
    i = phrases.vocabulary.index
    context = torch.tensor([[i("keep"), i("she"), i("in")], [i("keep"), i("she"), i("at")]])
    truth = phrases.log_probs(context)[:, -1].exp()
    assert truth[0, i("mind")] > 0.8
    assert truth[1, i("bay")] > 0.8
    chance = phrases.background[i("bay")] * (1 - phrases.strength)
    assert truth[0, i("bay")] == pytest.approx(chance.item())
    assert truth[1, i("mind")] == pytest.approx(chance.item())
    assert ("keep", "in", "bay") in phrases.crossings
    assert ("keep", "in", "mind") not in phrases.crossings


def test_crossings_and_controls_by_definition():
    phrases = SkipTrigrams()
    planted = {(s, d): o for s, d, o in phrases.triples}
    own = {s: {o for t, _, o in phrases.triples if t == s} for s in phrases.sources}
    everything = [(s, d, o) for (s, d) in planted for o in phrases.outs]
    cross = {(s, d, o) for s, d, o in everything if o in own[s] and o != planted[s, d]}
    control = {(s, d, o) for s, d, o in everything if o not in own[s]}
    assert set(phrases.crossings) == cross
    assert len(phrases.crossings) == len(cross)
    assert set(phrases.unrelated) == control
    assert phrases.ids((("bear", "in", "mind"),)).tolist() == [
        [phrases.vocabulary.index(w) for w in ("bear", "in", "mind")]
    ]


@given(st.integers(0, 1000))
def test_random_skip_trigrams(seed):
    grammar = SkipTrigrams.random(5, 3, 7, 11, n_fillers=2, seed=seed)
    assert len(set(grammar.triples)) == 11
    assert len({(s, o) for s, _, o in grammar.triples}) == 11
    assert grammar.background.sum().item() == pytest.approx(1)
    assert grammar == SkipTrigrams.random(5, 3, 7, 11, n_fillers=2, seed=seed)


def test_skip_trigrams_errors():
    with pytest.raises(ValueError, match="one out word only"):
        SkipTrigrams(triples=(("a", "b", "c"), ("a", "b", "d")))
    with pytest.raises(ValueError, match="only one of"):
        SkipTrigrams(triples=(("a", "b", "a"),))
    with pytest.raises(ValueError, match="strength"):
        SkipTrigrams(strength=1.0)
    with pytest.raises(ValueError, match="less than 1"):
        SkipTrigrams(destinations_share=0.7, outs_share=0.3)
    with pytest.raises(ValueError, match="length must be above reach = 8"):
        SkipTrigrams().sample(2, 8, seeded())
    with pytest.raises(ValueError, match="n_triples must be 1 to"):
        SkipTrigrams.random(2, 3, 5, 7)
    with pytest.raises(ValueError, match=f"0 to {TINY.d_vocab - 1}, got 0 to {TINY.d_vocab}"):
        TINY.log_probs(torch.tensor([[0, TINY.d_vocab]]))


# --------------------------------------------------------------------------- repeats


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(0, 4))
def test_repeats_repeat(seed, low, extra):
    grammar = Repeats(23, (low, low + extra))
    sample = grammar.sample(3, 19, seeded(seed))
    for row, period in zip(sample, grammar.periods(sample)):
        assert low <= period <= low + extra
        assert torch.equal(row[period:], row[:-period])


def test_predictable_places_by_hand():
    grammar = Repeats(10, (2, 4))
    sample = torch.tensor([[1, 2, 1, 2, 1, 2, 1], [1, 2, 3, 4, 1, 2, 3]])
    assert grammar.periods(sample).tolist() == [2, 4]
    assert grammar.predictable(sample).int().tolist() == [
        [0, 0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 0],
    ]


def test_fixed_period_truth():
    grammar = Repeats(5, 3)
    sample = grammar.sample(7, 11, seeded(3))
    lost = surprise(grammar.log_probs(sample), sample)
    assert torch.allclose(lost[:, :2], torch.full((7, 2), math.log(5), dtype=torch.float64))
    assert torch.equal(lost[:, 2:], torch.zeros(7, 8, dtype=torch.float64))


@pytest.mark.parametrize(("V", "distinct"), [(2, False), (4, True)])
def test_random_period_truth_against_brute_force(V, distinct):
    grammar, length = Repeats(V, (2, 4), distinct), 6
    joint = torch.zeros((V,) * length, dtype=torch.float64)
    for period in (2, 3, 4):
        draw = itertools.permutations if distinct else itertools.product
        blocks = list(draw(range(V), period) if distinct else draw(range(V), repeat=period))
        for block in blocks:
            row = [block[i % period] for i in range(length)]
            joint[tuple(row)] += 1 / (3 * len(blocks))
    rows = joint.nonzero()
    truth = grammar.log_probs(rows).exp()
    for row, probs in zip(rows.tolist(), truth):
        for p in range(length - 1):
            future = joint[tuple(row[: p + 1])].reshape(V, -1).sum(1)
            assert torch.allclose(probs[p], future / future.sum(), atol=1e-12)


def test_distinct_blocks_hold_no_token_twice():
    sample = Repeats(13, (3, 11), distinct=True).sample(7, 17, seeded(2))
    for row, period in zip(sample, Repeats(13, (3, 11)).periods(sample)):
        assert len(set(row[:period].tolist())) == period
    assert_calibrated(grammar := Repeats(13, (3, 11), True), grammar.log_probs, 17)


def test_repeats_are_calibrated():
    grammar = Repeats(7, (3, 11))
    assert_calibrated(grammar, grammar.log_probs, 29)


def test_repeats_errors():
    with pytest.raises(ValueError, match="period must be at least 1"):
        Repeats(5, 0)
    with pytest.raises(ValueError, match="lowest, highest"):
        Repeats(5, (4, 3))
    with pytest.raises(ValueError, match="as many different tokens"):
        Repeats(5, (3, 6), distinct=True)
    with pytest.raises(ValueError, match="longest period 7"):
        Repeats(5, (3, 7)).sample(2, 7, seeded())
    with pytest.raises(ValueError, match="row 1 does not repeat"):
        Repeats(5, 2).periods(torch.tensor([[1, 2, 1, 2], [1, 2, 3, 4]]))


# --------------------------------------------------------------------------- Markov chains


@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 3.0]))
def test_oracles_against_counting_loops(seed, alpha):
    V, length = 3, 13
    chains = MarkovChains(V, alpha)
    sample = chains.sample(2, length, seeded(seed))
    unigram, bigram = chains.unigram(sample).exp(), chains.bigram(sample).exp()
    for b, row in enumerate(sample.tolist()):
        for p in range(length):
            seen = row[: p + 1]
            pairs = list(itertools.pairwise(seen))
            n_i = sum(i == seen[-1] for i, _ in pairs)
            for j in range(V):
                n_ij = pairs.count((seen[-1], j))
                assert unigram[b, p, j].item() == pytest.approx(
                    (seen.count(j) + alpha) / (len(seen) + V * alpha)
                )
                assert bigram[b, p, j].item() == pytest.approx((n_ij + alpha) / (n_i + V * alpha))
    assert torch.allclose(chains.uniform(sample).exp(), torch.tensor(1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_bigram_oracle_is_calibrated_and_the_others_are_worse(alpha):
    chains = MarkovChains(5, alpha)
    assert_calibrated(chains, chains.bigram, 41)
    sample = chains.sample(500, 101, seeded(1))
    late = [
        surprise(oracle(sample), sample)[:, 50:].mean().item()
        for oracle in (chains.bigram, chains.unigram, chains.uniform)
    ]
    assert late[0] + 0.05 < late[1]
    assert late[1] + 0.02 < late[2]


def test_the_bigram_oracle_is_bayes_by_integration():
    # Two symbols: integrate over a fine grid of both rows' parameters and compare.
    chains, row = MarkovChains(2), [0, 1, 1, 0, 1, 1, 1]
    grid = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    p0, p1 = torch.meshgrid(grid, grid, indexing="ij")  # probability of a one after 0, after 1
    weight = torch.ones_like(p0)
    for a, b in itertools.pairwise(row):
        p = p1 if a else p0
        weight = weight * (p if b else 1 - p)
    one = (weight * p1).sum() / weight.sum()
    assert chains.bigram(torch.tensor([row]))[0, -1, 1].exp().item() == pytest.approx(
        one.item(), abs=1e-4
    )


def test_chains_have_dirichlet_rows():
    # With alpha 1 and two symbols the chance to stay is uniform on (0, 1): variance 1/12.
    sample = MarkovChains(2).sample(1000, 401, seeded(2))
    zero = sample[:, :-1] == 0
    stay = ((sample[:, 1:] == 0) & zero).sum(1) / zero.sum(1).clamp(min=1)
    enough = zero.sum(1) > 30
    assert stay[enough].var().item() == pytest.approx(1 / 12, abs=0.02)


def test_markov_errors():
    with pytest.raises(ValueError, match="n_symbols"):
        MarkovChains(0)
    with pytest.raises(ValueError, match="alpha"):
        MarkovChains(3, alpha=0.0)
    with pytest.raises(ValueError, match="0 to 2, got 0 to 3"):
        MarkovChains(3).bigram(torch.tensor([[0, 3]]))


@pytest.mark.parametrize(
    "grammar",
    [Bigrams.random(7), TINY, Repeats(7, 3), MarkovChains(3)],
    ids=lambda g: type(g).__name__,
)
def test_samples_come_from_the_generator_alone(grammar):
    a, b = (grammar.sample(5, 13, seeded(9)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.dtype == torch.int64
    assert a.shape == (5, 13)
    assert a.max() < grammar.d_vocab
    assert not torch.equal(a, grammar.sample(5, 13, seeded(10)))


def test_the_truth_is_exact_to_the_last_digit_of_float64():
    """By hand for one place: after "keep" has been seen, and before it."""
    grammar = SkipTrigrams(reach=3)
    source, destination, out = grammar.ids(grammar.triples)[0].tolist()
    filler = grammar.d_vocab - 1
    truth = grammar.log_probs(torch.tensor([[filler, source, destination, filler]])).exp()
    q, base = grammar.strength, grammar.background
    assert abs(float(truth[0, 2, out]) - (q + (1 - q) * float(base[out]))) < 1e-15
    # two places are left for the source: half of the next one's chance is the sources' together
    assert abs(float(truth[0, 0, source]) - 0.5 / len(grammar.sources)) < 1e-15
    third = SkipTrigrams(reach=4).log_probs(torch.tensor([[filler, filler]])).exp()
    assert abs(float(third[0, 0, source]) - 1 / 3 / len(grammar.sources)) < 1e-15


def test_balanced_chains_leave_nothing_to_count():
    chains, generator = BalancedChains(n_symbols=3), torch.Generator().manual_seed(5)
    tables = chains.tables(64, generator)
    assert torch.allclose(tables.sum(1), torch.ones(64, 3).double(), atol=1e-6)
    assert torch.allclose(tables.sum(2), torch.ones(64, 3).double(), atol=1e-6)
    text = chains.sample(400, 201, generator)
    shares = torch.nn.functional.one_hot(text, 3).double().mean(1)
    free = torch.nn.functional.one_hot(MarkovChains(3).sample(400, 201, generator), 3)
    assert shares.std() < free.double().mean(1).std() / 2

    def loss(guess):
        return -guess(text[:, :-1]).gather(-1, text[:, 1:, None]).mean()

    assert loss(chains.bigram) < loss(chains.uniform) - 0.05
    assert loss(chains.unigram) > loss(chains.uniform)  # it takes chance for a habit
