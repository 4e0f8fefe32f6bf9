"""The evidence, on models and logits whose algorithm is known because we made them."""

import math

import pytest
import torch

from mechlib.grokking import clock, fourier, modular
from mechlib.model import Transformer

P = 13
X = torch.arange(P)
SUM = (X[:, None] + X[None, :]) % P


def wave(k, x):
    return (2 * math.pi * k * x.double() / P).cos()


def clock_logits(weights):
    gap = (SUM[:, :, None] - X) % P
    return sum(a * wave(k, gap) for k, a in weights.items())


def hand_made_mlp(k=3):
    """An EmbeddingMLP that adds by rotation, approximately: neuron j reads cos w(a + phase) +
    cos w(b + phase), whose ReLU holds a multiple of cos w(a + b + 2 phase)."""
    n = 4 * P
    model = modular.EmbeddingMLP(P, d_embed=2, d_hidden=n).double()
    phase = 2 * math.pi * torch.arange(n).double() / n
    angle = 2 * math.pi * k * X.double() / P
    with torch.no_grad():
        model.W_E.copy_(torch.stack([angle.cos(), angle.sin()], dim=1))
        read = torch.stack([phase.cos(), -phase.sin()])  # cos(wa + phase)
        model.W_in.copy_(torch.cat([read, read]))
        model.b_in.zero_()
        model.W_out.copy_((2 * phase[:, None] + angle[None, :]).cos())
        model.b_out.zero_()
    return model


def test_hand_made_model_adds_and_its_frequency_is_found():
    model = hand_made_mlp(k=3)
    logits = modular.all_logits(model, P)
    assert clock.key_frequencies(model) == [3]
    got = clock.evidence(model)
    assert got["embedding share"] == pytest.approx(1)
    assert got["W_L residual"] == pytest.approx(0, abs=1e-9)
    # |cos w(a-b)/2| cos w(a+b-c): the right answer is largest, except where the factor is tiny
    assert ((logits.argmax(2) == SUM).double().mean()) > 0.9
    # a pizza: the correct logit depends on a - b alone
    assert clock.distance_irrelevance(logits) < 1e-6
    g = torch.Generator().manual_seed(0)
    triples = torch.randint(P, (40, 3), generator=g)
    assert clock.gradient_symmetricity(model, triples) > clock.gradient_symmetricity(
        modular.EmbeddingMLP(P, seed=1), triples
    )


def test_logit_variance_of_a_known_mixture():
    logits = clock_logits({2: 3.0, 5: 1.0}) + 7
    assert clock.logit_variance(logits, [2, 5]) == pytest.approx(1)
    assert clock.logit_variance(logits, [2]) == pytest.approx(9 / 10)
    assert clock.logit_variance(logits, [4]) == pytest.approx(0, abs=1e-12)
    S = clock.sum_cosines(P, [1, 2, 6])
    assert (S @ S.T - torch.eye(3, dtype=torch.float64)).abs().max() < 1e-12


def test_direction_variance_reads_the_wave_of_the_sum():
    F = fourier.basis(P)
    # two neurons that are cos w(a+b) and sin w(a+b) plus something of another frequency
    angle = 2 * math.pi * 4 * SUM.double() / P
    other = wave(1, X)[:, None].expand(P, P)
    neurons = torch.stack([angle.cos() + other, angle.sin()], dim=2)
    W_L = torch.stack([F[fourier.component(4, "cos")], F[fourier.component(4, "sin")]])
    got = clock.direction_variance(neurons, W_L, [4])
    assert got["cos 4"] == pytest.approx(0.5)
    assert got["sin 4"] == pytest.approx(1)
    assert clock.low_rank_residual(W_L, [4]) == pytest.approx(0, abs=1e-12)
    assert clock.low_rank_residual(W_L, [3]) == pytest.approx(1)


def test_distance_irrelevance_of_a_pizza_and_of_a_sum():
    pizza = wave(2, X[:, None] - X)[:, :, None] * clock_logits({4: 1.0})
    assert clock.distance_irrelevance(pizza) < 1e-6
    by_sum = wave(2, SUM)[:, :, None] * clock_logits({4: 1.0})  # depends on a + b alone
    assert clock.distance_irrelevance(by_sum) > 0.9


def a_transformer(seed=0):
    return Transformer(modular.config(P, 6, 2, 17), seed=seed)


def test_attention_grid_is_the_models_pattern():
    model = a_transformer()
    pairs = torch.cartesian_prod(X, X)
    pattern = model.trace(modular.sequences(pairs, P))["blocks.0.attn.hook_pattern"]
    got = clock.attention_grid(model).reshape(P * P, 2, 3)
    assert (got - pattern[:, :, 2, :]).abs().max() < 1e-6
    assert clock.attention_to_first(model).shape == (P, P, 2)


@pytest.mark.parametrize("make", [a_transformer, lambda: modular.EmbeddingMLP(P, 3, 5)])
def test_gradients_are_taken_of_the_models_own_logits(make):
    model = make().double()
    logits = modular.all_logits(model, P)
    for a, b in ((2, 7), (5, 5)):
        got = clock._logits_from_embeddings(model, torch.stack([model.W_E[a], model.W_E[b]]), P)
        assert (got[:P] - logits[a, b]).abs().max() < 1e-10


def test_evidence_is_absent_in_an_untrained_model():
    model = Transformer(modular.config(23, 32, 4, 64), seed=0)
    task = modular.Task(23, fraction=0.5)
    got = clock.evidence(model, task)
    assert got["logit variance"] < 0.1
    assert got["accuracy"] < 0.2
    assert got["neurons above 0.85"] <= 3
    assert len(got["head variance"]) == 4
    assert got["loss without keys"] == pytest.approx(math.log(23), abs=0.5)


def test_replacing_neurons_by_what_they_are_changes_nothing():
    model, task = hand_made_mlp(k=3), modular.Task(P, fraction=0.5)
    neurons, W_L = modular.all_neurons(model, P), clock.neuron_logit_map(model)
    # ReLU(cos u + cos v) is not a polynomial: its best frequency holds 60 to 100 % of it
    got = clock.replacements(model, task, above=0.0)
    assert got["whole"] == pytest.approx(clock.evidence(model, task)["loss"])
    assert got["good by polynomials"] == got["all by polynomials"]
    assert got["others at their means"] == got["whole"]
    assert got["written by good"] == 1
    # W_L reads cos and sin of one frequency and nothing else
    assert got["along W_L"] == pytest.approx(got["whole"])
    for nothing in ("off W_L", "good at their means", "all by other polynomials"):
        assert got[nothing] == pytest.approx(math.log(P), abs=1e-6), nothing
    assert got["all by polynomials"] < 0.5 * math.log(P)
    assert clock.written(neurons, 2 * W_L) == pytest.approx(4 * clock.written(neurons, W_L))


def test_replacements_of_an_untrained_transformer():
    model, task = a_transformer(), modular.Task(P, fraction=0.5)
    got = clock.replacements(model, task, above=1.0)
    assert got["good by polynomials"] == pytest.approx(got["whole"])
    assert got["good at their means"] == pytest.approx(got["whole"])
    assert got["written by good"] == 0
    logits = modular.all_logits(model, P)
    neurons, W_L = modular.all_neurons(model, P), clock.neuron_logit_map(model)
    flat = logits + (neurons.mean((0, 1)) - neurons) @ W_L
    want = modular.score(flat[task.test_pairs[:, 0], task.test_pairs[:, 1]], task.test_answers)[0]
    assert got["others at their means"] == pytest.approx(want)


def test_replacements_are_those_of_the_neurons_themselves():
    model, task = a_transformer(), modular.Task(P, fraction=0.5)
    seen = clock.grids(model)
    neurons, W_L, mean = seen.neurons, clock.neuron_logit_map(model), seen.neurons.mean((0, 1))
    above = float(seen.share.median())  # some are good, and some are not
    good = seen.share > above
    assert 0 < good.sum() < len(good)
    polynomials = fourier.of_one_frequency(neurons, seen.frequency)
    waves = [fourier.component(k, w) for k in clock.key_frequencies(model) for w in ("cos", "sin")]
    read = torch.linalg.qr(W_L @ fourier.basis(P)[waves].T).Q
    along = (neurons - mean) @ read @ read.T
    instead = {
        "good by polynomials": torch.where(good, polynomials, neurons),
        "all by polynomials": polynomials,
        "good at their means": torch.where(good, mean, neurons),
        "others at their means": torch.where(good, neurons, mean),
        "along W_L": mean + along,
        "off W_L": neurons - along,
    }
    got = clock.replacements(model, task, above, seen)
    assert got == clock.replacements(model, task, above)
    assert clock.evidence(model, task, seen=seen) == clock.evidence(model, task)
    for name, new in instead.items():
        logits = seen.logits + (new - neurons) @ W_L
        there = logits[task.test_pairs[:, 0], task.test_pairs[:, 1]]
        assert got[name] == pytest.approx(modular.score(there, task.test_answers)[0]), name


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="task"):
        clock.replacements(modular.EmbeddingMLP(7, 3, 5), modular.Task(11))
    with pytest.raises(TypeError, match="model"):
        clock.modulus(torch.nn.Linear(2, 3))
    with pytest.raises(ValueError, match="task"):
        clock.evidence(modular.EmbeddingMLP(7, 3, 5), modular.Task(11))
