"""The task, the embedding-MLP model, and the fast forward pass held against the plain one."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.grokking import modular
from mechlib.model import Transformer

SIZES = [
    # P, d_model, n_heads, d_head, d_mlp: every axis a number of its own
    (5, 7, 1, 3, 11),
    (13, 6, 2, 3, 17),
    (23, 20, 5, 4, 37),
    (59, 64, 4, 16, 128),
    (113, 128, 4, 32, 512),
]


def a_model(P, d_model, n_heads, d_head, d_mlp, seed=0, dtype=torch.float32):
    c = modular.config(P, d_model, 1, d_mlp).but(n_heads=n_heads, d_head=d_head)
    model = Transformer(c, seed=seed).to(dtype)
    g = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():  # biases begin at zero: move them, or a lost bias would not be seen
        for b in (model.blocks[0].mlp.b_in, model.blocks[0].mlp.b_out):
            b.copy_(torch.randn(b.shape, generator=g, dtype=torch.float64) * 0.3)
    return model


def some_pairs(P, n, seed=0):
    return torch.randint(P, (n, 2), generator=torch.Generator().manual_seed(seed))


# --- the task


@pytest.mark.parametrize(
    ("operation", "want"),
    [
        ("add", lambda a, b, P: (a + b) % P),
        ("subtract", lambda a, b, P: (a - b) % P),
        ("multiply", lambda a, b, P: a * b % P),
        ("divide", lambda a, b, P: next(x for x in range(P) if x * b % P == a)),
        ("squares", lambda a, b, P: (a**2 + b**2) % P),
        ("maximum", lambda a, b, P: max(a, b)),
    ],
)
def test_operations_against_python(operation, want):
    P = 11
    task = modular.Task(P, operation=operation, fraction=0.4)
    assert len(task.pairs) == (P * (P - 1) if operation == "divide" else P * P)
    for (a, b), answer in zip(task.pairs.tolist(), task.answers.tolist()):
        assert answer == want(a, b, P)


@given(
    P=st.integers(3, 31),
    fraction=st.floats(0.15, 0.9),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_split_covers_every_pair_once(P, fraction, seed):
    task = modular.Task(P, fraction=fraction, seed=seed)
    both = torch.cat([task.train, task.test])
    assert sorted(both.tolist()) == list(range(P * P))
    assert len(task.train) == int(fraction * P * P)
    again = modular.Task(P, fraction=fraction, seed=seed)
    assert torch.equal(task.train, again.train)


def test_the_papers_task_has_3830_training_pairs():
    task = modular.Task(113)
    assert (len(task.train), len(task.test)) == (3830, 8939)
    assert not torch.equal(task.train, modular.Task(113, seed=1).train)


def test_sequences_as_the_docstring_shows_them():
    pairs = torch.tensor([[5, 7], [100, 50]])
    assert modular.sequences(pairs, 113).tolist() == [[5, 7, 113], [100, 50, 113]]


def test_shuffled_answers_are_seeded_and_unrelated_to_the_sum():
    task = modular.Task(31, shuffled=True, seed=3)
    true = modular.Task(31, seed=3)
    assert torch.equal(task.answers, modular.Task(31, shuffled=True, seed=3).answers)
    assert torch.equal(task.train, true.train)
    assert (task.answers == true.answers).double().mean() < 0.1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"P": 1}, "P"),
        ({"P": 0}, "P"),
        ({"P": 12, "operation": "divide"}, "prime"),
        ({"P": 11, "operation": "power"}, "operation"),
        ({"P": 11, "fraction": 0.0}, "fraction"),
        ({"P": 11, "fraction": 1.0}, "fraction"),
        ({"P": 11, "fraction": -0.1}, "fraction"),
        ({"P": 3, "fraction": 0.05}, "fraction"),
    ],
)
def test_bad_tasks_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        modular.Task(**arguments)


def test_primes_and_inverses():
    assert [n for n in range(30) if modular.is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    inverse = modular.inverses(13)
    assert ((torch.arange(13) * inverse) % 13).tolist() == [0] + [1] * 12
    with pytest.raises(ValueError, match="prime"):
        modular.inverses(12)


# --- the fast path


@given(
    size=st.sampled_from(SIZES),
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 97),
)
@settings(max_examples=30, deadline=None)
def test_fast_logits_equal_the_plain_forward(size, seed, batch):
    P = size[0]
    pairs = some_pairs(P, batch, seed)
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model = a_model(*size, seed=seed, dtype=dtype)
        with torch.no_grad():
            plain = model(modular.sequences(pairs, P))[:, -1]
            fast = modular.fast_logits(model, pairs)
        assert fast.shape == (batch, P + 1)
        assert fast.dtype == dtype
        assert (fast - plain).abs().max() < bound


@given(size=st.sampled_from(SIZES[:4]), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_fast_gradients_equal_the_plain_ones(size, seed):
    P = size[0]
    pairs, model = some_pairs(P, 41, seed), a_model(*size, seed=seed, dtype=torch.float64)
    answers = pairs.sum(1) % P
    F.cross_entropy(model(modular.sequences(pairs, P))[:, -1], answers).backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    modular.loss(model, pairs, answers).backward()
    for name, p in model.named_parameters():
        assert (p.grad - plain[name]).abs().max() < 1e-12, name


@pytest.mark.parametrize("token", [0, 3, 7, 12])
def test_fast_logits_survive_enormous_scores(token):
    """Scores a hundred apart overflow a bare exponential; the result must stay the plain one."""
    P, model = 13, a_model(*SIZES[1], dtype=torch.float64)
    with torch.no_grad():
        model.W_E[token] *= 60
        model.blocks[0].attn.W_K *= 30
    scores, _ = modular.head_tables(model)
    assert (scores - scores[-1]).detach().abs().max() > 100
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    for dtype, bound in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
        model = model.to(dtype)
        with torch.no_grad():
            plain = model(modular.sequences(pairs, P))[:, -1]
            fast = modular.fast_logits(model, pairs)
        assert torch.isfinite(fast).all()
        assert (fast - plain).abs().max() < bound * plain.abs().max()


def test_bfloat16_is_near_and_keeps_the_type():
    model, pairs = a_model(*SIZES[3]), some_pairs(59, 89)
    with torch.no_grad():
        exact = modular.fast_logits(model, pairs)
        half = modular.fast_logits(model, pairs, torch.bfloat16)
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize(
    "change",
    [
        {"n_layers": 2},
        {"d_mlp": 0},
        {"act": "gelu"},
        {"norm": "layernorm"},
        {"positions": "queries_keys"},
        {"smeared_keys": True},
        {"n_ctx": 2},
        {"d_vocab": 2},
    ],
)
def test_other_architectures_are_refused(change):
    model = Transformer(modular.config(7, 6, 2, 5).but(**change))
    with pytest.raises(ValueError, match=next(iter(change))):
        modular.fast_logits(model, some_pairs(2, 3))


def test_numbers_outside_the_modulus_are_refused():
    model = Transformer(modular.config(7, 6, 2, 5))
    for bad in ([[0, 7]], [[-1, 3]]):
        with pytest.raises(ValueError, match="0 to 6"):
            modular.fast_logits(model, torch.tensor(bad))
        with pytest.raises(ValueError, match="0 to 6"):
            modular.sequences(torch.tensor(bad), 7)
    with pytest.raises(ValueError, match="P"):
        modular.config(1)


# --- cross-entropy


@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 50.0))
@settings(max_examples=40)
def test_cross_entropy_agrees_with_torch_in_float64(seed, scale):
    g = torch.Generator().manual_seed(seed)
    logits = (torch.randn(7, 5, generator=g, dtype=torch.float64) * scale).requires_grad_()
    answers = torch.randint(5, (7,), generator=g)
    theirs = F.cross_entropy(logits, answers, reduction="none")
    (their_slope,) = torch.autograd.grad(theirs.sum(), logits)
    ours = modular.cross_entropy(logits, answers)
    (our_slope,) = torch.autograd.grad(ours.sum(), logits)
    assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-13)
    assert torch.allclose(our_slope, their_slope, rtol=1e-9, atol=1e-13)


def test_cross_entropy_keeps_tiny_losses_in_float32():
    """exp(-60) is far below float32's epsilon: log-softmax rounds it to zero, this must not."""
    logits = torch.tensor([[60.0, 0.0, 0.0]], requires_grad=True)
    answer = torch.tensor([0])
    assert F.cross_entropy(logits, answer).item() == 0.0
    loss = modular.cross_entropy(logits, answer)
    assert loss.item() == pytest.approx(2 * math.exp(-60), rel=1e-4)
    (slope,) = torch.autograd.grad(loss.sum(), logits)
    assert slope[0].tolist() == pytest.approx(
        [-2 * math.exp(-60), math.exp(-60), math.exp(-60)], rel=1e-4
    )


def test_cross_entropy_of_a_confident_mistake_is_finite_in_float32():
    loss = modular.cross_entropy(torch.tensor([[0.0, 250.0]]), torch.tensor([0]))
    assert loss.item() == pytest.approx(250)


# --- the embedding-MLP model, grids, scores


def test_embedding_mlp_is_the_formula_and_has_35233_parameters():
    model = modular.EmbeddingMLP()
    assert sum(p.numel() for p in model.parameters()) == 35_233
    small = modular.EmbeddingMLP(P=7, d_embed=3, d_hidden=5, seed=2)
    a, b = 6, 2
    joined = torch.cat([small.W_E[a], small.W_E[b]])
    want = F.linear(F.relu(F.linear(joined, small.W_in.T, small.b_in)), small.W_out.T, small.b_out)
    assert torch.allclose(small(torch.tensor([[a, b]]))[0], want, atol=1e-6)


@pytest.mark.parametrize("kind", ["transformer", "mlp"])
def test_grids_put_a_in_rows_and_b_in_columns(kind):
    P = 7
    if kind == "transformer":
        model = a_model(P, 6, 2, 3, 5)
        want = model(modular.sequences(torch.tensor([[2, 5]]), P))[0, -1, :P]
    else:
        model = modular.EmbeddingMLP(P, 3, 5)
        want = model(torch.tensor([[2, 5]]))[0]
    grid = modular.all_logits(model, P)
    assert grid.shape == (P, P, P)
    assert grid.dtype == torch.float64
    assert torch.allclose(grid[2, 5], want.double(), atol=1e-5)
    neurons = modular.all_neurons(model, P)
    assert neurons.shape == (P, P, 5)
    assert (neurons >= 0).all()
    # the last layer applied to the neurons must give the logits back, up to what skips the MLP
    if kind == "mlp":
        out = neurons @ model.W_out.double() + model.b_out.double()
        assert torch.allclose(out, grid, atol=1e-6)
    else:
        tokens = modular.sequences(torch.tensor([[2, 5]]), P)
        post = model.trace(tokens)["blocks.0.mlp.hook_post"][0, -1]
        assert torch.allclose(neurons[2, 5], post.double(), atol=1e-5)
    assert next(model.parameters()).dtype == torch.float32  # the caller's model is left alone


def test_score_is_loss_and_accuracy():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    answers = torch.tensor([0, 1, 1])
    loss, accuracy = modular.score(logits, answers)
    assert loss == pytest.approx(F.cross_entropy(logits, answers).item(), rel=1e-6)
    assert accuracy == pytest.approx(2 / 3)


def test_the_loss_can_be_differentiated_twice():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, generator=g, dtype=torch.float64)
    answers = torch.tensor([0, 3, 2, 2])
    direction = torch.randn(4, 5, generator=g, dtype=torch.float64)

    def second(loss):
        x = logits.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(x), x, create_graph=True)
        return torch.autograd.grad((first * direction).sum(), x)[0]

    ours = second(lambda x: modular.cross_entropy(x, answers).sum())
    torchs = second(lambda x: torch.nn.functional.cross_entropy(x, answers, reduction="sum"))
    assert torchs.abs().max() > 0.05
    assert (ours - torchs).abs().max() < 1e-12


def test_the_loss_where_every_other_answer_is_forbidden():
    x = torch.tensor([[0.0, -torch.inf], [1.0, 2.0]], requires_grad=True)
    answers = torch.tensor([0, 1])
    loss = modular.cross_entropy(x, answers)
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(x, answers, reduction="none"))
    (ours,) = torch.autograd.grad(loss.sum(), x)
    (torchs,) = torch.autograd.grad(torch.nn.functional.cross_entropy(x, answers) * 2, x)
    assert torch.allclose(ours, torchs)
    impossible = modular.cross_entropy(torch.tensor([[-torch.inf, 0.0]]), torch.tensor([0]))
    assert impossible.item() == torch.inf
