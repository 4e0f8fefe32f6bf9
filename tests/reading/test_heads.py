"""Head scores on patterns made by hand, where the answer is known, and on patterns of chance."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.model import Config, Transformer
from mechlib.reading import circuits, heads


def pattern_of(n_pos, looks_at):
    """The pattern of a head that puts all its attention from q on `looks_at(q)`."""
    pattern = torch.zeros(n_pos, n_pos, dtype=torch.float64)
    for q in range(n_pos):
        pattern[q, looks_at(q)] = 1
    return pattern


def previous(n_pos):
    return pattern_of(n_pos, lambda q: max(q - 1, 0))


def ideal_induction(tokens, offset=1):
    """Attention shared among the places after earlier occurrences; to position 0 if there is none.

    A plain loop: the oracle of the scores.
    """
    tokens = tokens.tolist()
    pattern = torch.zeros(len(tokens), len(tokens), dtype=torch.float64)
    for q, token in enumerate(tokens):
        places = [i + offset for i in range(q) if tokens[i] == token and i + offset < q]
        for place in places or [0]:
            pattern[q, place] = 1 / len(places or [0])
    return pattern


def slow_match_score(pattern, tokens, offset):
    """One pattern, one text."""
    tokens, masses = tokens.tolist(), []
    for q, token in enumerate(tokens):
        places = [i + offset for i in range(q) if tokens[i] == token and i + offset < q]
        if places:
            masses.append(sum(pattern[q, place].item() for place in places))
    return sum(masses) / len(masses)


# ---- sequences and controls -------------------------------------------------------------------


def test_repeated_tokens():
    choices = torch.arange(10, 41)
    tokens = heads.repeated_tokens(choices, batch=3, start=2, seed=5)
    assert tokens.shape == (3, 101)
    assert (tokens[:, 0] == 2).all()
    copies = tokens[:, 1:].unflatten(1, (4, 25))
    assert (copies == copies[:, :1]).all()
    assert all(len(set(row.tolist())) == 25 for row in copies[:, 0])
    assert copies.min() >= 10
    assert not torch.equal(tokens[0], tokens[1])
    assert torch.equal(tokens, heads.repeated_tokens(choices, batch=3, start=2, seed=5))
    assert not torch.equal(tokens, heads.repeated_tokens(choices, batch=3, start=2, seed=6))
    assert heads.repeated_tokens(choices, batch=1, length=7, repeats=2).shape == (1, 14)
    with pytest.raises(ValueError, match="31 tokens, fewer than length=32"):
        heads.repeated_tokens(choices, batch=1, length=32)


def test_control_patterns_are_causal_and_sum_to_one():
    for pattern in (heads.uniform_pattern(7), heads.random_patterns(3, 7, seed=0)):
        torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern.sum(-1)))
        assert pattern.triu(1).abs().max() == 0
    assert heads.uniform_pattern(7)[3, 2] == 1 / 4


def test_shuffled_keys_keep_each_row_but_for_the_order():
    pattern = heads.random_patterns(3, 11, seed=0)
    shuffled = heads.shuffled_keys(pattern, seed=1)
    assert shuffled.triu(1).abs().max() == 0
    assert not torch.equal(shuffled, pattern)
    torch.testing.assert_close(shuffled.sort(-1).values, pattern.sort(-1).values)


# ---- positions --------------------------------------------------------------------------------


def test_position_scores_of_ideal_and_uniform_heads():
    n_pos = 11
    ideal = torch.stack(
        [previous(n_pos), torch.eye(n_pos).double(), pattern_of(n_pos, lambda q: 0)]
    )
    scores = (heads.previous_token_score, heads.current_token_score, heads.first_token_score)
    table = torch.stack([score(ideal) for score in scores])
    # position 1 looks at 0, which is both the previous and the first
    expected = torch.tensor([[1, 0, 0.1], [0, 1, 0], [0.1, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(table, expected)
    chance = sum(1 / (q + 1) for q in range(1, n_pos)) / (n_pos - 1)
    for score in scores:
        assert score(heads.uniform_pattern(n_pos)).item() == pytest.approx(chance)
        assert score(heads.random_patterns(500, n_pos, seed=0)).mean().item() == pytest.approx(
            chance, rel=0.05
        )


def test_scores_average_over_examples_and_keep_heads():
    patterns = heads.random_patterns(15, 7, seed=0).unflatten(0, (5, 3))
    for score in (
        heads.previous_token_score,
        heads.current_token_score,
        heads.first_token_score,
        lambda p: heads.repeat_score(p, 3),
    ):
        one_by_one = torch.stack([torch.stack([score(p) for p in example]) for example in patterns])
        assert one_by_one.shape == (5, 3)
        torch.testing.assert_close(score(patterns), one_by_one.mean(0))
        assert score(patterns[0]).shape == (3,)


def test_positional_share():
    n_pos, n_examples = 13, 31
    generator = torch.Generator().manual_seed(0)
    positional = previous(n_pos).expand(n_examples, -1, -1)
    tokens = torch.randint(3, (n_examples, n_pos), generator=generator)
    by_token = torch.stack([ideal_induction(row, offset=0) for row in tokens])
    chance = heads.shuffled_keys(positional, seed=1)
    uniform = heads.uniform_pattern(n_pos).expand(n_examples, -1, -1)
    mixed = (positional + chance) / 2
    share = heads.positional_share(torch.stack([positional, chance, uniform, mixed, by_token], 1))
    assert share[0] == 1
    assert abs(share[1]) < 0.03
    assert share[2] == 1
    # half of the attention is always in its place: (1/2)^2 of the variance, against the same again
    assert share[3].item() == pytest.approx(0.5, abs=0.1)
    assert share[4] < 0.5
    with pytest.raises(ValueError, match="two or more examples"):
        heads.positional_share(heads.random_patterns(3, 7, seed=0))
    with pytest.raises(ValueError, match="two or more examples"):
        heads.positional_share(heads.random_patterns(3, 7, seed=0)[None])


def test_positional_share_does_not_grow_as_examples_get_few():
    patterns = heads.random_patterns(200 * 2, 11, seed=3).unflatten(0, (2, 200))
    assert abs(heads.positional_share(patterns).mean().item()) < 0.1


# ---- tokens -----------------------------------------------------------------------------------


def test_the_ideal_pattern_scores_one_and_its_neighbours_nothing():
    tokens = heads.repeated_tokens(torch.arange(30), batch=2, start=30, seed=0)
    ideal = torch.stack([ideal_induction(row) for row in tokens])
    duplicate = torch.stack([ideal_induction(row, offset=0) for row in tokens])
    before = previous(101).expand(2, -1, -1)
    pattern = torch.stack([ideal, duplicate, before], dim=1)  # (batch, head, query, key)
    torch.testing.assert_close(
        heads.prefix_matching_score(pattern, tokens), torch.tensor([1.0, 0, 0]).double()
    )
    torch.testing.assert_close(
        heads.duplicate_token_score(pattern, tokens), torch.tensor([0, 1.0, 0]).double()
    )
    assert heads.is_induction_head(pattern, tokens).tolist() == [True, False, False]


def test_the_last_repeated_position_counts():
    # 1 2 3 4 1 2 3 4: position 7, the second 4, looks at 4, the token after the first 4
    tokens = torch.tensor([1, 2, 3, 4, 1, 2, 3, 4])
    pattern = pattern_of(8, lambda q: q - 3 if q in (4, 5, 6) else 0)
    assert heads.induction_score(pattern, tokens).item() == 0.75
    pattern = pattern_of(8, lambda q: q - 3 if q >= 4 else 0)
    assert heads.induction_score(pattern, tokens).item() == 1
    assert heads.repeat_score(pattern, period=4).item() == 1


def test_on_a_run_of_one_token_a_head_that_looks_at_itself_scores_nothing():
    tokens = torch.zeros(7, dtype=torch.long)
    assert heads.induction_score(torch.eye(7).double(), tokens).item() == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=5, max_size=17),
    st.integers(0, 2),
    st.integers(0, 10**6),
)
def test_match_scores_agree_with_a_plain_loop(tokens, offset, seed):
    tokens = torch.tensor(tokens)
    patterns = heads.random_patterns(3, len(tokens), seed)
    try:
        expected = [slow_match_score(pattern, tokens, offset) for pattern in patterns]
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="earlier"):
            heads.match_score(patterns, tokens, offset)
        return
    assert heads.match_score(patterns, tokens, offset).tolist() == pytest.approx(expected)
    # the same text twice as a batch, any heads: the same score
    twice = heads.match_score(patterns.expand(2, -1, -1, -1), tokens.expand(2, -1), offset)
    assert twice.tolist() == pytest.approx(expected)
    assert heads.match_score(patterns[0], tokens, offset).item() == pytest.approx(expected[0])


def test_queries_are_weighed_alike_over_examples_of_unlike_length_of_repeat():
    # one query counts in the first text, three in the second
    tokens = torch.tensor([[0, 1, 2, 3, 4, 0], [0, 1, 2, 0, 1, 2]])
    perfect = torch.stack([ideal_induction(row) for row in tokens])
    perfect[0] = torch.eye(6)
    assert heads.induction_score(perfect, tokens).item() == pytest.approx(3 / 4)


def test_chance_is_no_induction_head():
    tokens = heads.repeated_tokens(torch.arange(50), batch=1, seed=0)[0]
    score = heads.induction_score(heads.random_patterns(50, 100, seed=0), tokens)
    chance = heads.chance_induction_score(tokens)
    assert score.mean().item() == pytest.approx(chance, rel=0.1)
    assert chance == pytest.approx(
        slow_match_score(heads.uniform_pattern(100), tokens, 1), rel=1e-12
    )
    assert not heads.is_induction_head(heads.random_patterns(50, 100, seed=0), tokens).any()
    # where uniform attention would already pass the threshold, it still is none
    few = torch.tensor([0, 0, 1] * 30)
    assert heads.chance_induction_score(few) > 0.3
    uniform = heads.uniform_pattern(90)
    assert not heads.is_induction_head(uniform, few, threshold=0.3).item()
    assert heads.is_induction_head(
        ideal_induction(torch.tensor([3, 1, 3])), torch.tensor([3, 1, 3])
    )


def test_repeat_score_reads_the_stripe_of_the_second_copy():
    pattern = pattern_of(12, lambda q: max(q - 4, 0))  # period 5, one token before
    assert heads.repeat_score(pattern, period=5, start=2).item() == 1
    broken = pattern.clone()
    broken[:7] = heads.uniform_pattern(12)[:7]  # before the second copy: no matter
    assert heads.repeat_score(broken, period=5, start=2).item() == 1
    broken[7, 3] = 0.5
    assert heads.repeat_score(broken, period=5, start=2).item() == pytest.approx(0.9)
    with pytest.raises(ValueError, match="no second copy"):
        heads.repeat_score(pattern, period=10, start=2)


def test_patterns_that_do_not_fit_their_tokens_are_errors():
    score = inspect.unwrap(heads.match_score)
    for pattern_shape, tokens_shape in [((3, 7, 7), (5,)), ((7, 7), (7, 7)), ((2, 7, 7), (3, 7))]:
        with pytest.raises(ValueError, match="does not fit"):
            score(torch.zeros(pattern_shape), torch.zeros(tokens_shape, dtype=torch.long), 1)
    with pytest.raises(ValueError, match="earlier"):
        heads.induction_score(heads.uniform_pattern(5), torch.arange(5))


# ---- copying ----------------------------------------------------------------------------------


def test_copying_by_eigenvalues():
    values = torch.tensor([[3.0, 1], [-2, -1], [3, -3], [0, 0]])
    expected = torch.tensor([1.0, -1, 0, 0])
    torch.testing.assert_close(heads.copying_score(values), expected)
    # a rotation copies as much as it anti-copies; a conjugate pair 1 +- i scores cos 45 degrees
    pairs = torch.tensor([[1j, -1j], [1 + 1j, 1 - 1j]])
    torch.testing.assert_close(heads.copying_score(pairs), torch.tensor([0, 1 / math.sqrt(2)]))


def test_copying_by_logits():
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(29, 5, generator=generator, dtype=torch.float64)
    W = W / W.norm(dim=1, keepdim=True)  # unit rows: W W^T is largest on its diagonal
    stacked = torch.stack([W, -W, W.roll(1, 0)])
    copying, anti, shifted = (
        heads.OwnToken(*values)
        for values in zip(*heads.copying_by_logits(circuits.FactoredMatrix(stacked, W.T), block=7))
    )
    assert (copying.top, copying.rank) == (1, 0)
    assert (anti.top, anti.rank) == (0, 1)
    assert copying.above_mean == 1
    assert anti.above_mean == 0
    assert shifted.top == 0  # the identity, one row down: copies nothing
    dense = stacked[2] @ W.T
    assert shifted.rank == pytest.approx(
        (dense > dense.diagonal()[:, None]).double().mean(1).mean().item() * 29 / 28
    )
    assert shifted.above_mean == (dense.diagonal() > dense.mean(1)).double().mean()
    with pytest.raises(ValueError, match="square"):
        heads.copying_by_logits(circuits.FactoredMatrix(W, W[:7].T))


def test_random_circuits_do_not_copy():
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(20, 101, 7, generator=generator, dtype=torch.float64)
    B = torch.randn(20, 7, 101, generator=generator, dtype=torch.float64)
    circuit = circuits.FactoredMatrix(A, B)
    own = heads.copying_by_logits(circuit)
    assert abs(own.rank.mean() - 0.5) < 0.05
    assert abs(own.above_mean.mean() - 0.5) < 0.05
    assert own.top.mean() < 0.05
    assert abs(heads.copying_score(circuit.eigenvalues()).mean()) < 0.15


def head_that_writes(table, tokens):
    """Values and matrices of heads that add row t of their `table` to the logits for token t."""
    v = table[:, tokens].permute(1, 2, 0, 3)  # (batch, pos, head, d_vocab)
    eye = torch.eye(table.shape[-1], dtype=table.dtype)
    return v, eye.expand(len(table), -1, -1), eye


def test_copying_by_activations():
    d_vocab, length = 31, 25
    tokens = heads.repeated_tokens(torch.arange(d_vocab), batch=2, length=length, repeats=1)
    eye = torch.eye(d_vocab, dtype=torch.float64)
    in_sample = torch.zeros_like(eye)
    in_sample[:, tokens[0]] = 1  # all 25 of the first text alike
    table = torch.stack([eye, -eye, eye.roll(1, 1), in_sample])
    v, W_O, W_U = head_that_writes(table, tokens)
    pattern = heads.random_patterns(8, length, seed=0).unflatten(0, (2, 4))
    copy, anti, shift, _ = heads.copying_by_activations(v, pattern, W_O, W_U, tokens).tolist()
    assert copy == pytest.approx(1)
    assert shift == pytest.approx(-1)
    # all others raised by the same small amount, the own token not at all
    assert anti == pytest.approx(-1)
    alike = heads.copying_by_activations(v[:1], pattern[:1], W_O, W_U, tokens[:1])[3].item()
    assert alike == pytest.approx(4 / 26 - 1)


def test_copying_by_activations_weighs_keys_by_their_attention():
    # attention only ever on position 0, where token 0 copies; the other tokens write another
    tokens = torch.tensor([[0, 1, 2]])
    table = torch.eye(5, dtype=torch.float64)[[0, 2, 1, 3, 4]][None]
    v, W_O, W_U = head_that_writes(table, tokens)
    first = pattern_of(3, lambda q: 0)[None, None]
    itself = torch.eye(3, dtype=torch.float64)[None, None]
    assert heads.copying_by_activations(v, first, W_O, W_U, tokens).item() == pytest.approx(1)
    third = heads.copying_by_activations(v, itself, W_O, W_U, tokens).item()
    assert third == pytest.approx((1 - 1 - 1) / 3)


def test_value_weighted_patterns_forget_keys_that_move_nothing():
    pattern = torch.full((1, 2, 3, 3), 1 / 3, dtype=torch.float64)
    v = torch.ones(1, 3, 2, 5, dtype=torch.float64)
    v[:, 0] = 0
    v[:, 1] *= 2
    W_O = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weighted = heads.value_weighted(pattern, v, W_O)
    expected = torch.tensor([0, 1, 0.5], dtype=torch.float64).expand(1, 2, 3, 3)
    torch.testing.assert_close(weighted, expected)


def test_the_scores_take_the_trace_of_a_model_as_it_is():
    config = Config(d_vocab=31, n_ctx=50, d_model=12, n_layers=2, n_heads=3)
    model = Transformer(config, seed=0).requires_grad_(False)
    tokens = heads.repeated_tokens(torch.arange(31), batch=4, length=25, repeats=2, seed=1)
    trace = model.trace(tokens)
    pattern = trace["pattern", 1]
    for score in (heads.previous_token_score, heads.positional_share):
        assert score(pattern).shape == (3,)
    assert heads.induction_score(pattern, tokens).shape == (3,)
    assert heads.is_induction_head(pattern, tokens).tolist() == [False] * 3
    copying = heads.copying_by_activations(trace["v", 1], pattern, model.W_O[1], model.W_U, tokens)
    assert copying.shape == (3,)
    assert copying.abs().max() <= 1


def test_an_offset_beyond_the_text_is_one_sentence():
    pattern, tokens = torch.full((1, 4, 4), 0.25), torch.tensor([1, 1, 1, 1])
    for offset in (4, 9):
        with pytest.raises(ValueError, match=f"no token has a place {offset} after"):
            heads.match_score(pattern, tokens, offset)
    with pytest.raises(ValueError, match="offset: 0 or more"):
        heads.match_score(pattern, tokens, -1)


def test_a_pattern_by_distance_alone():
    pattern = heads.fixed_distances(7, [0.25, 0.5, 0.25])
    assert torch.allclose(pattern.sum(-1), torch.ones(7).double())
    assert pattern.triu(1).abs().max() == 0
    assert pattern[5, [5, 4, 3]].tolist() == [0.25, 0.5, 0.25]
    assert pattern[0, 0] == 1  # what would fall in front of the text lies on its first place
    assert heads.previous_token_score(heads.fixed_distances(11, [0.0, 1.0])) == 1
    for shares in ([], [0.5], [1.5, -0.5]):
        with pytest.raises(ValueError, match="shares"):
            heads.fixed_distances(5, shares)
