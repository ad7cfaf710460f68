"""One class of one slice: where the clicks begin, and the curve of Dice that they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.trial import run_trial
from Testing.engine.evaluation.threshold_predictor import PaintingSession, ThresholdPredictor

TARGET = np.zeros((4, 6), dtype=bool)
TARGET[1] = True


def trial(predictor: Any, *, clicks: int, mode: Mode = Mode.INTERACTIVE, image: Any = None) -> Any:
    shown = np.where(TARGET, 100, 0) if image is None else image
    return run_trial(predictor, shown, TARGET, mode=mode, cls="liver", reference=None, clicks=clicks)


def test_after_a_perfect_mask_the_curve_stays_where_it_is() -> None:
    found = trial(ThresholdPredictor({"liver": 100}), clicks=4)
    assert len(found.clicks) == 1  # it paints the row
    assert found.curve == (0.0, 1.0, 1.0, 1.0, 1.0)


def test_a_refined_mask_that_becomes_perfect_stays_so_too() -> None:
    image = np.where(TARGET, 100, 0)
    image[1, :3] = 0
    found = trial(ThresholdPredictor({"liver": 100}), clicks=3, mode=Mode.REFINE_SEMANTIC, image=image)
    assert found.curve == pytest.approx((2 / 3, 1.0, 1.0, 1.0))


class Presuming(ThresholdPredictor):
    """Reports a mask before it was told anything."""

    def session(self, image: Any, **knowledge: Any) -> PaintingSession:
        return PaintingSession(np.ones(image.shape, dtype=bool), image.shape)


def test_without_an_initial_mask_nothing_is_segmented_before_the_first_click() -> None:
    found = trial(Presuming({"liver": 100}), clicks=1)
    assert found.curve[0] == 0.0
    assert found.clicks[0].positive  # into the structure, not at what the session presumes
    assert found.curve[1] == pytest.approx(2 * 6 / (24 + 6))
