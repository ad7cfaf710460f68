"""How long things take: of one click, and of the case in the middle, whatever a slow one does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from KPrismLib.evaluation import trial as module
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.summary import summarise_mode
from KPrismLib.evaluation.trial import run_trial
from Testing.engine.evaluation.threshold_predictor import PaintingSession, ThresholdPredictor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that goes on by a quarter of a second with each click."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    real = PaintingSession.click

    def click(self: PaintingSession, row: int, column: int, **how: Any) -> None:
        clock.now += 0.25
        real(self, row, column, **how)

    monkeypatch.setattr(PaintingSession, "click", click)
    return clock


@pytest.mark.parametrize("clicks", [1, 3])
def test_the_time_of_a_trial_is_that_of_one_click(clock: SimpleNamespace, clicks: int) -> None:
    target = np.zeros((4, 6), dtype=bool)
    target[1:3, 2:4] = True
    asked: dict[str, Any] = {"mode": Mode.INTERACTIVE, "cls": "liver", "reference": None, "clicks": clicks}
    trial = run_trial(ThresholdPredictor({}), target * 100, target, **asked)
    assert len(trial.clicks) == clicks
    assert clock.now == 0.25 * clicks
    assert trial.milliseconds == 250.0


@pytest.mark.parametrize("mode", [Mode.SEMANTIC, Mode.INTERACTIVE])
def test_a_slow_first_case_does_not_decide_the_time(mode: Mode) -> None:
    rows = [
        SliceMeasurement("Tiny", "i", "p", index, "liver", mode, True, (0.5, 0.6), True, milliseconds)
        for index, milliseconds in enumerate([900.0, 2.0, 3.0])
    ]
    settings = EvaluationSettings(clicks=1)
    assert summarise_mode(rows, [], mode, settings)["milliseconds"] == 3.0
    assert summarise_mode([], [], Mode.SEMANTIC, settings)["milliseconds"] is None
