"""Weights under TransformerLens's names, held against TransformerLens itself where it is there.

It needs other versions of many packages than this course, so it lives in an environment of its own:

    python -m venv lens
    lens/bin/pip install torch==2.13.0 transformer-lens==2.17.0 "pyarrow<19" "datasets<4"
    TRANSFORMER_LENS=lens/bin/python python -m pytest tests/test_interop.py -rs
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechlib.interop import from_transformer_lens, fuse, to_transformer_lens, unfuse
from mechlib.model import Config, Transformer

SIZES = dict(d_vocab=17, n_ctx=7, d_model=12, n_layers=2, n_heads=3, d_head=5)
MODELS = {
    "attention only": {},
    "positions for queries and keys": {"positions": "queries_keys"},
    "with LayerNorm": {"norm": "layernorm"},
    "with a ReLU MLP": {"d_mlp": 19},
    "with a GELU MLP and LayerNorm": {"d_mlp": 19, "act": "gelu", "norm": "layernorm"},
}


def build(kind: str) -> Transformer:
    """A model with large weights and biases that are not zero, so that a slip shows."""
    model = Transformer(Config(**SIZES, **MODELS[kind]), seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    return model


TOKENS = torch.randint(17, (4, 7), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_there_and_back_is_the_same_model(kind, fused):
    model = build(kind)
    settings, state = to_transformer_lens(model, fused=fused)
    back = from_transformer_lens(settings, state)
    for field in ("positions", "norm", "d_mlp", "d_head"):
        assert getattr(back.config, field) == getattr(model.config, field)
    assert torch.equal(back(TOKENS), model(TOKENS))


def test_the_weights_are_copies():
    model = build("attention only")
    _, state = to_transformer_lens(model)
    before = model(TOKENS)
    for value in state.values():
        value.zero_()
    assert torch.equal(model(TOKENS), before)


def test_fusing_stacks_what_unfusing_takes_apart():
    _, state = to_transformer_lens(build("attention only"))
    fused = fuse(state)
    assert fused["blocks.0.attn.W_QKV"].shape == (3, 3, 12, 5)
    assert fused["blocks.1.attn.b_QKV"].shape == (3, 3, 5)
    assert not any(name.endswith(("W_Q", "W_K", "W_V", "b_Q")) for name in fused)
    apart = unfuse(fused)
    assert apart.keys() == state.keys()
    assert all(torch.equal(apart[name], state[name]) for name in state)
    with pytest.raises(ValueError, match="W_QKV' has 2 parts"):
        unfuse({"blocks.0.attn.W_QKV": torch.zeros(2, 1, 1, 1)})


def test_a_constant_unembedding_bias_moves_no_probability():
    model = build("attention only")
    settings, state = to_transformer_lens(model)
    state["unembed.b_U"] += 3.0
    assert torch.equal(from_transformer_lens(settings, state)(TOKENS), model(TOKENS))
    state["unembed.b_U"][4] = 0
    with pytest.raises(ValueError, match=r"'unembed\.b_U' has no counterpart"):
        from_transformer_lens(settings, state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positional_embedding_type": "rotary"}, "positional_embedding_type is 'rotary'"),
        ({"normalization_type": "RMS"}, "normalization_type is 'RMS'"),
        ({"n_ctx": 9}, "'pos_embed.W_pos' has shape"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(change, message):
    settings, state = to_transformer_lens(build("attention only"))
    with pytest.raises(ValueError, match=message):
        from_transformer_lens(settings | change, state)


def test_weights_that_are_missing_or_too_many_are_named():
    settings, state = to_transformer_lens(build("attention only"))
    with pytest.raises(ValueError, match=r"'embed\.W_E' is missing"):
        from_transformer_lens(settings, {k: v for k, v in state.items() if k != "embed.W_E"})
    state["blocks.0.attn.b_V"] += 1
    with pytest.raises(ValueError, match=r"'blocks\.0\.attn\.b_V' has no counterpart"):
        from_transformer_lens(settings, state)


def test_what_cannot_be_written_down_there_is_refused():
    with pytest.raises(ValueError, match="smeared"):
        to_transformer_lens(Transformer(Config(**SIZES, smeared_keys=True)))
    with pytest.raises(ValueError, match="0 layers"):
        to_transformer_lens(Transformer(Config(**(SIZES | {"n_layers": 0}))))


# What the other side does: build, load, run, and store what came out. It runs in the other
# environment, so it stands here as text.
THERE = """
import json, sys, torch
from safetensors.torch import load_file, save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig
folder = sys.argv[1]
settings = json.load(open(folder + "/settings.json"))
given = load_file(folder + "/given.safetensors")
tokens = given.pop("tokens")
model = HookedTransformer(HookedTransformerConfig(**settings))
left = model.load_state_dict(given, strict=False)
assert not left.unexpected_keys, left.unexpected_keys
assert all(k.endswith(("mask", "IGNORE")) for k in left.missing_keys), left.missing_keys
logits, cache = model.run_with_cache(tokens)
out = {"log_probs": logits.log_softmax(-1)}
for layer in range(settings["n_layers"]):
    out["pattern%d" % layer] = cache["pattern", layer]
# and back: a model of theirs, with its own weights
torch.manual_seed(0)
theirs = HookedTransformer(HookedTransformerConfig(**settings))
for weight in theirs.state_dict().values():
    if weight.is_floating_point() and weight.ndim > 1 and weight.any():
        weight += 0.1 * torch.randn_like(weight)
for name, weight in theirs.state_dict().items():
    if ".b_" in name and ".mlp." not in name:
        weight.zero_()
    if name.endswith("b_U"):
        weight.zero_()
for name, weight in theirs.state_dict().items():
    if weight.is_floating_point() and weight.ndim:
        out["theirs." + name] = weight.clone()
out["their_log_probs"] = theirs(tokens).log_softmax(-1)
save_file({k: v.detach().contiguous() for k, v in out.items()}, folder + "/out.safetensors")
"""


def other_python() -> str | None:
    """A Python that has TransformerLens: named by a variable, or this one."""
    for python in filter(None, (os.environ.get("TRANSFORMER_LENS"), sys.executable)):
        done = subprocess.run(
            [python, "-c", "from importlib.metadata import version as v; v('transformer-lens')"],
            capture_output=True,
        )
        if done.returncode == 0:
            return python
    return None


@pytest.mark.parametrize("kind", MODELS)
def test_transformer_lens_computes_the_same(kind, tmp_path):
    python = other_python()
    if python is None:
        pytest.skip("no TransformerLens: see the head of this file")
    model = build(kind)
    settings, state = to_transformer_lens(model)
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    save_file(state | {"tokens": TOKENS}, tmp_path / "given.safetensors")
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", THERE, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=outside | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = load_file(tmp_path / "out.safetensors")
    trace = model.trace(TOKENS)
    torch.testing.assert_close(found["log_probs"], trace.logits.log_softmax(-1), rtol=0, atol=1e-5)
    for layer in range(model.config.n_layers):
        torch.testing.assert_close(
            found[f"pattern{layer}"], trace["pattern", layer], rtol=0, atol=1e-5
        )
    theirs = {k.removeprefix("theirs."): v for k, v in found.items() if k.startswith("theirs.")}
    theirs = {k: v for k, v in theirs.items() if not k.endswith(("mask", "IGNORE"))}
    back = from_transformer_lens(settings, theirs)
    torch.testing.assert_close(
        found["their_log_probs"], back(TOKENS).log_softmax(-1), rtol=0, atol=1e-5
    )


def test_the_page_names_every_weight_and_activation():
    page = (Path(__file__).parent.parent / "book" / "interop.md").read_text(encoding="utf-8")
    model = build("with a GELU MLP and LayerNorm")
    _, state = to_transformer_lens(model)
    for name in [*model.state_dict(), *state]:
        short = name.removeprefix("blocks.1.").replace("blocks.0.", "blocks.L.")
        assert f"`{short}`" in page or name.startswith("blocks.1."), name
