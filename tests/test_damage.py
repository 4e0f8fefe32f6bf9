"""One bit of any stored file is turned over: it is refused by name, in one sentence, or it does not
matter. MECHLIB_FLIPS sets how many bits are tried for every kind of file (40)."""

import json
import os
import random

import pytest
import torch

from mechlib import zoo
from mechlib.model import Config, Transformer
from mechlib.text import tokens
from mechlib.train import train

FLIPS = int(os.environ.get("MECHLIB_FLIPS", "40"))


def with_one_bit_turned(content: bytes, draw: random.Random) -> bytes:
    place, bit = draw.randrange(len(content)), draw.randrange(8)
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def try_flips(path, look, seed: int) -> int:
    """Turn single bits of a file over; how many were refused. `look` gives what the file says."""
    whole, draw, refused = path.read_bytes(), random.Random(seed), 0
    before = look()
    for _ in range(FLIPS):
        path.write_bytes(with_one_bit_turned(whole, draw))
        try:
            after = look()
        except ValueError as error:
            refused, said = refused + 1, str(error)
        else:
            said = path.name
            assert after == before
        assert path.name in said
        assert "\n" not in said
    path.write_bytes(whole)
    assert look() == before
    return refused


def as_numbers(state):
    return {key: tensor.tolist() for key, tensor in state.items()}


@pytest.fixture
def tiny(small_zoo):
    small_zoo.train("tiny", device="cpu", progress=False)
    return small_zoo


LOOKS = {
    "tiny.safetensors": lambda: as_numbers(zoo.load("tiny").state_dict()),
    "tiny.snapshots.safetensors": lambda: {
        step: as_numbers(state) for step, state in zoo.snapshots("tiny").items()
    },
    "tiny.json": lambda: zoo.info("tiny"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_weights_snapshots_and_records(name, tiny, capsys):
    refused = try_flips(tiny.WEIGHTS / name, LOOKS[name], seed=1)
    assert refused > 0.9 * FLIPS


def test_a_record_that_vouches_for_itself_must_still_be_one(tiny):
    """The digest is right, for somebody computed it anew: the form is checked all the same."""
    from mechlib.files import sealed

    path = tiny.WEIGHTS / "tiny.json"
    good = json.loads(path.read_bytes())
    config = good["config"]
    for content, says in (
        ({}, "name is missing"),
        (good | {"seed": "0"}, "seed holds a str"),
        (good | {"digests": {"weights": "abc"}}, "digest of its weights"),
        (good | {"config": config | {"n_layers": 10**9}}, "n_layers"),
        (good | {"config": config | {"colour": "red"}}, "config"),
        (good | {"config": None}, "needs its config"),
        (good | {"claims": [{"sentence": "x"}]}, "a claim lacks its fields"),
        (good | {"history": {"loss": {"steps": [1, 2], "values": [1.0]}}}, "history"),
        (good | {"snapshot_steps": ["0"]}, "snapshot_steps"),
    ):
        path.write_text(json.dumps(sealed(content)), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"tiny\.json .*{says}"):
            tiny.verify("tiny")
    for text, says in (("[]", "holds a list"), ("{}", "no digest"), ("[" * 100_000, "not JSON")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=rf"tiny\.json .*{says}"):
            tiny.verify("tiny")


@pytest.fixture
def stored_tokenizer(tmp_path, monkeypatch):
    folder = tmp_path / "tokenizers"
    folder.mkdir()
    for path in tokens.FOLDER.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(tokens, "FOLDER", folder)
    yield folder
    tokens.load_tokenizer.cache_clear()


def tokenized():
    tokens.load_tokenizer.cache_clear()
    tokenizer = tokens.load_tokenizer("code-512")
    return [tokenizer.token(i) for i in range(512)], tokenizer.encode("def f(self): return self.x")


@pytest.mark.parametrize("name", ["code-512.json", "digests.json"])
def test_tokenizers(name, stored_tokenizer):
    assert try_flips(stored_tokenizer / name, tokenized, seed=2) > 0.8 * FLIPS


def test_a_tokenizer_with_two_tokens_swapped_or_cut_short(stored_tokenizer):
    path = stored_tokenizer / "code-512.json"
    content = json.loads(path.read_bytes())
    vocab = content["model"]["vocab"]
    a, b = list(vocab)[300:302]
    vocab[a], vocab[b] = vocab[b], vocab[a]
    whole = path.read_bytes()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"code-512\.json was altered"):
        tokenized()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"code-512\.json is damaged"):
        tokenized()
    path.write_bytes(whole.replace(b"\n", b"\r\n"))  # as a checkout on Windows may have it
    tokenized()


def test_checkpoints(tmp_path):
    def batch_at(step):
        generator = torch.Generator().manual_seed(step)
        return torch.randint(7, (2, 5), generator=generator)

    def run(steps=6):
        model = Transformer(Config(d_vocab=7, n_ctx=4, d_model=4, n_layers=1), seed=0)
        return train(
            model, batch_at, steps=steps, checkpoint=path, checkpoint_every=3, snapshot_at=[2],
            device="cpu", progress=False,
        )  # fmt: skip

    path = tmp_path / "run.safetensors"
    run()

    def look():
        again = run()
        weights = as_numbers(again.model.state_dict())
        return weights, again.history.to_dict(), as_numbers(again.snapshots[2])

    assert try_flips(path, look, seed=3) > 0.9 * FLIPS
