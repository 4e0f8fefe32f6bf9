"""From strings to integers: vocabularies, tokenizers, token streams and batches.

* `Vocabulary`: one token per character, or one per word.
* `Tokenizer`: byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) by the
  `tokenizers` library; three trained ones are stored beside this file, `code-512`, `code-2048` and
  `code-8192`.
* `code_tokens(name)`: the real-code corpus as two long 1-D tensors, kept in the cache folder.
* `Batches`: (batch, length) windows of such a tensor, a pure function of (seed, step); `Draws`:
  the same for a planted grammar.

Chapters 05 to 11.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mechlib.files import (
    cache_folder,
    content_digest,
    in_cache,
    read_sealed,
    sealed,
    write_in_place,
)
from mechlib.nearest import nearest
from mechlib.text import corpus

FOLDER = Path(__file__).parent / "tokenizers"
SEPARATOR = "<|doc|>"  # stands before every document of a token stream; always token 0
SIZES = {"code-512": 512, "code-2048": 2048, "code-8192": 8192}
FOR_RECIPES = {"code-8192"}  # no chapter reads their token streams: only training does
PARTS = ("train", "held_out")  # of a token stream, in the order of its digest

# What may become one token: a word with the space or the underscore before it, up to two digits,
# a run of other signs with the space before it, and white space. As in GPT-2 the last blank of an
# indentation goes to the word after it, so that " self" is one token wherever it stands.
PATTERN = r"[ _]?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def check_ids(ids: Iterable[int] | Int[Tensor, " tokens"], size: int) -> list[int]:
    """The ids as a list of int; ValueError names the first outside 0 .. size - 1."""
    ids = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    for position, i in enumerate(ids):
        if not 0 <= i < size:
            raise ValueError(f"token {i} at place {position} is out of range: 0 to {size - 1}")
    return ids


# --------------------------------------------------------------------------- characters, words


@dataclass(frozen=True)
class Vocabulary:
    """One token per character (level "char") or per word between blanks (level "word").

    >>> v = Vocabulary.from_text("to be or not to be", level="word")
    >>> v.names, v.encode("not to be")
    (('be', 'not', 'or', 'to'), [1, 3, 0])
    >>> c = Vocabulary.from_text("abba", level="char")
    >>> c.encode("bab"), c.decode([0, 0, 1])
    ([1, 0, 1], 'aab')
    """

    names: tuple[str, ...]
    level: str = "word"

    def __post_init__(self):
        if self.level not in ("char", "word"):
            raise ValueError(f'level must be "char" or "word", got {self.level!r}')
        if not self.names:
            raise ValueError("a vocabulary needs at least one name: the corpus is empty")
        if len(set(self.names)) != len(self.names):
            twice = next(n for i, n in enumerate(self.names) if n in self.names[:i])
            raise ValueError(f"names must differ, but {twice!r} stands in the list twice")

    @classmethod
    def from_text(cls, text: str, level: str = "word") -> "Vocabulary":
        """Every character or word of `text`, sorted. ValueError when there is none."""
        return cls(tuple(sorted(set(text.split() if level == "word" else text))), level)

    def __len__(self) -> int:
        return len(self.names)

    def id(self, name: str) -> int:
        """The token of a name. KeyError offers the nearest names."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(
                f"{name!r} is not in the vocabulary of {len(self)} {self.level}s"
                f"{nearest(name, self.names)}"
            ) from None

    def token(self, i: int) -> str:
        """The name of a token. ValueError when it is out of range."""
        return self.names[check_ids([i], len(self))[0]]

    def encode(self, text: str) -> list[int]:
        """Tokens of a text. KeyError names the first part that the vocabulary does not hold."""
        ids = {name: i for i, name in enumerate(self.names)}
        parts = text.split() if self.level == "word" else text
        return [ids[part] if part in ids else self.id(part) for part in parts]

    def decode(self, ids: Iterable[int] | Int[Tensor, " tokens"]) -> str:
        """The text of a list or 1-D tensor of tokens; words are joined by one space."""
        joint = " " if self.level == "word" else ""
        return joint.join(self.names[i] for i in check_ids(ids, len(self)))


# --------------------------------------------------------------------------- byte-pair encoding


class Tokenizer:
    """Byte-level byte-pair encoding around the `tokenizers` library.

    Any text can be encoded, and `decode(encode(text)) == text`. The separator `<|doc|>` written
    out in a text is read as the separator.
    """

    def __init__(self, inner, name: str = "tokenizer"):
        self.inner = inner  # a tokenizers.Tokenizer
        self.name = name

    def __len__(self) -> int:
        return self.inner.get_vocab_size()

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, {len(self)} tokens)"

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, with no separator added."""
        return self.inner.encode(text).ids

    def decode(self, ids: Iterable[int] | Int[Tensor, " tokens"]) -> str:
        """The text of a list or 1-D tensor of tokens. ValueError when one is out of range."""
        return self.inner.decode(check_ids(ids, len(self)), skip_special_tokens=False)

    def token(self, i: int) -> str:
        r"""One token as text to show; bytes that are no whole character as `\xe2`."""
        check_ids([i], len(self))
        name = self.inner.id_to_token(i)
        if name == SEPARATOR:
            return name
        return bytes(_byte_of()[c] for c in name).decode("utf-8", errors="backslashreplace")

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, each as text to show."""
        return [self.token(i) for i in self.encode(text)]

    def id(self, name: str) -> int:
        """The token whose text is `name`. KeyError offers the nearest when there is none."""
        ids = self._ids
        if name not in ids:
            raise KeyError(
                f"{name!r} is not one token of {self.name!r} ({len(self)} tokens): it encodes as "
                f"{self.tokens(name)}{nearest(name, ids)}"
            )
        return ids[name]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {self.token(i): i for i in reversed(range(len(self)))}


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    """Byte-level BPE writes each byte as a printable character: the way back (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


def fit_bpe(documents: Iterable[str], vocab_size: int, name: str = "tokenizer") -> Tokenizer:
    """Train a byte-level BPE tokenizer: separator, 256 bytes, then merges by frequency.

    The same documents give the same tokenizer. Raises ValueError when `vocab_size` leaves no room
    for the bytes or the documents are empty.
    """
    import tokenizers as library  # 30 ms that readers of other chapters need not wait

    if vocab_size < 257:
        raise ValueError(
            f"vocab_size must be at least 257 (256 bytes, separator), got {vocab_size}"
        )
    documents = list(documents)
    if not any(documents):
        raise ValueError("the corpus is empty: nothing to train a tokenizer on")
    inner = library.Tokenizer(library.models.BPE())
    inner.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Split(library.Regex(PATTERN), behavior="isolated"),
            library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(documents, trainer)
    return Tokenizer(inner, name)


def _check_name(name: str) -> None:
    if name not in SIZES:
        raise KeyError(f"no tokenizer {name!r}; there are {sorted(SIZES)}{nearest(name, SIZES)}")


@cache
def load_tokenizer(name: str) -> Tokenizer:
    """The stored tokenizer "code-512", "code-2048" or "code-8192". KeyError for another name,
    ValueError when its file was altered."""
    import tokenizers as library

    _check_name(name)
    path = FOLDER / f"{name}.json"
    try:
        text = path.read_bytes().decode("utf-8")
        intact = content_digest(json.loads(text)) == _records()[name]["file"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path.name}: the tokenizer's file is missing") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, or not JSON
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if not intact:
        raise ValueError(f"{path.name} was altered: its digest is not the one on record")
    return Tokenizer(library.Tokenizer.from_str(text), name)


def train_tokenizer(name: str) -> Tokenizer:
    """Train a stored tokenizer anew on the training part of the real-code corpus, and store it.

    Takes 10 to 30 seconds. Writes the tokenizer and the record of digests beside it, so that
    `code_tokens` knows which token stream is the right one.
    """
    _check_name(name)
    source = corpus.python_source()
    tokenizer = fit_bpe(source.train, SIZES[name], name)
    text = tokenizer.inner.to_str(pretty=False) + "\n"
    write_in_place(FOLDER / f"{name}.json", lambda beside: beside.write_bytes(text.encode("utf-8")))
    load_tokenizer.cache_clear()
    code_tokens.cache_clear()
    train, held_out = (_stream(tokenizer, part) for part in (source.train, source.held_out))
    records = _records() if (FOLDER / "digests.json").exists() else {}
    records[name] = {
        "file": content_digest(json.loads(text)),
        "corpus": corpus.corpus_digest(),
        "tokens": _digest(train, held_out),
        "train": len(train),
        "held_out": len(held_out),
    }
    lines = json.dumps(sealed(records), indent=1) + "\n"
    write_in_place(
        FOLDER / "digests.json", lambda beside: beside.write_bytes(lines.encode("utf-8"))
    )
    return tokenizer


# --------------------------------------------------------------------------- the token streams


@dataclass(frozen=True, eq=False)
class CodeTokens:
    """The real-code corpus in tokens: every document after a separator, documents end to end."""

    train: Int[Tensor, " train"]
    held_out: Int[Tensor, " held_out"]


def _stream(tokenizer: Tokenizer, documents: tuple[str, ...]):
    """All documents as one numpy uint16 array, a separator before each."""
    import numpy as np

    start = tokenizer.inner.token_to_id(SEPARATOR)
    parts = []
    for first in range(
        0, len(documents), 64
    ):  # the library's own records are large: a few at a time
        for encoded in tokenizer.inner.encode_batch_fast(list(documents[first : first + 64])):
            parts.append(np.asarray([start, *encoded.ids], dtype="<u2"))
    return np.concatenate(parts)


def _digest(train, held_out) -> str:
    digest = hashlib.sha256()
    for part in (train, held_out):
        digest.update(f"{len(part)}\n".encode())
        digest.update(part.astype("<u2").tobytes())
    return digest.hexdigest()


def _records() -> dict[str, dict]:
    """What the token streams must be: written by `train_tokenizer`, kept with the tokenizers."""
    return read_sealed(FOLDER / "digests.json")


@cache
def code_tokens(name: str) -> CodeTokens:
    """The real-code corpus under the stored tokenizer `name`, in int32.

    The first call reads the packages and encodes them (about 10 seconds), then keeps the result in
    `cache_folder()`; later calls read it from there and check its digest. With the cached file
    in place the packages themselves need not be installed.

    Raises KeyError for an unknown name, corpus.CorpusError when the packages are not as pinned.
    """
    _check_name(name)
    parts = _kept(name)
    if parts is None:
        parts = _keep(name, corpus.python_source())
    return CodeTokens(*(torch.from_numpy(parts[part].astype("int32")) for part in PARTS))


def fetch_code_tokens() -> dict[str, Path]:
    """Have the chapters' token streams in the cache folder, whatever packages are installed.

    Returns name -> file. Those that are there already are left. Else the packages of the corpus
    are fetched into a temporary folder, encoded and forgotten: about a minute. Raises
    corpus.CorpusError when the packages cannot be fetched.
    """
    wanted = [name for name in SIZES if name not in FOR_RECIPES]
    missing = [name for name in wanted if _kept(name) is None]
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            corpus.fetch_packages(Path(folder))
            source = corpus.python_source(Path(folder))
        for name in missing:
            _keep(name, source)
    return {name: _kept_at(name) for name in wanted}


def _kept_at(name: str) -> Path:
    """Where the token streams of a tokenizer are kept: another corpus has another name."""
    return cache_folder() / f"{name}-{_records()[name]['tokens'][:12]}.safetensors"


def _kept(name: str) -> dict[str, Any] | None:
    """The kept streams as numpy arrays; None when there are none, or they are damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not _kept_at(name).exists():
        return None
    try:
        parts = load_file(_kept_at(name))
        intact = _digest(*(parts[part] for part in PARTS)) == _records()[name]["tokens"]
    except (SafetensorError, KeyError):
        return None
    return parts if intact else None


def _keep(name: str, source: corpus.Corpus) -> dict[str, Any]:
    """Encode a corpus, hold it against the record, and keep it. CorpusError when it differs."""
    from safetensors.numpy import save

    tokenizer, expected = load_tokenizer(name), _records()[name]["tokens"]
    parts = {part: _stream(tokenizer, getattr(source, part)) for part in PARTS}
    if (got := _digest(*(parts[part] for part in PARTS))) != expected:
        raise corpus.CorpusError(
            f"the corpus under tokenizer {name!r} has digest {got[:12]}, not {expected[:12]}: "
            "another version of the tokenizers library? requirements.txt names the right one"
        )
    with in_cache():
        write_in_place(_kept_at(name), lambda beside: beside.write_bytes(save(parts)))
    return parts


# --------------------------------------------------------------------------- batches


@dataclass(frozen=True, eq=False)
class Batches:
    """Windows of a token stream at random places: `batches(step)` is (batch, length), int64.

    A pure function of (seed, step): training that is interrupted and taken up again sees the same
    batches. Raises ValueError when the stream is empty or shorter than one batch.

    >>> stream = torch.arange(100, 200)
    >>> batches = Batches(stream, batch=2, length=3, seed=0)
    >>> rows = batches(7)
    >>> rows.shape, bool((rows[:, 1:] == rows[:, :-1] + 1).all()), bool((rows == batches(7)).all())
    (torch.Size([2, 3]), True, True)
    """

    tokens: Int[Tensor, " stream"]
    batch: int
    length: int
    seed: int = 0

    def __post_init__(self):
        if self.tokens.ndim != 1:
            raise ValueError(f"tokens must be 1-D, got shape {tuple(self.tokens.shape)}")
        if self.tokens.is_floating_point():
            raise TypeError(f"tokens must be integers, got {self.tokens.dtype}")
        if self.batch < 1 or self.length < 1:
            raise ValueError(f"batch and length must be positive, got {self.batch}, {self.length}")
        if len(self.tokens) == 0:
            raise ValueError("the corpus is empty")
        if len(self.tokens) < self.batch * self.length:
            raise ValueError(
                f"the corpus has {len(self.tokens)} tokens, fewer than one batch of "
                f"{self.batch} x {self.length} = {self.batch * self.length}"
            )

    def __call__(self, step: int) -> Int[Tensor, "batch length"]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, step))
        last = len(self.tokens) - self.length + 1
        starts = torch.randint(last, (self.batch, 1), generator=generator)
        places = starts + torch.arange(self.length)
        return self.tokens[places.to(self.tokens.device)].long()


@dataclass(frozen=True)
class Draws:
    """Fresh samples of a planted grammar: `draws(step)` is (batch, length), int64.

    Like `Batches` a pure function of (seed, step).

    >>> draws = Draws(corpus.Repeats(d_vocab=10, period=2), batch=3, length=5, seed=0)
    >>> draws(4).shape, bool((draws(4) == draws(4)).all()), bool((draws(4) == draws(5)).all())
    (torch.Size([3, 5]), True, False)
    """

    grammar: Any  # one of mechlib.text.grammars, or anything with its `sample`
    batch: int
    length: int
    seed: int = 0

    def __call__(self, step: int) -> Int[Tensor, "batch length"]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, step))
        return self.grammar.sample(self.batch, self.length, generator)


def seed_of(*parts: int) -> int:
    """One 63-bit seed from several integers, so that (seed, step) pairs share no stream."""
    text = ",".join(str(int(part)) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
