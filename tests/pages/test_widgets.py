"""Widgets: their state in Python, their source, and every control of each in a browser."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mechlib.pages.widgets import (
    AttentionWidget,
    BigramExplorer,
    ClockAdder,
    CurveScrubber,
    KroneckerWidget,
    SoftmaxExplorer,
)
from mechlib.pages.widgets.page import pack_half

FOLDER = Path(__file__).parents[2] / "mechlib" / "pages" / "widgets"
WORDS = ["def", " f", "(", "x", ")", ":", "\n"]  # 7 tokens


def softmax(scores, axis=-1):
    e = np.exp(scores - scores.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def causal_patterns(heads, n, seed=0):
    scores = np.random.default_rng(seed).normal(size=(heads, n, n)) * 2
    return softmax(np.where(np.tri(n, dtype=bool), scores, -np.inf))


def bigrams(n, seed=0):
    return np.log(softmax(np.random.default_rng(seed).normal(size=(n, n)) * 2))


# ---- state ----


def test_attention_state_decodes_to_the_patterns():
    patterns = causal_patterns(3, 7)
    sizes = np.random.default_rng(1).random((3, 7)) * 5
    effects = np.random.default_rng(2).normal(size=(3, 7, 7))
    widget = AttentionWidget(
        torch.tensor(patterns, requires_grad=True), WORDS, values=sizes, logit_effects=effects
    )
    raw = np.frombuffer(widget.data, "u1").reshape(3, 3, 7, 7)
    scales = [view["scale"] for view in widget.views]
    np.testing.assert_allclose(raw[0] / 255 * scales[0], patterns, atol=scales[0] / 500)
    weighted = patterns * sizes[:, None, :]
    np.testing.assert_allclose(raw[1] / 255 * scales[1], weighted, atol=scales[1] / 500)
    signed = raw[2].view("i1") / 127 * scales[2]
    np.testing.assert_allclose(signed, effects, atol=scales[2] / 250)
    assert [view["signed"] for view in widget.views] == [False, False, True]
    assert widget.tokens == ["def", "␣f", "(", "x", ")", ":", "⏎"]
    assert len(widget.data) == 3 * 3 * 7 * 7
    assert repr(widget) == "AttentionWidget(heads=3, tokens=7, views=3)"


def test_bigram_state_holds_the_likeliest_and_the_distance():
    learned, true = bigrams(7, 0), bigrams(7, 1)
    true[2] = np.log([0.5, 0.5, 1e-300, 1e-300, 1e-300, 1e-300, 1e-300])
    true[2, 2:] = -np.inf
    widget = BigramExplorer(learned, WORDS, true_log_probs=true, k=2)
    kept = np.frombuffer(widget.next_tokens, "<u2").reshape(7, 4)
    values = np.frombuffer(widget.learned, "<f2").reshape(7, 4)
    np.testing.assert_allclose(values, np.take_along_axis(learned, kept, 1), rtol=1e-3)
    for token in range(7):
        assert np.argmax(learned[token]) in kept[token]
        assert np.argmax(true[token]) in kept[token]
    p = np.exp(true)
    expected = [sum(p[i, j] * (true[i, j] - learned[i, j]) for j in range(7) if p[i, j] > 0)
                for i in range(7)]  # fmt: skip
    np.testing.assert_allclose(np.frombuffer(widget.distance, "<f4"), expected, rtol=1e-5)
    assert repr(widget) == "BigramExplorer(tokens=7, shown=4)"


def test_curve_state_decodes_to_curves_and_frames():
    frames = {0: -np.ones((2, 3)), 10: np.arange(6.0).reshape(2, 3), 5: np.zeros((2, 3))}
    curves = {"loss": [3.0, 2.0, 1.0], "score": ([0, 7], [0.25, 0.5])}
    widget = CurveScrubber([0, 5, 10], curves, frames, rows=["a", "b"], columns=["x", "y", "z"])
    assert widget.stops == [0, 5, 10]
    assert widget.lengths == [3, 2]
    assert np.frombuffer(widget.curve_steps, "<f4").tolist() == [0, 5, 10, 0, 7]
    assert np.frombuffer(widget.curve_values, "<f4").tolist() == [3, 2, 1, 0.25, 0.5]
    found = np.frombuffer(widget.frames, "i1").reshape(3, 2, 3) / 127 * widget.scale["scale"]
    expected = np.stack([frames[0], frames[5], frames[10]])
    np.testing.assert_allclose(found, expected, atol=5 / 250)
    assert repr(widget) == "CurveScrubber(curves=2, stops=3, frame=(2, 3))"
    assert CurveScrubber([0, 5], {"loss": [1, 2]}).stops == [0, 5]


def test_softmax_clock_and_kronecker_state():
    scores = np.random.default_rng(0).normal(size=(7, 7))
    widget = SoftmaxExplorer(torch.tensor(scores), WORDS)
    np.testing.assert_allclose(np.frombuffer(widget.scores, "<f4").reshape(7, 7), scores, rtol=1e-6)
    assert repr(widget) == "SoftmaxExplorer(tokens=7)"
    clock = ClockAdder(13, np.array([2, 5]), amplitudes=[1.0, 0.5], a=14)
    assert (clock.a, clock.frequencies, clock.amplitudes) == (1, [2, 5], [1.0, 0.5])
    assert repr(clock) == "ClockAdder(P=13, frequencies=[2, 5])"
    A, W = np.arange(6.0).reshape(2, 3), np.arange(35.0).reshape(5, 7)
    kronecker = KroneckerWidget(A, W)
    assert np.frombuffer(kronecker.A, "<f4").tolist() == A.ravel().tolist()
    assert np.frombuffer(kronecker.W, "<f4").tolist() == W.ravel().tolist()
    assert repr(kronecker) == "KroneckerWidget(A=(2, 3), W=(5, 7))"


P3 = causal_patterns(3, 7)
T7 = bigrams(7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AttentionWidget(P3[0], WORDS), r"patterns must have shape \(any, 7, 7\)"),
        (lambda: AttentionWidget(P3, WORDS[:5]), r"patterns .*\(any, 5, 5\), got \(3, 7, 7\)"),
        (lambda: AttentionWidget(P3 * 9, WORDS), "softmax, not the scores"),
        (lambda: AttentionWidget(P3 * np.nan, WORDS), "patterns must be finite"),
        (lambda: AttentionWidget(P3, WORDS, values=P3[0]), r"values must have shape \(3, 7\)"),
        (lambda: AttentionWidget(P3, WORDS, logit_effects=P3[:2]), "logit_effects must have shape"),
        (lambda: AttentionWidget(P3, WORDS, head=3), r"head must be 0\.\.2, got 3"),
        (lambda: AttentionWidget(P3, WORDS, position=-1), r"position must be 0\.\.6, got -1"),
        (lambda: AttentionWidget(P3, WORDS, head_names=["0.0"]), "1 names for 3 heads"),
        (lambda: AttentionWidget(P3, "abcdefg"), "list of tokens, got one string"),
        (lambda: AttentionWidget(np.zeros((1, 0, 0)), []), "tokens is empty"),
        (lambda: BigramExplorer(T7[:5], WORDS), r"log_probs must have shape \(7, 7\)"),
        (lambda: BigramExplorer(np.exp(T7), WORDS), "row 0|row [0-9]+ sums to"),
        (lambda: BigramExplorer(T7, WORDS, true_log_probs=T7[:3]), "true_log_probs must have"),
        (lambda: BigramExplorer(T7, WORDS, k=0), "k must be at least 1, got 0"),
        (lambda: BigramExplorer(T7, WORDS, token=7), r"token must be 0\.\.6"),
        (lambda: CurveScrubber([0, 1], {}), "curves is empty"),
        (lambda: CurveScrubber([0, 1], {"loss": [1]}), r"curves\['loss'\] must have shape \(2\)"),
        (lambda: CurveScrubber([1, 0], {"loss": [1, 2]}), "must increase"),
        (lambda: CurveScrubber([0], {"l": [1]}, {0: [1, 2], 5: [1]}), r"frames\[5\] must have"),
        (lambda: CurveScrubber([0], {"l": [1]}, {0: np.ones((2, 2, 2))}), "1 or 2 axes, got 3"),
        (
            lambda: CurveScrubber([0], {"l": [1]}, {0: [1, 2]}, columns=["a"]),
            "columns has 1 labels",
        ),
        (
            lambda: CurveScrubber([0], {"l": [1]}, {0: np.ones((2, 4))}, divide=3),
            "divide must divide the 4 columns of a frame, got 3",
        ),
        (lambda: CurveScrubber([0], {"l": [1]}, position=1), r"position must be 0\.\.0"),
        (lambda: SoftmaxExplorer(np.ones((7, 5)), WORDS), r"scores must have shape \(7, 7\)"),
        (lambda: SoftmaxExplorer(np.ones((7, 7)), WORDS, temperature=0.0), "temperature must be"),
        (lambda: ClockAdder(2, [1]), "P must be at least 3"),
        (lambda: ClockAdder(13, [7]), r"frequencies must lie in 1\.\.6, got 7"),
        (lambda: ClockAdder(13, [1, 1]), "different numbers"),
        (lambda: ClockAdder(13, [1, 2], amplitudes=[1]), r"amplitudes must have shape \(2\)"),
        (lambda: ClockAdder(13, [2.7]), r"frequencies: each must be a whole number, got 2\.7"),
        (lambda: CurveScrubber([0, 0.5], {"l": [1, 2]}), "steps: each must be a whole number"),
        (
            lambda: CurveScrubber([0], {"l": [1]}, {1.2: [1, 2], 1.7: [1, 2]}),
            "frames: each step must be a whole number",
        ),
        (lambda: pack_half(np.array([1.0, -70_000.0])), "half precision ends at 65,504, got 70000"),
        (lambda: KroneckerWidget(np.ones(3), np.ones((2, 2))), "A must have shape"),
        (lambda: KroneckerWidget(np.ones((70, 70)), np.ones((2, 2))), "at most 4096"),
        (lambda: KroneckerWidget([["x"]], np.ones((2, 2))), "A must hold real numbers"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_out_of_range_are_refused_from_python_too():
    widget = AttentionWidget(P3, WORDS)
    with pytest.raises(ValueError, match=r"head must be 0\.\.2, got 9"):
        widget.head = 9
    widget.head = 2
    assert widget.head == 2


def test_widgets_run_offline_from_one_source():
    scripts = sorted(FOLDER.glob("*.js"))
    library = {
        "arrays.js",
        "shared.js",
        "engine.js",
        "bpe.js",
        "training.js",
        "live.js",
        "toy.js",
        "othello_rules.js",
        "convnet.js",
    }  # what stands before a widget
    assert library < {path.name for path in scripts}
    for path in [*scripts, *FOLDER.glob("*.css")]:
        text = path.read_text(encoding="utf-8")
        imports = r"(?m)^\s*import\b|\bimport\s*\("
        for forbidden in (r"https?:", imports, r"\bfetch\b", "XMLHttpRequest", r"url\("):
            assert not re.search(forbidden, text), f"{path.name} holds {forbidden}"
        exports = text.count("export default")
        assert exports == (path.suffix == ".js" and path.name not in library)


def test_state_holds_the_source_as_text():
    widget = ClockAdder(13, [1])
    assert "export default" in widget._esm
    assert str(FOLDER) not in widget._esm
    assert len(widget._esm) + len(widget._css) < 40_000


# ---- in the browser ----

# The least that a host must give a widget: a model with settings and listeners.
SHIM = """
async (given) => {
  document.documentElement.lang = "en";
  const state = given.state;
  for (const [name, text] of Object.entries(given.bytes)) {
    // an odd offset, as a host may hand out a view into a larger buffer
    const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const room = new ArrayBuffer(raw.length + 3);
    new Uint8Array(room, 3).set(raw);
    state[name] = new DataView(room, 3, raw.length);
  }
  const listeners = {};
  const model = {
    saved: 0,
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      for (const f of [...(listeners[name] || [])]) f();
    },
    save_changes() { this.saved += 1; },
    on(event, f) { (listeners[event.replace("change:", "")] ||= []).push(f); },
    off(event, f) {
      const name = event.replace("change:", "");
      listeners[name] = (listeners[name] || []).filter((g) => g !== f);
    },
  };
  const style = document.createElement("style");
  style.textContent = given.css;
  document.head.append(style);
  const link = URL.createObjectURL(new Blob([given.esm], { type: "text/javascript" }));
  const widget = (await import(link)).default;
  const el = document.createElement("div");
  document.body.append(el);
  window.model = model;
  window.listening = () => Object.values(listeners).reduce((sum, all) => sum + all.length, 0);
  window.cleanup = await widget.render({ model, el });
}
"""


@pytest.fixture
def show(browser):
    """show(widget) puts it on a bare page; every error of the page fails the test."""
    errors, pages = [], []

    def open_page(widget, width=800, **context):
        page = browser.new_page(viewport={"width": width, "height": 900}, **context)
        page.set_default_timeout(5000)
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(("blob:", "about:", "data:"))
                else errors.append(f"request for {r.url}"))  # fmt: skip
        page.set_content("<!doctype html><meta charset=utf-8><title>widget</title><body>")
        others = ("layout", "tabbable", "tooltip")
        state = {k: getattr(widget, k) for k in widget.keys if k[0] != "_" and k not in others}
        state["_esm"] = widget._esm  # a widget makes its worker from it
        raw = {k: v for k, v in state.items() if isinstance(v, bytes)}
        given = {
            "state": json.loads(json.dumps({k: v for k, v in state.items() if k not in raw})),
            "bytes": {k: base64.b64encode(v).decode() for k, v in raw.items()},
            "esm": widget._esm,
            "css": widget._css,
        }
        page.evaluate(SHIM, given)
        return page

    yield open_page
    for page in pages:
        listeners = page.evaluate("() => { window.cleanup(); return window.listening(); }")
        assert listeners == 0, "a widget that is taken down must stop listening"
        assert page.locator(".mechlib-widget").count() == 0
        page.close()
    assert errors == []


def get(page, name):
    return page.evaluate(f"() => window.model.get({name!r})")


def put(page, name, value):
    page.evaluate(f"(v) => window.model.set({name!r}, v)", value)


def settle(page):
    """Until nothing on the page is busy: some numbers come a frame later."""
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")


def said(page, which=0):
    settle(page)
    return page.locator(".status").nth(which).inner_text()


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+(?:e[+-]?\d+)?", text)]


def table_rows(page, which=0):
    """(name, [texts]) of each row of a bar table."""
    settle(page)
    rows = page.locator("table.bars").nth(which).locator("tbody tr")
    return [
        (row.locator("th").inner_text(), row.locator(".number").all_inner_texts())
        for row in rows.all()
    ]


def slide(page, name, value):
    """Move a range by the keyboard's own event path."""
    page.get_by_label(name, exact=True).evaluate(
        "(el, v) => { el.value = v; el.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(value),
    )


def click_cell(page, row, column, rows, columns, which=0):
    box = page.locator(".heatmap canvas").nth(which).bounding_box()
    page.mouse.click(
        box["x"] + box["width"] * (column + 0.5) / columns,
        box["y"] + box["height"] * (row + 0.5) / rows,
    )


@pytest.mark.browser
def test_attention_widget_in_the_page(show):
    patterns = causal_patterns(3, 7)
    effects = np.where(np.tri(7, dtype=bool), np.random.default_rng(2).normal(size=(3, 7, 7)), 0)
    page = show(AttentionWidget(patterns, WORDS, logit_effects=effects, head=1))
    order = np.argsort(-patterns[1, 6])[:3]
    assert "head 1: “⏎” (position 6) looks at" in said(page)
    assert [int(x) for x in re.findall(r"\((\d+)\) -?\d", said(page))] == order.tolist()
    np.testing.assert_allclose(numbers(said(page))[-3:], patterns[1, 6, order], atol=0.01)

    page.get_by_role("button", name="head 2").click()
    assert get(page, "head") == 2
    page.get_by_role("button", name="what looks at it").click()
    page.locator(".text button").nth(2).click()
    assert get(page, "position") == 2
    assert "is looked at by" in said(page)
    np.testing.assert_allclose(
        numbers(said(page))[-3:], np.sort(patterns[2, :, 2])[::-1][:3], atol=0.01
    )
    page.get_by_role("button", name="where it looks").click()
    page.locator(".text button").nth(2).focus()
    page.keyboard.press("ArrowRight")
    assert get(page, "position") == 3
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")  # nothing lies beyond
    assert get(page, "position") == 6
    page.keyboard.press("Home")
    assert get(page, "position") == 0
    assert numbers(said(page))[-1] == pytest.approx(1.0, abs=0.01)

    page.get_by_label("show").select_option("logit effect")
    assert get(page, "view") == 1
    click_cell(page, 5, 1, 7, 7)
    assert get(page, "position") == 5
    best = np.argsort(-np.abs(effects[2, 5]))[0]
    name, (shown,) = table_rows(page)[0]
    assert name.endswith(f"({best})")
    assert float(shown) == pytest.approx(effects[2, 5, best], abs=0.03)

    page.locator(".heatmap").focus()
    page.keyboard.press("ArrowUp")
    assert get(page, "position") == 4
    page.locator(".text button").nth(1).hover()  # shown, but not chosen
    assert "(position 1)" in said(page)
    assert get(page, "position") == 4
    page.mouse.move(1, 1)
    assert "(position 4)" in said(page)
    put(page, "head", 0)  # as a kernel would
    assert said(page).startswith("head 0")
    assert page.evaluate("() => window.model.saved") > 5


@pytest.mark.browser
def test_attention_heatmap_draws_the_pattern(show):
    pattern = causal_patterns(1, 7)
    page = show(AttentionWidget(pattern, WORDS))
    alpha = page.locator(".heatmap canvas").evaluate(
        "(c) => Array.from(c.getContext('2d').getImageData(0, 0, 7, 7).data)"
        ".filter((_, i) => i % 4 === 3)"
    )
    drawn = np.array(alpha).reshape(7, 7)
    mask = np.tri(7, dtype=bool)
    expected = 0.06 + 0.94 * np.sqrt(pattern[0][mask] / pattern.max())  # faint, but seen
    np.testing.assert_allclose(drawn[mask] / 255, expected, atol=0.02)
    assert (drawn[~mask] == 40).all()  # masked: one faint grey


@pytest.mark.browser
def test_bigram_explorer_in_the_page(show):
    learned, true = bigrams(7, 0), bigrams(7, 1)
    page = show(BigramExplorer(learned, WORDS, true_log_probs=true, k=7, token=3))

    def check(token):
        labels = ["def", "␣f", "(", "x", ")", ":", "⏎"]
        rows = table_rows(page)
        assert len(rows) >= 3
        for name, (p, q) in rows:
            j = labels.index(name)
            assert float(p) == pytest.approx(np.exp(learned[token, j]), abs=0.0015)
            assert float(q) == pytest.approx(np.exp(true[token, j]), abs=0.0015)
        distance = (np.exp(true[token]) * (true[token] - learned[token])).sum()
        assert numbers(said(page))[-1] == pytest.approx(distance, abs=1e-4)
        assert f"After “{labels[token]}” the likeliest is “{labels[learned[token].argmax()]}”" in said(page)  # noqa: E501  # fmt: skip

    check(3)
    page.get_by_label("after the token", exact=True).select_option("␣f")
    assert get(page, "token") == 1
    check(1)
    page.get_by_role("button", name="next token").click()
    check(2)
    page.get_by_role("button", name="previous token").click()
    page.get_by_role("button", name="previous token").click()
    page.get_by_role("button", name="previous token").click()
    assert get(page, "token") == 6  # round the corner
    check(6)
    page.get_by_label("find after the token").fill(")")
    assert get(page, "token") == 4
    check(4)
    page.get_by_label("find after the token").fill("qq")
    assert "no token here has “qq” in it" in page.locator(".field .note").inner_text()
    assert get(page, "token") == 4
    check(4)  # nothing is blanked
    put(page, "token", 0)
    check(0)
    assert page.get_by_label("after the token", exact=True).evaluate("e => e.value") == "0"


@pytest.mark.browser
def test_curve_scrubber_in_the_page(show):
    g = np.random.default_rng(0)
    steps = np.array([0, 10, 20, 30, 40])
    loss = np.array([3.0, 2.5, 2.0, 0.5, 1e-5])
    frames = {s: g.normal(size=(3, 5)) for s in (0, 20, 40)}
    page = show(
        CurveScrubber(
            steps, {"loss": loss, "score": ([0, 25], [0.1, 0.9])}, frames,
            rows=["h0", "h1", "h2"], columns=list("vwxyz"), logx=True, logy=True,
        )
    )  # fmt: skip
    largest = max(np.abs(f).max() for f in frames.values())

    def shown(curve):
        return float(page.locator(f"[data-curve={curve}]").inner_text())

    assert (shown("loss"), shown("score")) == (1e-5, 0.9)
    slide(page, "training step", 1)
    assert get(page, "position") == 1
    assert (shown("loss"), shown("score")) == (2.0, 0.1)  # the last one recorded by step 20
    assert "step 20: loss 2.000, score 0.100" in said(page, 1)
    line = page.locator("svg").first.bounding_box()  # the curves can be taken hold of
    page.mouse.click(line["x"] + 0.99 * line["width"], line["y"] + line["height"] / 2)
    assert get(page, "position") == 2
    put(page, "position", 1)
    click_cell(page, 2, 3, 3, 5)
    assert said(page).startswith("row “h2”, column “y”")
    assert numbers(said(page))[-1] == pytest.approx(frames[20][2, 3], abs=largest / 200)
    page.locator(".heatmap").focus()
    page.keyboard.press("ArrowLeft")
    assert numbers(said(page))[-1] == pytest.approx(frames[20][2, 2], abs=largest / 200)
    put(page, "position", 0)
    assert shown("loss") == 3.0
    assert numbers(said(page))[-1] == pytest.approx(frames[0][2, 2], abs=largest / 200)
    page.get_by_role("button", name="play").click()
    page.wait_for_function("() => window.model.get('position') === 2")
    page.get_by_role("button", name="play").wait_for()  # it has stopped by itself
    page.get_by_label("training step", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert get(page, "position") == 1


@pytest.mark.browser
def test_curve_scrubber_draws_bars_for_one_axis(show):
    frames = {0: np.array([1.0, 0.5, 0.0]), 10: np.array([0.0, 2.0, 1.0])}
    page = show(CurveScrubber([0, 10], {"loss": [2.0, 1.0]}, frames, columns=["cos 1", "b", "c"]))
    heights = [float(r.get_attribute("height")) for r in page.locator("rect").all()]
    np.testing.assert_allclose(np.array(heights) / max(heights), [0, 1, 0.5], atol=0.01)
    titles = page.locator("rect title").all_text_contents()
    assert titles == ["“cos 1”: 0.000", "“b”: 2.000", "“c”: 1.004"]
    page2 = show(CurveScrubber([0, 10], {"loss": [2.0, 1.0]}))
    assert page2.locator(".heatmap, rect").count() == 0
    slide(page2, "training step", 0)
    assert "loss 2.000" in said(page2)


@pytest.mark.browser
def test_softmax_explorer_in_the_page(show):
    scores = np.random.default_rng(0).normal(size=(7, 7)) * 2
    page = show(SoftmaxExplorer(scores, WORDS))

    def check(temperature, causal, query):
        masked = np.where(np.tri(7, dtype=bool) | (not causal), scores, -np.inf)
        pattern = softmax(masked / temperature)
        logs = np.log(np.where(pattern > 0, pattern, 1))
        entropy = -(pattern * logs).sum(1).mean()
        assert numbers(said(page))[-1] == pytest.approx(entropy, abs=1e-4)
        for k, (_, (score, p)) in enumerate(table_rows(page)):
            assert float(p) == pytest.approx(pattern[query, k], abs=6e-4)
            hidden = causal and k > query
            assert score == "masked" if hidden else float(score) == pytest.approx(scores[query, k], abs=0.006)  # noqa: E501  # fmt: skip

    check(1.0, True, 6)
    slide(page, "temperature", 0.5)
    assert get(page, "temperature") == pytest.approx(10**0.5, abs=1e-3)
    check(get(page, "temperature"), True, 6)
    page.get_by_label("query", exact=True).select_option(index=2)
    check(get(page, "temperature"), True, 2)
    page.get_by_label("causal mask").uncheck()
    assert get(page, "causal") is False
    check(get(page, "temperature"), False, 2)
    click_cell(page, 4, 1, 7, 7)
    check(get(page, "temperature"), False, 4)
    put(page, "temperature", 0.1)
    put(page, "causal", True)
    check(0.1, True, 4)
    page.get_by_label("temperature").focus()
    page.keyboard.press("ArrowRight")
    assert get(page, "temperature") == pytest.approx(10**-0.98, abs=1e-3)


@pytest.mark.browser
def test_clock_adder_in_the_page(show):
    P, frequencies, amplitudes = 13, [2, 5], [1.0, 0.5]
    page = show(ClockAdder(P, frequencies, amplitudes=amplitudes, a=5, b=11))

    def check(a, b, active=(True, True)):
        c = np.arange(P)
        logits = sum(on * r * np.cos(2 * np.pi * k * (a + b - c) / P)
                     for on, r, k in zip(active, amplitudes, frequencies))  # fmt: skip
        first, second = np.sort(logits)[::-1][:2]
        text = said(page)
        assert text.startswith(f"{a} + {b} = {(a + b) % P} (mod {P})")
        assert f"at c = {(a + b) % P};" in text
        np.testing.assert_allclose(numbers(text), [first, second, first - second], atol=2e-3)
        hand = page.locator(".clocks svg").first.locator("line").nth(2)
        angle = np.arctan2(-float(hand.get_attribute("y2")), float(hand.get_attribute("x2")))
        wanted = 2 * np.pi * 2 * (a + b) / P
        assert np.cos(angle - wanted) == pytest.approx(1, abs=1e-3)

    check(5, 11)
    slide(page, "a", 12)
    check(12, 11)
    # on the clock of frequency 2: take the hand of b, at 22/13 of a turn, to the place of number 3
    face = page.locator(".clocks svg").first.bounding_box()
    middle = (face["x"] + face["width"] / 2, face["y"] + face["height"] / 2)

    def on_the_clock(number):
        angle = 2 * np.pi * 2 * number / P
        return middle[0] + 40 * np.cos(angle), middle[1] - 40 * np.sin(angle)

    page.mouse.move(*on_the_clock(11))
    page.mouse.down()
    page.mouse.move(*on_the_clock(3), steps=5)
    page.mouse.up()
    check(12, 3)
    put(page, "b", 11)
    page.get_by_label("b", exact=True).focus()
    page.keyboard.press("ArrowRight")
    check(12, 12)
    page.get_by_label("frequency 5", exact=True).uncheck()
    assert get(page, "active") == [True, False]
    check(12, 12, (True, False))
    page.get_by_label("frequency 2", exact=True).uncheck()
    assert said(page) == "No clock counts: every logit is 0."
    put(page, "active", [True, True])
    put(page, "a", 0)
    check(0, 12)


@pytest.mark.browser
def test_kronecker_widget_in_the_page(show):
    g = np.random.default_rng(0)
    A, W = g.normal(size=(2, 3)), g.normal(size=(5, 7))
    product = np.kron(A, W)
    page = show(KroneckerWidget(A, W))
    box = page.locator(".heatmap").nth(2).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 21, box["y"] + box["height"] * 1.5 / 10)
    assert get(page, "cell") == [1, 2]  # pointing is enough
    click_cell(page, 8, 16, 10, 21, which=2)
    assert get(page, "cell") == [8, 16]
    assert said(page).startswith("(A ⊗ W)[8, 16] = A[1, 2] × W[3, 2]")
    np.testing.assert_allclose(numbers(said(page)), [A[1, 2], W[3, 2], product[8, 16]], atol=1e-3)
    click_cell(page, 0, 1, 2, 3, which=0)  # another block, the same place inside it
    assert get(page, "cell") == [3, 9]
    click_cell(page, 4, 6, 5, 7, which=1)
    assert get(page, "cell") == [4, 13]
    assert numbers(said(page))[-1] == pytest.approx(product[4, 13], abs=1e-3)
    page.locator(".heatmap").nth(2).focus()
    page.keyboard.press("ArrowDown")
    assert get(page, "cell") == [5, 13]
    put(page, "cell", [9, 20])
    assert numbers(said(page))[-1] == pytest.approx(product[9, 20], abs=1e-3)


def everyone():
    n = 7
    frames = {s: np.random.default_rng(s).normal(size=(3, 5)) for s in (0, 20, 40)}
    return [
        AttentionWidget(causal_patterns(8, n), WORDS, values=np.ones((8, n))),
        BigramExplorer(bigrams(n), WORDS, true_log_probs=bigrams(n, 1), k=5),
        CurveScrubber([0, 20, 40], {"training loss": [3, 2, 1]}, frames),
        SoftmaxExplorer(np.eye(n), WORDS),
        ClockAdder(113, [14, 35, 41, 42, 52]),
        KroneckerWidget(np.tri(4), np.eye(5)),
    ]


@pytest.mark.browser
@pytest.mark.parametrize("which", range(6))
def test_phone_width_names_and_keyboard(show, which):
    page = show(everyone()[which], width=360)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    inside = page.locator(".mechlib-widget").evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 360
    assert inside <= 0
    for control in page.locator("button, select, input, [tabindex='0'], svg[role=img]").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || "
            "(e.labels?.length ? e.labels[0].innerText : e.innerText)"
        )
        assert name.strip(), control.evaluate("e => e.outerHTML")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.mechlib-widget') !== null")


def contrast(first, second):
    def light(color):
        parts = [float(v) / 255 for v in re.findall(r"[\d.]+", color)[:3]]
        parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    a, b = sorted((light(first), light(second)))
    return (b + 0.05) / (a + 0.05)


THEMES = {
    "bare": {},
    "book, dark": {"--pst-color-background": "#14181e", "--pst-color-text-base": "#ced6dd",
                   "--pst-color-surface": "#29313d", "--pst-color-border": "#48566b"},
    "lab, dark": {"--jp-layout-color0": "#111111", "--jp-content-font-color1": "#ffffff",
                  "--jp-layout-color1": "#212121", "--jp-border-color1": "#616161"},
}  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_text_is_legible_on_every_theme(show, theme):
    page = show(everyone()[0])
    for name, value in THEMES[theme].items():
        page.evaluate("([k, v]) => document.body.style.setProperty(k, v)", [name, value])
    ground = page.locator(".mechlib-widget").evaluate("e => getComputedStyle(e).backgroundColor")
    for selector in (".status", "label", "select", "button", ".bars caption", ".number"):
        ink, own = page.locator(selector).first.evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        )
        assert contrast(ink, ground if own.endswith(", 0)") else own) >= 4.5, selector


def test_each_has_a_caption_and_a_still_picture():
    for widget in everyone():
        still = widget.still()
        assert "<svg" in still or still.count("<tr>") >= 3, type(widget).__name__
        assert "nan" not in still.lower().replace("nance", "")
        assert len(still) < 20_000
    assert ClockAdder(13, [2], caption="Two clocks.").caption == "Two clocks."
    assert "c = 7" in ClockAdder(13, [2, 5], a=5, b=2).still()
    assert "true 0." in everyone()[1].still()


@pytest.mark.browser
def test_the_caption_stands_below(show):
    page = show(ClockAdder(13, [2], caption="Turn <b>it</b>."))
    assert page.locator(".mechlib-caption").inner_text() == "Turn <b>it</b>."
