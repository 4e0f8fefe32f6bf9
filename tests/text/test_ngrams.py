"""Counts against loops, smoothed losses against a written-out formula, tables against the truth."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mechlib.text import ngrams
from mechlib.text.grammars import Bigrams

streams = st.lists(st.integers(0, 6), min_size=3, max_size=60)


@given(streams)
def test_counts_and_entropies_against_loops(stream):
    tokens = torch.tensor(stream)
    ones, pairs = Counter(stream), Counter(itertools.pairwise(stream))
    one, two = ngrams.unigram_counts(tokens, 7), ngrams.bigram_counts(tokens, 7)
    assert one.tolist() == [ones[a] for a in range(7)]
    assert two.tolist() == [[pairs[a, b] for b in range(7)] for a in range(7)]
    n, first = len(stream), Counter(stream[:-1])
    h1 = -sum(c / n * math.log(c / n) for c in ones.values())
    h2 = -sum(c / (n - 1) * math.log(c / first[a]) for (a, _), c in pairs.items())
    assert ngrams.unigram_entropy(one) == pytest.approx(h1, abs=1e-12)
    assert ngrams.bigram_entropy(two) == pytest.approx(h2, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_smoothed_losses_against_the_formula(order):
    V = 5
    grammar = Bigrams.random(V, successors=2, seed=1)
    train, test = grammar.sample(2, 401, torch.Generator().manual_seed(2))
    found = ngrams.ngram_cross_entropy(train, test, V, order)
    assert len(found.strengths) == order
    fit = [i for i in range(2, len(train)) if i % 20 != 2]
    words, total = train.tolist(), 0.0
    counts = [Counter(tuple(words[i - n + 1 : i + 1]) for i in fit) for n in range(1, order + 1)]
    contexts = [Counter(tuple(words[i - n + 1 : i]) for i in fit) for n in range(1, order + 1)]
    text = test.tolist()
    for i in range(2, len(text)):
        p = 1 / V
        for n, k in enumerate(found.strengths, start=1):
            gram = tuple(text[i - n + 1 : i + 1])
            p = (counts[n - 1][gram] + k * p) / (contexts[n - 1][gram[:-1]] + k)
        total -= math.log(p)
    assert found.loss == pytest.approx(total / (len(text) - 2), rel=1e-12)


def test_smoothed_losses_reach_the_entropies_of_a_known_grammar():
    grammar = Bigrams.random(11, successors=2, seed=3)
    generator = torch.Generator().manual_seed(4)
    train, test = grammar.sample(2, 8000, generator)
    one, two, three = (ngrams.ngram_cross_entropy(train, test, 11, n).loss for n in (1, 2, 3))
    assert one == pytest.approx(grammar.unigram_entropy, abs=0.05)
    assert two == pytest.approx(grammar.entropy_rate, abs=0.05)
    assert three == pytest.approx(grammar.entropy_rate, abs=0.08)


@given(streams, st.integers(1, 9))
def test_skip_trigram_counts_against_loops(stream, reach):
    triples = torch.tensor([[0, 1, 2], [3, 3, 3], [4, 5, 4], [0, 2, 2], [6, 0, 1], [0, 1, 3]])
    found = ngrams.skip_trigram_counts(ngrams.Places(torch.tensor(stream), 7), triples, reach)
    for (s, d, o), row in zip(triples.tolist(), found.tolist()):
        here = [i for i in range(len(stream) - 1) if stream[i] == d]
        near = [i for i in here if s in stream[max(0, i - reach) : i]]
        want = [near, [i for i in near if stream[i + 1] == o]]
        want += [here, [i for i in here if stream[i + 1] == o]]
        assert row == [len(places) for places in want]


@given(streams)
def test_places_and_what_comes_next(stream):
    places = ngrams.Places(torch.tensor(stream), 7)
    for token in range(7):
        here = [i for i in range(len(stream) - 1) if stream[i] == token]
        assert places.of[token].tolist() == here
        assert places.next[token].tolist() == [stream[i + 1] for i in here]


def test_lift_by_hand():
    counts = torch.tensor([[10, 5, 100, 20], [10, 2, 100, 20], [0, 0, 100, 20]])
    lift = ngrams.lift(counts)
    assert lift[:2].tolist() == pytest.approx([2.5, 1.0])
    assert lift[2].isnan()


# --------------------------------------------------------------------------- rank-d tables


def planted_counts(V, rank, seed):
    """Counts that are exactly a softmax table of the given rank times uneven row sizes."""
    generator = torch.Generator().manual_seed(seed)
    A = 1.5 * torch.randn(V, rank, generator=generator, dtype=torch.float64)
    B = torch.randn(rank, V, generator=generator, dtype=torch.float64)
    rows = 1000 / torch.arange(1, V + 1, dtype=torch.float64)
    return rows[:, None] * (A @ B).softmax(-1)


def test_a_planted_table_is_found():
    counts = planted_counts(23, 3, 0)
    table = ngrams.best_rank_table(counts, 3, tolerance=1e-9)
    entropy = ngrams.bigram_entropy(counts)
    assert entropy - 1e-9 <= table.loss < entropy + 1e-4
    truth = (counts / counts.sum(1, keepdim=True)).log()
    share = counts.sum(1) / counts.sum()
    kl = (share * (truth.exp() * (truth - table.log_probs)).sum(1)).sum()
    assert kl < 1e-4
    assert torch.linalg.matrix_rank(table.A @ table.B) == 3


def test_loss_falls_with_rank_to_the_entropy_and_not_below():
    counts = planted_counts(19, 17, 1)
    losses = [ngrams.best_rank_table(counts, rank).loss for rank in (1, 2, 5, 19)]
    assert all(a > b + 1e-3 for a, b in itertools.pairwise(losses))
    assert losses[-1] == pytest.approx(ngrams.bigram_entropy(counts), abs=1e-3)
    assert losses[-1] >= ngrams.bigram_entropy(counts) - 1e-9


def test_table_is_a_stationary_point_by_finite_differences():
    counts = planted_counts(13, 11, 2)
    table = ngrams.best_rank_table(counts, 2, tolerance=1e-10, max_iterations=5000)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        dA = torch.randn(13, 2, generator=generator, dtype=torch.float64)
        dB = torch.randn(2, 13, generator=generator, dtype=torch.float64)
        up, down = (
            ngrams.table_loss((table.A + h * dA) @ (table.B + h * dB), counts)
            for h in (1e-4, -1e-4)
        )
        assert abs(up - down) / 2e-4 < 1e-3
        assert up + down >= 2 * table.loss - 1e-12


def test_empty_rows_and_columns_are_no_trouble():
    counts = planted_counts(11, 2, 4)
    counts[3], counts[:, 5] = 0, 0
    table = ngrams.best_rank_table(counts.round().long(), 3)
    assert table.log_probs.isfinite().all()
    assert math.isfinite(table.loss)


def test_errors():
    good = torch.ones(3, 3)
    with pytest.raises(ValueError, match="rank must be 1 to 3, got 4"):
        ngrams.best_rank_table(good, 4)
    with pytest.raises(ValueError, match="square"):
        ngrams.best_rank_table(torch.ones(3, 2), 1)
    with pytest.raises(ValueError, match="not all zero"):
        ngrams.best_rank_table(good * 0, 1)
    with pytest.raises(ValueError, match="too short: 0 tokens"):
        ngrams.unigram_counts(torch.zeros(0, dtype=torch.long), 3)
    with pytest.raises(ValueError, match="tokens must be 0 to 2, got 0 to 3"):
        ngrams.bigram_counts(torch.arange(4), 3)
    with pytest.raises(ValueError, match="order must be"):
        ngrams.ngram_cross_entropy(torch.arange(4), torch.arange(4), 4, 4)
    with pytest.raises(ValueError, match="held_out"):
        ngrams.ngram_cross_entropy(torch.arange(4), torch.arange(5), 4, 1)
    places = ngrams.Places(torch.arange(4), 4)
    with pytest.raises(ValueError, match="reach"):
        ngrams.skip_trigram_counts(places, torch.zeros(1, 3, dtype=torch.long), 0)
    with pytest.raises(ValueError, match="triples must hold"):
        ngrams.skip_trigram_counts(places, torch.full((1, 3), 4), 1)
    with pytest.raises(ValueError, match="tokens must be 0 to 2, got 0 to 3"):
        ngrams.Places(torch.arange(4), 3)
