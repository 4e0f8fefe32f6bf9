"""Write book/corpus.md: the packages that the real-code corpus is made of, and their licences.

    python tools/licences.py

Everything is read from the metadata of the packages as they are installed; a test holds the page
to it.
"""

import sys
from importlib import metadata
from pathlib import Path

from mechlib.text.corpus import CODE_PACKAGES, package_documents

PAGE = Path(__file__).parent.parent / "book" / "corpus.md"
HEAD = """\
(page-corpus)=
# The code that the models read

Chapters on real code train on the Python source of these packages, which the course installs in
these versions. No part of them is stored in the course, except that a notebook may show a few
lines. Each stays under the licence of its authors, as the package states it. The last column is
what is read: files that `mechlib.text.corpus.is_written_by_hand` takes to be written by people.

| Package | Version | Licence | Read |
|---|---|---|---|
"""


def licence(name: str) -> str:
    """What a package says of its licence: an expression, else classifiers, else its first line."""
    given = metadata.metadata(name)
    if given.get("License-Expression"):
        return given["License-Expression"]
    classifiers = given.get_all("Classifier") or []
    named = [c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: ")]
    named = [c for c in named if c != "OSI Approved"]
    if named:
        return "; ".join(dict.fromkeys(named))
    return (given.get("License") or "not stated").strip().splitlines()[0]


def page() -> str:
    """The page's text."""
    lines = []
    for name, (version, _) in CODE_PACKAGES.items():
        size = sum(len(text.encode("utf-8")) for _, text in package_documents(name))
        lines.append(f"| {name} | {version} | {licence(name)} | {size / 1e6:.2f}&nbsp;MB |\n")
    return HEAD + "".join(lines)


def main() -> int:
    PAGE.write_bytes(page().encode("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
