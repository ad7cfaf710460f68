"""One (slice, class) in one mode, or many at once: what the model is given, and how well it does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.predictor import Predictor, Sessions, Together, together
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.prompts import Click


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
    clicks: tuple[Click, ...] = ()


@dataclass(frozen=True, eq=False)
class Question:
    """What a model is asked, and the answer.

    Attributes:
        image: What ``predictor.encode`` returned.
        target: bool, shape (H, W).
        cls: The class.
        reference: What ``predictor.reference`` returned; ``None`` in the modes without references.
    """

    image: Any
    target: NDArray[np.bool_]
    cls: str
    reference: Any


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
    asked = [Question(image, target, cls, reference)]
    return run_trials(together(predictor, batch=1), asked, mode=mode, clicks=clicks)[0]


def blind_trial(target: NDArray[np.bool_], *, mode: Mode, clicks: int) -> Trial:
    """The trial on an image in which there is nothing to see: no model is asked, and the mask stays empty."""
    mask = np.zeros_like(target)
    return Trial((dice(mask, target),) * (clicks + 1 if mode.uses_clicks else 1), mask, 0.0)


def run_trials(model: Together, questions: Sequence[Question], *, mode: Mode, clicks: int) -> list[Trial]:
    """Many trials in one mode, each as :func:`run_trial` would do it; clicks are made on all images in turn.

    Raises:
        GeometryMismatch: The model's mask has another shape than the target.
    """
    images = [question.image for question in questions]
    classes = [question.cls if mode.uses_class else None for question in questions]
    references = [question.reference if mode.uses_references else None for question in questions]
    targets = [question.target for question in questions]
    if mode.uses_clicks:
        sessions = model.sessions(images, classes, references)
        return _click_through(sessions, targets, clicks, refines=mode is not Mode.INTERACTIVE)
    trials = []
    for result, target in zip(model.segment(images, classes, references), targets, strict=True):
        mask = np.asarray(result.mask, dtype=bool)
        trials.append(Trial((dice(mask, target),), mask, float(result.milliseconds)))
    return trials


def _click_through(
    sessions: Sessions, targets: Sequence[NDArray[np.bool_]], clicks: int, *, refines: bool
) -> list[Trial]:
    """Click until each mask is perfect or the clicks are spent; the curves always have ``clicks + 1`` entries."""
    # Without an initial mask nothing is segmented before the first click, whatever the session reports.
    masks = _masks(sessions, targets) if refines else [np.zeros_like(target) for target in targets]
    curves = [[dice(mask, target)] for mask, target in zip(masks, targets, strict=True)]
    made: list[list[Click]] = [[] for _ in targets]
    seconds = [0.0] * len(targets)
    imperfect = list(range(len(targets)))
    for _ in range(clicks):
        chosen = {number: click for number in imperfect if (click := next_click(masks[number], targets[number]))}
        if not chosen:
            break
        started = time.perf_counter()
        sessions.click({number: (click.row, click.column, click.positive) for number, click in chosen.items()})
        share = (time.perf_counter() - started) / len(chosen)
        masks = _masks(sessions, targets)
        for number, click in chosen.items():
            made[number].append(click)
            seconds[number] += share
            curves[number].append(dice(masks[number], targets[number]))
        imperfect = list(chosen)
    return [
        Trial(_padded(curve, clicks + 1), mask, 1000 * spent / max(1, len(done)), tuple(done))
        for curve, mask, spent, done in zip(curves, masks, seconds, made, strict=True)
    ]


def _masks(sessions: Sessions, targets: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    return [
        np.zeros_like(target) if mask is None else np.asarray(mask, dtype=bool)
        for mask, target in zip(sessions.masks, targets, strict=True)
    ]


def _padded(curve: Sequence[float], length: int) -> tuple[float, ...]:
    return (*curve, *[curve[-1]] * (length - len(curve)))
