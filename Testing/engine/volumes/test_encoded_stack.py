"""Encoded slices: each is what the predictor makes of the slice of this volume, not of a picture by itself."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.encoded_stack import EncodedStack
from Testing.engine.predictor.tiny_predictor import picture, tiny_predictor
from Testing.engine.volumes.arrays import WINDOW, ArrayStack


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def test_slices_are_encoded_in_the_window_of_their_volume(predictor: Predictor) -> None:
    window = IntensityWindow(-200.0, 800.0, "-200,800")
    dim = picture().astype(np.int16)  # by itself it would be stretched over all grey values
    image = EncodedStack(predictor, ArrayStack([dim]), window=window, memory=1).image(0)
    assert image is not None
    assert image.window == window
    alone = predictor.encode(window.apply(dim))
    found, expected = (predictor.segment(one, cls="liver").probability for one in (image, alone))
    np.testing.assert_array_equal(found, expected)


def test_pixels_that_are_not_square_keep_their_shape(predictor: Predictor) -> None:
    image = EncodedStack(predictor, ArrayStack([picture()], spacing=(2.0, 1.0)), window=WINDOW, memory=1).image(0)
    assert image is not None
    rows, columns = image.canvas.content
    assert rows / columns == pytest.approx(2 * 40 / 56, rel=0.02)
    alone = predictor.encode(picture(), spacing=(2.0, 1.0))
    found, expected = (predictor.segment(one, cls="liver").probability for one in (image, alone))
    np.testing.assert_array_equal(found, expected)
