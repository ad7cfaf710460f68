"""One true slice through the volume: propagated, and what the same slices give without propagation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from scipy import stats

from KPrismLib.class_names import class_called
from KPrismLib.evaluation.dice import dice
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import Propagation, SliceResult
from Training.volume_measures.cases import WINDOW, Case, Mask


def measure_propagation(predictor: Predictor, case: Case) -> dict[str, Any]:
    """Volume Dice from the true middle slice, four ways.

    ``propagated``: :class:`~KPrismLib.volumes.Propagation`. ``by_class``: the same, told the class of the structure;
    None where the model does not know it. ``one_shot``: every slice in-context from that slice alone.
    ``plain``: every slice in-context from the very slices that propagation used for it (beyond an end, those of the
    last slice before it), with the masks it found there, all of them one support set, as UniverSeg uses references.
    ``confidence_rank``: Spearman's correlation of confidence and Dice over the slices in which something was found.
    """
    run = _propagated(predictor, case, None)
    results, propagated = run.results, _masks(run)
    cls = class_called(case.cls, predictor.classes)
    by_class = None if cls is None else case.dice(_masks(_propagated(predictor, case, cls)))
    alone = predictor.combine([run.slices.reference(case.middle, case.truth[case.middle])])
    one_shot, plain = {case.middle: case.truth[case.middle]}, {case.middle: case.truth[case.middle]}
    for index in range(len(case.stack)):
        image = run.slices.image(index)
        if index == case.middle or image is None:
            continue
        used = _used(results, index, case.middle)
        together = predictor.combine([run.slices.reference(slice_, results[slice_].mask) for slice_ in used])
        one_shot[index] = predictor.segment(image, reference=alone).mask
        plain[index] = predictor.segment(image, reference=together).mask
    return {
        "propagated": case.dice(propagated),
        "by_class": by_class,
        "one_shot": case.dice(one_shot),
        "plain": case.dice(plain),
        "propagated_where_shown": _where_shown(case, propagated),
        "one_shot_where_shown": _where_shown(case, one_shot),
        "plain_where_shown": _where_shown(case, plain),
        "confidence_rank": _confidence_rank(case, results.values()),
    }


def _propagated(predictor: Predictor, case: Case, cls: str | None) -> Propagation:
    run = Propagation(predictor, case.stack, window=WINDOW, cls=cls)
    run.accept(case.middle, case.truth[case.middle])
    list(run.propagate())
    return run


def _masks(run: Propagation) -> dict[int, Mask]:
    return {index: result.mask for index, result in run.results.items()}


def _used(results: Mapping[int, SliceResult], index: int, seed: int) -> tuple[int, ...]:
    """The references that propagation had for a slice, or for the last slice that it reached on the way to it."""
    step = 1 if seed < index else -1
    while index != seed:
        if index in results and results[index].references:
            return tuple(used for used in results[index].references if results[used].shows)
        index -= step
    return (seed,)


def _where_shown(case: Case, masks: dict[int, Mask]) -> float:
    """Volume Dice over the slices that show the structure: how well it is outlined, wherever it is taken to end."""
    return case.dice({index: mask for index, mask in masks.items() if case.truth[index].any()})


def _confidence_rank(case: Case, results: Collection[SliceResult]) -> float | None:
    pairs = [
        (result.confidence, dice(result.mask, case.truth[result.index]))
        for result in results
        if result.references and result.shows
    ]
    confidence, quality = np.array(pairs).T if pairs else (np.zeros(0), np.zeros(0))
    if len(pairs) < 3 or np.ptp(confidence) == 0 or np.ptp(quality) == 0:
        return None
    return float(stats.spearmanr(confidence, quality).statistic)
