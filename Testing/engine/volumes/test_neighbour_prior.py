"""Where the neighbour says the structure is: signed distance on the canvas, clipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from KPrismLib.canvas import Canvas
from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.volumes.neighbour_prior import (
    FARTHEST,
    LEAST_REACH,
    REACH,
    REACH_BETWEEN,
    STRONGEST,
    location_prior,
    signed_distance,
)


def plain(mask: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The formula over the whole image."""
    sampling = [c / i for c, i in zip(canvas.content, canvas.image, strict=True)]
    signed = ndimage.distance_transform_edt(mask, sampling=sampling) - ndimage.distance_transform_edt(
        ~mask, sampling=sampling
    )
    return np.clip(signed / max(canvas.content), -FARTHEST, FARTHEST)


@given(st.integers(0, 30), st.integers(0, 40), st.integers(1, 25), st.sampled_from([None, (3.0, 1.0), (1.0, 2.0)]))
def test_it_is_the_signed_distance_wherever_the_region_lies(
    top: int, left: int, size: int, spacing: tuple[float, float] | None
) -> None:
    mask = np.zeros((40, 56), dtype=bool)
    mask[top : top + size, left : left + size] = True
    canvas = Canvas.fit((40, 56), 256, spacing)
    np.testing.assert_allclose(signed_distance(mask, canvas), plain(mask, canvas), atol=1e-6)


def half(rows: int) -> np.ndarray:
    mask = np.zeros((100, 100), dtype=bool)
    mask[:rows] = True
    return mask


def test_one_reach_from_the_contour_is_worth_one_logit() -> None:
    prior = location_prior([half(50)], [1.0], Canvas((100, 100), (100, 100)))
    assert prior.dtype == np.float32
    assert prior[53, 0] == pytest.approx(-1.0)  # four rows below the last row inside
    assert prior[46, 0] == pytest.approx(1.0)
    farthest = FARTHEST / REACH
    assert (prior[0, 0], prior[99, 0]) == pytest.approx((farthest, -farthest))


def test_between_two_slices_the_contour_lies_where_their_shares_say() -> None:
    canvas = Canvas((100, 100), (100, 100))
    prior = location_prior([half(50), half(54)], [0.75, 0.25], canvas)
    assert prior[50, 0] > 0 > prior[51, 0]  # a quarter of the way from row 50 to row 54
    reach = LEAST_REACH + REACH_BETWEEN * (1 - 2 * 50 / 104) ** 3
    assert prior[50, 0] == pytest.approx(min((-0.01 * 0.75 + 0.04 * 0.25) / reach, STRONGEST), rel=1e-4)


def test_the_more_two_slices_overlap_the_more_they_have_to_say() -> None:
    canvas = Canvas((100, 100), (100, 100))
    slopes = []
    for apart in (60, 30, 20):
        prior = location_prior([half(20), half(20 + apart)], [0.5, 0.5], canvas)
        middle = 20 + apart // 2
        slopes.append(float(prior[middle - 1, 0] - prior[middle, 0]))
    assert slopes == sorted(slopes)
    same = location_prior([half(50), half(50)], [0.5, 0.5], canvas)
    assert (same[50, 0], same[49, 0]) == (-STRONGEST, STRONGEST)


def test_a_mask_that_fills_the_image_is_deep_inside_everywhere() -> None:
    full = np.ones((8, 8), dtype=bool)
    np.testing.assert_allclose(signed_distance(full, Canvas((8, 8), (64, 64))), FARTHEST)


def test_the_deepest_pixel_is_farthest_from_the_outside() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:9, 3:10] = True
    mask[4, 10:29] = True
    assert deepest_pixel(mask) == (5, 6)
    assert deepest_pixel(np.ones((3, 5), dtype=bool)) == (1, 1)  # beyond the image is outside; the first of equals
