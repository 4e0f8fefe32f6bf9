"""The transformer against independent oracles; every axis is a different prime."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.interventions import Ablate, FreezePattern, Patch, Steer, frozen_patterns
from mechlib.model import Config, Transformer, activation_name, sinusoids

# batch 2, pos 5, d_vocab 13, d_model 12 (the one size that heads must share), head 3, d_head 7
SMALL = Config(d_vocab=13, n_ctx=11, d_model=17, n_layers=2, n_heads=3, d_head=7)
VARIANTS = {
    "attention-only": SMALL,
    "mlp": SMALL.but(d_mlp=19),
    "gelu": SMALL.but(d_mlp=19, act="gelu"),
    "layernorm": SMALL.but(norm="layernorm"),
    "layernorm-mlp": SMALL.but(norm="layernorm", d_mlp=19),
    "queries-keys": SMALL.but(positions="queries_keys"),
    "no-positions": SMALL.but(positions="none"),
    "smeared": SMALL.but(smeared_keys=True),
    "one-layer": SMALL.but(n_layers=1),
    "zero-layer": SMALL.but(n_layers=0, positions="none"),
}


@pytest.fixture
def tokens():
    return torch.randint(13, (2, 5), generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Scale:
    """An intervention that any activation can take: entries of the last axis, each scaled."""

    at: str

    def apply(self, activation):
        return activation * torch.linspace(0.5, 1.5, activation.shape[-1]).to(activation)


def double(config, seed=0):
    return Transformer(config, seed).double().requires_grad_(False)


def test_attention_agrees_with_torchs_own(tokens):
    config = SMALL.but(n_layers=1, d_model=21)  # torch wants d_model = heads * d_head
    model = double(config)
    trace = model.trace(tokens)
    x = trace["resid_pre", 0]
    attn = model.blocks[0].attn
    oracle = torch.nn.MultiheadAttention(21, 3, bias=False, batch_first=True).double()
    # torch keeps the transpose: rows are outputs, heads stacked one after the other
    joined = [w.transpose(0, 1).reshape(21, 21).T for w in (attn.W_Q, attn.W_K, attn.W_V)]
    oracle.in_proj_weight.data = torch.cat(joined)
    oracle.out_proj.weight.data = attn.W_O.reshape(21, 21).T.contiguous()
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    out, pattern = oracle(x, x, x, attn_mask=mask, average_attn_weights=False)
    torch.testing.assert_close(trace["attn_out", 0], out, atol=1e-12, rtol=0)
    torch.testing.assert_close(trace["pattern", 0], pattern, atol=1e-12, rtol=0)


def test_hand_computed_numbers():
    """Two positions, one head, d_head 1: the second position's weights are softmax(0, ln 3)."""
    config = Config(
        d_vocab=2, n_ctx=2, d_model=2, n_layers=1, positions="none", n_heads=1, d_head=1
    )
    model = double(config)
    model.W_E.data = torch.eye(2).double()
    model.W_U.data = torch.eye(2).double()
    attn = model.blocks[0].attn
    attn.W_Q.data = torch.tensor([[[1.0], [1.0]]]).double()
    attn.W_K.data = torch.tensor([[[0.0], [math.log(3)]]]).double()
    attn.W_V.data = torch.tensor([[[4.0], [8.0]]]).double()
    attn.W_O.data = torch.tensor([[[0.0, 1.0]]]).double()
    trace = model.trace(torch.tensor([[0, 1]]))
    expected = torch.tensor([[1.0, 0.0], [0.25, 0.75]]).double()
    torch.testing.assert_close(trace["pattern", 0][0, 0], expected)
    # position 0: e_0 + 4 to coordinate 1; position 1: e_1 + (4 + 3 * 8) / 4 to coordinate 1
    expected = torch.tensor([[1.0, 4.0], [0.0, 8.0]]).double()
    torch.testing.assert_close(trace.logits[0], expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_trace_and_forward_agree_to_the_bit(variant, tokens):
    for dtype in (torch.float32, torch.float64):
        model = Transformer(VARIANTS[variant]).to(dtype)
        trace = model.trace(tokens)
        assert tuple(trace) == model.activation_names()
        assert torch.equal(trace.logits, model(tokens))
        assert torch.equal(trace["hook_logits"], trace.logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_rest_of_a_pass_from_any_layer_gives_its_logits_to_the_bit(variant, tokens):
    model = double(VARIANTS[variant])
    trace, layers = model.trace(tokens), model.config.n_layers
    for layer in range(layers):
        stream = trace[f"blocks.{layer}.hook_resid_pre"]
        assert torch.equal(model.logits_from(stream, layer), trace.logits)
        assert not torch.equal(model.logits_from(stream + 1e-3 * model.W_E[0], layer), trace.logits)
    end = trace[f"blocks.{layers - 1}.hook_resid_post"] if layers else trace["hook_embed"]
    assert torch.equal(model.logits_from(end, layers), trace.logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_change_after_a_layer_needs_only_the_rest_of_the_pass(variant, tokens):
    model = double(VARIANTS[variant])
    trace, layers = model.trace(tokens), range(model.config.n_layers)
    for layer in layers:
        cut = [Ablate(f"blocks.{at}.attn.hook_z", head=0) for at in layers[layer:]]
        resumed = model.logits_from(trace["resid_pre", layer], layer, cut)
        assert torch.equal(resumed, model(tokens, cut))
        assert not torch.equal(resumed, trace.logits)
        for over in ("hook_embed", *(f"blocks.{at}.hook_attn_out" for at in range(layer))):
            with pytest.raises(KeyError, match=f"no activation '{over}' here"):
                model.logits_from(trace["resid_pre", layer], layer, [Ablate(over)])
        where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(layer)) < 0.5
        there = model.logits_from(trace["resid_pre", layer], layer, cut, where)
        assert there.shape == (where.sum(), model.config.d_vocab)
        torch.testing.assert_close(there, resumed[where])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_change_anywhere_gives_the_same_from_a_run_as_from_the_start(variant, tokens):
    model = double(VARIANTS[variant])
    layers = range(model.config.n_layers)
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    changed = [
        (changes, model(tokens, changes))
        for at in model.activation_names()
        for changes in ([Scale(at)], [Scale("hook_logits"), Scale(at)])
    ]
    for kept in (None, ["resid_pre"], ["resid_pre", "z"], ["resid_post"], []):
        names = kept and [activation_name(kind, layer) for layer in layers for kind in kept]
        run = model.trace(tokens, names=names)
        torch.testing.assert_close(model.rerun(tokens, run, [], where), run.logits[where])
        for changes, expected in changed:
            assert not torch.equal(expected, run.logits)
            assert torch.equal(model.rerun(tokens, run, changes), expected), (kept, changes)
            there = model.rerun(tokens, run, changes, where)
            torch.testing.assert_close(there, expected[where])


def test_a_run_is_taken_up_as_late_as_can_be(tokens):
    model = double(SMALL.but(d_mlp=9))
    run, looked = model.trace(tokens), []

    def asked_for(at: str) -> list[str]:
        """Which halves of which blocks a run with this change goes through."""
        looked.clear()
        model.rerun(tokens, run, [Scale(at)])
        return looked[:]

    for layer, block in enumerate(model.blocks):
        for half in ("look", "add_heads", "add_mlp"):
            method = getattr(block, half)

            def noted(*args, said=f"{half} {layer}", method=method):
                looked.append(said)
                return method(*args)

            setattr(block, half, noted)
    second = ["look 1", "add_heads 1", "add_mlp 1"]
    assert asked_for("hook_embed") == ["look 0", "add_heads 0", "add_mlp 0", *second]
    assert asked_for("blocks.0.attn.hook_pattern") == asked_for("hook_embed")
    assert asked_for("blocks.0.attn.hook_result") == ["add_heads 0", "add_mlp 0", *second]
    assert asked_for("blocks.0.mlp.hook_post") == ["add_mlp 0", *second]
    assert asked_for("blocks.0.hook_resid_post") == asked_for("blocks.1.hook_resid_pre") == second
    assert asked_for("blocks.1.hook_attn_out") == second[1:]
    assert asked_for("blocks.1.hook_resid_post") == asked_for("hook_logits") == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_positions_that_nobody_asks_for_do_not_change_the_others(variant, tokens):
    model = double(VARIANTS[variant])
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    for names in (None, []):  # None: the last layer is looked at, and is whole
        trace = model.trace(tokens, names=names, where=where)
        torch.testing.assert_close(trace.logits, model(tokens)[where])
    for name, activation in model.trace(tokens).items():
        if name.startswith("blocks."):
            kept = model.trace(tokens, names=[name], where=where)[name]
            torch.testing.assert_close(kept, activation)


def test_a_pass_without_logits_ends_where_nothing_more_is_asked_for(tokens):
    model, nowhere = double(SMALL.but(d_mlp=9)), torch.zeros(2, 5, dtype=torch.bool)
    whole = model.trace(tokens)
    for name, activation in whole.items():
        trace = model.trace(tokens, names=[name], where=nowhere)
        assert trace.logits.shape == (0, 13)
        if name not in ("ln_final.hook_normalized", "hook_logits"):
            assert torch.equal(trace[name], activation)
    model.blocks[1] = None  # it is not needed for a pattern of the first
    names = ["hook_embed", "blocks.0.attn.hook_pattern"]
    assert tuple(model.trace(tokens, names=names, where=nowhere)) == tuple(names)


def test_a_run_of_other_tokens_is_refused(tokens):
    model = double(SMALL)
    run = model.trace(tokens)
    with pytest.raises(ValueError, match="run: of tokens of shape"):
        model.rerun(tokens[:, 1:], run, [])
    with pytest.raises(KeyError, match=r"no activation 'blocks\.7\.hook_z' here"):
        model.rerun(tokens, run, [Scale("blocks.7.hook_z")])


def test_a_pass_cannot_start_anywhere():
    model, stream = double(SMALL), torch.zeros(2, 5, 17).double()
    with pytest.raises(ValueError, match="layer: got 3, accepts 0 to 2"):
        model.logits_from(stream, 3)
    with pytest.raises(ValueError, match=r"stream: got shape \(2, 5, 16\), needs .*17\)"):
        model.logits_from(stream[..., 1:], 0)
    with pytest.raises(ValueError, match="at most 11 positions"):
        model.logits_from(torch.zeros(2, 12, 17).double(), 0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_interventions_that_do_nothing_change_nothing(variant, tokens):
    model = double(VARIANTS[variant])
    trace = model.trace(tokens)
    for name, activation in trace.items():
        same = model(tokens, [Patch(name, activation)])
        torch.testing.assert_close(same, trace.logits, atol=1e-12, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_interventions_reach_every_activation(variant, tokens):
    model = double(VARIANTS[variant])
    trace = model.trace(tokens)
    for name, activation in trace.items():
        generator = torch.Generator().manual_seed(2)
        noise = torch.randn(activation.shape, generator=generator, dtype=torch.float64)
        changed = model(
            tokens, [Patch(name, torch.where(activation.isfinite(), noise, activation))]
        )
        assert (changed - trace.logits).abs().max() > 1e-3, name


def test_the_layers_are_what_the_docstring_says(tokens):
    """The forward pass again, written out with plain products."""
    model = double(SMALL)
    x = model.W_E[tokens] + model.W_pos[:5]
    for layer in range(2):
        out = torch.zeros_like(x)
        for head in range(3):
            W_Q, W_K = model.W_Q[layer, head], model.W_K[layer, head]
            W_V, W_O = model.W_V[layer, head], model.W_O[layer, head]
            scores = (x @ W_Q) @ (x @ W_K).transpose(1, 2) / math.sqrt(7)
            for query in range(5):
                pattern = scores[:, query, : query + 1].softmax(-1)
                out[:, query] += torch.einsum("bk,bkd->bd", pattern, x[:, : query + 1] @ W_V @ W_O)
        x = x + out
    torch.testing.assert_close(model(tokens), x @ model.W_U, atol=1e-12, rtol=0)


def test_results_of_the_heads_sum_to_the_layers_output(tokens):
    trace = double(SMALL).trace(tokens)
    summed = trace["result", 1].sum(dim=2)
    torch.testing.assert_close(summed, trace["attn_out", 1], atol=1e-12, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 1000))
def test_frozen_patterns_make_the_model_linear(a, b, seed):
    model = double(SMALL, seed)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(13, (2, 5), generator=generator)
    frozen = frozen_patterns(model.trace(tokens))
    x, y = torch.randn(2, 2, 5, 17, generator=generator, dtype=torch.float64)

    def f(stream):
        return model(tokens, [*frozen, Patch("blocks.0.hook_resid_pre", stream)])

    torch.testing.assert_close(f(a * x + b * y), a * f(x) + b * f(y), atol=1e-10, rtol=1e-10)


def test_unfrozen_patterns_are_not_linear(tokens):
    model = double(SMALL)
    x = model.trace(tokens)["resid_pre", 0]
    twice = model(tokens, [Patch("blocks.0.hook_resid_pre", 2 * x)])
    assert (twice - 2 * model(tokens)).abs().max() > 1e-3


def test_a_later_token_never_changes_an_earlier_prediction(tokens):
    for config in VARIANTS.values():
        model = double(config)
        other = tokens.clone()
        other[:, 3] = (other[:, 3] + 1) % 13
        assert torch.equal(model(tokens)[:, :3], model(other)[:, :3])


def test_gradients_agree_with_finite_differences(tokens):
    model = Transformer(
        SMALL.but(d_mlp=19, act="gelu", norm="layernorm", smeared_keys=True)
    ).double()
    model.loss(tokens).backward()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        step = 1e-5 * direction
        with torch.no_grad():
            parameter += step
            above = model.loss(tokens)
            parameter -= 2 * step
            below = model.loss(tokens)
            parameter += step
        slope = float((above - below) / 2e-5)
        exact = float((parameter.grad * direction).sum())
        assert slope == pytest.approx(exact, abs=1e-7), name


def test_smeared_keys_mix_each_key_with_the_one_before(tokens):
    model = double(SMALL.but(smeared_keys=True))
    alpha = torch.tensor([-1.0, 0.5, 40.0]).double()
    for block in model.blocks:
        block.attn.smear.data = alpha
    trace = model.trace(tokens)
    plain = torch.einsum("bpd,hdk->bphk", trace["resid_pre", 0], model.W_K[0])
    own = torch.sigmoid(alpha)[:, None]
    expected = own * plain[:, 4] + (1 - own) * plain[:, 3]
    torch.testing.assert_close(trace["k", 0][:, 4], expected)
    torch.testing.assert_close(trace["k", 0][:, 0], plain[:, 0])


def test_positions_in_queries_and_keys_leave_the_stream_alone(tokens):
    model = double(SMALL.but(positions="queries_keys"))
    trace = model.trace(tokens)
    assert torch.equal(trace["resid_pre", 0], model.W_E[tokens])
    shuffled = model.trace(tokens[:, [0, 2, 1, 3, 4]])
    assert (trace["q", 0] - shuffled["q", 0]).abs().max() > 1e-3
    # the values know nothing of position: swapping tokens swaps them
    torch.testing.assert_close(trace["v", 0][:, [0, 2, 1, 3, 4]], shuffled["v", 0])


def test_losses_are_cross_entropies_of_the_next_token(tokens):
    model = double(SMALL)
    log_probs = model(tokens[:, :-1]).log_softmax(-1)
    by_hand = -torch.stack(
        [log_probs[b, p, tokens[b, p + 1]] for b in range(2) for p in range(4)]
    ).reshape(2, 4)
    torch.testing.assert_close(model.token_losses(tokens), by_hand)
    torch.testing.assert_close(model.loss(tokens), by_hand.mean())


def test_a_fresh_model_predicts_close_to_uniform(tokens):
    loss = float(double(SMALL.but(n_layers=0)).loss(tokens))
    assert abs(loss - math.log(13)) < 0.3


def test_the_seed_decides_the_weights():
    first, again, other = Transformer(SMALL, 1), Transformer(SMALL, 1), Transformer(SMALL, 2)
    assert torch.equal(first.W_U, again.W_U)
    assert not torch.equal(first.W_U, other.W_U)
    before = torch.get_rng_state()
    Transformer(SMALL, 3)
    assert torch.equal(torch.get_rng_state(), before)  # global randomness is left alone


def test_sinusoids_have_unit_rows_and_turn_at_known_rates():
    table = sinusoids(11, 16)
    torch.testing.assert_close(table.norm(dim=1), torch.ones(11))
    assert float(table[3, 0] * math.sqrt(8)) == pytest.approx(math.sin(3))
    assert float(table[3, 1] * math.sqrt(8)) == pytest.approx(math.cos(3))


def test_sinusoids_from_waves_of_two_tokens_tell_neighbours_apart():
    fine, coarse = sinusoids(64, 32, shortest=2.0, ratio=64.0), sinusoids(64, 32)
    torch.testing.assert_close(fine[:, 1] * math.sqrt(16), (-1.0) ** torch.arange(64))
    torch.testing.assert_close(fine.norm(dim=1), torch.ones(64))
    neighbours = [(table[1:] * table[:-1]).sum(1).mean() for table in (fine, coarse)]
    assert neighbours[0] < neighbours[1] - 0.1


def test_autocast_and_integer_types(tokens):
    model = Transformer(SMALL)
    assert torch.equal(model(tokens.int()), model(tokens))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "error", "says"),
    [
        (torch.zeros(2, 5), TypeError, "float32"),
        ([[1, 2]], TypeError, "list"),
        (torch.zeros(5, dtype=torch.int64), ValueError, r"shape \(5,\)"),
        (torch.zeros(2, 0, dtype=torch.int64), ValueError, "needs"),
        (torch.zeros(2, 12, dtype=torch.int64), ValueError, "context holds 11"),
        (torch.tensor([[0, 13]]), ValueError, "0 to 12"),
        (torch.tensor([[-1, 3]]), ValueError, "-1 to 3"),
    ],
)
def test_bad_tokens_are_refused(tokens, error, says):
    with pytest.raises(error, match=says):
        # the run-time type checks of the tests would speak first
        Transformer._check_tokens(Transformer(SMALL), tokens)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"d_model": 0}, "d_model: got 0"),
        ({"n_layers": -1}, "n_layers: got -1"),
        ({"act": "tanh"}, "act: got 'tanh'"),
        ({"positions": "rotary"}, "accepts"),
        ({"n_heads": 4, "d_head": 0}, "does not divide"),
    ],
)
def test_bad_configs_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Config(**(SMALL.to_dict() | change))


def test_unknown_activations_are_refused_with_near_names(tokens):
    model = Transformer(SMALL)
    with pytest.raises(KeyError, match=r"blocks\.0\.attn\.hook_pattern"):
        model(tokens, [Ablate("blocks.0.attn.hook_patern")])
    with pytest.raises(KeyError, match="hook_mlp"):
        model.trace(tokens, names=["blocks.0.hook_mlp_out"])
    with pytest.raises(KeyError, match=r"blocks\.7\."):
        model(tokens, [FreezePattern(7, torch.zeros(2, 3, 5, 5))])
    with pytest.raises(KeyError):
        model.trace(tokens, names=["hook_embed"])["pattern", 0]


def test_zero_layers_have_no_heads():
    with pytest.raises(ValueError, match="no heads"):
        Transformer(SMALL.but(n_layers=0)).W_Q  # noqa: B018


def test_short_names():
    assert activation_name("pattern", 1) == "blocks.1.attn.hook_pattern"
    assert activation_name("scores", 0) == "blocks.0.attn.hook_attn_scores"
    assert activation_name("post", 2) == "blocks.2.mlp.hook_post"
    assert activation_name("resid_mid", 2) == "blocks.2.hook_resid_mid"


def test_steering_moves_the_logits_by_the_direction(tokens):
    model = double(SMALL)
    direction = torch.arange(17.0).double()
    steered = model(tokens, [Steer("blocks.1.hook_resid_post", direction, 0.5)])
    expected = model(tokens) + 0.5 * direction @ model.W_U
    torch.testing.assert_close(steered, expected, atol=1e-10, rtol=1e-10)


def test_mlp_against_torchs_own(tokens):
    model = double(SMALL.but(n_layers=1, d_mlp=19))
    trace, mlp = model.trace(tokens), model.blocks[0].mlp
    hidden = F.linear(trace["resid_mid", 0], mlp.W_in.T, mlp.b_in).clamp(min=0)
    torch.testing.assert_close(trace["mlp_out", 0], F.linear(hidden, mlp.W_out.T, mlp.b_out))
