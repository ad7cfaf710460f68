"""A reference is encoded as an image is: in the window and with the spacing that it is given with."""

from __future__ import annotations

import numpy as np
import torch

from KPrismLib.intensity import IntensityWindow
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


def test_values_of_a_reference_are_windowed_too() -> None:
    predictor = tiny_predictor()
    pixels = picture().astype(np.int16) * 8 - 1024
    window = IntensityWindow(-125.0, 275.0, "ct-abdomen")
    given = predictor.reference([(pixels, disk())], window=window).memory
    plain = predictor.reference([(window.apply(pixels), disk())]).memory
    assert torch.equal(given.values, plain.values)
    assert torch.equal(given.keys, plain.keys)


def test_the_spacing_of_a_reference_counts() -> None:
    predictor = tiny_predictor()
    square = predictor.reference([(picture(), disk())]).memory.keys
    tall = predictor.reference([(picture(), disk())], spacing=(3.0, 1.0)).memory.keys
    assert square.shape != tall.shape
