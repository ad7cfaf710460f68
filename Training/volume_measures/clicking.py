"""Clicks to a volume: always correcting the least certain slice, against one slice after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from KPrismLib.class_names import class_called
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import Propagation
from KPrismLib.volumes.encoded_stack import EncodedStack
from Training.volume_measures.cases import WINDOW, Case, Mask

#: Volume Dice to reach.
GOAL = 0.90

#: The slice Dice at which two imagined users call a slice done: one who wants no more than the volume needs, and one
#: who corrects what can be seen.
USERS: Mapping[str, float] = MappingProxyType({"": 0.90, "careful_": 0.95})

#: After so many clicks in a slice the user gives up on it and goes on.
CLICKS_PER_SLICE = 10


def measure_clicks(predictor: Predictor, case: Case) -> dict[str, Any]:
    """Clicks until the volume Dice reaches 0.90, several ways; nearly all begin with nothing but clicks in the middle.

    ``least_certain``: the slice is accepted and propagated, then the least certain slice
    (:meth:`~KPrismLib.volumes.Propagation.least_certain`) is corrected and accepted, and so on. ``independent``: each
    slice is clicked from nothing, from the middle outward. ``independent_in_context``: the clicked middle slice is the
    reference for all others, each of which is then corrected, from the middle outward. ``by_class``: as
    ``least_certain``, told the class of the structure; ``independent_by_class``: every slice begins with what the class
    gives in it; both are None where the model does not know the class. ``careful_*``: the first three of a user who
    calls a slice done at Dice 0.95, not at 0.90.

    Taking a mask away from a slice that shows nothing counts as one click; leaving an empty one empty as none. A
    measure that ends without reaching the goal counts all its clicks, and says so.
    """
    slices = EncodedStack(predictor, case.stack, window=WINDOW, memory=8)
    measured: dict[str, Any] = {}
    for prefix, done in USERS.items():
        user = _User(predictor, done)
        first, clicks = user.correct(slices.image(case.middle), None, case.truth[case.middle])
        ways: dict[str, _Way] = {
            "least_certain": _least_certain(user, case, first, clicks),
            "independent": _independent(user, case, slices, first, clicks, in_context=False),
            "independent_in_context": _independent(user, case, slices, first, clicks, in_context=True),
        }
        if not prefix:
            ways |= _by_class(user, case, slices, first, clicks)
        measured |= {f"{prefix}{name}": spent for name, (spent, _) in ways.items()}
        measured |= {f"{prefix}{name}_dice": reached for name, (_, reached) in ways.items()}
    return measured


def measure_learning_clicks(predictor: Predictor, case: Case) -> dict[str, Any]:
    """``learned``: as ``by_class`` of :func:`measure_clicks`, or ``least_certain`` for an unknown class, but learning.

    The user has the model learn (:meth:`~KPrismLib.volumes.Propagation.learn`) from the first slice, and again
    whenever twice as many are accepted that show the structure.
    """
    user = _User(predictor, USERS[""])
    slices = EncodedStack(predictor, case.stack, window=WINDOW, memory=1)
    first, clicks = user.correct(slices.image(case.middle), None, case.truth[case.middle])
    cls = class_called(case.cls, predictor.classes)
    spent, reached = _least_certain(user, case, first, clicks, cls=cls, learns=True)
    return {"learned": spent, "learned_dice": reached}


def measure_guided_clicks(predictor: Predictor, case: Case) -> dict[str, Any]:
    """``guided``: as ``learned``, but nothing begins from nothing, nor is clicked without the class.

    The first slice begins with what the class gives in it, as does any other that nothing was carried to, and clicks
    are guided by the class, as they are in Slicer when one is chosen. ``careful_guided``: of a user who calls a slice
    done at Dice 0.95. None where the model does not know the class.
    """
    cls = class_called(case.cls, predictor.classes)
    slices = EncodedStack(predictor, case.stack, window=WINDOW, memory=1)
    measured: dict[str, Any] = {}
    for prefix, done in USERS.items():
        way: _Way = None, None
        if cls is not None:
            user = _User(predictor, done, cls)
            first, clicks = user.correct(slices.image(case.middle), None, case.truth[case.middle])
            way = _least_certain(user, case, first, clicks, cls=cls, learns=True)
        measured |= {f"{prefix}guided": way[0], f"{prefix}guided_dice": way[1]}
    return measured


#: Clicks, and the volume Dice that was reached; None where it cannot be tried.
_Way = tuple[int, float] | tuple[None, None]


@dataclass(frozen=True)
class _User:
    """Clicks into the largest error of a slice until its Dice is ``done``, guided by a class or not."""

    predictor: Predictor
    done: float
    cls: str | None = None

    def correct(self, image: EncodedImage | None, mask: Mask | None, truth: Mask) -> tuple[Mask, int]:
        """What becomes of a slice, and the clicks it takes."""
        current = np.zeros_like(truth) if mask is None else mask
        if not truth.any():
            return np.zeros_like(truth), int(current.any())
        from_class = mask is None and self.cls is not None
        if from_class and image is not None:
            current = self.predictor.segment(image, cls=self.cls).mask
        if image is None or dice(current, truth) >= self.done:
            return current, 0
        # Clicks refine the mask alone: with the references they change less than the user wants. What comes of them is
        # the network's alone, as in the paper's tables.
        given = current if current.any() and not from_class else None
        session = self.predictor.session(image, cls=self.cls, mask=given, honour=False)
        best, clicks = current, 0
        while clicks < CLICKS_PER_SLICE and dice(current, truth) < self.done:
            click = next_click(current, truth)
            if click is None:
                break
            current = session.click(click.row, click.column, positive=click.positive).mask
            clicks += 1
            best = max(best, current, key=lambda candidate: dice(candidate, truth))
        return best, clicks


def _by_class(user: _User, case: Case, slices: EncodedStack, first: Mask, clicks: int) -> dict[str, _Way]:
    cls = class_called(case.cls, user.predictor.classes)
    if cls is None:
        return {"by_class": (None, None), "independent_by_class": (None, None)}
    masks: dict[int, Mask] = {}
    for index in range(len(case.stack)):
        image = slices.image(index)
        if image is not None:
            masks[index] = user.predictor.segment(image, cls=cls).mask
    return {
        "by_class": _least_certain(user, case, first, clicks, cls=cls),
        "independent_by_class": _corrected_outward(user, case, slices, masks, 0),
    }


def _least_certain(
    user: _User, case: Case, first: Mask, clicks: int, *, cls: str | None = None, learns: bool = False
) -> tuple[int, float]:
    run = Propagation(user.predictor, case.stack, window=WINDOW, cls=cls)
    run.accept(case.middle, first)
    lesson = 1
    while True:
        shown = sum(run.results[index].shows for index in run.accepted)
        if learns and shown >= lesson:
            list(run.learn())
            lesson = 2 * shown
        if shown:
            list(run.propagate())
        masks = {index: result.mask for index, result in run.results.items()}
        reached, worst = case.dice(masks), run.least_certain()
        if reached >= GOAL:
            return clicks, reached
        if worst is None:
            # Everything that was reached is right; what is missing lies beyond an end that came too early.
            worst = next((index for index in _outward(case) if index not in masks), None)
            if worst is None:
                return clicks, reached
        corrected, spent = user.correct(run.slices.image(worst), masks.get(worst), case.truth[worst])
        clicks += spent
        run.accept(worst, corrected)


def _independent(
    user: _User, case: Case, slices: EncodedStack, first: Mask, clicks: int, *, in_context: bool
) -> tuple[int, float]:
    masks = {case.middle: first}
    if in_context and first.any():
        reference = user.predictor.combine([slices.reference(case.middle, first)])
        for index in _outward(case):
            image = slices.image(index)
            if index != case.middle and image is not None:
                masks[index] = user.predictor.segment(image, reference=reference).mask
    return _corrected_outward(user, case, slices, masks, clicks, done={case.middle})


def _corrected_outward(
    user: _User,
    case: Case,
    slices: EncodedStack,
    masks: dict[int, Mask],
    clicks: int,
    *,
    done: Collection[int] = (),
) -> tuple[int, float]:
    """Correct one slice after the other until the volume is right; those of ``done`` are."""
    for index in _outward(case):
        if case.dice(masks) >= GOAL:
            break
        if index in done:
            continue
        masks[index], spent = user.correct(slices.image(index), masks.get(index), case.truth[index])
        clicks += spent
    return clicks, case.dice(masks)


def _outward(case: Case) -> list[int]:
    """All slices, from the middle of the structure outward."""
    return sorted(range(len(case.stack)), key=lambda index: (abs(index - case.middle), index))
