"""Circuits against dense products and against the model they were read from, in float64."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.interventions import Ablate, FreezePattern
from mechlib.model import Config, Transformer
from mechlib.reading import circuits
from mechlib.reading.factored import FactoredMatrix


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def model_and_trace(n_layers=2, n_heads=3, **changes):
    """An attention-only model with larger-than-usual weights, so that no path is negligible."""
    config = Config(d_vocab=29, n_ctx=11, d_model=13, n_layers=n_layers, n_heads=n_heads, d_head=5)
    model = Transformer(config.but(**changes), seed=3).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter *= 2
    tokens = torch.randint(29, (2, 7), generator=torch.Generator().manual_seed(1))
    return model, tokens, model.trace(tokens)


def frozen_inputs(model, trace):
    """What `path_expansion` and `term_importance` take, out of a model and its trace."""
    patterns = torch.stack([trace["pattern", layer] for layer in range(model.config.n_layers)])
    return trace["resid_pre", 0], patterns, model.W_V, model.W_O, model.W_U


# ---- one head ---------------------------------------------------------------------------------


def test_circuits_of_one_head_are_the_dense_products():
    W_Q, W_K, W_V = (normal(3, 13, 5, seed=s) for s in (1, 2, 3))
    W_O, W_E, W_U = normal(3, 5, 13, seed=4), normal(29, 13, seed=5), normal(13, 29, seed=6)
    QK, OV = circuits.W_QK(W_Q, W_K), circuits.W_OV(W_V, W_O)
    close(QK.dense(), W_Q @ W_K.mT)
    close(OV.dense(), W_V @ W_O)
    close(circuits.full_QK(W_E, QK).dense(), W_E @ W_Q @ W_K.mT @ W_E.mT)
    close(circuits.full_OV(W_E, OV, W_U).dense(), W_E @ W_V @ W_O @ W_U)
    assert circuits.full_QK(W_E, QK).inner == 5


def test_the_four_parts_of_QK_add_up_to_the_scores_of_the_model():
    model, tokens, trace = model_and_trace(n_layers=1)
    QK = circuits.W_QK(model.W_Q[0], model.W_K[0])
    parts = circuits.qk_parts(model.W_E[tokens[0]], model.W_pos[:7], QK)
    assert set(parts) == {(q, k) for q in ("token", "position") for k in ("token", "position")}
    scores = sum(part.dense() for part in parts.values()) / math.sqrt(5)
    visible = torch.ones(7, 7).tril().bool()
    close(scores[:, visible], trace["scores", 0][0][:, visible])


def test_parts_of_QK_as_tables_have_the_query_first():
    W_E, W_pos = normal(29, 13, seed=1), normal(11, 13, seed=2)
    QK = circuits.W_QK(normal(3, 13, 5, seed=3), normal(3, 13, 5, seed=4))
    parts = circuits.qk_parts(W_E, W_pos, QK)
    assert parts["token", "position"].shape == (3, 29, 11)
    close(parts["position", "token"].dense(), W_pos @ QK.dense() @ W_E.T)


# ---- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 5), (2, 3), (3, 2)])
def test_the_terms_sum_to_the_logits(n_layers, n_heads):
    model, _tokens, trace = model_and_trace(n_layers, n_heads)
    terms = circuits.path_expansion(*frozen_inputs(model, trace))
    assert len({term.name for term in terms}) == len(terms) == (1 + n_heads) ** n_layers
    error = (sum(term.logits for term in terms) - trace.logits).abs().max()
    assert error < 1e-10
    for n in range(n_layers + 1):
        expected = math.comb(n_layers, n) * n_heads**n
        assert sum(term.order == n for term in terms) == expected


def test_each_term_is_its_path():
    model, tokens, trace = model_and_trace()
    terms = {t.name: t for t in circuits.path_expansion(*frozen_inputs(model, trace))}
    start = model.W_E[tokens] + model.W_pos[:7]
    close(terms["direct"].logits, start @ model.W_U)
    OV = circuits.W_OV(model.W_V, model.W_O)
    first, second = trace["pattern", 0][:, 2], trace["pattern", 1][:, 1]
    close(terms["1.1"].logits, second @ start @ OV[1, 1].dense() @ model.W_U)
    assert terms["0.2 > 1.1"].path == ((0, 2), (1, 1))
    virtual = circuits.virtual_head(first, OV[0, 2], second, OV[1, 1])
    by_virtual_head = virtual.pattern @ start @ virtual.W_OV.dense() @ model.W_U
    close(terms["0.2 > 1.1"].logits, by_virtual_head)


def test_a_virtual_head_is_causal_and_its_pattern_sums_to_one():
    model, _tokens, trace = model_and_trace()
    OV = circuits.W_OV(model.W_V, model.W_O)
    pattern = circuits.virtual_head(
        trace["pattern", 0][:, 0], OV[0, 0], trace["pattern", 1][:, 1], OV[1, 1]
    ).pattern
    close(pattern.sum(-1), torch.ones(2, 7, dtype=torch.float64))
    assert pattern.triu(1).abs().max() == 0


def test_too_many_paths_or_shapes_that_disagree_are_errors():
    model, _tokens, trace = model_and_trace()
    resid, patterns, W_V, W_O, W_U = frozen_inputs(model, trace)
    with pytest.raises(ValueError, match="16 paths"):
        circuits.path_expansion(resid, patterns, W_V, W_O, W_U, max_terms=15)
    # without the run-time shape check of the tests, the function's own must answer
    expand = inspect.unwrap(circuits.path_expansion)
    with pytest.raises(ValueError, match=r"patterns must have shape \(2, 2, 3, 7, 7\)"):
        expand(resid, patterns[:1], W_V, W_O, W_U)
    with pytest.raises(ValueError, match="W_O must have shape"):
        expand(resid, patterns, W_V, W_V, W_U)
    with pytest.raises(ValueError, match="W_U must have shape"):
        expand(resid, patterns, W_V, W_O, W_U.T)


# ---- composition ------------------------------------------------------------------------------


def test_composition_scores_are_those_of_the_dense_products():
    W_Q, W_K, W_V2 = (normal(5, 13, 3, seed=s) for s in (1, 2, 3))
    W_O2, W_V1, W_O1 = normal(5, 3, 13, seed=4), normal(2, 13, 3, seed=5), normal(2, 3, 13, seed=6)
    OV_1, QK, OV_2 = W_V1 @ W_O1, W_Q @ W_K.mT, W_V2 @ W_O2
    scores = circuits.composition_scores(
        circuits.W_OV(W_V1, W_O1), circuits.W_QK(W_Q, W_K), circuits.W_OV(W_V2, W_O2)
    )
    # K in the other order: x_q W_QK (x_k W_OV)^T = x_q (W_QK W_OV^T) x_k^T
    products = {
        "Q": lambda h, g: OV_1[h] @ QK[g],
        "K": lambda h, g: QK[g] @ OV_1[h].T,
        "V": lambda h, g: OV_1[h] @ OV_2[g],
    }
    for kind, product in products.items():
        second = OV_2 if kind == "V" else QK
        assert scores[kind].shape == (2, 5)
        for h in range(2):
            for g in range(5):
                dense = product(h, g).norm() / (OV_1[h].norm() * second[g].norm())
                assert scores[kind][h, g].item() == pytest.approx(dense.item(), rel=1e-12)


def test_a_head_that_reads_what_another_writes_composes_through_that_side_only():
    # head 1 writes dimensions 6 to 8; head 2's keys are read there, its queries and values are not
    eye = torch.eye(9, dtype=torch.float64)
    low, middle, high = eye[None, :, :3], eye[None, :, 3:6], eye[None, :, 6:]
    OV_1 = circuits.W_OV(low, high.mT)
    scores = circuits.composition_scores(
        OV_1, circuits.W_QK(low, high), circuits.W_OV(middle, middle.mT)
    )
    assert scores["K"].item() == pytest.approx(1 / math.sqrt(3))  # as much as rank 3 allows
    assert scores["Q"].item() == 0
    assert scores["V"].item() == 0


def test_unrelated_heads_score_as_the_baseline():
    d_model, d_head, heads = 37, 5, 23
    baseline = circuits.composition_baseline(d_model, d_head, samples=400, seed=1)
    assert baseline.mean == pytest.approx(1 / math.sqrt(d_model), rel=0.02)
    assert 0 < baseline.std < 0.25 * baseline.mean
    assert circuits.composition_baseline(d_model, d_head, samples=400, seed=1) == baseline
    W = [normal(heads, d_model, d_head, seed=s) for s in range(6)]
    scores = circuits.composition_scores(
        circuits.W_OV(W[0], W[1].mT), circuits.W_QK(W[2], W[3]), circuits.W_OV(W[4], W[5].mT)
    )
    for score in circuits.above_baseline(scores, baseline).values():
        assert abs(score.mean().item()) < 0.3 * baseline.std
        assert score.std().item() == pytest.approx(baseline.std, rel=0.25)


def test_composition_of_models_of_different_width_is_an_error():
    small = FactoredMatrix(normal(2, 13, 3), normal(2, 3, 13))
    wide = FactoredMatrix(normal(2, 17, 3), normal(2, 3, 17))
    with pytest.raises(ValueError, match=r"W_QK_2 must .* got \(2, 17, 17\)"):
        circuits.composition_scores(small, wide, small)
    with pytest.raises(ValueError, match="W_OV_1"):
        circuits.composition_scores(small[0], small, small)


def test_scores_can_be_taken_of_weights_that_still_train():
    model = Transformer(Config(d_vocab=7, n_ctx=5, d_model=11, n_layers=2, n_heads=2, d_head=3))
    OV, QK = circuits.W_OV(model.W_V, model.W_O), circuits.W_QK(model.W_Q, model.W_K)
    assert circuits.composition_scores(OV[0], QK[1], OV[1])["K"].shape == (2, 2)


# ---- importance -------------------------------------------------------------------------------


def losses_by_brute_force(model, tokens, trace):
    """The loss of the sum of all paths of order at most n, every path built on its own."""
    terms = circuits.path_expansion(*frozen_inputs(model, trace))
    losses = []
    for n in range(model.config.n_layers + 1):
        logits = sum(term.logits for term in terms if term.order <= n)
        losses.append(F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item())
    return losses


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_the_passes_give_the_losses_of_the_truncated_expansion(n_layers):
    model, tokens, trace = model_and_trace(n_layers, n_heads=2)
    importance = circuits.term_importance(*frozen_inputs(model, trace), tokens)
    assert importance.losses == pytest.approx(losses_by_brute_force(model, tokens, trace))
    assert importance.losses[-1] == pytest.approx(model.loss(tokens).item(), abs=1e-12)
    assert len(set(importance.losses)) == n_layers + 1  # the orders do differ


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_marginals_sum_to_the_difference_of_losses(seed, n_layers):
    resid, W_U = normal(2, 5, 7, seed=seed), normal(7, 11, seed=seed + 1)
    W_V = normal(n_layers, 3, 7, 2, seed=seed + 2)
    W_O = normal(n_layers, 3, 2, 7, seed=seed + 3)
    patterns = normal(n_layers, 2, 3, 5, 5, seed=seed + 4).tril().softmax(-1)
    tokens = torch.randint(11, (2, 5), generator=torch.Generator().manual_seed(seed))
    result = circuits.term_importance(resid, patterns, W_V, W_O, W_U, tokens)
    assert result.uniform == math.log(11)
    assert sum(result.marginal) == pytest.approx(result.losses[-1] - result.uniform, abs=1e-12)


def test_with_layernorm_the_last_pass_is_the_model_and_the_first_has_no_heads():
    model, tokens, trace = model_and_trace(norm="layernorm")
    result = circuits.term_importance(
        *frozen_inputs(model, trace), tokens, norm=lambda layer, x: F.layer_norm(x, x.shape[-1:])
    )
    assert result.losses[-1] == pytest.approx(model.loss(tokens).item(), abs=1e-12)
    no_heads = [Ablate(f"blocks.{layer}.hook_attn_out") for layer in range(2)]
    assert result.losses[0] == pytest.approx(model.loss(tokens, no_heads).item(), abs=1e-12)


def test_order_one_of_two_layers_is_a_model_whose_second_layer_sees_only_embeddings():
    model, tokens, trace = model_and_trace()
    start = trace["resid_pre", 0]
    frozen = [FreezePattern(layer, trace["pattern", layer]) for layer in range(2)]
    alone = [
        model.trace(tokens, [*frozen, Ablate(f"blocks.{1 - layer}.hook_attn_out")])
        for layer in range(2)
    ]
    logits = sum(trace_.logits for trace_ in alone) - start @ model.W_U
    expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()
    result = circuits.term_importance(*frozen_inputs(model, trace), tokens)
    assert result.losses[1] == pytest.approx(expected, abs=1e-12)


def test_what_a_layer_is_worth_is_the_loss_without_the_other():
    model, tokens, trace = model_and_trace()
    worth = circuits.layer_worth(*frozen_inputs(model, trace), tokens)
    frozen = [FreezePattern(layer, trace["pattern", layer]) for layer in range(2)]
    off = [Ablate(f"blocks.{layer}.hook_attn_out") for layer in range(2)]

    def loss(interventions):
        return circuits.logit_loss(model(tokens, interventions), tokens)

    none, (first, second) = loss(off), (loss([*frozen, off[1 - layer]]) for layer in range(2))
    assert worth.first_alone == pytest.approx(first - none, abs=1e-12)
    assert worth.second_alone == pytest.approx(second - none, abs=1e-12)
    assert worth.gap == pytest.approx(first - second, abs=1e-12)
    both = circuits.term_importance(*frozen_inputs(model, trace), tokens).losses[1]
    assert worth.first_beside_second == pytest.approx(both - second, abs=1e-12)
    assert worth.second_beside_first == pytest.approx(both - first, abs=1e-12)


def test_a_layer_that_looks_at_itself_is_worth_what_it_is_worth_at_its_own_place():
    resid, W_U = normal(2, 5, 7), normal(7, 11, seed=1)
    W_V, W_O = normal(2, 3, 7, 2, seed=2), normal(2, 3, 2, 7, seed=3)
    patterns = torch.eye(5, dtype=torch.float64).expand(2, 2, 3, 5, 5)
    tokens = torch.randint(11, (2, 5), generator=torch.Generator().manual_seed(0))
    worth = circuits.layer_worth(resid, patterns, W_V, W_O, W_U, tokens)
    assert worth.first_at_its_own_place == pytest.approx(worth.first_alone, abs=1e-12)
    with pytest.raises(ValueError, match="patterns must be of two layers, got 1"):
        circuits.layer_worth(resid, patterns[:1], W_V[:1], W_O[:1], W_U, tokens)
