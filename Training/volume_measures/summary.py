"""Means over cases, with intervals over patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from KPrismLib.evaluation.bootstrap import bootstrap_interval

ALL = "all"


def summarise(cases: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and 95 % bootstrap interval of every number, for each dataset and for all cases together.

    Args:
        cases: records with ``dataset``, ``patient`` and ``measured``, a table of numbers; None is left out.

    Returns:
        ``[dataset][name]`` to ``mean``, ``interval95`` (None for too few patients), ``cases`` and ``patients``.
    """
    columns: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for case in cases:
        for name, value in case["measured"].items():
            if value is None:
                continue
            for group in (case["dataset"], ALL):
                # Patients of two datasets never are one patient, whatever they are called.
                patient = f"{case['dataset']}/{case['patient']}"
                columns.setdefault(group, {}).setdefault(name, []).append((patient, float(value)))
    return {
        group: {name: _mean([value for _, value in rows], [p for p, _ in rows]) for name, rows in numbers.items()}
        for group, numbers in columns.items()
    }


def _mean(values: list[float], patients: list[str]) -> dict[str, Any]:
    interval = bootstrap_interval(values, patients)
    return {
        "mean": float(np.mean(values)),
        "interval95": None if interval is None else interval.tolist(),
        "cases": len(values),
        "patients": len(set(patients)),
    }
