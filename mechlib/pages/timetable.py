"""The timetables of the facilitator's guide, from the chapters' own minutes.

    python -m mechlib.pages.timetable           # write the tables into book/guide/sessions.md

Minutes of a section stand in one place, the metadata of its notebook. book/guide/sessions.toml
says which sections are taken up in the room; the rest of a chapter is read before. It also says
what is shown live, and what goes wrong and what to answer, each with the section that has it.
"""

import re
import tomllib
from pathlib import Path

import nbformat

from mechlib.pages.notebooks import all_notebooks, write

PLANS = Path("book") / "guide" / "sessions.toml"
PAGE = Path("book") / "guide" / "sessions.md"
DECKS = Path("slides")
BEGIN, END = "<!-- timetables: written by mechlib.pages.timetable -->", "<!-- end -->"


def chapters(root: Path) -> dict[str, tuple[str, dict[str, int]]]:
    """Number of a chapter -> (path of its notebook, minutes of each section in reading order)."""
    found = {}
    for path in all_notebooks(root):
        if re.match(r"\d\d_", path.name):
            nb = nbformat.read(path, as_version=4)
            text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
            minutes = nb.metadata.get("mechlib", {}).get("minutes", {})
            order = {line: at for at, line in enumerate(re.findall(r"^## +(.+?) *$", text, re.M))}
            ordered = sorted(minutes, key=lambda heading: order.get(heading, len(order)))
            found[path.name[:2]] = (path.name, {each: minutes[each] for each in ordered})
    return found


def rows(session: dict, known: dict, length: int, rest: list[int]) -> list[tuple[str, int]]:
    """(what, minutes) for the room, which add up to `length`. Raises ValueError if they cannot."""
    found = []
    for item in session["room"]:
        if "do" in item:
            found.append((item["do"], item["minutes"]))
            continue
        name, sections = known[item["chapter"]]
        if item["section"] not in sections:
            raise ValueError(f"{name} has no section {item['section']!r}, but {list(sections)}")
        link = f"[chapter {int(item['chapter'])}](../../notebooks/{name})"
        found.append((f"{link}: *{item['section']}*", sections[item["section"]]))
    left = length - sum(minutes for _, minutes in found)
    if not rest[0] <= left <= rest[1]:
        raise ValueError(f"{session['title']!r}: {left} minutes are left over, not {rest}")
    return [*found, ("Open questions, and what comes next", left)]


def before(session: dict, known: dict) -> list[tuple[str, int, int]]:
    """(chapter, minutes at home, minutes in the room) of each chapter that states its minutes."""
    shown = {(i["chapter"], i["section"]) for i in session["room"] if "section" in i}
    found = []
    for chapter in session["chapters"]:
        sections = known[chapter][1]
        room = sum(sections[heading] for number, heading in shown if number == chapter)
        if sections:
            found.append((chapter, sum(sections.values()) - room, room))
    return found


def headings(root: Path) -> dict[str, tuple[str, list[str]]]:
    """Number of a chapter -> (path of its notebook, every heading of it, whatever its level)."""
    found = {}
    for path in all_notebooks(root):
        if re.match(r"\d\d_", path.name):
            cells = nbformat.read(path, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
            found[path.name[:2]] = (path.name, re.findall(r"^#{2,4} +(.+?) *$", text, re.M))
    return found


def place(item: dict, known: dict) -> str:
    """A link to the section that an item names. Raises ValueError if the chapter has none such."""
    name, there = known[item["chapter"]]
    if item["section"] not in there:
        raise ValueError(f"{name} has no heading {item['section']!r}, but {there}")
    return f"[chapter {int(item['chapter'])}](../../notebooks/{name}), *{item['section']}*"


def leading(session: dict, known: dict) -> list[str]:
    """What to show live, and what goes wrong and what to answer, as lines of Markdown."""
    parts = []
    if "show" in session:
        parts.append("\n**To show live**\n")
        for item in session["show"]:
            end = "" if item["what"].endswith("?") else "."
            parts.append(f"- {place(item, known)}: {item['what']}{end}")
    if "wrong" in session:
        parts.append("\n| What is said | What to answer | Where it is settled |\n|---|---|---|")
        parts += [
            f"| {item['said']} | {item['answer']} | {place(item, known)} |"
            for item in session["wrong"]
        ]
    return [*parts, ""] if parts else []


def slides(session: dict, root: Path) -> str:
    """Links to the decks that a session names. Raises ValueError for one that is not there."""
    links = []
    for deck in session["slides"]:
        if not (root / DECKS / f"{deck}.md").exists():
            there = sorted(path.stem for path in (root / DECKS).glob("*.md"))
            raise ValueError(f"{session['title']!r}: there are no slides {deck!r}, but {there}")
        # plain HTML: the decks are not pages of the book, and its builder would look for them
        links.append(f'<a href="../../slides/{deck}.html">{deck.replace("-", " ")}</a>')
    return f"Slides: {', '.join(links)}."


def tables(root: Path) -> str:
    """All plans as Markdown."""
    plans = tomllib.loads((root / PLANS).read_text(encoding="utf-8"))
    known, named, parts = chapters(root), headings(root), []
    for plan in plans["plans"]:
        parts.append(f"## {plan['name']}\n")
        for number, session in enumerate(plan["sessions"], 1):
            parts.append(f"### {plan['name']}, session {number}: {session['title']}\n")
            parts.append(f"{slides(session, root)}\n")
            for chapter, home, room in before(session, known):
                parts.append(
                    f"- Chapter {int(chapter)} takes {home + room} minutes with all its exercises: "
                    f"{room} in the room, {home} before or after."
                )
            table = rows(session, known, plans["minutes"], plans["rest"])
            parts.append("\n| In the room | Minutes |\n|---|---:|")
            parts += [f"| {what} | {minutes} |" for what, minutes in table]
            parts.append(f"| **together** | **{sum(minutes for _, minutes in table)}** |\n")
            parts += leading(session, named)
    return "\n".join(parts)


def page(root: Path) -> str:
    """sessions.md with the tables between its two marks made anew."""
    text = (root / PAGE).read_text(encoding="utf-8")
    head, _, tail = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{tables(root)}\n{END}{tail.partition(END)[2]}"


if __name__ == "__main__":
    written = write(Path.cwd() / PAGE, page(Path.cwd()))
    print(f"{PAGE.as_posix()}: {'written' if written else 'unchanged'}")
