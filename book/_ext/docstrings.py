"""The reference pages: mechlib's docstrings, set as they were meant.

The docstrings are plain text that reads well in the code. Here an indented block becomes an example
set as it stands, and a block of lines `name: meaning` a list of terms. The sections `Args:` and
`Raises:` are napoleon's, which comes after.
"""

import re
from collections.abc import Iterator

SECTION = re.compile(r"(Args|Raises|Returns|Yields):$")
TERM = re.compile(r"([A-Za-z_][\w, ]*): +(\S.*)$")
# `*emphasis*`, which stays, or one letter that would be read as markup
MARKUP = re.compile(r"(?<![\w*])\*[^\s*](?:[^*]*[^\s*])?\*(?![\w*])|[*|]|(?<=\w)_(?=\W|$)")
ITEM = re.compile(r"(-|\d+\.) ")


def laid_out(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    at = next((i for i, line in enumerate(lines) if SECTION.match(line)), len(lines))
    found = []
    for block in blocks(lines[:at]):
        if block[0].startswith(" ") or is_table(block):  # an example, or one more piece of it
            found += [".. code-block:: text", "", *(f"    {line}" for line in block)]
        elif (
            found
            and TERM.match(block[0])
            and all(l.startswith(" ") or TERM.match(l) for l in block)
        ):
            for line in block:
                term = TERM.match(line)
                found += [f"`{term[1]}`", f"    {plain(term[2])}"] if term else [plain(line)]
        else:
            found += map(plain, block)
        found.append("")
    return found + [plain(line) for line in lines[at:]]


def is_table(block: list[str]) -> bool:
    """Whether the lines keep columns by spaces."""
    return len(block) > 1 and all(re.search(r"\S {2,}\S|^ {4}", line) for line in block)


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines that belong together: divided by empty lines, and where an example begins."""
    block: list[str] = []
    for line in lines:
        listed = block and (ITEM.match(block[0]) or TERM.match(block[0]))
        turns = block and not listed and line.startswith(" ") != block[0].startswith(" ")
        item = block and ITEM.match(line) and not ITEM.match(block[0])
        if block and (not line.strip() or turns or item):
            yield block
            block = []
        if line.strip():
            block.append(line.rstrip())
    if block:
        yield block


def plain(line: str) -> str:
    """A line of prose without what reStructuredText would read into it; `code` stays."""
    if re.match(r"(examples?|notes?):$", line, re.IGNORECASE):
        line = line[:-1] + "\\:"  # the end of a sentence, not the start of a section
    parts = line.split("`")
    if len(parts) % 2 == 0:  # code that goes on in the next line
        return line.replace("`", "\\`")
    for i in range(0, len(parts), 2):
        parts[i] = MARKUP.sub(lambda m: m[0] if len(m[0]) > 1 else "\\" + m[0], parts[i])
        if i and re.match(r"\w", parts[i]):
            parts[i] = "\\ " + parts[i]  # code ends where its backtick stands: `Config`s
    return "`".join(parts)


def set_out(app, what, name, obj, options, lines: list[str]) -> None:
    """Sphinx's hook for each docstring."""
    lines[:] = laid_out(lines)


def whole_sentence(app, what, name, obj, options, lines: list[str]) -> None:
    """A property's first words, up to a colon, are no type, though napoleon takes them for one."""
    at = next((i for i, line in enumerate(lines) if line.startswith(":type: ")), None)
    if what == "property" and at is not None:
        first = lines.pop(at).removeprefix(":type: ")
        lines[0] = f"{first}: {lines[0]}"


def without_fields(app, what, name, obj, skip, options) -> bool | None:
    """A named tuple's fields stand in its signature; "Alias for field number 0" says nothing."""
    return True if str(obj.__doc__).startswith("Alias for field number") else None


def setup(app) -> dict:
    """Around napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", set_out, priority=400)
    app.connect("autodoc-process-docstring", whole_sentence, priority=600)
    app.connect("autodoc-skip-member", without_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
