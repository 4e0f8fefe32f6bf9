"""Numbers are shown as a person would write them, and alike on every processor."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.pages.numbers import NOISE, fixed, shown


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.87512, "0.875"), (0.5, "0.500"), (2.0, "2"), (-3.2e-16, "0"), (0.0, "0"), (-0.0, "0"),
        (12_769, "12,769"), (9999, "9999"), (12_769.4, "12,800"), (4.4e-5, "0.0000440"),
        (2.2e7, "22 million"), (2.25e9, "2.25 billion"), (-1.5e6, "-1.50 million"),
        (0.99996, "1"), (math.inf, "infinite"), (-math.inf, "minus infinite"),
        (math.nan, "not a number"), (None, "none"), (True, "yes"), ("L0H3", "L0H3"),
    ],
)  # fmt: skip
def test_three_digits(value, wanted):
    assert shown(value) == wanted


def test_digits_are_chosen():
    assert [shown(3.14159, digits) for digits in (1, 2, 4)] == ["3", "3.1", "3.142"]


@pytest.mark.parametrize(
    ("value", "places", "wanted"),
    [(-0.001, 2, "0.00"), (0.005, 1, "0.0"), (-1.25, 2, "-1.25"), (2, 0, "2")],
)
def test_fixed_has_no_signed_zero(value, places, wanted):
    assert fixed(value, places) == wanted


@given(st.floats(-1e12, 1e12))
def test_what_is_shown_is_near_what_is_meant(value):
    text = shown(value).replace(",", "")
    number = text.removesuffix(" million").removesuffix(" billion")
    size = 1e9 if text.endswith("billion") else 1e6 if text.endswith("million") else 1.0
    assert float(number) * size == pytest.approx(value, rel=0.006, abs=NOISE)
    assert not text.startswith("-0.000 ")
    assert text != "-0"


@given(st.floats(-NOISE, NOISE, exclude_min=True, exclude_max=True))
def test_rounding_noise_is_zero_whatever_its_sign(value):
    assert shown(value) == "0"
