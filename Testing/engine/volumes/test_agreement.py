"""Agreement of masks: the mean Dice of each with all the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from KPrismLib.evaluation.dice import dice
from KPrismLib.volumes.agreement import agreement


@given(arrays(bool, st.tuples(st.integers(2, 6), st.integers(1, 5), st.integers(1, 5))))
def test_it_is_the_mean_dice_with_the_others(masks: np.ndarray) -> None:
    expected = [
        np.mean([dice(one, other, both_empty=0.0) for place, other in enumerate(masks) if place != number])
        for number, one in enumerate(masks)
    ]
    np.testing.assert_allclose(agreement(list(masks)), expected, atol=1e-12)


def test_in_numbers() -> None:
    masks = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    # Dice: first and second 1, each with the third 2 / 4, all with the empty one 0.
    assert agreement(list(masks)) == pytest.approx([0.5, 0.5, 1 / 3, 0.0])


def test_what_has_no_company_agrees_with_itself() -> None:
    assert agreement([np.ones((2, 2), dtype=bool)]).tolist() == [1.0]
    assert agreement([np.zeros((2, 2), dtype=bool)]).tolist() == [0.0]
