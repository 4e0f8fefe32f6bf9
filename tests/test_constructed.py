"""Hand-set weights: each line of the constructions, and that the whole is exact."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib import constructed
from mechlib.interventions import Ablate
from mechlib.reading import circuits, heads


def random_tokens(d_vocab, *shape, seed=0):
    return torch.randint(d_vocab, shape, generator=torch.Generator().manual_seed(seed))


def accuracy(logits, tokens, where):
    guesses = logits[:, :-1].argmax(-1)
    return (guesses == tokens[:, 1:])[where].double().mean().item()


# ---- bigrams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bigram_model_is_its_table(dtype):
    scores = torch.randn(11, 11, generator=torch.Generator().manual_seed(0), dtype=dtype)
    table = scores.log_softmax(-1)
    table[3] = torch.full((11,), -torch.inf)
    table[3, 5] = 0  # after 3 always 5
    model = constructed.bigram_model(table, n_ctx=7)
    tokens = random_tokens(11, 5, 7)
    predicted = model(tokens).log_softmax(-1)
    assert predicted.dtype == dtype
    torch.testing.assert_close(predicted.exp(), table[tokens].exp())
    assert predicted[tokens == 3].exp().eq(F.one_hot(torch.tensor(5), 11)).all()
    torch.testing.assert_close(model.W_E @ model.W_U, table.clamp(min=-1e4))


def test_a_table_that_is_none_is_refused():
    with pytest.raises(ValueError, match="square"):
        constructed.bigram_model(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="sum to 1"):
        constructed.bigram_model(torch.zeros(3, 3))


# ---- the theorem, line by line ----------------------------------------------------------------

V, N = 7, 19
AT = constructed.induction_subspaces(V, N)


@pytest.fixture(scope="module")
def model():
    return constructed.induction_transformer(V, N).requires_grad_(False)


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(V, 5, N, seed=1)


@pytest.fixture(scope="module")
def trace(model, tokens):
    return model.trace(tokens)


def holds(stream, **expected):
    """Each named subspace holds what is expected of it; those not named hold nothing."""
    for name in ("token", "position", "previous", "output"):
        part = stream[..., getattr(AT, name)]
        want = expected.get(name, torch.zeros_like(part))
        torch.testing.assert_close(part, want.to(part).expand_as(part), rtol=0, atol=1e-12)


def test_the_subspaces_fill_the_stream_and_do_not_overlap():
    owners = torch.zeros(AT.d_model)
    for part in (AT.token, AT.position, AT.previous, AT.output):
        owners[part] += 1
    assert (owners == 1).all()
    assert AT.d_model == 3 * V + N


def test_line_1_the_embedding_holds_token_and_position(tokens, trace):
    holds(trace["resid_pre", 0], token=F.one_hot(tokens, V), position=torch.eye(N))


def test_line_2_the_first_head_looks_one_back(trace):
    pattern = trace["pattern", 0]
    assert heads.previous_token_score(pattern).item() == pytest.approx(1, abs=1e-15)
    assert (pattern[:, :, 0, 0] == 1).all()


def test_line_3_and_writes_the_previous_token_to_its_own_subspace(tokens, trace):
    one_hot = F.one_hot(tokens, V)
    before = torch.cat([one_hot[:, :1], one_hot[:, :-1]], 1)  # position 0 saw itself
    holds(trace["resid_pre", 1], token=one_hot, position=torch.eye(N), previous=before)


def test_line_3_an_identity_OV_would_confuse_the_two_tokens(model, tokens, trace):
    # what the identity would leave in `token`: x_i + x_{i-1}, the same for "ab" and "ba"
    one_hot = F.one_hot(tokens, V).double()
    onto_itself = one_hot[:, 1:] + one_hot[:, :-1]
    swapped = one_hot.flip(1)[:, 1:] + one_hot.flip(1)[:, :-1]
    assert torch.equal(onto_itself, swapped.flip(1))
    OV = circuits.W_OV(model.W_V[0, 0], model.W_O[0, 0]).dense()
    torch.testing.assert_close(OV[AT.token, AT.previous], torch.eye(V).double())
    assert OV.count_nonzero() == V


def test_line_4_the_second_head_matches_the_present_token_with_the_previous_one(
    model, tokens, trace
):
    scores = trace["scores", 1][:, 0]
    match = (tokens[:, :, None] == tokens.roll(1, 1)[:, None, :]).double()
    expected = constructed.SHARPNESS * match
    seen = torch.ones(N, N).tril().bool()
    seen[:, 0] = False
    torch.testing.assert_close(scores[:, seen], expected[:, seen], rtol=1e-12, atol=1e-12)
    # key 0, whose `previous` is wrong, can never win
    assert scores[:, 1:, 0].max() <= -constructed.SHARPNESS * (1 - 1e-12)
    QK = circuits.W_QK(model.W_Q[1, 0], model.W_K[1, 0]).dense() / math.sqrt(model.config.d_head)
    block = QK[AT.token, AT.previous]
    torch.testing.assert_close(block, constructed.SHARPNESS * torch.eye(V).double())


def test_line_4_is_K_composition_and_no_other(model):
    OV, QK = circuits.W_OV(model.W_V, model.W_O), circuits.W_QK(model.W_Q, model.W_K)
    scores = circuits.composition_scores(OV[0], QK[1], OV[1])
    assert scores["Q"].item() == 0
    assert scores["V"].item() == 0
    # all V directions alike, and the rows that lower key 0 are twice as large: 1 + 4 parts
    assert scores["K"].item() == pytest.approx(1 / math.sqrt(5 * V))


def test_line_5_and_copies_what_it_attends_to(model, trace, tokens):
    copied = trace["pattern", 1][:, 0] @ F.one_hot(tokens, V).double()
    stream = trace["resid_post", 1]
    torch.testing.assert_close(stream[..., AT.output], copied, rtol=0, atol=1e-12)
    eigenvalues = circuits.full_OV(
        model.W_E, circuits.W_OV(model.W_V[1, 0], model.W_O[1, 0]), model.W_U
    ).eigenvalues()
    assert heads.copying_score(eigenvalues).item() == pytest.approx(1)


def test_line_6_logits_are_the_shares_of_the_followers(tokens, trace):
    shares = constructed.follower_shares(tokens, V)
    seen_before = shares.sum(-1) > 0
    assert 0.3 < seen_before.double().mean() < 1
    expected = constructed.LOGIT_SCALE * shares
    torch.testing.assert_close(
        trace.logits[seen_before], expected[seen_before], rtol=1e-12, atol=1e-12
    )


def test_with_no_earlier_occurrence_attention_is_uniform(model):
    tokens = torch.arange(V)[None]
    pattern = model.trace(tokens)["pattern", 1][0, 0]
    for q in range(1, V):
        expected = torch.zeros(V).double()
        expected[1 : q + 1] = 1 / q
        torch.testing.assert_close(pattern[q], expected)


# ---- the theorem as a whole -------------------------------------------------------------------


def slow_followers(tokens, d_vocab):
    """Counting with two loops, one text."""
    shares = torch.zeros(len(tokens), d_vocab, dtype=torch.float64)
    for q, token in enumerate(tokens):
        after = [tokens[i + 1] for i in range(q) if tokens[i] == token]
        for follower in after:
            shares[q, follower] += 1 / len(after)
    return shares


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(2, 23), st.integers(0, 10**6))
def test_any_text_gives_the_followers_of_the_present_token(d_vocab, n_pos, seed):
    tokens = random_tokens(d_vocab, 2, n_pos, seed=seed)
    shares = constructed.follower_shares(tokens, d_vocab)
    for row, text in zip(shares, tokens.tolist()):
        torch.testing.assert_close(row, slow_followers(text, d_vocab))
    logits = constructed.induction_transformer(d_vocab, n_ctx=29)(tokens).detach()
    seen_before = shares.sum(-1) > 0
    torch.testing.assert_close(
        logits[seen_before], constructed.LOGIT_SCALE * shares[seen_before], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("d_vocab", "n_ctx"), [(5, 11), (5, 512), (29, 101), (101, 256), (200, 512)]
)
def test_copies_perfectly_and_only_with_the_previous_token_head(d_vocab, n_ctx, dtype):
    model = constructed.induction_transformer(d_vocab, n_ctx, dtype).requires_grad_(False)
    anything = random_tokens(d_vocab, 2, n_ctx, seed=d_vocab)
    where = constructed.predictable(anything)
    if where.any():
        assert accuracy(model(anything), anything, where) == 1
    # different tokens in a random order, over and over: all of the later copies can be copied
    length = min(d_vocab, n_ctx // 2)
    tokens = heads.repeated_tokens(
        torch.arange(d_vocab), batch=2, length=length, repeats=n_ctx // length, seed=n_ctx
    )
    where = constructed.predictable(tokens)
    assert where[:, length:].all()
    assert not where[:, :length].any()
    pattern = "blocks.1.attn.hook_pattern"
    whole = model.trace(tokens, names=[pattern])
    assert accuracy(whole.logits, tokens, where) == 1
    losses = -whole.logits.log_softmax(-1)[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]
    assert losses[where].max() < 1e-6
    assert heads.is_induction_head(whole[pattern], tokens).item()
    # chance: one in d_vocab
    cut = model.trace(tokens, [Ablate("blocks.0.attn.hook_z", head=0)], names=[pattern])
    assert accuracy(cut.logits, tokens, where) <= 1 / d_vocab + 0.01
    assert not heads.is_induction_head(cut[pattern], tokens).item()


def test_predictable_by_hand():
    #                                   1 after 0, 2 after 1, then 0 after 2, 1 after 0, 3 after 1
    tokens = torch.tensor([[0, 1, 2, 0, 1, 3, 1, 2]])
    # after the second 0 a 1: yes. after the second 1 a 3: no. after the third 1 both were seen: no
    expected = [[False, False, False, True, False, False, False]]
    assert constructed.predictable(tokens).tolist() == expected


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="d_vocab"):
        constructed.induction_transformer(0, 5)


# ---- adding by rotating -----------------------------------------------------------------------

PRIMES = [2, 3, 5, 7, 11, 13, 59, 97, 113, 211]


def all_pairs(P):
    a = torch.arange(P).repeat_interleave(P)
    return a, torch.arange(P).repeat(P)


@pytest.mark.parametrize("P", PRIMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adds_every_pair_and_by_the_stated_margin(P, dtype):
    frequencies = [k for k in (1, 14, 35, 41) if k % P]
    a, b = all_pairs(P)
    for ks in (frequencies[:1], frequencies):
        adder = constructed.rotation_adder(P, ks, dtype)
        logits = adder(a, b)
        right = (a + b) % P
        assert torch.equal(logits.argmax(-1), right)
        others = logits.scatter(-1, right[:, None], -torch.inf).amax(-1)
        margin = logits.gather(-1, right[:, None])[:, 0] - others
        stated = constructed.rotation_margin(P, ks)
        tolerance = 1e-10 if dtype == torch.float64 else 1e-5
        torch.testing.assert_close(
            margin.double(), torch.full_like(margin.double(), stated), rtol=0, atol=tolerance
        )


def test_every_stage_is_what_it_is_called():
    P, ks = 13, (2, 5)
    a, b = all_pairs(P)
    stages = constructed.rotation_adder(P, ks).trace(a, b)
    w = 2 * math.pi * torch.tensor(ks).double() / P
    turn = lambda n: torch.cat([(n[:, None] * w).cos(), (n[:, None] * w).sin()], 1)  # noqa: E731
    close = lambda x, y: torch.testing.assert_close(x, y, rtol=0, atol=1e-12)  # noqa: E731
    close(stages["embed"], torch.cat([turn(a), turn(b)], 1))
    close(stages["sum"], turn(a + b))
    c = torch.arange(P)
    close(stages["logits"], ((a + b)[:, None, None] - c[:, None]).mul(w).cos().sum(-1))
    assert stages["squares"].shape == (P * P, 8 * len(ks))


def test_the_margin_of_one_frequency_does_not_depend_on_which():
    for k in range(1, 13):
        assert constructed.rotation_margin(13, [k]) == pytest.approx(1 - math.cos(2 * math.pi / 13))
    assert constructed.rotation_margin(113, [14, 35, 41, 42, 52]) > 100 * (
        constructed.rotation_margin(113, [14])
    )


def test_frequencies_that_cannot_tell_numbers_apart_are_refused():
    for P, ks in [(7, [0]), (7, [14]), (12, [4, 6]), (9, [3])]:
        with pytest.raises(ValueError, match="tell all numbers"):
            constructed.rotation_adder(P, ks)
    a, b = all_pairs(12)  # not prime, but 3 and 4 have no factor in common
    assert torch.equal(constructed.rotation_adder(12, [3, 4])(a, b).argmax(-1), (a + b) % 12)
    with pytest.raises(ValueError, match="a frequency"):
        constructed.rotation_adder(7, [])
    with pytest.raises(ValueError, match="a must hold numbers 0 to 6"):
        constructed.rotation_adder(7, [1])(torch.tensor([7]), torch.tensor([0]))
