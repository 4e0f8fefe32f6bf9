r"""What is true of a place in Python source: in a string, a comment, brackets, an argument list.

`states(text)` says it for every boundary between characters, `token_labels` for the end of every
token. Each label is a matter of fact, so that a claim "the model knows where it is" can be right
or wrong:

    string      between the quotes of a string literal, docstrings included
    docstring   the same, for a string that begins a statement
    comment     after a #, up to the end of the line
    brackets    inside ( [ or {
    deep        inside two of them
    arguments   inside the parentheses after `def name`

The scanner is one regular expression, so it gives the same labels on every version of Python,
works on a text that breaks off, and reads only what stands before the place. The letters before a
quote (r, b, u, f) are outside; an f-string is a string to its end, braces and all, as Python itself
had it up to 3.11. On whole files it agrees with the standard library's `tokenize` at every place
(tests/text/test_labels.py, and chapter 19 shows it on the held-out code).

Chapter 19.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mechlib.text import corpus
from mechlib.text.tokens import SEPARATOR, Tokenizer

CONCEPTS = ("string", "docstring", "comment", "brackets", "deep", "arguments")

# A piece is a comment, a string or a bracket. A string that nobody closes ends with its line, one
# in triple quotes with the text. A backslash takes the next character with it, in raw strings too.
_PIECE = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r'|(?P<string>"""(?:[^\\]|\\.)*?(?:"""|\\?\Z)'
    r"|'''(?:[^\\]|\\.)*?(?:'''|\\?\Z)"
    r'|"(?:[^"\\\n]|\\.)*(?:"|\\?(?=\n|\Z))'
    r"|'(?:[^'\\\n]|\\.)*(?:'|\\?(?=\n|\Z)))"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])",
    re.DOTALL,
)
_DEF = re.compile(r"\bdef\s+\w+\s*\Z")
_PREFIX = re.compile(r"(?<!\w)[rbufRBUF]{1,2}\Z")


class Piece(NamedTuple):
    """A stretch of source: kind ("comment", "string", "docstring", "open", "close"), where it
    starts and ends, and whether it was closed."""

    kind: str
    start: int
    end: int
    closed: bool


def pieces(text: str) -> Iterator[Piece]:
    """The comments, strings and brackets of a Python text, in order."""
    depth = 0
    for found in _PIECE.finditer(text):
        kind, start, end = str(found.lastgroup), *found.span()
        closed = True
        if kind == "string":
            closed = _is_closed(found.group())
            if depth == 0 and _begins_statement(text, start):
                kind = "docstring"
        depth = max(depth + (kind == "open") - (kind == "close"), 0)
        yield Piece(kind, start, end, closed)


def _is_closed(string: str) -> bool:
    quote = string[:3] if string[:3] in ('"""', "'''") else string[0]
    if len(string) < 2 * len(quote) or not string.endswith(quote):
        return False
    inner = string[len(quote) : -len(quote)]
    return (len(inner) - len(inner.rstrip("\\"))) % 2 == 0  # the last quote is not escaped


def _begins_statement(text: str, start: int) -> bool:
    line = text.rfind("\n", 0, start) + 1
    before = text[line:start]
    if _PREFIX.search(before):
        before = _PREFIX.sub("", before)
    return not before.strip() and not text[:line].endswith("\\\n")


@lru_cache(maxsize=256)  # every tokenizer asks for the same ones
def states(text: str) -> dict[str, Bool[Tensor, " boundary"]]:
    """For every concept, whether it holds at each of the len(text) + 1 boundaries of characters.

    Boundary 0 stands before the first character. A boundary is inside a string when a quote has
    been opened before it and not yet closed. They are kept: don't write into them.
    """
    n = len(text) + 1
    found = {name: torch.zeros(n, dtype=torch.bool) for name in CONCEPTS}
    step = torch.zeros(n, dtype=torch.int64)  # +1 after an opening bracket, -1 after a closing one
    depth, opened = 0, None  # `opened`: where the parenthesis after `def name` stands
    for kind, start, end, closed in pieces(text):
        if kind == "comment":
            found["comment"][start + 1 : end + 1] = True
        elif kind in ("string", "docstring"):
            inside = slice(start + 1, end if closed else end + 1)
            found["string"][inside] = True
            found["docstring"][inside] = kind == "docstring"
        elif kind == "open":
            step[end] += 1
            if depth == 0 and _DEF.search(text, max(0, start - 200), start):
                opened = start
            depth += 1
        elif depth:
            step[end] -= 1
            depth -= 1
            if depth == 0 and opened is not None:
                found["arguments"][opened + 1 : end] = True
                opened = None
    if opened is not None:
        found["arguments"][opened + 1 :] = True
    depths = step.cumsum(0)
    found["brackets"], found["deep"] = depths >= 1, depths >= 2
    return found


def token_labels(
    tokenizer: Tokenizer, text: str
) -> tuple[Int[Tensor, " tokens"], dict[str, Bool[Tensor, " tokens"]]]:
    """The tokens of a text, and for every concept whether it holds where each token ends.

    So the label of a token says what is true of the place that the model has come to when it has
    read the token, and from which it guesses the next one.
    """
    tokens, ends = _tokens_and_ends(tokenizer, text)
    return tokens, {name: state[ends] for name, state in states(text).items()}


def _tokens_and_ends(tokenizer: Tokenizer, text: str) -> tuple[Tensor, Tensor]:
    """The tokens of a text, and the boundary at which each ends."""
    encoded = tokenizer.inner.encode(text)
    ends = [end for _, end in encoded.offsets]
    return torch.tensor(encoded.ids, dtype=torch.int64), torch.tensor(ends, dtype=torch.int64)


@lru_cache(maxsize=1)
def held_out_documents() -> tuple[tuple[str, str], ...]:
    """(package, text) of every held-out document of the real-code corpus, in the corpus's order.

    Raises corpus.CorpusError as `corpus.python_source` does.
    """
    held_out = corpus.python_source().held_out
    package_of: dict[str, str] = {}
    for name in corpus.CODE_PACKAGES:
        for _, text in corpus.package_documents(name, only=corpus.is_held_out):
            package_of.setdefault(text, name)
    return tuple((package_of[text], text) for text in held_out)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of labelled text, each from one document.

    tokens, and each concept of `labels`: (window, length). ends: the character of its document at
    which each token ends. document: which one a window is from. package: of each window, by name.
    """

    tokens: Int[Tensor, "window length"]
    labels: dict[str, Bool[Tensor, "window length"]]
    ends: Int[Tensor, "window length"]
    document: Int[Tensor, " window"]
    package: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, chosen: Tensor) -> "Windows":
        """The windows of an index or a mask."""
        where = torch.arange(len(self))[chosen]
        return Windows(
            self.tokens[where],
            {name: label[where] for name, label in self.labels.items()},
            self.ends[where],
            self.document[where],
            tuple(self.package[i] for i in where.tolist()),
        )

    def of(self, package: str) -> Bool[Tensor, " window"]:
        """Which windows are from a package. ValueError when none is."""
        found = torch.tensor([name == package for name in self.package])
        if not bool(found.any()):
            raise ValueError(
                f"package: no window is from {package!r}; there are {sorted(set(self.package))}"
            )
        return found


def labelled_windows(
    tokenizer: Tokenizer,
    documents: Sequence[tuple[str, str]],
    length: int = 257,
    most: int = 10,
) -> Windows:
    """Labelled windows of (package, text) documents, at most `most` of each, spread over it.

    A window begins anywhere in its document, so what opened before it is in the labels and not in
    the window: a model may have no way to know. Documents shorter than a window give none.

    Raises ValueError when no document is long enough.
    """
    start, nothing = torch.tensor([tokenizer.id(SEPARATOR)]), torch.tensor([0])
    tokens, labels, ends, document, package = [], {name: [] for name in CONCEPTS}, [], [], []
    for number, (name, text) in enumerate(documents):
        some, ends_of_some = _tokens_and_ends(tokenizer, text)
        ids = torch.cat([start, some])
        ends_there = torch.cat([nothing, ends_of_some])  # (the separator stands inside of nothing)
        n = min(len(ids) // length, most)
        for begin in torch.linspace(0, max(len(ids) - length, 0), n).long().tolist():
            tokens.append(ids[begin : begin + length])
            ends.append(ends_there[begin : begin + length])
            for concept, state in states(text).items():
                labels[concept].append(state[ends[-1]])
            document.append(number)
            package.append(name)
    if not tokens:
        raise ValueError(f"documents: none of {len(documents)} has {length} tokens")
    stacked = {name: torch.stack(rows) for name, rows in labels.items()}
    where = torch.stack(ends), torch.tensor(document)
    return Windows(torch.stack(tokens), stacked, *where, tuple(package))
