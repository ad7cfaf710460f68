"""Where the neighbour says the structure is: signed distance on the canvas, clipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from KPrismLib.canvas import Canvas
from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.volumes.neighbour_prior import REACH, STRONGEST, location_prior


def plain(mask: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The formula over the whole image."""
    sampling = [c / i for c, i in zip(canvas.content, canvas.image, strict=True)]
    signed = ndimage.distance_transform_edt(mask, sampling=sampling) - ndimage.distance_transform_edt(
        ~mask, sampling=sampling
    )
    return np.clip(signed / (REACH * max(canvas.content)), -STRONGEST, STRONGEST)


@given(st.integers(0, 30), st.integers(0, 40), st.integers(1, 25), st.sampled_from([None, (3.0, 1.0), (1.0, 2.0)]))
def test_it_is_the_signed_distance_wherever_the_region_lies(
    top: int, left: int, size: int, spacing: tuple[float, float] | None
) -> None:
    mask = np.zeros((40, 56), dtype=bool)
    mask[top : top + size, left : left + size] = True
    canvas = Canvas.fit((40, 56), 256, spacing)
    np.testing.assert_allclose(location_prior(mask, canvas), plain(mask, canvas), atol=1e-5)


def test_one_reach_from_the_contour_is_worth_one_logit() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[:50] = True
    prior = location_prior(mask, Canvas((100, 100), (100, 100)))
    assert prior[53, 0] == pytest.approx(-1.0)  # four rows below the last row inside
    assert prior[46, 0] == pytest.approx(1.0)
    assert (prior[0, 0], prior[99, 0]) == (STRONGEST, -STRONGEST)


def test_a_mask_that_fills_the_image_is_deep_inside_everywhere() -> None:
    assert (location_prior(np.ones((8, 8), dtype=bool), Canvas((8, 8), (64, 64))) == STRONGEST).all()


def test_the_deepest_pixel_is_farthest_from_the_outside() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:9, 3:10] = True
    mask[4, 10:29] = True
    assert deepest_pixel(mask) == (5, 6)
    assert deepest_pixel(np.ones((3, 5), dtype=bool)) == (1, 1)  # beyond the image is outside; the first of equals
