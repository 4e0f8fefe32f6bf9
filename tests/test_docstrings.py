"""The reference pages: each module stands on one, its docstring laid out as it was meant."""

import re
from pathlib import Path
from typing import NamedTuple

import docstrings
import pytest

ROOT = Path(__file__).parent.parent


def test_every_module_stands_on_one_page():
    named = []
    for page in sorted((ROOT / "book" / "reference").glob("*.md")):
        named += re.findall(r"automodule:: ([\w.]+)", page.read_text(encoding="utf-8"))
    assert len(named) == len(set(named))
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "mechlib").rglob("*.py")
    }
    # a recipe is read in the code, a command in the README; `figures` shows what its rooms have
    elsewhere = r"\.recipes\.\w+$|__main__$|^mechlib$|\.figures\.\w+$"
    modules = {m for m in modules if not re.search(elsewhere, m)}
    assert set(named) == modules


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["A sentence."], ["A sentence.", ""]),
        (
            ["Says:", "", "    x + y"],
            ["Says:", "", ".. code-block:: text", "", "        x + y", ""],
        ),
        (
            ["Says.", "", "a: one", "    and more", "b: two"],
            ["Says.", "", "`a`", "    one", "    and more", "`b`", "    two", ""],
        ),
        (["In order: first."], ["In order: first.", ""]),
        (["Of these", "examples:"], ["Of these", "examples\\:", ""]),
        (["Two `Config`s, a*b."], ["Two `Config`\\ s, a\\*b.", ""]),
        (["Not *so*, 2 * a * b."], ["Not *so*, 2 \\* a \\* b.", ""]),
        (["(*rows, **names)"], ["(\\*rows, \\*\\*names)", ""]),
        (["Says.", "", "Raises:", "    E: so."], ["Says.", "", "Raises:", "    E: so."]),
        (
            ["Says.", "", "one   1", "two   2"],
            ["Says.", "", ".. code-block:: text", "", "    one   1", "    two   2", ""],
        ),
    ],
)
def test_a_docstring_is_laid_out_as_it_was_meant(lines, wanted):
    assert docstrings.laid_out(lines) == wanted


def test_a_property_keeps_its_first_words():
    lines = ["the decoder's rows.", "", ":type: What each latent stands for"]
    docstrings.whole_sentence(None, "property", "directions", None, None, lines)
    assert lines == ["What each latent stands for: the decoder's rows.", ""]
    lines = ["an attribute's.", "", ":type: int"]
    docstrings.whole_sentence(None, "attribute", "n", None, None, lines)
    assert lines[-1] == ":type: int"


def test_the_fields_of_a_named_tuple_are_not_listed_again():
    class Pair(NamedTuple):
        left: int

        def both(self):
            """Its own."""

    skipped = [docstrings.without_fields(None, "class", name, getattr(Pair, name), False, None)
               for name in ("left", "both")]  # fmt: skip
    assert skipped == [True, None]
