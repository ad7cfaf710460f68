"""True slices through the volume, with and without learning from them first."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from KPrismLib.class_names import class_called
from KPrismLib.evaluation.dice import VolumeDice
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import Propagation
from Training.volume_measures.cases import WINDOW, Case, Mask

#: How many true slices are given.
GIVEN = (1, 3)


def measure_learning(predictor: Predictor, case: Case) -> dict[str, Any]:
    """Dice of all slices that were not given, from one and from three true ones, evenly spread over the structure.

    ``propagated_N``: :class:`~KPrismLib.volumes.Propagation` from N slices. ``learned_N``: the same, after
    :meth:`~KPrismLib.volumes.Propagation.learn`. ``by_class_N``, ``learned_by_class_N``: both told the class of the
    structure; None where the model does not know it. None as well where no more than the given slices show it.
    """
    cls = class_called(case.cls, predictor.classes)
    measured: dict[str, Any] = {}
    for count in GIVEN:
        given = spread_over(case.showing, count)
        fits = len(case.showing) > count
        for prefix, told, learns in (
            ("propagated", None, False),
            ("learned", None, True),
            ("by_class", cls, False),
            ("learned_by_class", cls, True),
        ):
            tried = fits and (told is not None or not prefix.endswith("by_class"))
            measured[f"{prefix}_{count}"] = _dice(predictor, case, given, told, learns=learns) if tried else None
    return measured


def spread_over(showing: list[int], count: int) -> list[int]:
    """``count`` of the slices in the middle of equal parts, or all where there are no more."""
    return sorted({showing[int((part + 0.5) * len(showing) / count)] for part in range(count)})


def _dice(predictor: Predictor, case: Case, given: Collection[int], cls: str | None, *, learns: bool) -> float:
    run = Propagation(predictor, case.stack, window=WINDOW, cls=cls)
    for index in given:
        run.accept(index, case.truth[index])
    if learns:
        list(run.learn())
    list(run.propagate())
    masks: dict[int, Mask] = {index: result.mask for index, result in run.results.items()}
    score = VolumeDice()
    for index, truth in enumerate(case.truth):
        if index not in given:
            score.add(masks.get(index, np.zeros_like(truth)), truth)
    return score.value
