"""From single measurements to the numbers of the paper's tables, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from KPrismLib.evaluation.bootstrap import interval_over_sets
from KPrismLib.evaluation.clicks_to_quality import number_of_clicks
from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.settings import EvaluationSettings, Mode

MEAN = "mean"
_THRESHOLDS = {"noc90": 0.90, "noc95": 0.95}

Measured = TypeVar("Measured", SliceMeasurement, VolumeMeasurement)
Json = dict[str, Any]
Sample = tuple[NDArray[np.float64], Sequence[str]]
"""Measurements of one dataset, and the patient of each."""


def summarise_mode(
    slices: Sequence[SliceMeasurement],
    volumes: Sequence[VolumeMeasurement],
    mode: Mode,
    settings: EvaluationSettings,
) -> Json:
    """The numbers of one dataset in one mode.

    ``dice`` and whatever else is given per class carry the class names and ``mean``, the average over all
    (slice, class) pairs. Every ``X`` has its ``X_interval95``: [low, high], or ``None`` with too few patients
    (:data:`~.bootstrap.FEWEST_PATIENTS`). ``patients`` and ``class_patients`` say in how many
    patients anything, and each class, was measured.

    Args:
        slices: Measurements of this dataset and mode.
        volumes: Likewise.
        mode: The mode.
        settings: Cap on the clicks and seed of the bootstrap.
    """
    present = [row for row in slices if row.present]
    absent = [row for row in slices if not row.present]
    if mode.uses_clicks:
        summary = _per_class("dice", present, _curve, settings)
        summary |= _clicks(present, settings)
    else:
        summary = _per_class("dice", present, _dice, settings)
        summary |= _per_class("volume_dice", volumes, lambda row: row.dice, settings)
        summary |= _per_class("false_positive_rate", absent, lambda row: float(row.found), settings)
        summary["slices_without_class"] = _counts(absent)
    summary["pairs"] = _counts(present)
    summary["patients"] = _patients(present)
    summary["class_patients"] = {name: _patients(group) for name, group in _grouped(present) if name != MEAN}
    summary["milliseconds"] = float(np.median([row.milliseconds for row in slices])) if slices else None
    return summary


def summarise_sets(sets: Sequence[Sequence[SliceMeasurement]], mode: Mode, settings: EvaluationSettings) -> Json:
    """Averages over datasets, each of which counts the same: the paper's "Avg".

    Args:
        sets: Measurements of each dataset in this mode.
        mode: The mode.
        settings: Cap on the clicks and seed of the bootstrap.

    Returns:
        ``dice``, the clicks where there are any, their ``X_interval95``, and the ``patients`` of all sets together;
        nothing where no slice shows any class.
    """
    present = [rows for rows in ([row for row in each if row.present] for each in sets) if rows]
    if not present:
        return {}
    summary = _averaged("dice", [_sample(rows, _curve if mode.uses_clicks else _dice) for rows in present], settings)
    if mode.uses_clicks:
        for name, threshold in _THRESHOLDS.items():
            counted = [_clicks_to(threshold, rows, settings.caps[0]) for rows in present]
            summary |= _averaged(name, counted, settings)
    return summary | {"patients": sum(map(_patients, present))}


def _clicks(rows: Sequence[SliceMeasurement], settings: EvaluationSettings) -> Json:
    """NoC90 and NoC95 for every cap: the plain key is the paper's, ``noc90_cap20`` the wider one."""
    summary: Json = {"cap": settings.caps[0]}
    for position, cap in enumerate(settings.caps):
        for name, threshold in _THRESHOLDS.items():
            key = name if position == 0 else f"{name}_cap{cap}"
            summary |= _averaged(key, [_clicks_to(threshold, rows, cap)], settings)
    return summary


def _per_class(
    key: str,
    rows: Sequence[Measured],
    value: Callable[[Measured], float | tuple[float, ...]],
    settings: EvaluationSettings,
) -> Json:
    """Mean and interval of a value: per class, and over everything."""
    summary: Json = {key: {}, f"{key}_interval95": {}}
    for name, group in _grouped(rows):
        for entry, found in _averaged(key, [_sample(group, value)], settings).items():
            summary[entry][name] = found
    return summary


def _averaged(key: str, sets: Sequence[Sample], settings: EvaluationSettings) -> Json:
    """The mean over datasets, each of which counts the same, and its interval."""
    interval = interval_over_sets(sets, seed=settings.seed)
    return {
        key: np.mean([values.mean(axis=0) for values, _ in sets], axis=0).tolist(),
        f"{key}_interval95": None if interval is None else interval.tolist(),
    }


def _sample(rows: Sequence[Measured], value: Callable[[Measured], float | tuple[float, ...]]) -> Sample:
    return np.asarray([value(row) for row in rows], dtype=np.float64), [row.patient for row in rows]


def _clicks_to(threshold: float, rows: Sequence[SliceMeasurement], cap: int) -> Sample:
    clicks = number_of_clicks([row.curve for row in rows], threshold, cap=cap)
    return clicks.astype(np.float64), [row.patient for row in rows]


def _curve(row: SliceMeasurement) -> tuple[float, ...]:
    return row.curve


def _dice(row: SliceMeasurement) -> float:
    return row.curve[0]


def _grouped(rows: Sequence[Measured]) -> Iterable[tuple[str, Sequence[Measured]]]:
    """The rows of every class, in order of appearance, and then all of them."""
    for name in dict.fromkeys(row.cls for row in rows):
        yield name, [row for row in rows if row.cls == name]
    if rows:
        yield MEAN, rows


def _counts(rows: Sequence[SliceMeasurement]) -> Json:
    return {name: len(group) for name, group in _grouped(rows)}


def _patients(rows: Sequence[Measured]) -> int:
    return len({row.patient for row in rows})
