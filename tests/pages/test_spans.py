"""Spans: each phase shaded from where the last one ended, its name above the axes."""

import matplotlib.pyplot as plt
import pytest

from mechlib.pages.figures import spans


def test_spans_follow_one_another_and_are_named_above_the_axes():
    _, ax = plt.subplots()
    ax.plot([0, 100], [1, 2])
    spans(ax, {"first": 20, "second": 70})
    shaded = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    assert shaded == [(0, 20), (20, 70)]
    assert [(t.get_text(), t.xy[0]) for t in ax.texts] == [("first", 10), ("second", 45)]
    assert all(t.get_verticalalignment() == "bottom" and t.xy[1] == 1.0 for t in ax.texts)
    plt.close()


def test_ends_that_do_not_rise_are_refused():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="second"):
        spans(ax, {"first": 20, "second": 20})
    plt.close()
