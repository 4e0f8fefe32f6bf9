"""Figures: what is drawn is what was given, on the axes that come back."""

import html
import inspect
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.font_manager as fonts
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.ft2font import FT2Font

from mechlib.pages import figures


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def drawn(ax):
    ax.figure.canvas.draw()  # warnings of the layout are errors here
    return ax


def image(ax):
    return np.ma.filled(ax.images[0].get_array().astype(float), np.nan)


def texts(labels):
    return [label.get_text() for label in labels]


# ---- style ----


def luminance(color):
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_style_is_opaque_and_small():
    figure, ax = plt.subplots()
    assert figure.dpi == 100
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert plt.rcParams["savefig.transparent"] is False


def test_first_colours_are_far_from_white_and_from_each_other():
    first = figures.CYCLE[:4]
    for i, color in enumerate(first):
        assert 1.05 / (luminance(color) + 0.05) > 2.5
        for other in first[:i]:
            assert np.linalg.norm(np.subtract(to_rgb(color), to_rgb(other))) > 0.25


def test_sequential_map_darkens_and_diverging_map_is_even():
    ramp = [luminance(figures.SEQUENTIAL(v)) for v in np.linspace(0, 1, 50)]
    assert (np.diff(ramp) < 0).all()
    middle = figures.DIVERGING(0.5)
    assert min(middle[:3]) > 0.95
    for v in (0.1, 0.3, 0.45):
        low, high = luminance(figures.DIVERGING(0.5 - v)), luminance(figures.DIVERGING(0.5 + v))
        assert low == pytest.approx(high, abs=0.12)


# ---- labels ----


@pytest.mark.parametrize(
    ("token", "label"),
    [(" the", "␣the"), ("\n", "⏎"), ("\t\tx", "⇥⇥x"), ("", "∅"), ("   ", "␣␣␣"), ("a b", "a b"),
     ("a ", "a␣"), ("\x00", "\\x00"), (" \n", "␣⏎"), ("$x$", "$x$"), (17, "17"), ("é", "é")],
)  # fmt: skip
def test_token_labels(token, label):
    assert figures.token_label(token) == label


def test_marks_are_glyphs_of_the_font():
    known = FT2Font(fonts.findfont("DejaVu Sans")).get_charmap()
    for mark in "␣⏎↵⇥∅−·–":
        assert ord(mark) in known, mark


@given(st.text(max_size=8))
def test_token_labels_are_never_blank_and_hold_one_line(token):
    label = figures.token_label(token)
    assert label.strip()
    assert label.isprintable()


def test_a_dollar_sign_starts_no_formula():
    ax = drawn(figures.heatmap(np.eye(2), xticks=["$a$", "$\\bad"], yticks=["$", "$$"]))
    assert texts(ax.get_xticklabels()) == ["$a$", "$\\bad"]
    ax = drawn(figures.scatter([1.0], [2.0], labels=["$\\frac$"]))
    assert texts(ax.texts) == ["$\\frac$"]


# ---- lines ----


def test_lines_draw_each_label_with_its_band():
    x = torch.arange(5)
    y = torch.rand(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y.requires_grad_()
    ax = drawn(
        figures.lines(
            x, {"train": y, "chance": [1.0] * 5}, bands={"train": (y - 1, y + 1)},
            controls=["chance"], vlines={"start": 2}, logx=False, xlabel="step", title="t",
        )
    )  # fmt: skip
    first, control = ax.lines[:2]
    np.testing.assert_array_equal(first.get_ydata(), y.detach().numpy())
    np.testing.assert_array_equal(first.get_xdata(), x)
    assert first.get_color() == figures.BLUE
    assert (control.get_color(), control.get_linestyle()) == (figures.CONTROL, "--")
    assert len(ax.collections) == 1
    assert texts(ax.get_legend().get_texts()) == ["train", "chance"]
    assert (ax.get_xlabel(), ax.get_title()) == ("step", "t")


def test_names_of_lines_that_stand_close_together_do_not_overlap():
    near = {"memorised": 1, "circuit formed": 50, "cleaned up": 52}
    ax = drawn(figures.lines([0, 100], {"loss": [1, 2]}, vlines=near))
    boxes = [text.get_window_extent() for text in ax.texts]
    assert texts(ax.texts) == [f" {name}" for name in near]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_lines_take_an_x_each_and_log_axes():
    ax = figures.lines({"a": [1, 2], "b": [1, 2, 3]}, {"a": [1, 2], "b": [3, 2, 1]}, logy=True)
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 3]
    assert ax.get_yscale() == "log"


def test_lines_draw_on_the_axes_given():
    _, ax = plt.subplots()
    assert figures.lines([1, 2], {"a": [1, 2]}, ax=ax) is ax


def test_curves_over_training_read_histories_and_mappings():
    class History:
        def steps(self, name):
            return {"loss": [0, 10, 20], "score": [0, 20]}[name]

        def values(self, name):
            return {"loss": [3.0, 2.0, 1.0], "score": [0.0, 0.5]}[name]

    ax = figures.curves_over_training(History(), {"loss": "loss (nats)", "score": "score"})
    assert texts(ax.get_legend().get_texts()) == ["loss (nats)", "score"]
    assert ax.lines[1].get_xdata().tolist() == [0, 20]
    ax = figures.curves_over_training({"loss": ([0, 5], [2.0, 1.0])}, ["loss"], logx=True)
    assert ax.lines[0].get_ydata().tolist() == [2.0, 1.0]
    with pytest.raises(KeyError, match="no measure 'x'; measures: loss"):
        figures.curves_over_training({"loss": ([0], [1.0])}, ["x"])


def test_spectrum_counts_from_one_and_keeps_zeros_on_the_page():
    ax = drawn(figures.spectrum([4.0, 2.0, 1e-19], rank=2))
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [4, 2, 4e-12])


# ---- matrices ----


def test_heatmap_scales_are_symmetric_when_signed_and_from_zero_when_not():
    signed = np.array([[1.0, -3.0, 2.0]])
    ax = drawn(figures.heatmap(signed))
    assert ax.images[0].get_clim() == (-3, 3)
    assert ax.images[0].get_cmap().name == "mechlib_diverging"
    np.testing.assert_array_equal(image(ax), signed)
    ax = figures.heatmap(np.abs(signed))
    assert ax.images[0].get_clim() == (0, 3)
    assert ax.images[0].get_cmap().name == "mechlib_sequential"
    assert figures.heatmap(signed, vmax=5).images[0].get_clim() == (-5, 5)
    assert figures.heatmap(np.zeros((2, 3))).images[0].get_clim() == (0, 1)


def test_heatmap_writes_no_signed_zero():
    ax = drawn(figures.heatmap([[-0.004, 0.004], [-0.4, 0.4]], values=".2f"))
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.00", "-0.40", "0.40"]


def test_heatmap_writes_values_legibly_and_skips_missing_ones():
    M = np.array([[0.0, 1.0], [np.nan, 0.5]])
    ax = drawn(figures.heatmap(M, values=".1f", xticks=[" a", "b"], yticks=["\n", "d"]))
    assert texts(ax.texts) == ["0.0", "1.0", "0.5"]
    for text in ax.texts:
        j, i = (int(v) for v in text.get_position())
        cell = ax.images[0].cmap(ax.images[0].norm(M[i, j]))
        inks = sorted([luminance(text.get_color()), luminance(cell)])
        assert (inks[1] + 0.05) / (inks[0] + 0.05) > 4.5
    assert texts(ax.get_xticklabels()) == ["␣a", "b"]
    assert texts(ax.get_yticklabels()) == ["⏎", "d"]


def test_attention_masks_the_future_and_names_tokens():
    pattern = np.tril(np.ones((3, 5, 5))) / np.arange(1, 6)[:, None]
    axes = figures.attention(torch.tensor(pattern), list("abcde"), titles=["0.0", "0.1", "0.2"])
    assert [ax.get_title() for ax in axes] == ["0.0", "0.1", "0.2"]
    drawn(axes[0])
    seen = image(axes[1])
    assert np.isnan(seen[0, 1:]).all()
    np.testing.assert_allclose(seen[4], 1 / 5)
    single = drawn(figures.attention(pattern[0], list("abcde"), causal=False))
    assert not np.isnan(image(single)).any()
    assert texts(single.get_yticklabels()) == list("abcde")


def test_composition_has_writers_on_rows():
    ax = drawn(figures.composition(np.arange(6.0).reshape(2, 3), ["0.0", "0.1"], ["1.0", "1.1", "1.2"]))  # noqa: E501  # fmt: skip
    assert texts(ax.get_yticklabels()) == ["0.0", "0.1"]
    assert texts(ax.get_xticklabels()) == ["1.0", "1.1", "1.2"]
    assert "writes" in ax.get_ylabel()
    assert len(ax.texts) == 6


def test_phase_diagram_grows_upwards_and_names_its_phases():
    grid = np.array([[0, 1, 2], [np.nan, 1, 0]])
    phases = ["confusion", "memorisation", "grokking"]
    ax = drawn(figures.phase_diagram(grid, [0.1, 0.2, 0.3], [0, 1], phases=phases))
    low, high = ax.get_ylim()
    assert low < high  # the first row at the bottom
    np.testing.assert_array_equal(image(ax), grid)
    colors = {tuple(ax.images[0].cmap(ax.images[0].norm(v))) for v in range(3)}
    assert len(colors) == 3
    ax = drawn(figures.phase_diagram(grid * 100, [1, 2, 3], ["a", "b"], label="step"))
    assert texts(ax.get_yticklabels()) == ["a", "b"]
    assert ax.get_ylim()[0] < ax.get_ylim()[1]


# ---- bars, points, counts ----


def test_bars_stand_beside_their_controls_with_errors():
    ax = drawn(
        figures.bars(
            {"0.0": 3.0, "0.1": torch.tensor(5.0), "1.0": -1.0}, controls={"0.1": 2.0},
            errors={"0.0": 0.5, "0.1": (0.25, 0.75)}, baseline=1.5, baseline_label="chance",
        )
    )  # fmt: skip
    bars = [p for c in ax.containers if hasattr(c, "patches") for p in c.patches]
    assert [b.get_height() for b in bars] == [3, 5, -1, 2]
    centers = [b.get_x() + b.get_width() / 2 for b in bars]
    assert centers[3] > centers[1]
    assert centers[3] - centers[1] == pytest.approx(bars[1].get_width())
    assert set(texts(ax.get_legend().get_texts())) == {"measured", "control", "chance"}
    segments = (
        next(c for c in ax.containers if hasattr(c, "patches")).errorbar.lines[2][0].get_segments()
    )
    np.testing.assert_allclose([s[:, 1] for s in segments[:2]], [[2.5, 3.5], [4.75, 5.75]])


def test_horizontal_bars_start_at_the_top():
    ax = drawn(figures.bars({"a": 1.0, "b": 2.0}, horizontal=True, xlabel="nats"))
    assert [b.get_width() for b in ax.patches] == [1, 2]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert texts(ax.get_yticklabels()) == ["a", "b"]


def test_scatter_groups_points_and_labels_some():
    x, y = torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 5, 7])
    ax = drawn(
        figures.scatter(x, y, labels=["", " b", ""], groups=["in", "out", "in"], controls=["out"])
    )
    assert [c.get_offsets().tolist() for c in ax.collections] == [[[1, 3], [3, 7]], [[2, 5]]]
    assert to_rgb(ax.collections[1].get_facecolor()[0][:3]) == to_rgb(figures.CONTROL)
    assert texts(ax.texts) == ["␣b"]


def test_histograms_share_their_bins():
    g = np.random.default_rng(0)
    ax = drawn(figures.histogram({"a": g.random(50), "b": g.random(70) + 1}, bins=7))
    counts = [sum(p.get_height() for p in c) for c in ax.containers if len(c) == 7]
    assert counts == [50, 70]
    edges = [[p.get_x() for p in c] for c in ax.containers if len(c) == 7]
    assert edges[0] == edges[1]


def test_complex_plane_keeps_angles_and_takes_logs_of_sizes():
    values = np.array([100, -10, 1j, -1e-9])
    ax = drawn(figures.complex_plane(values, decades=3))
    angle, radius = np.array(ax.collections[0].get_offsets()).T
    np.testing.assert_allclose(angle[:3], [0, np.pi, np.pi / 2])
    np.testing.assert_allclose(radius, [3, 2, 1, 0], atol=1e-9)  # 10^-1 stands at the centre
    colors = ax.collections[0].get_facecolor()[:, :3]
    np.testing.assert_allclose(colors[0], to_rgb(figures.POSITIVE))
    np.testing.assert_allclose(colors[1], to_rgb(figures.NEGATIVE))
    two = drawn(figures.complex_plane({"trained": values, "random": values / 2}))
    assert texts(two.get_legend().get_texts()) == ["trained", "random"]
    assert drawn(figures.complex_plane(torch.tensor([1 + 1j]))).name == "polar"


def test_residual_stream_draws_parts_and_reads():
    parts = ["embed", "0.0", "0.1", "unembed"]
    ax = drawn(figures.residual_stream(parts, reads={("embed", "0.1"): 1.0, ("0.0", "0.1"): -2.0}))
    assert [t for t in texts(ax.texts) if t] == parts
    assert len(ax.patches) == 4 + 3 + 3 + 2  # boxes, reads, writes, arcs


def test_panels_are_flat_and_without_spares():
    axes = figures.panels(5, columns=3)
    assert axes.shape == (5,)
    assert len(axes[0].figure.axes) == 5


X5 = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.lines(X5, {"loss": [1, 2]}), r"ys\['loss'\] has 2 points, x has 5"),
        (lambda: figures.lines(X5, {"a": X5}, bands={"b": (X5, X5)}), "no line is called 'b'"),
        (lambda: figures.lines(X5, {"a": X5}, bands={"a": (X5, [1])}), r"bands\['a'\] must have 5"),
        (lambda: figures.lines(X5, {"a": ["x"] * 5}), "must hold numbers"),
        (lambda: figures.heatmap(X5), r"M must have 2 axes, got shape \(5,\)"),
        (lambda: figures.heatmap(np.eye(3), xticks=["a"]), "xticks has 1 labels.* 3 columns"),
        (lambda: figures.heatmap(np.eye(3), yticks=["a"]), "yticks has 1 labels.* 3 rows"),
        (lambda: figures.attention(np.eye(3), ["a"]), "tokens has 1 labels, .* 3 keys"),
        (lambda: figures.attention(np.ones(3)), "pattern must have 2 or 3 axes"),
        (lambda: figures.attention(np.ones((2, 3, 3)), titles=["a"]), "titles has 1 labels"),
        (lambda: figures.composition(np.eye(2), ["a"], ["b", "c"]), "earlier has 1 labels"),
        (lambda: figures.phase_diagram(np.eye(2), [1], [1, 2]), "x has 1 labels.* 2 columns"),
        (lambda: figures.phase_diagram(np.eye(2) * 5, [1, 2], [1, 2], phases=["a", "b"]), "0..1"),
        (lambda: figures.bars({"a": 1.0}, controls={"b": 1.0}), "controls names 'b'"),
        (lambda: figures.bars({"a": 1.0}, errors={"b": 1.0}), "errors names 'b'"),
        (lambda: figures.scatter([1, 2], [1]), "x has 2 points, y has 1"),
        (lambda: figures.scatter([1, 2], [1, 2], groups=["a"]), "groups has 1 labels"),
        (lambda: figures.histogram({"a": [np.nan]}), "values must be finite"),
        (lambda: figures.complex_plane([1j], ax=plt.subplots()[1]), "ax must be polar"),
        (lambda: figures.complex_plane([1j], decades=0), "decades must be at least 1"),
        (lambda: figures.residual_stream(["a", "b"], reads={("b", "a"): 1.0}), "comes no earlier"),
        (lambda: figures.residual_stream(["a", "b"], reads={("c", "a"): 1.0}), "parts: a, b"),
        (lambda: figures.residual_stream(["a", "a"]), "different names"),
        (lambda: figures.panels(0), "at least 1"),
        (lambda: figures.colored_text(["a"], [1, 2]), "2 numbers, there are 1 tokens"),
        (lambda: figures.colored_text(["a"], [1], present=1), "present holds 1"),
        (lambda: figures.colored_text(["a"], [1], vmax=-1.0), "vmax must be positive"),
        (lambda: figures.table([[1, 2]], ["a"]), "row 0 has 2 cells, there are 1 columns"),
        (lambda: figures.table(["a", "b"], [[1, 2]]), "rows of cells first"),
        (lambda: figures.table([[1]], ["a"], intensity=[[1, 2]]), r"intensity has shape \(1, 2\)"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_a_name_that_axes_do_not_have_is_refused():
    with pytest.raises(TypeError, match="axes have no xlable; they take xlabel, ylabel, title"):
        figures.lines(X5, {"a": X5}, xlable="step")


def test_no_drawing_function_takes_more_than_a_dozen_arguments():
    for name in figures.__all__:
        if inspect.isfunction(getattr(figures, name)):
            taken = inspect.signature(getattr(figures, name)).parameters
            assert len(taken) <= 13, f"{name} takes {len(taken)}"  # the names of axes are one


# ---- HTML ----


def spans(page):
    """(title, style, text) of each span."""
    found = re.findall(r'<span(?: title="([^"]*)")? style="([^"]*)">(.*?)</span>', page)
    return [(html.unescape(t), s, html.unescape(x)) for t, s, x in found]


def strength(style):
    """Signed background: blue positive."""
    match = re.search(r"background:rgba\((\d+),\d+,\d+,([\d.]+)\)", style)
    return 0.0 if match is None else float(match[2]) * (1 if match[1] == "0" else -1)


def test_colored_text_shows_each_number_as_a_strength():
    values = [0.0, 0.5, -1.0, np.nan]
    page = figures.colored_text([" a", "<b>", "\n", "c"], torch.tensor(values), present=1)
    found = spans(page._repr_html_())
    assert [x for _, _, x in found] == ["␣a", "<b>", "⏎", "c"]
    assert [t for t, _, _ in found] == ["0.00", "0.50", "-1.00", "–"]
    shown = [strength(s) for _, s, _ in found]
    np.testing.assert_allclose(shown, [0, 0.31, -0.62, 0], atol=0.001)
    assert ["outline" in s for _, s, _ in found] == [False, True, False, False]
    assert page.html.count("<br>") == 1


def test_colored_text_gives_each_row_its_own_scale():
    page = figures.colored_text(["a", "b"], {"attention": [0.1, 0.2], "effect": [-5.0, 5.0]})
    shown = [strength(s) for _, s, _ in spans(page.html)]
    np.testing.assert_allclose(shown, [0.31, 0.62, -0.62, 0.62], atol=0.001)
    assert repr(page) == "2 tokens; strongest: attention: b 0.20, a 0.10; effect: a -5.00, b 5.00"
    fixed = figures.colored_text(["a", "b"], [0.1, 0.2], vmax=0.4)
    np.testing.assert_allclose([strength(s) for _, s, _ in spans(fixed.html)], [0.155, 0.31], atol=0.001)  # noqa: E501  # fmt: skip


def test_html_is_deterministic_and_blind_to_the_last_bit():
    values = np.random.default_rng(0).normal(size=50)
    first = figures.colored_text(["x"] * 50, values)
    again = figures.colored_text(["x"] * 50, values * (1 + 1e-12))
    assert first == again
    assert "id=" not in first.html


def test_table_colours_pairs_by_the_largest_in_their_column():
    page = figures.table(
        [[" and", [(" a", 4.0), (" b", 2.0)], 0.25], ["<i>", [(" c", -1.0), "d"], 3]],
        ["source", "out", "lift"],
        caption="A & B",
    )
    found = spans(page.html)
    assert [x for _, _, x in found] == ["␣a", "␣b", "␣c", "d"]
    np.testing.assert_allclose([strength(s) for _, s, _ in found], [0.62, 0.31, -0.155, 0], atol=0.001)  # noqa: E501  # fmt: skip
    assert [t for t, _, _ in found] == ["4.000", "2.000", "-1.000", ""]
    assert "&lt;i&gt;" in page.html
    assert "A &amp; B" in page.html
    assert repr(page) == "A & B\nsource | out | lift\n␣and | ␣a ␣b | 0.250\n<i> | ␣c d | 3"
    assert page.html.count('scope="col"') == 3


@pytest.mark.parametrize(
    ("cells", "side"),
    [
        ([1, 2.5], "right"),
        (["1,024", "-0.5"], "right"),
        (["185 of 231", "38 of 205"], "right"),
        (["0.74 to 0.85", "–"], "right"),
        (["12 %", 3], "right"),
        ([1, "not once"], "left"),
        (["–", "-"], "left"),
        (["L0H1", "L0H2"], "left"),
        ([(" a", 1.0), 2], "left"),
    ],
)
def test_columns_of_numbers_stand_right_with_their_names(cells, side):
    page = figures.table([[cell, "text"] for cell in cells], ["column", "other"])
    found = re.findall(r"<t[hd] [^>]*text-align:(\w+)", page.html)
    assert found == [side, "left"] * 3


def test_what_is_folded_opens_on_a_click_and_stands_in_the_plain_text():
    rest = figures.table([["a", 1]], ["token", "count"])
    shown = figures.folded(rest, "The other <1> row")
    assert "<details><summary>The other &lt;1&gt; row</summary>" in shown.html
    assert rest.html in shown.html
    assert repr(shown) == "The other <1> row\n" + repr(rest)
    with pytest.raises(ValueError, match="summary must say"):
        figures.folded(rest, " ")


def test_table_colours_whole_cells_by_intensity():
    page = figures.table([["a", 1.0], ["b", -2.0]], ["x", "y"], intensity=[[np.nan, 1], [0, -2]])
    cells = re.findall(r'<td style="([^"]*)"', page.html)
    np.testing.assert_allclose([strength(c) for c in cells], [0, 0.31, 0, -0.62], atol=0.001)


def test_html_brings_its_own_colours_and_no_script():
    for page in (figures.colored_text(["a"], [1.0]), figures.table([[1]], ["a"])):
        assert "--pst-color-background" in page.html
        assert "--jp-layout-color0" in page.html
        assert "<script" not in page.html
        assert "http" not in page.html


def test_tints_stay_legible_on_light_and_dark():
    for ground, ink in (("#ffffff", "#1a1a1a"), ("#14181e", "#ced6dd"), ("#111111", "#ffffff")):
        for value in np.linspace(-1, 1, 21):
            style = figures.colored_text(["a", "b"], [value, 1.0]).html
            alpha = strength(spans(style)[0][1])
            tint = np.array([0, 114, 178] if value >= 0 else [213, 94, 0]) / 255
            mixed = abs(alpha) * tint + (1 - abs(alpha)) * np.array(to_rgb(ground))
            light = sorted([luminance(mixed), luminance(ink)])
            assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5
