"""Dice by hand, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from KPrismLib.errors import GeometryMismatch
from KPrismLib.evaluation.dice import VolumeDice, dice

pairs = st.tuples(arrays(bool, (4, 5)), arrays(bool, (4, 5)))


def mask(*columns: int) -> np.ndarray:
    row = np.zeros((1, 10), dtype=bool)
    row[0, list(columns)] = True
    return row


def test_worked_by_hand() -> None:
    # 2 * |{2, 3}| / (3 + 5)
    assert dice(mask(1, 2, 3), mask(2, 3, 4, 5, 6)) == 0.5
    assert dice(mask(1), mask(1)) == 1.0
    assert dice(mask(1), mask(2)) == 0.0
    assert dice(mask(), mask(2)) == 0.0


def test_two_empty_masks_are_undefined_unless_the_caller_says_otherwise() -> None:
    assert math.isnan(dice(mask(), mask()))
    assert dice(mask(), mask(), both_empty=1.0) == 1.0


def test_a_volume_counts_pixels_not_slices() -> None:
    volume = VolumeDice()
    assert math.isnan(volume.value)
    volume.add(mask(0, 1, 2, 3), mask(0, 1, 2, 3))
    volume.add(mask(5), mask())
    volume.add(mask(), mask(7))
    # 2 * 4 / (5 + 5), where the mean over slices would be 1/2
    assert volume.value == 0.8


def test_shapes_must_agree() -> None:
    with pytest.raises(GeometryMismatch, match=r"\(1, 10\) but the target is \(2, 10\)"):
        dice(mask(1), np.zeros((2, 10), dtype=bool))


@given(pairs)
def test_symmetric_and_between_0_and_1(masks: tuple[np.ndarray, np.ndarray]) -> None:
    value = dice(*masks, both_empty=1.0)
    assert value == dice(masks[1], masks[0], both_empty=1.0)
    assert 0.0 <= value <= 1.0
    assert (value == 1.0) == bool((masks[0] == masks[1]).all())


@given(st.lists(pairs, min_size=1, max_size=4))
def test_a_volume_is_its_slices_put_together(slices: list[tuple[np.ndarray, np.ndarray]]) -> None:
    volume = VolumeDice(both_empty=1.0)
    for prediction, target in slices:
        volume.add(prediction, target)
    together = dice(np.stack([pair[0] for pair in slices]), np.stack([pair[1] for pair in slices]), both_empty=1.0)
    assert volume.value == together
