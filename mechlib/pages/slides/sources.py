"""What a slide may quote: the claims and the figures of the stored notebooks.

A slide never writes a number of its own. It names a chapter and some words of a claim; the number
is the one that the chapter printed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mechlib.pages.claims import notes, plain_sentence, statement
from mechlib.pages.notebooks import all_notebooks
from mechlib.pages.scoreboard import RECORD
from mechlib.pages.slides.panels import cut

PICTURES = {"image/svg+xml": ".svg", "image/png": ".png"}


class NotThere(LookupError):
    """A slide asks for something that no stored notebook has."""


@dataclass(frozen=True)
class Picture:
    """A figure as a notebook stores it, with its text alternative."""

    file: str
    data: bytes
    alt: str
    chapter: str

    @property
    def aspect(self) -> float:
        """Width over height of an SVG, or 1 for another kind of picture."""
        box = re.search(rb'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', self.data)
        return float(box[1]) / float(box[2]) if box else 1.0


class Sources:
    """The claims and figures of all notebooks under `root`, read once."""

    def __init__(self, root: Path):
        self.records: dict[str, list[dict]] = {}
        self.pages: dict[str, str] = {}
        self.pictures: dict[str, Picture] = {}
        for path in all_notebooks(root):
            number = re.match(r"\d\d", path.stem)
            chapter = number[0] if number else path.stem
            nb = nbformat.read(path, as_version=4)
            self.pages[chapter] = path.relative_to(root).with_suffix(".html").as_posix()
            self.records[chapter] = []
            for cell in nb.cells:
                for output in cell.get("outputs", []):
                    if RECORD in output.get("metadata", {}):
                        self.records[chapter].append(output.metadata[RECORD])
                self._keep_picture(cell, chapter)

    def _keep_picture(self, cell: nbformat.NotebookNode, chapter: str) -> None:
        settings = cell.metadata.get("mystnb", {})
        name = settings.get("figure", {}).get("name")
        for output in cell.get("outputs", []) if name else []:
            for kind, suffix in PICTURES.items():
                data = output.get("data", {}).get(kind)
                if data:
                    alt = " ".join(settings.get("image", {}).get("alt", "").split())
                    self.pictures[name] = Picture(name + suffix, _bytes(kind, data), alt, chapter)
                    return

    def record(self, where: str) -> tuple[str, dict]:
        """The chapter's number and the record for "05: some words of the claim"."""
        chapter, colon, words = where.partition(":")
        chapter, words = chapter.strip(), " ".join(words.split()).lower()
        if not colon or not words:
            raise NotThere(f"a claim is named '05: some of its words', got {where!r}")
        if chapter not in self.records:
            raise NotThere(f"there is no chapter {chapter!r}, but {', '.join(self.records)}")
        sentences = [(plain_sentence(each), each) for each in self.records[chapter]]
        found = [each for sentence, each in sentences if words in sentence.lower()]
        if len(found) != 1:
            there = "\n  ".join(sentence for sentence, _ in sentences)
            raise NotThere(
                f"{len(found)} claims of chapter {chapter} have the words {words!r}; "
                f"it claims:\n  {there}"
            )
        return chapter, found[0]

    def picture(self, name: str) -> Picture:
        """The figure of that name. It must have a text alternative."""
        if name not in self.pictures:
            raise NotThere(f"no notebook has a figure {name!r}; there are {sorted(self.pictures)}")
        if not self.pictures[name].alt:
            raise NotThere(f"the figure {name!r} has no text alternative")
        return self.pictures[name]

    def part(self, name: str, panels: list[int]) -> Picture:
        """Some panels of the figure of that name."""
        whole = self.picture(name)
        if not whole.file.endswith(".svg"):
            raise NotThere(f"the figure {name!r} is no SVG, and cannot be cut into panels")
        try:
            data = cut(whole.data, panels)
        except ValueError as error:
            raise NotThere(f"the figure {name!r}: {error}") from None
        numbers = "-".join(map(str, panels))
        alt = f"Panels {numbers.replace('-', ', ')} of: {whole.alt}"
        return Picture(f"{name}-{numbers}.svg", data, alt, whole.chapter)


def quoted(role: str, record: dict) -> str:
    """What a slide says of a record: its `claim`, `number`, `control` or `paper`."""
    if role == "claim":
        return statement(record)
    if role == "number":
        if record["bound"] is True:
            raise NotThere(f"the claim {record['sentence']!r} has no number")
        return statement(record | {"sentence": "{}"})
    for kind, text in notes(record):
        if kind == role:
            return text
    raise NotThere(f"the claim {plain_sentence(record)!r} has no {role}")


def _bytes(kind: str, data: str | list[str]) -> bytes:
    text = data if isinstance(data, str) else "".join(data)
    if kind == "image/svg+xml":
        return text.encode("utf-8")
    import base64

    return base64.b64decode(text)
