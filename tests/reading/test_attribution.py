"""Attributions against the model's own logits and losses, in float64."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.interventions import Ablate, frozen_patterns
from mechlib.model import Config, Transformer
from mechlib.reading import attribution, circuits


def model_and_trace(**changes):
    config = Config(d_vocab=29, n_ctx=11, d_model=13, n_layers=2, n_heads=3, d_head=5)
    model = Transformer(config.but(**changes), seed=3).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter *= 2
    tokens = torch.randint(29, (2, 7), generator=torch.Generator().manual_seed(1))
    return model, tokens, model.trace(tokens)


def stream_components(trace):
    """Embedding, position and every head: what the stream before the unembedding is the sum of."""
    heads = [trace["result", layer].unbind(2) for layer in range(2)]
    return torch.stack([trace["hook_embed"], trace["hook_pos_embed"], *heads[0], *heads[1]])


def expansion(model, trace):
    patterns = torch.stack([trace["pattern", 0], trace["pattern", 1]])
    return circuits.path_expansion(trace["resid_pre", 0], patterns, model.W_V, model.W_O, model.W_U)


@pytest.mark.parametrize("norm", ["none", "layernorm"])
def test_attributions_sum_to_the_logits_of_the_model(norm):
    model, tokens, trace = model_and_trace(norm=norm)
    targets, others = tokens.roll(-1, 1), tokens.roll(2, 1)
    components = stream_components(trace)
    if norm == "layernorm":
        components = attribution.through_final_norm(components)
    parts = attribution.direct_logit_attribution(components, model.W_U, targets)
    assert parts.shape == (8, 2, 7)
    logits = trace.logits
    own = logits.gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(parts.sum(0), own - logits.mean(-1), rtol=0, atol=1e-12)
    parts = attribution.direct_logit_attribution(components, model.W_U, targets, others)
    other = logits.gather(-1, others[..., None])[..., 0]
    torch.testing.assert_close(parts.sum(0), own - other, rtol=0, atol=1e-12)


def test_the_attribution_of_a_last_layer_head_is_what_ablating_it_takes_away():
    model, tokens, trace = model_and_trace()
    targets = tokens.roll(-1, 1)
    parts = attribution.direct_logit_attribution(stream_components(trace), model.W_U, targets)
    without = model(tokens, [Ablate("blocks.1.attn.hook_z", head=2)])
    lost = trace.logits - without
    expected = lost.gather(-1, targets[..., None])[..., 0] - lost.mean(-1)
    torch.testing.assert_close(parts[-1], expected, rtol=0, atol=1e-12)


def test_final_norm_is_layernorm_on_the_sum():
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(3, 2, 5, 7, generator=generator, dtype=torch.float64)
    normed = attribution.through_final_norm(parts).sum(0)
    torch.testing.assert_close(normed, F.layer_norm(parts.sum(0), (7,)), rtol=0, atol=1e-12)


def test_bad_shapes_and_tokens():
    W_U, parts = torch.zeros(7, 11), torch.zeros(3, 2, 5, 7)
    targets = torch.zeros(2, 5, dtype=torch.long)
    attribute = inspect.unwrap(attribution.direct_logit_attribution)
    with pytest.raises(ValueError, match=r"components must have shape \(component, 2, 5, 7\)"):
        attribute(parts[:, :1], W_U, targets)
    with pytest.raises(ValueError, match="targets must be tokens 0 to 10, got 11 to 11"):
        attribute(parts, W_U, targets + 11)
    with pytest.raises(ValueError, match="against must be tokens 0 to 10, got -1 to -1"):
        attribute(parts, W_U, targets, targets - 1)
    with pytest.raises(ValueError, match="empty"):
        attribution.loss_by_term({}, targets)
    with pytest.raises(ValueError, match="term 'a' has shape"):
        inspect.unwrap(attribution.loss_by_term)({"a": torch.zeros(2, 4, 11)}, targets)


def test_the_last_layer_left_out_is_the_model_with_it_ablated():
    model, tokens, trace = model_and_trace()
    groups = attribution.sum_by(expansion(model, trace), attribution.layers_used)
    assert list(groups) == ["direct", "layer 0", "layer 1", "layers 0 1"]
    # all paths through layer 1, taken away together
    by_last = {"without": groups["direct"] + groups["layer 0"]}
    by_last["with"] = groups["layer 1"] + groups["layers 0 1"]
    result = {term.name: term for term in attribution.loss_by_term(by_last, tokens)}
    whole = model.loss(tokens).item()
    ablated = circuits.logit_loss(model(tokens, [Ablate("blocks.1.hook_attn_out")]), tokens)
    assert result["with"].left_out == pytest.approx(whole - ablated, abs=1e-12)
    assert result["with"].added == pytest.approx(whole - ablated, abs=1e-12)
    # and through layer 0, with the patterns frozen
    frozen = frozen_patterns(trace)
    no_first = model(tokens, [*frozen, Ablate("blocks.0.hook_attn_out")])
    alone = attribution.logit_loss(groups["direct"] + groups["layer 1"], tokens)
    assert alone == pytest.approx(circuits.logit_loss(no_first, tokens), abs=1e-12)


def test_added_in_order_of_length_is_term_importance():
    model, tokens, trace = model_and_trace()
    by_order = attribution.sum_by(expansion(model, trace), lambda term: term.order)
    assert list(by_order) == ["0", "1", "2"]
    added = [term.added for term in attribution.loss_by_term(by_order, tokens)]
    patterns = torch.stack([trace["pattern", 0], trace["pattern", 1]])
    importance = circuits.term_importance(
        trace["resid_pre", 0], patterns, model.W_V, model.W_O, model.W_U, tokens
    )
    assert added == pytest.approx(importance.marginal, abs=1e-12)


def test_two_terms_that_do_the_same_job_are_worth_little_beside_each_other():
    tokens = torch.tensor([[0, 1, 2, 3, 4]])
    right = F.one_hot(tokens.roll(-1, 1), 5).double() * 20
    first, second = attribution.loss_by_term({"one": right, "other": right}, tokens)
    assert first.added == pytest.approx(-math.log(5), abs=1e-6)
    assert abs(second.added) < 1e-6
    assert abs(first.left_out) < 1e-6
    assert abs(second.left_out) < 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_what_the_terms_add_sums_to_the_loss_over_a_uniform_guess(n_terms, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_terms, 2, 5, 7, generator=generator, dtype=torch.float64)
    tokens = torch.randint(7, (2, 5), generator=generator)
    result = attribution.loss_by_term({str(i): x for i, x in enumerate(logits)}, tokens)
    whole = circuits.logit_loss(logits.sum(0), tokens)
    assert sum(term.added for term in result) == pytest.approx(whole - math.log(7), abs=1e-12)
    without = circuits.logit_loss(logits[1:].sum(0), tokens)
    assert result[0].left_out == pytest.approx(whole - without, abs=1e-12)
