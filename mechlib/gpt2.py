"""GPT-2 and everything of its shape: from the hub's files to the `Transformer` of this course.

The model hub keeps a model as a folder, `config.json` beside `model.safetensors`. For GPT-2's
architecture (Radford et al. 2019) the file holds, with N the number of a layer,

    wte.weight  (d_vocab, d_model)     embedding, and its transpose is the unembedding
    wpe.weight  (n_ctx, d_model)       positions, added to the stream
    h.N.ln_1                           gain "weight" and "bias" of the LayerNorm before attention
    h.N.attn.c_attn  (d_model, 3 d_model)   queries, keys and values side by side, heads in each
    h.N.attn.c_proj  (d_model, d_model)     the heads' outputs stacked, (head, d_head) rows
    h.N.ln_2, h.N.mlp.c_fc, h.N.mlp.c_proj, ln_f

each with a weight and a bias, matrices as [in, out] (the hub's "Conv1D"), as here. Names may begin
with "transformer."; large models come in several files with an index.

    model = gpt2.load(folder)               # our Transformer: our functions run on it
    tokenizer = gpt2.load_tokenizer(folder)

What is done on the way changes no logit. The fused matrix is cut apart (`unfuse`), and the gain and
bias of each LayerNorm move into the matrices that read it (`fold`): LN(x) = g * n(x) + b, so
LN(x) W + c = n(x) (diag(g) W) + (b W + c). Nothing is downloaded here. Chapter 20.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from mechlib.model import Config, Transformer

if TYPE_CHECKING:
    from mechlib.text.tokens import Tokenizer

# The hub's names of activation functions, and ours.
ACTS = {"gelu_new": "gelu_new", "gelu_pytorch_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}
# Settings that change the forward pass, and the only value that a model here can have.
FIXED = {
    "model_type": "gpt2",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")  # the causal mask, stored by older versions


# ---- reading ----------------------------------------------------------------------------------


def load(folder: str | Path) -> Transformer:
    """The model in a folder of the hub's format, in float32 and eval mode.

    FileNotFoundError for a file that is missing, ValueError for one that is damaged or holds
    another architecture; both name it.
    """
    return from_hub(read_settings(folder), read_tensors(folder)).eval()


def read_settings(folder: str | Path) -> dict:
    """The folder's config.json. Errors as `load`."""
    settings = _json(Path(folder) / "config.json")
    if not isinstance(settings, dict):
        raise ValueError(f"config.json: expected settings by name, got {type(settings).__name__}")
    return settings


def read_tensors(folder: str | Path) -> dict[str, Tensor]:
    """The folder's weights, from one file or from several with an index. Errors as `load`."""
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return _tensors_of(folder / "model.safetensors")
    where = _json(index)
    if not isinstance(where, dict) or not isinstance(where.get("weight_map"), dict):
        raise ValueError(f"{index.name}: it has no weight_map")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(where["weight_map"].values())):
        if Path(file).name != file:
            raise ValueError(f"{index.name}: {file!r} is not a file of this folder")
        tensors |= _tensors_of(folder / file)
    missing = sorted(set(where["weight_map"]) - set(tensors))
    if missing:
        raise ValueError(f"{index.name}: it promises {missing[0]!r}, which no file holds")
    return tensors


def from_hub(settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Transformer:
    """The `Transformer` that computes what the hub's GPT-2 computes with these weights.

    settings: of config.json. tensors: by the hub's names, with or without "transformer.".
    ValueError, naming the setting or tensor, for what cannot be written down here.
    """
    config = config_of(settings)
    tensors = _checked(plain_names(tensors), config, settings.get("tie_word_embeddings", True))
    model = Transformer(config)
    state = {"W_E": tensors["wte.weight"], "W_pos": tensors["wpe.weight"]}
    for layer in range(config.n_layers):
        block = _block(tensors, f"h.{layer}", config)
        state |= {f"blocks.{layer}.{name}": tensor for name, tensor in block.items()}
    gain, bias = tensors["ln_f.weight"], tensors["ln_f.bias"]
    unembedding = tensors.get("lm_head.weight", tensors["wte.weight"]).T
    state["W_U"], state["b_U"] = fold(gain, bias, unembedding)
    model.load_state_dict(state)
    return model


def _block(tensors: Mapping[str, Tensor], name: str, config: Config) -> dict[str, Tensor]:
    """One layer's weights by our names."""

    def both(part: str) -> tuple[Tensor, Tensor]:
        return tensors[f"{name}.{part}.weight"], tensors[f"{name}.{part}.bias"]

    attention = unfuse(*fold(*both("ln_1"), *both("attn.c_attn")), config.n_heads)
    W_O, b_O = both("attn.c_proj")
    found = {f"attn.{key}": value for key, value in attention.items()}
    found |= {"attn.W_O": W_O.reshape(config.n_heads, config.d_head, -1), "attn.b_O": b_O}
    found["mlp.W_in"], found["mlp.b_in"] = fold(*both("ln_2"), *both("mlp.c_fc"))
    found["mlp.W_out"], found["mlp.b_out"] = both("mlp.c_proj")
    return found


def fold(
    gain: Float[Tensor, " d_in"],
    shift: Float[Tensor, " d_in"],
    W: Float[Tensor, "d_in d_out"],
    bias: Float[Tensor, " d_out"] | None = None,
) -> tuple[Float[Tensor, "d_in d_out"], Float[Tensor, " d_out"]]:
    """Weight and bias that read a plain LayerNorm as W and bias read one with gain and shift."""
    folded = shift @ W
    return gain[:, None] * W, folded if bias is None else folded + bias


def unfuse(
    W: Float[Tensor, "d_model three_times"], bias: Float[Tensor, " three_times"], n_heads: int
) -> dict[str, Tensor]:
    """W_Q, W_K, W_V (head, d_model, d_head) and b_Q, b_K, b_V (head, d_head) of a fused matrix.

    Its columns are queries, keys and values in this order; within each, head after head.
    """
    parts = {}
    for letter, weight, shift in zip("QKV", W.chunk(3, dim=1), bias.chunk(3)):
        by_head = weight.reshape(weight.shape[0], n_heads, -1)
        parts[f"W_{letter}"] = by_head.transpose(0, 1).contiguous()
        parts[f"b_{letter}"] = shift.reshape(n_heads, -1)
    return parts


# ---- what the files say -----------------------------------------------------------------------


def config_of(settings: Mapping[str, object]) -> Config:
    """Our config for a GPT-2 config.json. ValueError names a setting that cannot be met."""
    for name, only in FIXED.items():
        if settings.get(name, only) != only:
            raise ValueError(f"config.json: {name} is {settings[name]!r}, needs {only!r}")
    act = settings.get("activation_function", "gelu_new")
    if act not in ACTS:
        raise ValueError(f"config.json: activation_function is {act!r}, known are {list(ACTS)}")
    sizes = {name: _size(settings, name) for name in ("vocab_size", "n_embd", "n_layer", "n_head")}
    inner = settings.get("n_inner")
    if sizes["n_embd"] % sizes["n_head"]:
        raise ValueError(
            f"config.json: n_head {sizes['n_head']} does not divide n_embd {sizes['n_embd']}"
        )
    return Config(
        d_vocab=sizes["vocab_size"],
        n_ctx=_size(settings, "n_positions" if "n_positions" in settings else "n_ctx"),
        d_model=sizes["n_embd"],
        n_layers=sizes["n_layer"],
        n_heads=sizes["n_head"],
        d_mlp=4 * sizes["n_embd"] if inner is None else _size(settings, "n_inner"),
        act=ACTS[act],
        norm="layernorm",
        bias=True,
    )


def _size(settings: Mapping[str, object], name: str) -> int:
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"config.json: {name} is {value!r}, needs a whole number from 1 on")
    return value


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Every tensor that the file of such a model holds, by the hub's names."""
    d, inner = config.d_model, config.d_mlp
    found = {"wte.weight": (config.d_vocab, d), "wpe.weight": (config.n_ctx, d)}
    linear = {"attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d)}
    linear |= {"mlp.c_fc": (d, inner), "mlp.c_proj": (inner, d)}
    norms = ["ln_f"]
    for layer in range(config.n_layers):
        norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
        for part, shape in linear.items():
            found[f"h.{layer}.{part}.weight"] = shape
            found[f"h.{layer}.{part}.bias"] = shape[1:]
    for norm in norms:
        found[f"{norm}.weight"] = found[f"{norm}.bias"] = (d,)
    return found


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same without "transformer." before the names, and without stored causal masks."""
    plain = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in plain.items() if not MASKS.fullmatch(name)}


def _checked(tensors: dict[str, Tensor], config: Config, tied: bool) -> dict[str, Tensor]:
    """The tensors in float32, all that are needed and no other. ValueError names the first."""
    needed = shapes(config)
    if not tied or "lm_head.weight" in tensors:
        needed["lm_head.weight"] = (config.d_vocab, config.d_model)
    missing, strange = sorted(set(needed) - set(tensors)), sorted(set(tensors) - set(needed))
    if missing:
        raise ValueError(f"weights: {missing[0]!r} is missing ({len(missing)} names in all)")
    if strange:
        raise ValueError(f"weights: {strange[0]!r} has no place in a GPT-2 of this config")
    for name, shape in needed.items():
        if tuple(tensors[name].shape) != shape:
            got = tuple(tensors[name].shape)
            raise ValueError(f"weights: {name!r} has shape {got}, config.json says {shape}")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise ValueError(f"weights: {name!r} holds numbers that are not finite")
    if tied and "lm_head.weight" in tensors:
        if not torch.equal(tensors["lm_head.weight"], tensors["wte.weight"]):
            raise ValueError("weights: 'lm_head.weight' differs from 'wte.weight', but is tied")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path.name} is not in {path.parent}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error


def _tensors_of(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not in {path.parent}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name} is no safetensors file, or cut short: {error}") from error


# ---- writing ----------------------------------------------------------------------------------


def write(folder: str | Path, settings: Mapping, tensors: Mapping[str, Tensor]) -> None:
    """A folder in the hub's format: config.json and model.safetensors."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(settings), indent=1), encoding="utf-8")
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(copies, folder / "model.safetensors", {"format": "pt"})


def to_hub(model: Transformer) -> tuple[dict[str, object], dict[str, Tensor]]:
    """(settings, tensors) with which the hub's GPT-2 computes what this model computes.

    Gains are 1 and shifts 0, the unembedding is not tied. ValueError for a model of another shape:
    it needs LayerNorm, MLPs, positions in the stream and heads that share out d_model.
    """
    config = model.config
    fits = {
        "norm": config.norm == "layernorm",
        "d_mlp": config.d_mlp > 0,
        "positions": config.positions == "stream",
        "smeared_keys": not config.smeared_keys,
        "d_head": config.n_heads * config.d_head == config.d_model,
        "b_U": model.b_U is None or not bool(model.b_U.any()),
    }
    if wrong := [name for name, right in fits.items() if not right]:
        value = getattr(config, wrong[0], "not zero")
        raise ValueError(f"model: {wrong[0]} is {value!r}; GPT-2's shape does not have that")
    settings = {
        "model_type": "gpt2",
        "vocab_size": config.d_vocab,
        "n_positions": config.n_ctx,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_mlp,
        "activation_function": config.act,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": False,
    }
    tensors = {
        name: torch.ones(shape) if re.search(r"ln_.\.weight", name) else torch.zeros(shape)
        for name, shape in shapes(config).items()
    }
    tensors |= {"wte.weight": model.W_E, "wpe.weight": model.W_pos, "lm_head.weight": model.W_U.T}
    for layer, block in enumerate(model.blocks):
        tensors |= {f"h.{layer}.{name}": value for name, value in _written(block).items()}
    return settings, {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _written(block) -> dict[str, Tensor]:
    """One layer by the hub's names; what is zero in its place is left out."""
    attn, mlp = block.attn, block.mlp
    fused = [W.transpose(0, 1).flatten(1) for W in (attn.W_Q, attn.W_K, attn.W_V)]
    found = {
        "attn.c_attn.weight": torch.cat(fused, dim=1),
        "attn.c_proj.weight": attn.W_O.flatten(0, 1),
        "mlp.c_fc.weight": mlp.W_in,
        "mlp.c_fc.bias": mlp.b_in,
        "mlp.c_proj.weight": mlp.W_out,
        "mlp.c_proj.bias": mlp.b_out,
    }
    if attn.b_Q is not None:
        found["attn.c_attn.bias"] = torch.cat([b.flatten() for b in (attn.b_Q, attn.b_K, attn.b_V)])
        found["attn.c_proj.bias"] = attn.b_O
    return found


def random_tensors(settings: Mapping[str, object], seed: int = 0) -> dict[str, Tensor]:
    """Random weights in the hub's format, gains and biases included: a checkpoint to test with.

    Matrices have entries of standard deviation 1/sqrt(d_in), positions and embeddings 0.15, gains
    lie about 1 and biases about 0 with standard deviation 0.3.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes(config_of(settings)).items():
        drawn = torch.randn(shape, generator=generator)
        if re.search(r"ln_.\.weight", name):
            found[name] = 1 + 0.3 * drawn
        elif len(shape) == 1:
            found[name] = 0.3 * drawn
        else:
            found[name] = drawn * (0.15 if name.startswith(("wte", "wpe")) else shape[0] ** -0.5)
    return found


# ---- the tokenizer ----------------------------------------------------------------------------


def load_tokenizer(folder: str | Path) -> "Tokenizer":
    """The byte-level tokenizer of the folder, from vocab.json and merges.txt. Errors as `load`."""
    import tokenizers as library

    from mechlib.text.tokens import Tokenizer

    folder = Path(folder)
    vocabulary = _json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(isinstance(i, int) for i in vocabulary.values()):
        raise ValueError("vocab.json: expected a number for every token")
    merges = _merges(folder / "merges.txt")
    for pair in merges:
        for part in (*pair, "".join(pair)):
            if part not in vocabulary:
                raise ValueError(f"merges.txt: {part!r} is not in vocab.json")
    inner = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=merges))
    # GPT-2's own pattern: words with the space before them, numbers, signs, and 's, 't, 're, ...
    inner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = library.decoders.ByteLevel()
    end = "<|endoftext|>"
    if end in vocabulary:
        inner.add_special_tokens([end])
    return Tokenizer(inner, folder.name)


def _merges(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path.name} is not in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no text in UTF-8: {error}") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        parts = line.rstrip("\r").split(" ")
        if len(parts) != 2:
            raise ValueError(f"{path.name}, line {number}: expected two parts, got {line!r}")
        pairs.append((parts[0], parts[1]))
    return pairs
