"""Numbers with intervals: of one set, of a mean over sets, and of the difference between two models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.evaluation.bootstrap import interval_over_sets
from KPrismLib.evaluation.clicks_to_quality import number_of_clicks
from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.settings import PAPER_CAP


@dataclass(frozen=True)
class Number:
    """A mean with its 95 % bootstrap interval over patients.

    Attributes:
        value: Float, or shape (K,) for a curve.
        low, high: The bounds, of the same shape; ``None`` where there are too few patients to tell the spread.
        count: How many measurements it is the mean of.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    count: int

    @classmethod
    def stored(cls, value: float, interval: Sequence[float] | None, count: int) -> Number:
        """From what JSON holds: a mean and its interval, or None for that."""
        low, high = (None, None) if interval is None else (np.asarray(bound, np.float64) for bound in interval)
        return cls(np.asarray(value, np.float64), low, high, count)

    def scaled(self, factor: float) -> Number:
        """The same in another unit; ``factor`` is positive."""
        low, high = (None if bound is None else factor * bound for bound in (self.low, self.high))
        return Number(factor * self.value, low, high, self.count)

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the interval."""
        if self.low is None or self.high is None:
            return False
        return bool(self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Sample:
    """Measurements of one set.

    Attributes:
        values: Float, shape (N,) or (N, K).
        patients: The patient of each.
    """

    values: NDArray[np.float64]
    patients: tuple[str, ...]


Metric = Callable[[Sequence[SliceMeasurement]], NDArray[np.float64]]


def dice_after(clicks: int) -> Metric:
    """Dice after so many clicks; 0 for the modes without clicks."""
    return lambda rows: np.array([row.curve[clicks] for row in rows], dtype=np.float64)


def clicks_made(rows: Sequence[SliceMeasurement]) -> int:
    """Clicks that all rows have whose class is present; 0 without any."""
    return min((len(row.curve) - 1 for row in rows if row.present), default=0)


def clicks_to(threshold: float, *, cap: int = PAPER_CAP) -> Metric:
    """NoC: clicks until Dice reaches a threshold; failures count as the cap, or as all clicks where fewer were made."""

    def count(rows: Sequence[SliceMeasurement]) -> NDArray[np.float64]:
        curves = [row.curve for row in rows]
        return number_of_clicks(curves, threshold, cap=min(cap, clicks_made(rows))).astype(np.float64)

    return count


def curve(rows: Sequence[SliceMeasurement]) -> NDArray[np.float64]:
    """Dice after 0, 1, 2, ... clicks."""
    return np.array([row.curve for row in rows], dtype=np.float64)


def sample(rows: Sequence[SliceMeasurement], metric: Metric) -> Sample | None:
    """A metric of the rows whose class is present; ``None`` without any."""
    present = [row for row in rows if row.present]
    return Sample(metric(present), tuple(row.patient for row in present)) if present else None


def volume_sample(rows: Sequence[VolumeMeasurement]) -> Sample | None:
    """Dice per volume."""
    if not rows:
        return None
    return Sample(np.array([row.dice for row in rows]), tuple(row.patient for row in rows))


def false_positives(rows: Sequence[SliceMeasurement]) -> Sample | None:
    """Whether something was found, of the rows whose class is absent."""
    absent = [row for row in rows if not row.present]
    return (
        Sample(np.array([float(row.found) for row in absent]), tuple(row.patient for row in absent)) if absent else None
    )


def difference(rows: Sequence[SliceMeasurement], base: Sequence[SliceMeasurement], metric: Metric) -> Sample | None:
    """A metric of the rows minus that of the same slices and classes in ``base``; rows without partner do not count."""
    partners = {_key(row): row for row in base if row.present}
    pairs = [(row, partners[_key(row)]) for row in rows if row.present and _key(row) in partners]
    if not pairs:
        return None
    ours, theirs = zip(*pairs, strict=True)
    return Sample(metric(ours) - metric(theirs), tuple(row.patient for row in ours))


def mean(samples: Sequence[Sample | None], *, seed: int = 0) -> Number | None:
    """The mean over sets, each of which counts the same, as the paper averages.

    Patients are drawn within each set, independently of the other sets. A set of fewer than
    :data:`~KPrismLib.evaluation.bootstrap.FEWEST_PATIENTS` leaves the spread unknown.
    """
    given = [each for each in samples if each is not None]
    if not given:
        return None
    value = np.mean([each.values.mean(axis=0) for each in given], axis=0)
    interval = interval_over_sets([(each.values, each.patients) for each in given], seed=seed)
    low, high = (None, None) if interval is None else interval
    return Number(value, low, high, sum(len(each.patients) for each in given))


def patients(rows: Iterable[SliceMeasurement | VolumeMeasurement]) -> int:
    """How many patients are behind a number: of slices, those that show the class count."""
    return len({row.patient for row in rows if isinstance(row, VolumeMeasurement) or row.present})


def _key(row: SliceMeasurement) -> tuple[str, str, int, str]:
    return row.dataset, row.item, row.index, row.cls
