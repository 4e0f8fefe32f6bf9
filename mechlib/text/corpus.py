"""Text and symbol sources: what the models of this course are trained on.

Two kinds stand side by side.

* **Planted grammars** (`Bigrams`, `SkipTrigrams`, `Repeats`, `MarkovChains`, from `grammars.py`):
  symbols drawn by a rule that we wrote down, so that the best possible prediction is known.
* **Real text**: `python_source()`, the Python source of pure-Python packages that requirements.txt
  pins, so that every reader has the same bytes on disk and nothing is downloaded; `fetch_packages`,
  the same packages in a folder of their own, for who has other versions; `text_file`, a file of
  the reader's own; `download`, one file from the net for those who want it.

This file knows symbols and strings; `tokens.py` alone turns strings into integers.
Chapters 05 to 11.
"""

import hashlib
import http.client
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from mechlib.text.grammars import Bigrams, MarkovChains, Repeats, SkipTrigrams

__all__ = [
    "CODE_PACKAGES",
    "DOWNLOADS",
    "Bigrams",
    "Corpus",
    "CorpusError",
    "MarkovChains",
    "NoNetwork",
    "Repeats",
    "SkipTrigrams",
    "download",
    "fetch_packages",
    "python_source",
    "text_file",
]

# --------------------------------------------------------------------------- real code

# name on the package index: (version, digest of what `package_documents` reads from it).
# Only wheels tagged py3-none-any: their files are the same on every platform and Python version.
# `package_table()` writes these lines anew for the packages as they are installed.
CODE_PACKAGES: dict[str, tuple[str, str]] = {
    "sympy": ("1.14.0", "5e1eb286b1a9a706d52a621e567b89bb2bc21015b9a5ff05b36e4e52a729f0f0"),
    "mpmath": ("1.3.0", "732401614f9e470572d4ce30b28b78b6a626769c6e676e1ea5d68a78cb069f99"),
    "networkx": ("3.6.1", "04422fd012d566ad13af6e5f6195f8811a740002e5a2ac3c60f025383717adb2"),
    "pygments": ("2.21.0", "6079027a7080e45a3caf7f1845f991895b07b336546cd7d46c59bd08236619ae"),
    "sphinx": ("7.4.7", "3fdb67f80d3ab474ad991d36ef3eaeda9f036e2d31a890cb17a92a6c8d6e2f24"),
    "docutils": ("0.21.2", "626166683ddae57c50781752ed45db7667a3bdf66f48939caa48dbd6e7efbae7"),
    "babel": ("2.18.0", "39e495400d994d36aafc56255cf9ae8ce720fe399ba5c4431df3b89a9b6a4f62"),
    "jinja2": ("3.1.6", "ab9f78789b2d5f4e2522d7826b288eb1d79937323b634e9325e26730d5a8807c"),
    "myst-parser": ("3.0.1", "c9e6ade86488aec93b487d58b2cfbd471fdfb6bb652fac6d1cfd9a2eb7a3ac50"),
    "myst-nb": ("1.4.0", "1e9ccbde22417226e8015e16a45aa443f61a66466c3df11c329b9a6350628110"),
    "markdown-it-py": ("3.0.0", "d6da584baadc3dc1fc9e5784b65eb7c2cd45d88b27e9b00ba9a3c0e9f5a5af31"),
    "mdit-py-plugins": (
        "0.7.0",
        "788d39b144c8827dbfbb50466e2b7a50337cd6e7ee3ff1afd57678ed102b7151",
    ),
    "mistune": ("3.4.0", "6c2aa07f50a82d09be0e1ed2fda0b2f7bd3d8f3314450260a8cd2198d92f07fd"),
    "pybtex": ("0.26.1", "e09c337ed6d9c9ba58347f4aab76350a9a52789a793d4b318ebf5ec8a293591d"),
    "ipython": ("9.18.1", "1a9b25be3b2bf4c6ecc9456c9611d91e3e0b93e1e99b821d4e1168b858dd711e"),
    "prompt-toolkit": (
        "3.0.53",
        "a50bed1f23d8ce3d47a88d074291b9d2b8ac8f96458df5f55e8af069e7c9aecf",
    ),
    "jedi": ("0.20.1", "fa9951d68d079eb87fa03d020e482ceeb186b1ff105d670b32cfb95bd686fc2d"),
    "parso": ("0.8.7", "d00fef06444cac0d88acfb23a0f570df007da514b2fd9f9b6fc0605790632eb8"),
    "ipykernel": ("7.4.0", "13c9849c14e1f429332ed986688ccf054e6e346211b7f6a901790b14eba83699"),
    "jupyter-client": (
        "8.10.0",
        "3b1f584363fdbe2fadf5421874f717607285723a1b38a3b1b258db22f34ef2b6",
    ),
    "jupyter-server": (
        "2.21.1",
        "cf46079ea98c27039cc1e98c4745efeacef5a0a890da9c24d456eba993cceb09",
    ),
    "nbconvert": ("7.17.2", "3a060c48f0cbdb82d4e99f2927331f36ebb491a96f0a7188c6704c100e333d66"),
    "nbformat": ("5.11.1", "de1f696e7a34ddb9a182b39514bd50a9ebdb0802f68a59106f81bd2f572f885a"),
    "pytest": ("9.2.0", "bd05e21818de738a1118d07086b06ac1f69136ed25c46309a234cbc6c5d497c7"),
}

LARGEST = 100_000  # bytes: larger files are nearly all tables
SMALLEST = 200  # bytes: smaller ones hold an import or nothing
LONGEST_LINE = 200  # bytes: longer lines are data, or were written by a program
MOST_DIGITS = 0.15  # share of bytes: above this a file is a table of numbers

_ELSEWHERE = {"test", "tests", "testing", "vendor", "vendored", "_vendor", "_vendored", "extern"}
_GENERATED = re.compile(
    rb"(?i)auto-?generated|automatically generated|machine.generated|generated (by|from)"
    rb"|do not edit"
)


class CorpusError(RuntimeError):
    """The packages on disk are not those that the corpus was built from."""


# What to do then. That changes no installed package, for a hosted notebook needs its own.
REMEDY = "`python -m mechlib corpus` fetches what is needed and leaves your packages as they are"


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order, split by file into a training and a held-out part."""

    name: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Size of both parts in UTF-8 bytes."""
        return sum(len(text.encode("utf-8")) for text in self.train + self.held_out)


def is_written_by_hand(path: str, content: bytes) -> bool:
    """The rule for one file of a package: is it source text that somebody wrote?

    Left out are tests and copies of other packages (by folder), version files, files under 200
    bytes or over 100,000, files with a line over 200 bytes, files of which more than 15 % is
    digits, files that say in their first 2,000 bytes that a program wrote them, and files that
    are not UTF-8.
    """
    where = PurePosixPath(path)
    if where.suffix != ".py" or where.parts[0] == "..":
        return False
    if any(part in _ELSEWHERE for part in where.parts[:-1]) or where.name.startswith("test_"):
        return False
    if "version" in where.name or not SMALLEST <= len(content) <= LARGEST:
        return False
    if _GENERATED.search(content[:2000]):
        return False
    if max(len(line) for line in content.split(b"\n")) > LONGEST_LINE:
        return False
    if sum(content.count(digit) for digit in b"0123456789") > MOST_DIGITS * len(content):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _find(name: str, folder: Path | None) -> Any:
    """The metadata of an installed package, or of one that lies in `folder`. CorpusError when there
    is none. The class is not always the standard library's: a backport may stand in for it."""
    where = {} if folder is None else {"path": [str(folder)]}
    for distribution in metadata.Distribution.discover(name=name, **where):
        return distribution
    raise CorpusError(
        f"the real-code corpus needs the package {name!r}, which is not installed: {REMEDY}"
    )


def package_documents(
    name: str, folder: Path | None = None, only: Callable[[str], bool] | None = None
) -> list[tuple[str, str]]:
    """(path, text) of every file of an installed package that `is_written_by_hand`, by path.

    The files are those that the package's own RECORD lists. Line ends become one newline each.
    folder: look there, and not among the installed packages. only: says of a path whether it is
    wanted; others are not read. Raises CorpusError when the package is not there.
    """
    documents = []
    for file in _find(name, folder).files or []:
        path = file.as_posix()
        if not path.endswith(".py") or path.startswith("..") or (only and not only(path)):
            continue
        content = Path(file.locate()).read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if is_written_by_hand(path, content):
            documents.append((path, content.decode("utf-8").removeprefix("\ufeff")))
    return sorted(documents)


def documents_digest(documents: list[tuple[str, str]]) -> str:
    """SHA-256 (hex) of paths and texts in order."""
    digest = hashlib.sha256()
    for path, text in documents:
        content = text.encode("utf-8")
        digest.update(f"{path}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def corpus_digest() -> str:
    """SHA-256 (hex) over names, versions and digests of all packages: names the whole corpus."""
    lines = (f"{name} {version} {digest}\n" for name, (version, digest) in CODE_PACKAGES.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_held_out(path: str) -> bool:
    """One file in twenty is held out, by the digest of its path."""
    return int(hashlib.sha256(path.encode("utf-8")).hexdigest(), 16) % 20 == 0


@lru_cache(maxsize=1)
def python_source(folder: Path | None = None) -> Corpus:
    """The real-code corpus: Python source and docstrings, about 30 MB.

    Which packages: those of `CODE_PACKAGES`, pinned in requirements.txt; as they are installed, or
    as `fetch_packages` put them into `folder`. Which files: see `is_written_by_hand`. In which
    order: packages as listed, files by path; a file whose text has come before is left out. Which
    are held out: see `is_held_out`.

    Raises CorpusError naming the first package that is missing, has another version, or whose
    files differ from those the corpus was built from.
    """
    train, held_out, seen = [], [], set()
    for name, (version, digest) in CODE_PACKAGES.items():
        found = _find(name, folder).version
        if found != version:
            raise CorpusError(
                f"the real-code corpus needs {name} {version}, but {found} is installed: {REMEDY}"
            )
        documents = package_documents(name, folder)
        if documents_digest(documents) != digest:
            raise CorpusError(
                f"the files of {name} {version} are not those the corpus was built from: {REMEDY}"
            )
        for path, text in documents:
            if text not in seen:
                seen.add(text)
                (held_out if is_held_out(path) else train).append(text)
    return Corpus("python source", tuple(train), tuple(held_out))


def fetch_packages(folder: Path) -> None:
    """Put the packages of `CODE_PACKAGES` into a folder of their own, about 140 MB, with pip.

    Nothing that is installed is changed, and no code of the packages is run. CorpusError when pip
    is missing or cannot fetch them.
    """
    wanted = [f"{name}=={version}" for name, (version, _) in CODE_PACKAGES.items()]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # wheels only: a source package would run code of its own when it is installed
    command += ["--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(folder)]
    done = subprocess.run([*command, *wanted], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CorpusError(
            f"pip could not fetch the packages of the corpus: {said[-1] if said else 'no reason'}"
        )


def package_table() -> str:
    """The lines of `CODE_PACKAGES` for the packages as they are installed now."""
    lines = []
    for name in CODE_PACKAGES:
        digest = documents_digest(package_documents(name))
        lines.append(f'    "{name}": ("{metadata.version(name)}", "{digest}"),')
    return "\n".join(lines)


# --------------------------------------------------------------------------- text from elsewhere


class NoNetwork(ConnectionError):
    """A download was asked for and the other side could not be reached."""


def text_file(path: str | Path) -> str:
    """The text of a UTF-8 file of the reader's own, line ends as one newline each.

    Raises FileNotFoundError when there is none, ValueError when it is empty or not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {str(path)!r}")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"path: {str(path)!r} is not UTF-8 text: byte {content[error.start]:#04x} "
            f"at place {error.start}"
        ) from None
    if not text.strip():
        raise ValueError(f"path: the file {str(path)!r} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


# name: (address, what it is). Optional: nothing in the course needs them.
DOWNLOADS = {
    "shakespeare": (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "scenes by Shakespeare, plain text, about 1.1 MB",
    ),
    "stories": (
        "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStories-valid.txt",
        "short stories in simple English (Eldan and Li 2023), plain text, about 20 MB",
    ),
}


def download(
    name: str, path: str | Path, *, sha256: str | None = None, timeout: float = 20.0
) -> Path:
    """Fetch one text file, after saying what and how large; returns `path`.

    `name` is one of `DOWNLOADS` or an address that begins with http. A file that is at `path`
    already is left as it is and nothing is fetched. Raises KeyError for an unknown name, NoNetwork
    (a ConnectionError) when the other side cannot be reached or breaks off, ValueError when the
    digest is not `sha256`. After an error there is no file, and no part of one, at `path`.
    """
    path = Path(path)
    if name not in DOWNLOADS and not name.startswith(("http://", "https://")):
        raise KeyError(f"name: {name!r} is neither one of {sorted(DOWNLOADS)} nor an address")
    if path.exists():
        return path
    address, what = DOWNLOADS.get(name, (name, "one file"))
    print(f"Fetching {address} ({what}) to {path}")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            size = answer.headers.get("Content-Length")
            if size is not None:
                print(f"{int(size) / 1e6:.1f} MB")
            path.parent.mkdir(parents=True, exist_ok=True)
            got, digest = 0, hashlib.sha256()
            with part.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
                    digest.update(block)
                    got += len(block)
        if size is not None and got != int(size):
            raise ConnectionError(f"broke off after {got} of {size} bytes")
        if sha256 is not None and digest.hexdigest() != sha256:
            raise ValueError(
                f"sha256: {address} has digest {digest.hexdigest()[:12]}…, not {sha256[:12]}…"
            )
        os.replace(part, path)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NoNetwork(f"could not fetch {address}: {reason}; nothing was written") from None
    finally:
        part.unlink(missing_ok=True)
    return path
