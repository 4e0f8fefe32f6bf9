"""The widgets that run a model in the page: what they show is what torch says."""

import math
import re

import numpy as np
import pytest
import torch
from test_live_reading import widget as reading
from test_play_othello import untrained
from test_toy_live import live as toy
from test_turn import widget as turning
from test_widgets import get, put, said, show, table_rows  # noqa: F401

from mechlib import zoo
from mechlib.interventions import Ablate
from mechlib.model import Config, Transformer
from mechlib.pages.figures import token_label
from mechlib.pages.widgets import (
    BigramLive,
    ClockAdder,
    EigenvaluesAndComposition,
    GrokkingLive,
    Playground,
    TablesThatAnswer,
    TypeYourOwn,
)
from mechlib.text.corpus import Bigrams
from mechlib.text.tokens import Vocabulary, load_tokenizer

CODE = "def f(x):\n    return x\n\ndef g(x):\n    return"
PAYLOADS = [
    "<img src=x onerror=window.hit=1>", "<script>window.hit=1</script>", "${window.hit=1}",
    "</textarea><svg onload=window.hit=1>", "javascript:window.hit=1", "\u202e\0\ufeff&lt;b&gt;",
]  # fmt: skip


@pytest.fixture(scope="module")
def code():
    return zoo.load("two-layer-code").half().float(), load_tokenizer("code-512")


def logits_of(code, text, cut=()):
    model, tokenizer = code
    tokens = torch.tensor([[0, *tokenizer.encode(text)][:128]])
    changes = [Ablate(f"blocks.{h // 4}.attn.hook_z", head=h % 4) for h in cut]
    with torch.no_grad():
        return tokens, model(tokens, changes)[0]


def check_table(page, code, text, cut=()):
    """The table after the last token, now (and with every head) as torch has it."""
    columns = [logits_of(code, text, cut)[1][-1].softmax(-1)]
    columns += [logits_of(code, text)[1][-1].softmax(-1)] if cut else []
    names = [token_label(code[1].token(i)) for i in range(512)]
    rows = table_rows(page)
    assert rows[0][0] == names[int(columns[0].argmax())]
    for name, shown in rows:
        for p, text_of_p in zip(columns, shown, strict=True):
            assert float(text_of_p) == pytest.approx(float(p[names.index(name)]), abs=0.006)


@pytest.mark.browser
def test_type_your_own_in_the_page(show, code):  # noqa: F811
    page = show(TypeYourOwn(*code, CODE, head=4))
    check_table(page, code, CODE)
    box = page.get_by_label("your text")
    box.press_sequentially(" x")
    check_table(page, code, CODE + " x")
    assert get(page, "text") == CODE + " x"

    page.get_by_role("button", name="L1H2", exact=True).click()
    page.get_by_role("button", name="cut L1H2").click()
    assert get(page, "cut") == [6]
    check_table(page, code, CODE + " x", cut=[6])
    tokens, logits = logits_of(code, CODE + " x", [6])
    loss = torch.nn.functional.cross_entropy(logits[:-1], tokens[0, 1:])
    assert float(re.search(r"Mean loss ([\d.]+)", said(page))[1]) == pytest.approx(
        loss.item(), abs=2e-3
    )
    page.get_by_role("button", name="put all heads back").click()
    check_table(page, code, CODE + " x")

    # a frozen pattern stays when the text changes but not its length
    page.get_by_role("button", name="freeze the pattern of L1H2").click()
    assert page.get_by_role("button", name="L1H2 frozen").count() == 1
    box.fill(CODE + " x + y")
    assert "frozen patterns were let go" in said(page)

    page.locator(".text button").nth(3).click()
    assert get(page, "position") == 3
    page.keyboard.press("ArrowRight")
    assert get(page, "position") == 4
    page.get_by_label("colour the tokens by").select_option("loss")
    assert get(page, "view") == 2
    page.mouse.move(1, 1)  # a token under the pointer is shown before the chosen one
    put(page, "position", -1)
    put(page, "text", CODE)
    check_table(page, code, CODE)


@pytest.mark.browser
def test_every_key_is_told_in_full_however_fast_they_come(show, code):  # noqa: F811
    """Losses and the run with every head come a frame later, and of this text alone."""
    page = show(TypeYourOwn(*code, CODE, head=4))
    page.get_by_role("button", name="cut L1H0").click()
    box = page.get_by_label("your text")
    for text in ("a", "", "a", "", CODE, CODE + "(x", "a", CODE + " x"):
        box.evaluate("(b, text) => { b.value = text; b.dispatchEvent(new Event('input')); }", text)
    check_table(page, code, CODE + " x", cut=[4])
    tokens, whole = logits_of(code, CODE + " x")
    loss = torch.nn.functional.cross_entropy(whole[:-1], tokens[0, 1:]).item()
    assert float(re.search(r"with every head ([\d.]+)\.", said(page))[1]) == pytest.approx(
        loss, abs=2e-3
    )
    box.fill("")
    box.evaluate("(b) => { b.value = 'a'; b.dispatchEvent(new Event('input')); }")
    check_table(page, code, "a", cut=[4])


@pytest.mark.browser
def test_type_your_own_takes_any_text(show, code):  # noqa: F811
    page = show(TypeYourOwn(*code, CODE))
    box = page.get_by_label("your text")
    for payload in PAYLOADS:
        box.fill(payload)
        assert page.evaluate("() => window.hit") is None
        assert page.locator(".mechlib-widget img, .mechlib-widget script").count() == 0
        assert page.locator(".text button").count() == logits_of(code, payload)[0].shape[1]
    box.fill("x = 1; " * 1000)
    assert "Only the first 128 of" in said(page)
    box.fill("")
    assert said(page) == "The box is empty: type something."
    box.fill("a")
    check_table(page, code, "a")


@pytest.mark.browser
def test_words_and_damaged_weights(show):  # noqa: F811
    names = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX")
    widget = TypeYourOwn(zoo.load("two-layer-repeats"), Vocabulary(names, "char"), "abcdab")
    page = show(widget)
    assert page.locator(".text button").count() == 6
    page.get_by_label("your text").fill("ab?")
    assert "“?” is not one of the 50 chars" in said(page)

    with widget.hold_trait_notifications():
        widget.weights = widget.weights[:-4] + b"\1\2\3\4"
    page = show(widget)
    assert "damaged" in said(page)


def test_type_your_own_refuses(code):
    with pytest.raises(ValueError, match=r"head must be 0\.\.7, got 8"):
        TypeYourOwn(*code, "x", head=8)
    with pytest.raises(ValueError, match="text is empty"):
        TypeYourOwn(*code, "")
    with pytest.raises(ValueError, match="it has 2 tokens, the model 512"):
        TypeYourOwn(code[0], Vocabulary(("a", "b")), "a")


def test_still_pictures_stand_in(code):
    widget = TypeYourOwn(*code, "<script>x</script>")
    assert "<script" not in widget.still()
    assert "&lt;" in widget.still()
    assert "L1H3" in widget.still()
    for other in (TablesThatAnswer(one_layer(), NAMES, [PRESET]), explorer()[1]):
        assert other.still().count("<tr>") >= 4
    assert "stored" in GrokkingLive().still() or "seed" in GrokkingLive().still()


@pytest.mark.browser
def test_grokking_live_trains_pauses_and_compares(show):  # noqa: F811
    page = show(GrokkingLive(23, fraction=0.6, until=60))
    start = page.get_by_role("button", name="start")
    assert start.is_disabled()
    assert "Guess first" in said(page)
    page.get_by_label("your guess").select_option(index=1)
    page.get_by_role("button", name="10 steps").click()
    page.get_by_text("Step 10:").wait_for()
    page.wait_for_timeout(300)
    assert said(page).startswith("Step 10:")  # it waits
    page.get_by_role("button", name="go on").click()
    page.get_by_text("Step 60:").wait_for(timeout=60_000)
    assert "You had guessed" in said(page) or "As you guessed" in said(page)
    assert page.locator("svg[role=img]").count() == 4
    page.get_by_role("button", name="begin again").click()
    page.get_by_label("weight decay").fill("99")
    page.keyboard.press("Tab")
    assert "99 will not do; choose 0 to 5" in said(page)
    assert get(page, "decay") == 2


def test_grokking_live_refuses():
    with pytest.raises(ValueError, match="P must be odd"):
        GrokkingLive(10)
    with pytest.raises(ValueError, match="fraction must lie"):
        GrokkingLive(fraction=1.0)
    with pytest.raises(ValueError, match="decay must not be negative"):
        GrokkingLive(decay=-1.0)


A = "import numpy\n\ndef f(x):\n    return nu"
B = A.replace("numpy", "pandas")


def playground(code):
    return Playground(
        *code, A, B, ordinary="def main(path):\n    return path\n" * 4, model_name="two-layer-code"
    )


def shown_maps(page, which):
    """The numbers of one map of the page."""
    rows = page.locator(".map").nth(which).locator("tbody tr")
    return torch.tensor([[float(x) for x in row.locator("td").all_text_contents()]
                         for row in rows.all()])  # fmt: skip


@pytest.mark.browser
def test_the_playground_says_what_its_python_says(show, code, capsys):  # noqa: F811
    from mechlib.reading.patching import TwoRuns, logit_difference
    from mechlib.reading.steering import steered

    page = show(playground(code))
    page.get_by_role("button", name="patch everything").click()
    page.get_by_text("Point at a cell").wait_for(timeout=30_000)
    page.get_by_label("path from").select_option("L0H2")
    page.get_by_role("button", name="patch this path").click()
    page.get_by_text("L0H2 to the keys of L1H0").wait_for(timeout=30_000)
    page.get_by_role("button", name="steer", exact=True).click()
    page.get_by_text("Two-sided p").wait_for(timeout=30_000)
    page.get_by_role("button", name="copy as Python").click()
    python = page.get_by_label("the same in Python").input_value()
    clean, corrupted = (logits_of(code, text)[0] for text in (A, B))
    right, wrong = (int(x) for x in re.findall(r"tensor\(\[(\d+)\]\)", python))
    metric = logit_difference(torch.tensor([right]), torch.tensor([wrong]))
    two = TwoRuns(code[0], clean, corrupted, metric)
    for which, expected in enumerate([
        two.head_map("denoising"), two.position_map("denoising"),
        two.head_map("noising"), two.position_map("noising"),
    ]):  # fmt: skip
        torch.testing.assert_close(shown_maps(page, which + 1), expected, atol=0.006, rtol=0)
    paths = [two.path([(0, 2)], [(1, 0)], "k", d) for d in ("denoising", "noising")]
    text = page.locator(".status").all_inner_texts()
    found = re.search(r"denoising (-?[\d.]+), noising (-?[\d.]+)", text[3])
    assert [float(x) for x in found.groups()] == pytest.approx(paths, abs=2e-3)

    # the copied text runs, and says so too
    exec(python, {})
    assert "Steered(effect=" in capsys.readouterr().out
    at = "blocks.1.hook_resid_post"
    direction = two.runs["clean"][at][0, -1] - two.runs["corrupted"][at][0, -1]
    told = steered(code[0], corrupted, at, direction, lambda x: float(metric(x)))
    assert float(re.search(r"moves by (-?[\d.]+)", text[4])[1]) == pytest.approx(
        told.effect, abs=0.02
    )
    low, high = (float(x) for x in re.search(r"it by (\S+) to (\S+)\. Two", text[4]).groups())
    spread = torch.tensor(told.null).std()
    assert -6 * spread < low < 0 < high < 6 * spread


@pytest.mark.browser
def test_the_playground_reads_addresses_of_strangers(show, code):  # noqa: F811
    page = show(playground(code))
    box = page.get_by_label("text A, clean")
    for payload in PAYLOADS:
        page.evaluate(
            "(x) => { location.hash = '#play&' + new URLSearchParams({a: x, seed: x, evil: x}); }",
            payload,
        )
        page.wait_for_timeout(100)
        assert page.evaluate("() => window.hit") is None
        assert page.locator(".mechlib-widget img, .mechlib-widget script").count() == 0
        assert "left out: seed, evil" in said(page)
    assert box.input_value() == PAYLOADS[-1].replace("\0", "\0")
    page.evaluate("() => { location.hash = '#play&layer=1&strength=-2&kind=9&answer=512'; }")
    page.wait_for_timeout(100)
    assert "left out: kind, answer" in said(page)
    assert page.get_by_label("times").input_value() == "-2"
    page.go_back()
    page.wait_for_timeout(200)
    assert page.get_by_label("times").input_value() == "1"
    page.evaluate("() => { location.hash = '#some-heading'; }")
    page.wait_for_timeout(100)
    assert box.input_value() == A
    # what is typed while the browser is about to announce our own address stays
    other = page.get_by_label("text B, corrupted")
    box.fill("x = 1")
    other.fill("y = 2")
    page.wait_for_timeout(100)
    assert (box.input_value(), other.input_value()) == ("x = 1", "y = 2")
    page.get_by_role("button", name="start afresh").click()
    page.wait_for_timeout(100)
    # a change goes into the address
    page.get_by_label("times").fill("3")
    page.keyboard.press("Tab")
    assert page.evaluate("() => location.hash") == "#play&strength=3"
    box.fill("")
    assert "The box is empty" in said(page)
    page.get_by_role("button", name="patch everything").click()
    assert "Mend the texts first" in page.locator(".status").nth(2).inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("which", range(10))
def test_live_widgets_fit_a_phone_and_have_names(show, code, which):  # noqa: F811
    people = Bigrams.people()
    made = [
        lambda: TypeYourOwn(*code, CODE),
        lambda: GrokkingLive(23),
        lambda: playground(code),
        lambda: TablesThatAnswer(one_layer(), NAMES, [PRESET]),
        lambda: explorer()[1],
        lambda: BigramLive(people.probs, people.stationary, people.words),
        untrained,
        toy,
        turning,
        lambda: reading(code),
    ]
    page = show(made[which](), width=360)
    for folded in page.locator("summary").all():  # as on a phone
        folded.click()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    for control in page.locator("button, select, input, textarea, [tabindex='0']").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || "
            "(e.labels?.length ? e.labels[0].innerText : e.innerText)"
        )
        assert name.strip()


# ---- tables that answer ----

NAMES = [f"t{i}" for i in range(41)]


def one_layer():
    sizes = dict(d_vocab=41, n_ctx=8, d_model=24, n_heads=3, d_head=7, n_layers=1)
    model = Transformer(Config(**sizes, positions="queries_keys"), seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    return model


def tables(model, f, among=64):
    """A(d, s) among ordinary tokens and centred OV, (head, ., .), and the direct path."""
    with torch.no_grad():
        model = model.double()
        E, U = model.W_E, model.W_U - model.W_U.mean(1, keepdim=True)
        S = (E @ model.W_Q[0]) @ (E @ model.W_K[0]).mT / math.sqrt(model.config.d_head)
        A = 1 / (1 + among * (S.exp() @ f)[..., None] / S.exp())
        return A, E @ model.W_V[0] @ model.W_O[0] @ U, E @ U


PRESET = ("a bug", 2, {"source": "t5", "destination": "t7", "out": "t9",
                       "rival_destination": "t11", "rival_out": "t30"})  # fmt: skip


@pytest.mark.browser
def test_tables_that_answer_say_what_torch_says(show):  # noqa: F811
    f = torch.rand(41, generator=torch.Generator().manual_seed(0)).double()
    f = f / f.sum()
    keep = torch.arange(40, 0, -1)  # another order, and one token less
    page = show(TablesThatAnswer(one_layer(), NAMES, [PRESET], keep=keep, frequencies=f, k=5))
    A, OV, direct = tables(one_layer(), f)
    h, s, d, o, d2, o2 = 2, 5, 7, 9, 11, 30

    def check(h, s, d, o):
        text, both = said(page), (A[:, d, s] * OV[:, s, o])
        found = [float(x) for x in re.findall(r"-?\d+\.\d+", text)]
        expected = [A[h, d, s], OV[h, s, o], both[h], both.sum(), direct[d, o]]
        assert found == pytest.approx([float(x) for x in expected], abs=0.05)
        place = 1 + int((OV[h, s, keep] > OV[h, s, o]).sum())
        assert int(re.search(r"number (\d+) of 40", text)[1]) == pytest.approx(place, abs=1)
        for name, (value,) in table_rows(page, 1):
            assert float(value) == pytest.approx(float(OV[h, s, int(name.split("t")[1])]), abs=0.05)
        for name, (value,) in table_rows(page, 0):
            assert float(value) == pytest.approx(float(A[h, int(name.split("t")[1]), s]), abs=0.01)

    check(h, s, d, o)
    grids = shown_maps(page, 0), shown_maps(page, 1)
    at = torch.tensor([[o, o2], [o, o2]])
    added = A[:, [d, d2], s][:, :, None] * OV[:, s][:, at]
    torch.testing.assert_close(grids[0].double(), added[h], atol=0.05, rtol=0)
    torch.testing.assert_close(grids[1].double(), added.sum(0), atol=0.05, rtol=0)
    lean = re.findall(r"by (\d+\.\d+) after", said(page, 1))
    assert [float(x) for x in lean] == pytest.approx(
        [abs(float(x)) for x in added[h, :, 0] - added[h, :, 1]], abs=0.05
    )
    page.get_by_label("head", exact=True).select_option("L0H1")
    page.get_by_label("find source").fill("t17")
    page.get_by_label("out", exact=True).select_option("t3")
    check(1, 17, d, 3)
    page.get_by_label("another out", exact=True).select_option("t3")
    assert "Choose another destination and another out" in said(page, 1)
    page.get_by_label("try").select_option("a bug")
    check(h, s, d, o)
    page.get_by_label("show what the destination looks at").check()
    for name, (value,) in table_rows(page, 0):
        assert float(value) == pytest.approx(float(A[h, d, int(name.split("t")[1])]), abs=0.01)


@pytest.mark.browser
def test_a_table_of_next_tokens_answers_both_ways(show):  # noqa: F811
    model = Transformer(Config(d_vocab=41, n_ctx=8, d_model=24, n_layers=0, positions="none"))
    with torch.no_grad():
        p = (3 * model.W_E @ model.W_U).softmax(-1)
        model.W_E *= 3
    widget = TablesThatAnswer(model, NAMES, [("pair", None, {"destination": "t3", "out": "t8"})])
    page = show(widget)
    assert f"with {100 * p[3, 8]:.2f}"[:-1] in said(page)
    after, before = table_rows(page, 0), table_rows(page, 1)
    assert after[0][0].endswith(f"t{int(p[3].argmax())}")
    assert before[0][0].endswith(f"t{int(p[:, 8].argmax())}")
    page.get_by_label("least likely").check()
    assert table_rows(page, 0)[0][0].endswith(f"t{int(p[3].argmin())}")


def test_tables_refuse_what_does_not_fit(code):
    with pytest.raises(ValueError, match="no LayerNorm"):
        TablesThatAnswer(code[0], NAMES, [PRESET])
    with pytest.raises(ValueError, match="names has 40 entries"):
        TablesThatAnswer(one_layer(), NAMES[:-1], [PRESET])
    with pytest.raises(ValueError, match="'t0' is none of the 40 tokens"):
        TablesThatAnswer(one_layer(), NAMES, [("x", 0, {"out": "t0"})], keep=torch.arange(1, 41))
    with pytest.raises(ValueError, match="accepts \\('source'"):
        TablesThatAnswer(one_layer(), NAMES, [("x", 0, {"key": "t0"})])
    with pytest.raises(ValueError, match=r"head must be 0\.\.2, got 5"):
        TablesThatAnswer(one_layer(), NAMES, [("x", 5, {})])


# ---- eigenvalues and composition ----


def spectra():
    g = np.random.default_rng(0)
    turn = lambda M: np.linalg.eigvals(M)  # noqa: E731
    return {name: np.stack([turn(g.normal(size=(6, 6)) + 2 * h * np.eye(6)) for h in range(4)])
            for name in ("one", "two")}  # fmt: skip


def explorer():
    g = np.random.default_rng(1)
    composition = {name: {kind: g.random((2, 2)) for kind in "QKV"} for name in ("one", "two")}
    words = {name: [[[f"w{h}{k}"] for k in range(6)] for h in range(4)] for name in ("one", "two")}
    names = [f"L{i // 2}H{i % 2}" for i in range(4)]
    return composition, EigenvaluesAndComposition(
        spectra(), names, words=words, rival=np.ones(6), composition=composition,
        baseline=(0.25, 0.05), pairs=(names[:2], names[2:]), head=1, pair=(0, 1),
    )  # fmt: skip


@pytest.mark.browser
def test_eigenvalues_and_composition_in_the_page(show):  # noqa: F811
    composition, widget = explorer()
    page = show(widget)

    def check(model, head, at):
        values = spectra()[model][head]
        order = np.lexsort((-values.imag, -np.round(np.abs(values), 6)))
        z, text = values[order[at]], said(page)
        score = values.sum().real / np.abs(values).sum()
        assert f"L{head // 2}H{head % 2}: copying score {score:.2f}." in text
        assert f"{at + 1} of 6 by size: {z.real:.1f}" in text
        assert f"“w{head}{order[at]}”" in text

    check("one", 1, 0)
    page.locator(".plane").focus()
    page.keyboard.press("ArrowRight")
    check("one", 1, 1)
    page.get_by_role("button", name="L1H1").click()
    check("one", 3, 0)
    page.locator(".plane circle[style]").nth(4).click(force=True)
    check("one", 3, get(page, "eigenvalue"))
    page.get_by_label("model", exact=True).select_option("two")
    check("two", 3, 0)
    page.get_by_label("a head before training").check()
    assert page.locator(".plane circle[fill='#8a8a8a']").count() == 6

    page.locator(".map").nth(2).locator("tbody td").nth(2).click()  # V, L0H1 to L1H0
    assert get(page, "pair") == [1, 0]
    shown = [float(value) for _, (value,) in table_rows(page)]
    expected = [composition["two"][kind][1, 0] for kind in "QKV"] + [0.25]
    assert shown == pytest.approx(expected, abs=6e-4)
    best = int(np.argmax(expected[:3]))
    spreads = (expected[best] - 0.25) / 0.05
    text = said(page, 1)
    if spreads > 3:
        assert ["queries", "keys", "values"][best] in text
        assert f"{spreads:.0f} spreads" in text
    else:
        assert "in none of the three ways" in text


def test_eigenvalues_refuse_what_does_not_fit():
    good = {"one": np.ones((2, 3))}
    with pytest.raises(ValueError, match="spectra is empty"):
        EigenvaluesAndComposition({}, [])
    with pytest.raises(ValueError, match=r"must have shape \(3, 3\)"):
        EigenvaluesAndComposition(good, ["a", "b", "c"])
    with pytest.raises(ValueError, match="must have the models"):
        EigenvaluesAndComposition(good, ["a", "b"], composition={"two": {}})
    with pytest.raises(ValueError, match="finite complex"):
        EigenvaluesAndComposition({"one": np.full((2, 3), np.nan)}, ["a", "b"])


# ---- a table being learned ----


@pytest.mark.browser
def test_a_table_of_bigrams_is_learned_in_the_page(show):  # noqa: F811
    people = Bigrams.people()
    page = show(BigramLive(people.probs, people.stationary, people.words, until=150))
    start = page.get_by_role("button", name="start")
    assert start.is_disabled()
    page.get_by_label("your guess").select_option(index=3)

    def distance(width):
        page.get_by_label("dimensions of the stream").select_option(str(width))
        page.get_by_role("button", name="start").click()
        page.get_by_text("Step 150 of 150").wait_for(timeout=60_000)
        return float(re.search(r": (\d+\.\d+) nats", said(page))[1])

    narrow, wide = distance(1), distance(8)
    alone = people.unigram_entropy - people.entropy_rate
    assert wide < 0.1 < narrow < alone
    assert f"{alone:.3f}" in said(page)
    assert "8 were enough" in said(page, 1) or "None of them" in said(page, 1)
    page.get_by_label("row", exact=True).select_option("Barack")
    rows = dict(table_rows(page))
    learned, true = (float(x) for x in rows["Obama"])
    assert true == pytest.approx(0.97, abs=1e-3)
    assert learned == pytest.approx(true, abs=0.05)


def test_bigram_live_refuses():
    with pytest.raises(ValueError, match="probs: each row"):
        BigramLive(np.ones((2, 2)), np.ones(2) / 2, ["a", "b"])
    with pytest.raises(ValueError, match="width must be one of"):
        BigramLive(np.ones((2, 2)) / 2, np.ones(2) / 2, ["a", "b"], width=3)


@pytest.mark.browser
def test_widgets_answer_to_a_finger(show, code):  # noqa: F811
    page = show(TypeYourOwn(*code, CODE), has_touch=True)
    page.locator(".text button").nth(4).tap()
    assert get(page, "position") == 4
    page.get_by_role("button", name="L0H2").tap()
    page.get_by_role("button", name="cut L0H2").tap()
    assert get(page, "cut") == [2]
    page = show(explorer()[1], has_touch=True)
    page.locator(".map").nth(1).locator("tbody td").nth(3).tap()
    assert get(page, "pair") == [1, 1]
    page.locator(".plane circle[style]").nth(5).tap(force=True)
    assert "of 6 by size" in said(page)
    page = show(ClockAdder(13, [2, 5], a=5, b=11), has_touch=True)
    face = page.locator(".clocks svg").first.bounding_box()
    page.touchscreen.tap(face["x"] + 0.95 * face["width"], face["y"] + face["height"] / 2)
    assert 0 in (get(page, "a"), get(page, "b"))  # number 0 lies to the right on every clock
