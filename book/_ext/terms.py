"""In every chapter the first use of a term links to the glossary; hovering shows what it means.

So the prose of a notebook stays free of markup, and no term is forgotten.
"""

import re
from collections.abc import Iterable

from docutils import nodes

# Words that the prose also uses in their everyday sense.
EVERYDAY = {"claim", "context", "control", "feature", "key", "norm", "query", "value", "zoo"}
LETTERS = 240  # of a definition shown on hovering


def pattern(terms: Iterable[str]) -> re.Pattern:
    """Any of the terms as a whole word, in the singular or plural, the longest where several fit.

    Small letters may stand large. The n-th group is the n-th of the terms, longest first.
    """
    longest_first = sorted(terms, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(_words, longest_first))})(?:s|es)?(?![\w-])")


def _words(term: str) -> str:
    first = f"[{term[0].lower()}{term[0].upper()}]" if term[0].islower() else re.escape(term[0])
    rest = r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]", term[1:]))
    return f"({first}{rest})"


def definitions(glossary: nodes.document) -> dict[str, str]:
    """Term -> the beginning of its definition, as plain text."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        meaning = " ".join(item.children[-1].astext().split())
        for term in item.findall(nodes.term):
            found[term.astext()] = shortened(meaning)
    return found


def shortened(text: str) -> str:
    """Whole sentences up to `LETTERS`; cut at a word when the first one is longer."""
    if len(text) <= LETTERS:
        return text
    end = text.rfind(". ", 0, LETTERS)
    return text[: end + 1] if end > 0 else text[:LETTERS].rsplit(" ", 1)[0] + " …"


def in_prose(text: nodes.Text) -> bool:
    """Whether a piece of text is part of a paragraph, and neither code nor a link already."""
    above = text.parent
    while above is not None and not isinstance(above, nodes.paragraph):
        if isinstance(above, (nodes.reference, nodes.literal, nodes.math, nodes.TextElement)):
            if not isinstance(above, (nodes.emphasis, nodes.strong)):
                return False
        above = above.parent
    return above is not None


def link_first_uses(doctree: nodes.document, targets: dict[str, tuple[str, str]]) -> None:
    """Make the first use of each term a link. `targets`: term -> (address, meaning)."""
    longest_first = sorted(targets, key=len, reverse=True)
    any_term = pattern(targets)
    left = set(targets)
    for text in list(doctree.findall(nodes.Text)):
        if not in_prose(text):
            continue
        pieces, end = [], 0
        for match in any_term.finditer(text):
            term = longest_first[match.lastindex - 1]
            if term in left:
                left.remove(term)
                pieces += [nodes.Text(text[end : match.start()]), link(match[0], *targets[term])]
                end = match.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])


def link(text: str, address: str, meaning: str) -> nodes.reference:
    """A link to the glossary that says on hovering what it leads to."""
    return nodes.reference(
        "", text, internal=True, refuri=address, reftitle=meaning, classes=["term"]
    )


def on_resolved(app, doctree: nodes.document, docname: str) -> None:
    """Sphinx's hook for each page, when its references are known."""
    if not docname.startswith("notebooks/") or app.builder.format != "html":
        return
    if not hasattr(app, "glossary_meanings"):
        app.glossary_meanings = definitions(app.env.get_doctree("book/glossary"))
    known = app.env.get_domain("std").objects
    page = app.builder.get_relative_uri(docname, "book/glossary")
    targets = {
        term: (f"{page}#{known['term', term][1]}", meaning)
        for term, meaning in app.glossary_meanings.items()
        if term not in EVERYDAY and ("term", term) in known
    }
    link_first_uses(doctree, targets)


def setup(app) -> dict:
    """After Sphinx has resolved what the authors linked themselves."""
    app.connect("doctree-resolved", on_resolved, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
