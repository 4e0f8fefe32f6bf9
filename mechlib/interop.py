"""The same weights under other names: `Transformer` to and from TransformerLens.

TransformerLens 2.x keeps a model as a `HookedTransformerConfig` and a state dict. Most names are
those of this course, which took them over; what differs is a handful of biases (zero here), the
fused form that some models are stored in, and a few buffers. Nothing here imports TransformerLens:
`to_transformer_lens` gives what its classes take, `from_transformer_lens` reads what they give.

    settings, state = to_transformer_lens(model)
    other = HookedTransformer(HookedTransformerConfig(**settings))
    other.load_state_dict(state, strict=False)      # strict=False: its masks are not weights

The page book/interop has the table of names, and why logits may differ when nothing is wrong.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mechlib.model import Config, Transformer

# Both libraries mean the exact GELU by "gelu", and the one by tanh by "gelu_new".
ACTS = {"relu": "relu", "gelu": "gelu", "gelu_new": "gelu_new"}
POSITIONS = {"stream": "standard", "queries_keys": "shortformer"}
# Buffers: rebuilt from the config, so neither sent nor read.
BUFFERS = ("attn.mask", "attn.IGNORE")
# Names of fused attention, stored as one matrix each by models that were trained so.
FUSED = ("W_QKV", "b_QKV")


def to_transformer_lens(
    model: Transformer, *, fused: bool = False
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """(settings of HookedTransformerConfig, state dict), the weights copied.

    fused: the three attention inputs of a layer as one `blocks.L.attn.W_QKV` of shape
        (3, head, d_model, d_head), as `fuse` gives it; TransformerLens itself wants them apart.

    Raises ValueError for what TransformerLens has no counterpart of, smeared keys or no layers, and
    for attention biases.
    """
    config = model.config
    if config.smeared_keys:
        raise ValueError("model: its keys are smeared, and TransformerLens has no such heads")
    if config.bias:
        raise ValueError(
            "model: it has attention biases; mechlib.gpt2 writes it for others to read"
        )
    if config.n_layers == 0:
        raise ValueError("model: got 0 layers, TransformerLens needs at least 1")
    settings: dict[str, object] = {
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "d_model": config.d_model,
        "d_head": config.d_head,
        "d_mlp": config.d_mlp or None,
        "d_vocab": config.d_vocab,
        "n_ctx": config.n_ctx,
        "act_fn": ACTS[config.act] if config.d_mlp else None,
        "attn_only": config.d_mlp == 0,
        # LNPre: centre and scale, with no gain and no bias, as LayerNorm here
        "normalization_type": "LNPre" if config.norm == "layernorm" else None,
        "positional_embedding_type": POSITIONS.get(config.positions, "standard"),
        "default_prepend_bos": False,
        "device": "cpu",
    }
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = {_their_name(name): value for name, value in state.items()}
    if config.positions == "none":  # they always add one: a table of zeros
        state["pos_embed.W_pos"] = torch.zeros(config.n_ctx, config.d_model)
    for name, shape in _their_biases(config).items():
        state[name] = torch.zeros(shape)
    return settings, (fuse(state) if fused else state)


def from_transformer_lens(
    settings: Mapping[str, object], state: Mapping[str, Tensor]
) -> Transformer:
    """The model of this course with the weights of a TransformerLens 2.x state dict.

    settings: of its HookedTransformerConfig, `cfg.to_dict()` or the part that `to_transformer_lens`
        gives. state: fused or unfused.

    Raises ValueError, and names the setting or weight, for a model that cannot be written down
    here: rotary positions, a gain in LayerNorm, attention biases that are not zero. An unembedding
    bias that is one constant is dropped: it moves no probability.
    """
    state = unfuse(state)
    positions = {theirs: ours for ours, theirs in POSITIONS.items()}
    kind = settings.get("positional_embedding_type", "standard")
    _one_of("positional_embedding_type", kind, positions)
    norm = settings.get("normalization_type")
    _one_of("normalization_type", norm, (None, "LNPre"))
    if not settings.get("attn_only"):
        _one_of("act_fn", settings.get("act_fn"), ACTS)
    config = Config(
        d_vocab=settings["d_vocab"],
        n_ctx=settings["n_ctx"],
        d_model=settings["d_model"],
        n_layers=settings["n_layers"],
        n_heads=settings["n_heads"],
        d_head=settings["d_head"],
        d_mlp=0 if settings.get("attn_only") else settings["d_mlp"],
        act="relu" if settings.get("attn_only") else settings["act_fn"],
        positions=positions[kind],
        norm="none" if norm is None else "layernorm",
    )
    model = Transformer(config)
    wanted = {_their_name(name): name for name in model.state_dict()}
    _check_rest(state, wanted)
    missing = sorted(set(wanted) - set(state))
    if missing:
        raise ValueError(f"state: {missing[0]!r} is missing ({len(missing)} names in all)")
    ours = {}
    for theirs, name in wanted.items():
        shape = model.state_dict()[name].shape
        if state[theirs].shape != shape:
            got = tuple(state[theirs].shape)
            raise ValueError(f"state: {theirs!r} has shape {got}, needs {tuple(shape)}")
        ours[name] = state[theirs].detach().clone()
    model.load_state_dict(ours)
    return model


def fuse(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A layer's W_Q, W_K, W_V stacked as W_QKV (3, head, d_model, d_head); biases likewise."""
    found = dict(state)
    for fused in FUSED:
        letter = fused[0]
        for name in [name for name in state if name.endswith(f"attn.{letter}_Q")]:
            start = name.removesuffix("Q")
            found[f"{start}QKV"] = torch.stack([found.pop(f"{start}{part}") for part in "QKV"])
    return found


def unfuse(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undoes `fuse`; a state dict that is not fused comes back as it is."""
    found = dict(state)
    for name in state:
        if name.endswith(FUSED):
            parts = found.pop(name)
            if len(parts) != 3:
                raise ValueError(f"state: {name!r} has {len(parts)} parts, needs 3 (Q, K and V)")
            for part, value in zip("QKV", parts):
                found[name.removesuffix("QKV") + part] = value
    return found


def _their_name(name: str) -> str:
    """The name of one weight there: only the three outermost matrices have a longer one."""
    outer = {"W_E": "embed.W_E", "W_pos": "pos_embed.W_pos", "W_U": "unembed.W_U"}
    return outer.get(name, name)


def _their_biases(config: Config) -> dict[str, tuple[int, ...]]:
    """The biases of a layer there that no model here has, with their shapes."""
    found: dict[str, tuple[int, ...]] = {"unembed.b_U": (config.d_vocab,)}
    for layer in range(config.n_layers):
        for letter in "QKV":
            found[f"blocks.{layer}.attn.b_{letter}"] = (config.n_heads, config.d_head)
        found[f"blocks.{layer}.attn.b_O"] = (config.d_model,)
    return found


def _one_of(name: str, value: object, accepted) -> None:
    if value not in accepted:
        raise ValueError(f"settings: {name} is {value!r}; a model here can have {list(accepted)}")


def _check_rest(state: Mapping[str, Tensor], wanted: Mapping[str, str]) -> None:
    """What has no place here must change nothing: a bias of zero, or one constant of the logits."""
    for name in sorted(set(state) - set(wanted)):
        if name.endswith(BUFFERS):
            continue
        value = state[name]
        constant = name == "unembed.b_U" and bool((value == value.flatten()[0]).all())
        nothing = name.endswith((".b_Q", ".b_K", ".b_V", ".b_O", "W_pos")) and not value.any()
        if not (constant or nothing):
            raise ValueError(f"state: {name!r} has no counterpart in a model of this course")
