"""One (slice, class) in one mode: what the model is given, and how well it does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.predictor import Predictor, Session
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.simulated_click import SimulatedClick, next_click


@dataclass(frozen=True)
class Trial:
    """How one (slice, class) went in one mode.

    Attributes:
        curve: Dice after 0, 1, 2, ... clicks; one entry in the modes without clicks.
        mask: The last mask: bool, shape (H, W).
        milliseconds: Time of the segmentation, or of the average click.
        clicks: In the order in which they were made.
    """

    curve: tuple[float, ...]
    mask: NDArray[np.bool_]
    milliseconds: float
    clicks: tuple[SimulatedClick, ...] = ()


def run_trial(
    predictor: Predictor,
    image: Any,
    target: NDArray[np.bool_],
    *,
    mode: Mode,
    cls: str,
    reference: Any,
    clicks: int,
) -> Trial:
    """Segment one class of one encoded image and compare it with the truth.

    Args:
        predictor: The model.
        image: What ``predictor.encode`` returned.
        target: bool, shape (H, W).
        mode: Decides which of the following the model is given.
        cls: The class.
        reference: What ``predictor.reference`` returned.
        clicks: How many clicks the imagined user makes at most.

    Raises:
        GeometryMismatch: The model's mask has another shape than the target.
    """
    guidance = {"cls": cls if mode.uses_class else None, "reference": reference if mode.uses_references else None}
    if mode.uses_clicks:
        return _run_session(predictor.session(image, **guidance), target, clicks, refines=mode is not Mode.INTERACTIVE)
    result = predictor.segment(image, **guidance)
    mask = np.asarray(result.mask, dtype=bool)
    return Trial((dice(mask, target),), mask, float(result.milliseconds))


def _run_session(session: Session, target: NDArray[np.bool_], clicks: int, *, refines: bool) -> Trial:
    """Click until the mask is perfect or the clicks are spent; the curve always has ``clicks + 1`` entries."""
    # Without an initial mask nothing is segmented before the first click, whatever the session reports.
    mask = _mask_of(session, target) if refines else np.zeros_like(target)
    curve = [dice(mask, target)]
    made: list[SimulatedClick] = []
    started = time.perf_counter()
    for _ in range(clicks):
        click = next_click(mask, target)
        if click is None:
            break
        session.click(click.row, click.column, positive=click.positive)
        made.append(click)
        mask = _mask_of(session, target)
        curve.append(dice(mask, target))
    milliseconds = 1000 * (time.perf_counter() - started) / max(1, len(made))
    return Trial(_padded(curve, clicks + 1), mask, milliseconds, tuple(made))


def _mask_of(session: Session, target: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.zeros_like(target) if session.mask is None else np.asarray(session.mask, dtype=bool)


def _padded(curve: Sequence[float], length: int) -> tuple[float, ...]:
    return (*curve, *[curve[-1]] * (length - len(curve)))
