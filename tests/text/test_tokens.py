"""Vocabularies, tokenizers, the cached token streams and batches."""

import json

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mechlib.__main__ import main
from mechlib.text import corpus, tokens
from mechlib.text.tokens import Batches, Draws, Vocabulary, code_tokens, fit_bpe, load_tokenizer

NAMES = ["code-512", "code-2048"]
SMALL = [
    "def add(x, y):\n    return x + y\n",
    "def sub(x, y):\n    return x - y\n",
    "x = sub(3, 1)",
]


# --------------------------------------------------------------------------- vocabulary


@given(st.text(min_size=1))
def test_characters_round_trip(text):
    v = Vocabulary.from_text(text, level="char")
    assert v.decode(v.encode(text)) == text
    assert len(v) == len(set(text))


def test_words_round_trip_up_to_blanks():
    v = Vocabulary.from_text("the cat  saw\nthe dog")
    assert v.names == ("cat", "dog", "saw", "the")
    assert v.encode("the dog saw") == [3, 1, 2]
    assert v.decode(torch.tensor([3, 1, 2])) == "the dog saw"
    assert v.token(2) == "saw"
    assert v.id("saw") == 2


def test_vocabulary_errors():
    v = Vocabulary(("keep", "mind", "in"))
    with pytest.raises(KeyError, match=r"'kept' is not in the vocabulary.*nearest: 'keep'"):
        v.encode("kept in mind")
    with pytest.raises(ValueError, match=r"token 3 at place 1 is out of range: 0 to 2"):
        v.decode([0, 3])
    with pytest.raises(ValueError, match="token -1"):
        v.token(-1)
    with pytest.raises(ValueError, match="empty"):
        Vocabulary.from_text("  ")
    with pytest.raises(ValueError, match="'in' stands in the list twice"):
        Vocabulary(("in", "mind", "in"))
    with pytest.raises(ValueError, match="level"):
        Vocabulary(("a",), level="byte")


# --------------------------------------------------------------------------- tokenizers


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
@example("def f(self):\n\t  return '∑ é', 1234567\r\n\n\n    ")
def test_any_text_round_trips(name, text):
    t = load_tokenizer(name)
    ids = t.encode(text)
    assert t.decode(ids) == text
    assert all(0 <= i < len(t) for i in ids)


@pytest.mark.parametrize(
    ("name", "size"), [("code-512", 512), ("code-2048", 2048), ("code-8192", 8192)]
)
def test_stored_tokenizers(name, size):
    t = load_tokenizer(name)
    assert len(t) == size
    assert t.id("<|doc|>") == 0
    assert t.encode(" self") == [t.id(" self")]
    words = [t.token(i) for i in range(size)]
    whole = [word for word in words if "\\x" not in word]  # the rest are bytes of a character
    assert max(sum(c.isdigit() for c in word) for word in whole) <= 2
    assert {chr(c) for c in range(32, 127)} <= set(words)


def test_a_word_may_be_one_token_after_a_space_and_two_without():
    t = load_tokenizer("code-2048")
    assert len(t.tokens(" result")) == 1
    assert len(t.tokens("result")) > 1


def test_token_shows_bytes_that_are_no_character():
    t = load_tokenizer("code-512")
    assert t.tokens("∑x") == ["\\xe2", "\\x88", "\\x91", "x"]


def test_tokenizer_errors():
    t = load_tokenizer("code-512")
    with pytest.raises(ValueError, match="token 512 at place 1 is out of range: 0 to 511"):
        t.decode([4, 512])
    with pytest.raises(ValueError, match="token 512"):
        t.token(512)
    with pytest.raises(KeyError, match=r"not one token.*nearest: 'self'"):
        t.id("selff")
    with pytest.raises(KeyError, match=r"code-2048.*nearest: 'code-512'"):
        load_tokenizer("code-51")
    with pytest.raises(KeyError, match="no tokenizer"):
        code_tokens("words")


def test_training_is_deterministic_and_follows_frequency():
    a, b = (fit_bpe(SMALL, 270) for _ in range(2))
    assert a.inner.to_str() == b.inner.to_str()
    assert len(a) == 270
    # " x" and " y" stand before no letter; "def" is cut out of the two definitions only
    assert " x" in [a.token(i) for i in range(257, 270)]
    assert a.decode(a.encode(SMALL[0])) == SMALL[0]


def test_training_errors():
    with pytest.raises(ValueError, match="at least 257"):
        fit_bpe(SMALL, 256)
    with pytest.raises(ValueError, match="empty"):
        fit_bpe(["", ""], 300)


# --------------------------------------------------------------------------- the token streams


@pytest.mark.parametrize("name", NAMES)
def test_code_tokens_are_the_corpus(name):
    t, stream, source = load_tokenizer(name), code_tokens(name), corpus.python_source()
    record = tokens._records()[name]
    assert record["corpus"] == corpus.corpus_digest()
    assert (len(stream.train), len(stream.held_out)) == (record["train"], record["held_out"])
    for part, documents in [(stream.train, source.train), (stream.held_out, source.held_out)]:
        starts = (part == 0).nonzero()[:, 0]
        assert len(starts) == len(documents)
        assert t.decode(part[1 : starts[1]]) == documents[0]
        assert t.decode(part[starts[-1] + 1 :]) == documents[-1]


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    """A corpus of four short documents under a tokenizer of its own, in folders of its own."""
    source = corpus.Corpus("small", tuple(SMALL), ("y = add(1, 2)\n",))
    monkeypatch.setattr(corpus, "python_source", lambda: source)
    monkeypatch.setattr(tokens, "FOLDER", tmp_path / "tokenizers")
    monkeypatch.setattr(tokens, "SIZES", {"small": 263})
    monkeypatch.setenv("MECHLIB_CACHE", str(tmp_path / "cache"))
    tokens.load_tokenizer.cache_clear()
    tokens.code_tokens.cache_clear()
    tokens.train_tokenizer("small")
    yield tmp_path
    tokens.load_tokenizer.cache_clear()
    tokens.code_tokens.cache_clear()


def again():
    tokens.code_tokens.cache_clear()
    return tokens.code_tokens("small")


def test_the_cache_is_written_whole_and_read_without_the_packages(small_world, monkeypatch):
    first = again()
    files = list((small_world / "cache").iterdir())
    assert [file.suffix for file in files] == [".safetensors"]

    def gone():
        raise corpus.CorpusError("not installed")

    monkeypatch.setattr(corpus, "python_source", gone)
    second = again()
    assert torch.equal(first.train, second.train)
    assert torch.equal(first.held_out, second.held_out)
    assert load_tokenizer("small").decode(second.held_out[1:]) == "y = add(1, 2)\n"


def test_the_corpus_is_fetched_once_where_the_packages_are_not_installed(
    small_world, monkeypatch, capsys
):
    source, fetched = corpus.python_source(), []

    def read(folder=None):
        if folder is None:
            raise corpus.CorpusError("not installed")
        return source

    monkeypatch.setattr(corpus, "python_source", read)
    monkeypatch.setattr(corpus, "fetch_packages", fetched.append)
    with pytest.raises(corpus.CorpusError):
        again()
    assert main(["corpus"]) == 0
    assert capsys.readouterr().out.startswith("small: 0 MB in ")
    assert main(["corpus"]) == 0
    assert len(fetched) == 1
    assert not fetched[0].exists()
    assert load_tokenizer("small").decode(again().held_out[1:]) == "y = add(1, 2)\n"


@pytest.mark.parametrize("damage", ["cut", "altered", "garbage", "other"])
def test_a_damaged_cache_is_made_again(small_world, damage):
    from safetensors.numpy import save

    first = again()
    (file,) = (small_world / "cache").iterdir()
    whole = file.read_bytes()
    changed = {
        "cut": whole[:-3],
        "altered": whole[:-1] + bytes([whole[-1] ^ 1]),
        "garbage": b"hello",
        "other": save({"x": first.train.numpy()}),
    }[damage]
    file.write_bytes(changed)
    assert torch.equal(again().train, first.train)
    assert file.read_bytes() == whole


def test_another_corpus_than_the_recorded_one_is_an_error(small_world, monkeypatch):
    other = corpus.Corpus("other", ("print(1)\n",), ("print(2)\n",))
    monkeypatch.setattr(corpus, "python_source", lambda: other)
    with pytest.raises(corpus.CorpusError, match=r"requirements\.txt"):
        again()
    assert not (small_world / "cache").exists()


def test_training_anew_gives_the_same_bytes(small_world):
    folder = small_world / "tokenizers"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    tokens.train_tokenizer("small")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert set(json.loads(before["digests.json"])) == {"small", "digest"}


def test_a_cache_that_cannot_be_written_is_one_sentence(small_world, monkeypatch):
    (small_world / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("MECHLIB_CACHE", str(small_world / "file"))
    with pytest.raises(PermissionError, match=r"MECHLIB_CACHE: cannot write to .*file"):
        again()


# --------------------------------------------------------------------------- batches


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_batches_are_windows_and_a_pure_function_of_seed_and_step(seed, step):
    stream = torch.arange(1000, 1097, dtype=torch.int32)
    batch = Batches(stream, batch=5, length=7, seed=seed)(step)
    assert batch.shape == (5, 7)
    assert batch.dtype == torch.int64
    assert (batch.diff(dim=1) == 1).all()
    assert batch.min() >= 1000
    assert batch.max() < 1097
    assert torch.equal(batch, Batches(stream, batch=5, length=7, seed=seed)(step))


def test_batches_reach_every_window_and_differ_between_steps_and_seeds():
    stream = torch.arange(11)
    batches = Batches(stream, batch=2, length=5, seed=3)
    starts = torch.cat([batches(step)[:, 0] for step in range(200)])
    assert starts.unique().tolist() == list(range(7))
    same = sum(torch.equal(batches(s), batches(s + 1)) for s in range(100))
    assert same < 20  # 100 / 49 expected
    other = Batches(stream, batch=2, length=5, seed=4)
    assert sum(torch.equal(batches(s), other(s)) for s in range(100)) < 20


def test_batches_errors():
    with pytest.raises(ValueError, match="empty"):
        Batches(torch.zeros(0, dtype=torch.int64), 2, 3)
    with pytest.raises(ValueError, match=r"5 tokens, fewer than one batch of 2 x 3 = 6"):
        Batches(torch.arange(5), 2, 3)
    with pytest.raises(ValueError, match="positive"):
        Batches(torch.arange(5), 0, 3)


def test_draws_are_a_pure_function_of_seed_and_step():
    draws = Draws(corpus.MarkovChains(3), batch=2, length=5, seed=7)
    assert torch.equal(draws(11), draws(11))
    assert not torch.equal(draws(11), draws(12))
    assert draws(0).shape == (2, 5)
