"""GPT-2's format: our model against a forward pass written straight from the file's tensors."""

import json
import math
import shutil

import pytest
import torch

from mechlib import gpt2, interop
from mechlib.__main__ import main
from mechlib.model import Config, Transformer
from mechlib.pages.widgets.weights import pack
from mechlib.reading.lens import lens_losses, logit_lens
from mechlib.reading.names_task import NAMES, SENTENCES, names_task

SMALL = {
    "model_type": "gpt2", "vocab_size": 31, "n_positions": 24, "n_embd": 24, "n_layer": 3,
    "n_head": 4, "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
}  # fmt: skip
HEADS_OF_64 = SMALL | {"n_embd": 128, "n_head": 2, "n_layer": 2, "n_inner": 200}


def tokens_for(settings, n=3):
    length = settings["n_positions"]
    generator = torch.Generator().manual_seed(4)
    return torch.randint(settings["vocab_size"], (n, length), generator=generator)


def plain_forward(settings, tensors, tokens):
    """GPT-2 from its file in plain torch: nothing of mechlib, nothing folded or cut apart."""

    def norm(x, name):
        x = x - x.mean(-1, keepdim=True)
        x = x / torch.sqrt((x * x).mean(-1, keepdim=True) + settings["layer_norm_epsilon"])
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def linear(x, name):
        return x @ tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def gelu(x):
        if settings["activation_function"] == "gelu":
            return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    n_pos, n_head = tokens.shape[1], settings["n_head"]
    d_head = settings["n_embd"] // n_head
    x = tensors["wte.weight"][tokens] + tensors["wpe.weight"][:n_pos]
    for layer in range(settings["n_layer"]):
        fused = linear(norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn")
        q, k, v = fused.split(settings["n_embd"], dim=2)
        outputs = []
        for head in range(n_head):
            part = slice(head * d_head, (head + 1) * d_head)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / d_head**0.5
            for i in range(n_pos):
                scores[:, i, i + 1 :] = -float("inf")
            outputs.append(scores.softmax(-1) @ v[..., part])
        x = x + linear(torch.cat(outputs, dim=-1), f"h.{layer}.attn.c_proj")
        hidden = gelu(linear(norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc"))
        x = x + linear(hidden, f"h.{layer}.mlp.c_proj")
    head = tensors.get("lm_head.weight", tensors["wte.weight"])
    return norm(x, "ln_f") @ head.T


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "gpt2"
    gpt2.write(place, SMALL, gpt2.random_tensors(SMALL))
    return place


@pytest.mark.parametrize("settings", [SMALL, HEADS_OF_64, SMALL | {"activation_function": "gelu"}])
def test_our_model_computes_what_the_file_says(settings, tmp_path):
    tensors = gpt2.random_tensors(settings, seed=1)
    gpt2.write(tmp_path, settings, tensors)
    tokens = tokens_for(settings)
    model = gpt2.load(tmp_path)
    expected = plain_forward(settings, tensors, tokens)
    assert expected.std() > 0.5
    torch.testing.assert_close(model(tokens), expected, atol=1e-5, rtol=1e-5)
    assert model.config.d_head == settings["n_embd"] // settings["n_head"]
    shorter = tokens[:, :7]
    torch.testing.assert_close(model(shorter), expected[:, :7], atol=1e-5, rtol=1e-5)


def test_in_double_precision_the_two_agree_to_rounding():
    tensors = gpt2.random_tensors(SMALL, seed=2)
    model = gpt2.from_hub(SMALL, tensors).double()
    expected = plain_forward(SMALL, {k: t.double() for k, t in tensors.items()}, tokens_for(SMALL))
    # folding was done in float32
    torch.testing.assert_close(model(tokens_for(SMALL)), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("which", ["gain", "shift", "order", "heads", "act"])
def test_a_slip_in_the_loader_would_show(which):
    """The comparison can fail: each thing that the loader must do matters to the logits."""
    tensors, tokens = gpt2.random_tensors(SMALL), tokens_for(SMALL)
    model = gpt2.from_hub(SMALL, tensors)
    wrong = dict(tensors)
    c_attn = tensors["h.0.attn.c_attn.weight"]
    if which == "gain":
        wrong["h.1.ln_2.weight"] = torch.ones(24)
    elif which == "shift":
        wrong["ln_f.bias"] = torch.zeros(24)
    elif which == "order":
        wrong["h.0.attn.c_attn.weight"] = torch.cat(c_attn.chunk(3, dim=1)[::-1], dim=1)
    elif which == "heads":
        wrong["h.0.attn.c_attn.weight"] = c_attn.reshape(24, 3, 6, 4).mT.reshape(24, 72)
    settings = SMALL | ({"activation_function": "gelu"} if which == "act" else {})
    difference = (plain_forward(settings, wrong, tokens) - model(tokens)).abs().max()
    assert difference > 1e-4


def test_hooks_see_the_biases():
    """Cutting every head leaves what a head-free model computes, b_O included."""
    tensors, tokens = gpt2.random_tensors(SMALL), tokens_for(SMALL)
    model = gpt2.from_hub(SMALL, tensors)
    trace = model.trace(tokens)
    assert torch.equal(trace.logits, model(tokens))
    summed = trace["result", 1].sum(2) + model.blocks[1].attn.b_O
    torch.testing.assert_close(summed, trace["blocks.1.hook_attn_out"], atol=1e-5, rtol=1e-5)
    scores = torch.einsum("bqhd,bkhd->bhqk", trace["q", 1], trace["k", 1]) / 6**0.5
    seen = torch.ones(24, 24).tril().bool()
    torch.testing.assert_close(scores[..., seen], trace["scores", 1][..., seen])


def test_names_with_a_prefix_and_stored_masks(folder):
    tensors = {f"transformer.{k}": t for k, t in gpt2.random_tensors(SMALL).items()}
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
    tensors["transformer.h.2.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
    tokens = tokens_for(SMALL)
    same = gpt2.from_hub(SMALL, tensors)(tokens)
    torch.testing.assert_close(same, gpt2.load(folder)(tokens), atol=1e-6, rtol=1e-6)


def test_a_head_of_its_own():
    tensors = gpt2.random_tensors(SMALL)
    tensors["lm_head.weight"] = torch.randn(31, 24, generator=torch.Generator().manual_seed(8))
    with pytest.raises(ValueError, match=r"'lm_head\.weight' differs from 'wte\.weight'"):
        gpt2.from_hub(SMALL, tensors)
    untied = SMALL | {"tie_word_embeddings": False}
    model, tokens = gpt2.from_hub(untied, tensors), tokens_for(SMALL)
    expected = plain_forward(untied, tensors, tokens)
    torch.testing.assert_close(model(tokens), expected, atol=1e-5, rtol=1e-5)
    del tensors["lm_head.weight"]
    with pytest.raises(ValueError, match=r"'lm_head\.weight' is missing"):
        gpt2.from_hub(untied, tensors)


def shard(folder):
    """The same weights in two files with an index."""
    from safetensors.torch import save_file

    tensors = gpt2.read_tensors(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    where = {}
    for part, chosen in enumerate((names[:10], names[10:])):
        file = f"model-{part}.safetensors"
        save_file({name: tensors[name] for name in chosen}, folder / file)
        where |= dict.fromkeys(chosen, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}), encoding="utf-8")
    return index


def test_several_files_with_an_index(folder):
    tokens = tokens_for(SMALL)
    before = gpt2.load(folder)(tokens)
    shard(folder)
    torch.testing.assert_close(gpt2.load(folder)(tokens), before, atol=1e-6, rtol=1e-6)


def test_a_damaged_index(folder):
    index = shard(folder)
    about = json.loads(index.read_text(encoding="utf-8"))
    about["weight_map"]["h.9.ln_1.bias"] = "model-0.safetensors"
    index.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match=r"promises 'h\.9\.ln_1\.bias'"):
        gpt2.load(folder)
    about["weight_map"] = {"wte.weight": "../elsewhere.safetensors"}
    index.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match="not a file of this folder"):
        gpt2.load(folder)
    index.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="no weight_map"):
        gpt2.load(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files(dtype, tmp_path):
    tensors = {k: t.to(dtype) for k, t in gpt2.random_tensors(SMALL).items()}
    gpt2.write(tmp_path, SMALL, tensors)
    model = gpt2.load(tmp_path)
    assert model.W_E.dtype == torch.float32
    expected = plain_forward(SMALL, {k: t.float() for k, t in tensors.items()}, tokens_for(SMALL))
    torch.testing.assert_close(model(tokens_for(SMALL)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"activation_function": "silu"}, "activation_function is 'silu'"),
        ({"n_head": 5}, "n_head 5 does not divide n_embd 24"),
        ({"n_layer": "3"}, "n_layer is '3', needs a whole number"),
        ({"n_layer": True}, "n_layer is True"),
        ({"n_layer": 4}, r"'h\.3\.attn\.c_attn\.bias' is missing"),
        ({"n_layer": 2}, r"'h\.2\.attn\.c_attn\.bias' has no place"),
        ({"vocab_size": 30}, r"'wte\.weight' has shape \(31, 24\), config\.json says \(30, 24\)"),
        ({"n_inner": 7}, r"has shape \(24, 96\), config\.json says \(24, 7\)"),
    ],
)
def test_another_architecture_or_size_is_refused_by_name(change, message, folder):
    (folder / "config.json").write_text(json.dumps(SMALL | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        gpt2.load(folder)


def test_missing_and_damaged_files(folder):
    weights, config = folder / "model.safetensors", folder / "config.json"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"model\.safetensors is no safetensors file, or cut short"
    ):
        gpt2.load(folder)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is not in"):
        gpt2.load(folder)
    config.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json is no JSON"):
        gpt2.load(folder)
    config.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json: expected settings"):
        gpt2.load(folder)
    with pytest.raises(FileNotFoundError, match=r"config\.json is not in"):
        gpt2.load(folder / "nowhere")


def test_numbers_that_are_not_finite():
    tensors = gpt2.random_tensors(SMALL)
    tensors["h.1.mlp.c_fc.bias"][3] = torch.nan
    with pytest.raises(ValueError, match=r"'h\.1\.mlp\.c_fc\.bias' holds numbers"):
        gpt2.from_hub(SMALL, tensors)


def ours(**change):
    config = Config(d_vocab=31, n_ctx=24, d_model=24, n_layers=2, n_heads=4, d_mlp=40, act="gelu",
                    norm="layernorm").but(**change)  # fmt: skip
    model = Transformer(config, seed=2)
    for name, p in model.named_parameters():
        if ".b_" in name:
            p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name)))
    return model


@pytest.mark.parametrize("bias", [False, True])
def test_a_model_of_ours_there_and_back(bias, tmp_path):
    model = ours(bias=bias)
    settings, tensors = gpt2.to_hub(model)
    tokens = tokens_for(SMALL)
    torch.testing.assert_close(
        plain_forward(settings, tensors, tokens), model(tokens), atol=1e-5, rtol=1e-5
    )
    gpt2.write(tmp_path, settings, tensors)
    torch.testing.assert_close(gpt2.load(tmp_path)(tokens), model(tokens), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "none"}, "norm is 'none'"),
        ({"d_mlp": 0}, "d_mlp is 0"),
        ({"positions": "queries_keys"}, "positions is 'queries_keys'"),
        ({"d_head": 5}, "d_head is 5"),
        ({"smeared_keys": True}, "smeared_keys is True"),
    ],
)
def test_models_of_another_shape_are_not_written(change, message):
    with pytest.raises(ValueError, match=message):
        gpt2.to_hub(ours(**change))


def test_what_cannot_hold_biases_says_so():
    with pytest.raises(ValueError, match="attention biases"):
        interop.to_transformer_lens(ours(bias=True))
    with pytest.raises(ValueError, match="engine knows neither"):
        pack(ours(bias=True))


def test_records_of_models_without_biases_stay_as_they_were():
    without, with_them = ours().config, ours(bias=True).config
    assert "bias" not in without.to_dict()
    assert Config(**without.to_dict()) == without
    assert Config(**with_them.to_dict()) == with_them


# ---- the tokenizer ------------------------------------------------------------------------------


def write_tokenizer(folder, size=400):
    """A byte-level tokenizer in the hub's files, trained on the names task's own sentences."""
    import tokenizers as library

    inner = library.ByteLevelBPETokenizer()
    lines = [s.format(*NAMES[i : i + 3], place="garden", thing="letter") for s in SENTENCES
             for i in range(len(NAMES) - 2)]  # fmt: skip
    inner.train_from_iterator(
        lines, vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    inner.save_model(str(folder))
    return inner


def test_the_tokenizer_reads_the_hub_s_files(tmp_path):
    theirs = write_tokenizer(tmp_path)
    tokenizer = gpt2.load_tokenizer(tmp_path)
    for text in ("When Anna and Tom met, 12 birds' songs don't   stop.", "é 漢字 \n\t 🙂", ""):
        assert tokenizer.encode(text) == theirs.encode(text).ids
        assert tokenizer.decode(tokenizer.encode(text)) == text
    end = tokenizer.encode("<|endoftext|>a")
    assert end[0] == 0
    assert len(end) == 2
    assert tokenizer.token(0) == "<|endoftext|>"


def test_merges_are_done_in_order(tmp_path):
    vocabulary = {c: i for i, c in enumerate("abcĠ")} | {"ab": 4, "bc": 5, "abc": 6, "Ġab": 7}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nb c\na b\nĠ ab\n", encoding="utf-8")
    tokenizer = gpt2.load_tokenizer(tmp_path)
    assert tokenizer.encode("abc") == [0, 5]  # b c first, and a bc is no merge
    assert tokenizer.encode("ab ab") == [4, 7]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.json", "[1]", "a number for every token"),
        ("vocab.json", '{"a": "b"}', "a number for every token"),
        ("vocab.json", "{", "is no JSON"),
        ("merges.txt", "#version: 0.2\na b c\n", "line 2: expected two parts"),
        ("merges.txt", "zz q\n", "'zz' is not in vocab.json"),
    ],
)
def test_damaged_tokenizer_files(file, content, message, tmp_path):
    write_tokenizer(tmp_path)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        gpt2.load_tokenizer(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=file):
        gpt2.load_tokenizer(tmp_path)


# ---- the lens, the task, the command ------------------------------------------------------------


def test_the_last_lens_is_the_model():
    model, tokens = gpt2.from_hub(SMALL, gpt2.random_tensors(SMALL)), tokens_for(SMALL)
    losses = lens_losses(model, tokens)
    assert len(losses) == 4
    torch.testing.assert_close(losses[-1], model.token_losses(tokens))
    first = model.trace(tokens[:, :-1])["blocks.0.hook_resid_pre"]
    by_hand = (first - first.mean(-1, keepdim=True)) / (
        first.var(-1, keepdim=True, unbiased=False) + 1e-5
    ).sqrt()
    expected = by_hand @ model.W_U + model.b_U
    torch.testing.assert_close(logit_lens(first, model.W_U, model.b_U), expected)
    assert (losses[0] - losses[-1]).abs().max() > 0.1


@pytest.mark.parametrize("sentence", range(len(SENTENCES)))
def test_the_names_task_has_one_name_twice(sentence, tmp_path):
    write_tokenizer(tmp_path, 900)
    tokenizer = gpt2.load_tokenizer(tmp_path)
    task = names_task(tokenizer.encode, sentence, 12)
    assert task.clean.shape == task.corrupted.shape
    for text, right, wrong, first in zip(task.clean, task.right, task.wrong, task.first_subject):
        assert (text == right).sum() == 1
        assert (text == wrong).nonzero().flatten().tolist() == [int(first), task.second_subject]
    names = [tokenizer.encode(" " + name) for name in NAMES]
    single = torch.tensor([ids[0] for ids in names if len(ids) == 1])
    for text, right in zip(task.corrupted, task.right):
        standing = text[torch.isin(text, single)]
        assert len(standing) == 3 == len(standing.unique())
        assert right in standing
    orders = {bool(first < int((text == r).nonzero())) for text, r, first in
              zip(task.clean, task.right, task.first_subject)}  # fmt: skip
    assert orders == {True, False}


def test_the_names_task_needs_names_of_one_token():
    with pytest.raises(ValueError, match="only 0 of the names"):
        names_task(lambda text: list(text.encode()), 0, 4)


def test_the_command_reports_on_a_folder(tmp_path, capsys):
    write_tokenizer(tmp_path, 900)
    size = len(gpt2.load_tokenizer(tmp_path))
    settings = SMALL | {"vocab_size": size, "n_positions": 128}
    gpt2.write(tmp_path, settings, gpt2.random_tensors(settings))
    assert main(["gpt2", str(tmp_path), "--texts", "4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 layers of 4 heads")
    for words in ("random tokens repeated once", "second subject", "any earlier occurrence",
                  "logit lens", "20 texts"):  # fmt: skip
        assert words in out
    assert "published" not in out  # those are GPT-2 small's heads, not this model's
    shutil.copy(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert main(["gpt2", str(tmp_path)]) == 1
    assert "merges.txt" in capsys.readouterr().err
    assert main(["gpt2", str(tmp_path / "nowhere")]) == 2
