"""The first use of a term in a chapter links to the glossary, in prose and nowhere else."""

import pytest
import terms
from docutils import nodes
from docutils.utils import new_document

TARGETS = {
    "residual stream": ("glossary.html#term-residual-stream", "What layers add to."),
    "stream": ("glossary.html#term-stream", "Something that flows."),
    "MLP": ("glossary.html#term-MLP", "Two matrices."),
}


def page(*children: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += children
    return document


def links(document: nodes.document) -> list[tuple[str, str]]:
    return [(link.astext(), link["refuri"]) for link in document.findall(nodes.reference)]


def test_the_first_use_is_linked_and_the_text_stays():
    text = "The residual stream and MLPs; the residual stream again, and another MLP."
    document = page(nodes.paragraph("", text))
    terms.link_first_uses(document, TARGETS)
    assert links(document) == [
        ("residual stream", "glossary.html#term-residual-stream"),
        ("MLPs", "glossary.html#term-MLP"),
    ]
    assert document.astext() == text
    assert next(document.findall(nodes.reference))["reftitle"] == "What layers add to."


@pytest.mark.parametrize(
    "wrapped",
    [
        nodes.literal("", "MLP"),
        nodes.math("", "MLP"),
        nodes.reference("", "MLP", refuri="elsewhere"),
    ],
)
def test_code_formulas_and_links_are_left_alone(wrapped):
    document = page(nodes.title("", "The MLP"), nodes.paragraph("", "", wrapped))
    before = links(document)
    terms.link_first_uses(document, TARGETS)
    assert links(document) == before


def test_a_list_and_emphasis_are_prose():
    item = nodes.list_item("", nodes.paragraph("", "", nodes.emphasis("", "an MLP")))
    document = page(nodes.bullet_list("", item))
    terms.link_first_uses(document, TARGETS)
    assert links(document) == [("MLP", "glossary.html#term-MLP")]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("nat", "two nats", True),
        ("nat", "a native", False),
        ("softmax", "Softmax of", True),
        ("previous-token head", "a previous token head", True),
        ("QK circuit", "the qk circuit", False),
        ("circuit", "a sub-circuit", False),
    ],
)
def test_a_term_is_found_as_a_whole_word(term, text, found):
    assert bool(terms.pattern([term]).search(text)) == found


def test_a_long_definition_is_shortened_to_whole_sentences():
    assert terms.shortened("Short.") == "Short."
    long = "A first sentence. " + "and so on " * 40
    assert terms.shortened(long) == "A first sentence."
    assert len(terms.shortened("word " * 100)) <= terms.LETTERS + 2
