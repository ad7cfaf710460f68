"""Masks of references on the network's canvas: as large as they are in the image."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.predictor import Predictor
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.mark.parametrize("side", [48, 160, 300])
def test_a_mask_is_as_large_on_the_canvas_as_in_its_image(predictor: Predictor, side: int) -> None:
    mask = disk(side, side)
    (part,) = predictor.reference([(picture(side, side), mask)]).parts
    assert float(part.fraction.mean()) == pytest.approx(mask.mean(), rel=0.02)


def test_a_mask_and_what_lies_around_it_share_the_canvas(predictor: Predictor) -> None:
    mask = disk(160, 160)
    within, around = (predictor.reference([(picture(160, 160), one)]).parts[0].fraction for one in (mask, ~mask))
    np.testing.assert_allclose((within + around).numpy(), 1, atol=0.03)
