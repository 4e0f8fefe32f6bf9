"""The page of references, from book/references.bib.

    python -m mechlib.pages.references          # write book/references.md

Each entry has a heading of its own, "Elhage et al. 2021", so that a chapter cites it by a plain
link, `[Elhage et al. 2021](../book/references.md#elhage-et-al-2021)`, which works in the book, in
JupyterLab and on a code host alike.
"""

import re
from pathlib import Path
from string import ascii_lowercase

from mechlib.pages.notebooks import write

BIBLIOGRAPHY = Path("book") / "references.bib"
PAGE = Path("book") / "references.md"
PLACES = ("journal", "booktitle", "howpublished", "institution", "publisher")
OPENING = """# References

What the chapters cite, by author. A number that was read in somebody else's summary, and not in the
paper itself, is marked as such where it stands.
"""


def short_names(path: Path) -> dict[str, str]:
    """Key of an entry -> how the text names it: "Power et al. 2022", with a letter if not alone."""
    names = {key: _short(entry) for key, entry in _entries(path).items()}
    found = {}
    for key, name in names.items():
        alike = [other for other, its in names.items() if its == name]
        found[key] = name + (ascii_lowercase[alike.index(key)] if len(alike) > 1 else "")
    return found


def anchor(name: str) -> str:
    """The fragment of a heading: "Voita et al. 2023" -> "voita-et-al-2023"."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def page(path: Path) -> str:
    """The whole page, in Markdown."""
    names = short_names(path)
    entries = sorted(_entries(path).items(), key=lambda item: names[item[0]].lower())
    return "\n".join([OPENING, *(_paragraph(names[key], entry) for key, entry in entries)])


def _entries(path: Path) -> dict:
    from pybtex.database import parse_file

    return dict(parse_file(str(path)).entries)


def _short(entry) -> str:
    people = [_name(person.prelast_names + person.last_names) for person in entry.persons["author"]]
    people = [f"{people[0]} et al."] if len(people) > 2 else people
    return f"{' and '.join(people)} {entry.fields['year']}"


def _paragraph(name: str, entry) -> str:
    people = [
        _name(p.first_names + p.middle_names + p.prelast_names + p.last_names)
        for p in entry.persons["author"]
    ]
    if people[-1] == "others":
        people[-1] = "and others"
    if len(people) > 12:  # the rest of a long list helps nobody find the paper
        people = [*people[:10], f"and {len(people) - 10} more"]
    fields = {key: _plain(value) for key, value in entry.fields.items()}
    title = f"[{fields['title']}]({fields['url']})" if "url" in fields else f"*{fields['title']}*"
    where = next((fields[key] for key in PLACES if key in fields), "")
    parts = [", ".join(people), title, where, fields["year"], fields.get("note", "")]
    return f"## {name}\n\n" + ". ".join(part for part in parts if part) + ".\n"


def _name(parts: list[str]) -> str:
    return " ".join(map(_plain, parts))


def _plain(text: str) -> str:
    """TeX accents and braces as letters."""
    from pybtex.richtext import Text

    return str(Text.from_latex(text))


if __name__ == "__main__":
    write(PAGE, page(BIBLIOGRAPHY))
