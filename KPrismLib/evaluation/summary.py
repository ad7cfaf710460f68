"""From single measurements to the numbers of the paper's tables, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from KPrismLib.evaluation.bootstrap import bootstrap_interval
from KPrismLib.evaluation.clicks_to_quality import number_of_clicks
from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.settings import EvaluationSettings, Mode

MEAN = "mean"
_THRESHOLDS = {"noc90": 0.90, "noc95": 0.95}

Measured = TypeVar("Measured", SliceMeasurement, VolumeMeasurement)
Json = dict[str, Any]


def summarise_mode(
    slices: Sequence[SliceMeasurement],
    volumes: Sequence[VolumeMeasurement],
    mode: Mode,
    settings: EvaluationSettings,
) -> Json:
    """The numbers of one dataset in one mode.

    ``dice`` and whatever else is given per class carry the class names and ``mean``, the average over all
    (slice, class) pairs. Every ``X`` has its ``X_interval95``: [low, high], or ``None`` with a single patient.

    Args:
        slices: Measurements of this dataset and mode.
        volumes: Likewise.
        mode: The mode.
        settings: Cap on the clicks and seed of the bootstrap.
    """
    present = [row for row in slices if row.present]
    absent = [row for row in slices if not row.present]
    seed = settings.seed
    if mode.uses_clicks:
        summary = _per_class("dice", present, lambda row: row.curve, seed)
        summary |= _clicks(present, settings)
    else:
        summary = _per_class("dice", present, lambda row: row.curve[0], seed)
        summary |= _per_class("volume_dice", volumes, lambda row: row.dice, seed)
        summary |= _per_class("false_positive_rate", absent, lambda row: float(row.found), seed)
        summary["slices_without_class"] = _counts(absent)
    summary["pairs"] = _counts(present)
    summary["patients"] = len({row.patient for row in present})
    summary["milliseconds"] = float(np.median([row.milliseconds for row in slices])) if slices else None
    return summary


def _clicks(rows: Sequence[SliceMeasurement], settings: EvaluationSettings) -> Json:
    """NoC90 and NoC95 for every cap: the plain key is the paper's, ``noc90_cap20`` the wider one."""
    summary: Json = {"cap": settings.caps[0]}
    curves, patients = [row.curve for row in rows], [row.patient for row in rows]
    for position, cap in enumerate(settings.caps):
        for name, threshold in _THRESHOLDS.items():
            clicks = number_of_clicks(curves, threshold, cap=cap)
            key = name if position == 0 else f"{name}_cap{cap}"
            summary[key] = float(clicks.mean())
            summary[f"{key}_interval95"] = _plain(bootstrap_interval(clicks, patients, seed=settings.seed))
    return summary


def _per_class(
    key: str, rows: Sequence[Measured], value: Callable[[Measured], float | tuple[float, ...]], seed: int
) -> Json:
    """Mean and interval of a value: per class, and over everything."""
    means: Json = {}
    intervals: Json = {}
    for name, group in _grouped(rows):
        values = np.asarray([value(row) for row in group], dtype=np.float64)
        means[name] = values.mean(axis=0).tolist()
        intervals[name] = _plain(bootstrap_interval(values, [row.patient for row in group], seed=seed))
    return {key: means, f"{key}_interval95": intervals}


def _grouped(rows: Sequence[Measured]) -> Iterable[tuple[str, Sequence[Measured]]]:
    """The rows of every class, in order of appearance, and then all of them."""
    for name in dict.fromkeys(row.cls for row in rows):
        yield name, [row for row in rows if row.cls == name]
    if rows:
        yield MEAN, rows


def _counts(rows: Sequence[SliceMeasurement]) -> Json:
    return {name: len(group) for name, group in _grouped(rows)}


def _plain(interval: NDArray[np.float64] | None) -> Any:
    return None if interval is None else interval.tolist()
