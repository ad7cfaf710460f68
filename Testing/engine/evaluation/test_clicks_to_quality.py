"""Clicks to quality, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation.clicks_to_quality import number_of_clicks


def test_counts_clicks_until_the_threshold_is_first_reached() -> None:
    curves = [
        [0.0, 0.50, 0.91, 0.89, 0.96],  # reached at 2, lost again, which does not matter
        [0.90, 0.95, 0.95, 0.95, 0.95],  # the initial mask is good enough: no click
        [0.0, 0.10, 0.20, 0.30, 0.40],  # never: the cap
        [0.0, 0.10, 0.20, 0.30, 0.90],  # at the last click
    ]
    np.testing.assert_array_equal(number_of_clicks(curves, 0.90, cap=4), [2, 0, 4, 4])
    np.testing.assert_array_equal(number_of_clicks(curves, 0.95, cap=4), [4, 1, 4, 4])


def test_clicks_beyond_the_cap_do_not_count() -> None:
    assert number_of_clicks([0.0, 0.1, 0.2, 0.99], 0.90, cap=2) == 2


def test_a_dice_of_exactly_the_threshold_counts() -> None:
    assert number_of_clicks([0.0, 2 * 9 / 20], 0.90, cap=1) == 1


def test_short_curves_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="Curves of 4 clicks cannot be counted up to a cap of 10"):
        number_of_clicks([[0.0] * 5], 0.90)


@given(st.lists(st.floats(0, 1), min_size=11, max_size=11))
def test_agrees_with_counting_one_by_one(curve: list[float]) -> None:
    expected = next((click for click, value in enumerate(curve) if value >= 0.9), 10)
    assert number_of_clicks(curve, 0.9) == expected
    assert number_of_clicks(curve, 0.9) <= number_of_clicks(curve, 0.95)
