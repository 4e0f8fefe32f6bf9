"""Reading vectors in the page: each token's score is torch's, beside that of a rival."""

import re

import pytest
import torch
from node import packed, run, text
from test_widgets import get, put, said, show  # noqa: F401

from mechlib import zoo
from mechlib.pages.widgets import LiveReading, weights
from mechlib.text.tokens import load_tokenizer

AT = "blocks.1.hook_resid_post"
CODE = "def f(x, y=(1, 2)):\n    return x  # twice"
TEXTS = [CODE, 'f("a, b", c)  # done', "🙂 = 'é'\n\t[(]", "x" * 2000, "\u202e\0<b>"]
READINGS = {
    name: {kind: (torch.randn(96, generator=torch.Generator().manual_seed(7 * i + k)), 0.5 * i - k)
           for k, kind in enumerate(("means", "shuffled labels", "random"))}
    for i, name in enumerate(("brackets", "a comment"))
}  # fmt: skip


@pytest.fixture(scope="module")
def code():
    return zoo.load("two-layer-code"), load_tokenizer("code-512")


def scores(code, written, concept, kind):
    """What torch reads after every token of a text, with the weights that the page has."""
    direction, offset = READINGS[concept][kind]
    tokens = torch.tensor([[0, *code[1].encode(written)][:128]])
    with torch.no_grad():
        stream = weights.rounded(code[0]).trace(tokens, names=[AT])[AT][0]
    return stream @ direction + offset


def widget(code, written=CODE):
    return LiveReading(*code, written, at=AT, readings=READINGS, caption="Read it.")


def test_scores_are_torchs(code, tmp_path):
    direction, offset = READINGS["brackets"]["means"]
    found = run(tmp_path, "read_by", {
        "model": text(weights.pack(code[0], "int8")), "tokenizer": code[1].inner.to_str(),
        "texts": TEXTS, "at": AT, "direction": packed(direction), "offset": offset,
    })  # fmt: skip
    for one, written in zip(found, TEXTS, strict=True):
        expected = scores(code, written, "brackets", "means")
        torch.testing.assert_close(torch.tensor(one), expected, atol=1e-3, rtol=0)
    assert scores(code, CODE, "brackets", "means").std() > 1  # they are not all alike


@pytest.mark.browser
def test_a_text_is_read_in_the_page(show, code):  # noqa: F811
    page = show(widget(code))

    def check(written, concept="brackets", rival="shuffled labels", place=-1):
        lines = page.locator(".text")
        own, other = (scores(code, written, concept, k)[1:] for k in ("means", rival))
        for line, expected in ((lines.nth(0), own), (lines.nth(1), other)):
            titles = line.locator("button").evaluate_all("all => all.map((b) => b.title)")
            shown = torch.tensor([float(title.rsplit(": ", 1)[1]) for title in titles])
            torch.testing.assert_close(shown, expected, atol=0.006, rtol=0)
        found = re.search(r"\((\d+)\), .*: (-?[\d.]+); .*: (-?[\d.]+)\. Above", said(page))
        assert int(found[1]) == place % len(own)
        assert float(found[2]) == pytest.approx(float(own[place]), abs=0.006)
        assert float(found[3]) == pytest.approx(float(other[place]), abs=0.006)
        yes = [int((x > 0).sum()) for x in (own, other)]
        assert (
            f"yes: {yes[0]} of {len(own)} tokens in the upper line, {yes[1]} in the lower."
            in said(page)
        )

    check(CODE)
    box = page.get_by_label("your code")
    box.press_sequentially(")")
    check(CODE + ")")
    page.get_by_label("is the model in").select_option("a comment")
    page.get_by_label("beside it", exact=True).select_option("random")
    check(CODE + ")", "a comment", "random")
    page.locator(".text").nth(1).locator("button").nth(3).click()
    page.keyboard.press("ArrowLeft")
    assert get(page, "position") == 2
    check(CODE + ")", "a comment", "random", 2)
    put(page, "position", -1)
    for written in TEXTS[1:]:
        box.fill(written)
        check(written, "a comment", "random")
        assert page.locator(".mechlib-widget b").count() == 0
    assert "Only the first 128" not in said(page)
    box.fill("x = 1; " * 1000)
    assert "Only the first 128 of" in said(page)
    box.fill("")
    assert said(page) == "The box is empty: type something."


def test_the_still_picture_has_both_lines(code):
    still = widget(code, "<script>x</script>").still()
    assert "<script" not in still
    assert still.count("background:rgba") == 2 * (still.count("<code") // 2)
    assert "shuffled labels" in still
    assert "random" not in still


def test_it_refuses(code):
    one = {"brackets": {"means": (torch.ones(96), 0.0), "random": (torch.ones(95), 0.0)}}
    for at, readings, message in (
        (AT, one, r"readings\['brackets'\]\['random'\] must have shape \(96\), got \(95,\)"),
        (AT, {}, "every concept needs the same kinds"),
        (AT, {"a": {"means": (torch.ones(96), 0.0)}}, "a reading and a rival"),
        ("blocks.1.attn.hook_z", READINGS, "at must name a stream of the model"),
    ):
        with pytest.raises(ValueError, match=message):
            LiveReading(*code, CODE, at=at, readings=readings)
    with pytest.raises(ValueError, match="text is empty"):
        LiveReading(*code, "", at=AT, readings=READINGS)
