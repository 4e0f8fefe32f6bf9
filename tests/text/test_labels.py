"""Labels of Python source, held to the standard library's tokenizer at every place."""

import io
import tokenize

import pytest
import torch

from mechlib.text.corpus import python_source
from mechlib.text.labels import (
    CONCEPTS,
    Windows,
    held_out_documents,
    labelled_windows,
    pieces,
    states,
    token_labels,
)
from mechlib.text.tokens import code_tokens, load_tokenizer

LETTERS = "rbfutRBFUT"


class Oracle:
    """The labels by `tokenize`, place by place: slow, and none of it shared with the scanner.

    From Python 3.12 on an f-string comes as FSTRING_START, its parts, FSTRING_END (3.14 has
    TSTRING_ likewise), before as one STRING. Here it is one string on every version.
    """

    def __init__(self, text: str):
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.n = len(text) + 1
        self.found = {name: [False] * self.n for name in CONCEPTS}
        self.step = [0] * (self.n + 1)
        self.depth, self.nested, self.begins, self.names = 0, 0, True, []
        self.opened = None
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            self.take(tokenize.tok_name[token.type], token)
        depth = 0
        for i in range(self.n):
            depth += self.step[i]
            self.found["brackets"][i], self.found["deep"][i] = depth >= 1, depth >= 2

    def place(self, row_column) -> int:
        row, column = row_column
        return min(self.starts[row - 1] + column, self.n - 1)

    def fill(self, name: str, start: int, end: int) -> None:
        for i in range(start, end):
            self.found[name][i] = True

    def string(self, quote_at: int, end: int) -> None:
        self.fill("string", quote_at + 1, end)
        if self.f_begins:
            self.fill("docstring", quote_at + 1, end)

    def take(self, name: str, token) -> None:
        start, end = self.place(token.start), self.place(token.end)
        if name.endswith("STRING_START"):
            if self.nested == 0:
                self.f_begins, self.f_start = self.begins and self.depth == 0, end
                self.f_start = end - len(token.string.lstrip(LETTERS))
            self.nested += 1
        elif name.endswith("STRING_END"):
            self.nested -= 1
            if self.nested == 0:
                self.string(self.f_start, end)
                self.begins = False
        elif self.nested or name in ("NL", "INDENT", "DEDENT", "ENCODING"):
            return
        elif name == "COMMENT":
            self.fill("comment", start + 1, end + 1)
        elif name == "NEWLINE":
            self.begins, self.names = True, []
        else:
            if name == "STRING":
                self.f_begins = self.begins and self.depth == 0
                self.string(start + len(token.string) - len(token.string.lstrip(LETTERS)), end)
            elif token.string in ("(", "[", "{"):
                if self.depth == 0 and token.string == "(" and "def" in self.names[-2:-1]:
                    self.opened = start
                self.depth += 1
                self.step[end] += 1
            elif token.string in (")", "]", "}"):
                self.depth -= 1
                self.step[end] -= 1
                if self.depth == 0 and self.opened is not None:
                    self.fill("arguments", self.opened + 1, end)
                    self.opened = None
            self.names.append(token.string)
            self.begins = False


TRICKY = [
    "x = 'a' + \"b\"\n",
    'def f(a, b=(1, 2)):\n    """Say\n\n    it (all)."""\n    return [a, {b: 1}]  # so (it) is\n',
    "x = 'it\\'s' # don't\ny = r'\\'' + b'#' + rb\"\\\\\"\n",
    'x = ("one"\n     "two",  # (\n     3)\n',
    "class A:\n    'short'\n    x = '''triple ' '' quotes'''\n",
    "x = f'{a[0]}{b!r:>{n}}' + f\"\"\"{\nc}\"\"\"\ny = (f'{{}}', fr'\\d{x}')\n",
    "async def g(*args: int, **kwargs) -> dict[str, int]:\n    pass\ndeff(1)\n",
    "u'a docstring'\nx = \\\n'''not one'''\n",
    "s = ''\nt = \"\"\nd = ''''''\n",
    "s = 'goes on \\\nhere' + x[1:'a']\n",
    'if x:\n    """a statement"""\n    "another"; y = "no"\n',
    "# only a comment",
    "x = {'a': [(1,), (2, {3})]}\n\n\n",
    "s = 'ein Ä \N{SNOWMAN} 語'  # ÄÖ\n",
    "f'starts a statement'\n",
]


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_texts_are_labelled_as_python_reads_them(text):
    ours, oracle = states(text), Oracle(text)
    for name in CONCEPTS:
        assert ours[name].tolist() == oracle.found[name], name


def test_whole_files_are_labelled_as_python_reads_them():
    for _, text in held_out_documents()[::6]:
        ours, oracle = states(text), Oracle(text)
        for name in CONCEPTS:
            assert ours[name].tolist() == oracle.found[name], name


@pytest.mark.parametrize("text", [TRICKY[1], TRICKY[3], TRICKY[5], TRICKY[9]])
def test_a_text_that_breaks_off_has_the_same_labels_so_far(text):
    # One place is different: after the first or second of three quotes nobody can know.
    whole = states(text)
    for end in range(len(text) + 1):
        if '"' in text[max(end - 2, 0) : end] or "'" in text[max(end - 2, 0) : end]:
            continue
        part = states(text[:end])
        for name in CONCEPTS:
            assert part[name].tolist() == whole[name][: end + 1].tolist(), (name, text[:end])


def test_a_string_that_nobody_closes_ends_with_its_line():
    assert states("x = 'ab\ny")["string"].tolist() == [False] * 5 + [True] * 3 + [False] * 2
    assert states("'''ab\ny")["string"].tolist() == [False] + [True] * 7
    assert [p.closed for p in pieces("'a' 'a\\' \n'b\\\\'")] == [True, False, True]


def test_closing_brackets_that_nobody_opened_are_passed_over():
    assert states("))(")["brackets"].tolist() == [False, False, False, True]


def test_the_label_of_a_token_is_that_of_the_place_where_it_ends():
    tokenizer = load_tokenizer("code-512")
    text = 'def f(a):\n    """Ä text."""\n    return a  # done\n'
    tokens, labels = token_labels(tokenizer, text)
    assert tokens.tolist() == tokenizer.encode(text)
    whole, end = states(text), 0
    for i in range(len(tokens)):
        part = tokenizer.decode(tokens[: i + 1])
        end = len(part) if "\N{REPLACEMENT CHARACTER}" not in part else end + 1
        for name in CONCEPTS:
            assert bool(labels[name][i]) == bool(whole[name][end]), (name, part)


def test_windows_are_cut_from_the_stream_that_the_models_know():
    documents = held_out_documents()
    tokenizer = load_tokenizer("code-512")
    assert len(documents) == 126
    assert tuple(text for _, text in documents) == python_source().held_out
    stream = code_tokens("code-512").held_out
    windows = labelled_windows(tokenizer, documents[:3], length=65, most=4)
    assert windows.tokens.shape == (12, 65)
    assert windows.document.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert windows.tokens[0].tolist() == stream[:65].tolist()
    assert windows.package == (documents[0][0],) * 12
    some = windows[windows.document == 1]
    assert isinstance(some, Windows)
    assert set(some.document.tolist()) == {1}
    assert torch.equal(some.labels["string"], windows.labels["string"][windows.document == 1])
    assert bool(windows.of("sympy").all())


def test_bad_input_is_named():
    tokenizer = load_tokenizer("code-512")
    with pytest.raises(ValueError, match=r"none of 1 has 257 tokens"):
        labelled_windows(tokenizer, [("a", "x = 1\n")])
    windows = labelled_windows(tokenizer, [("a", "x = 1\n" * 20)], length=10)
    with pytest.raises(ValueError, match=r"no window is from 'b'; there are \['a'\]"):
        windows.of("b")
