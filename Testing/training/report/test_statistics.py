"""Means over sets, differences, and whether they agree with the paper."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.evaluation.bootstrap import bootstrap_interval
from KPrismLib.evaluation.measurements import VolumeMeasurement
from KPrismLib.evaluation.settings import Mode
from Testing.training.report.tiny_report import measured
from Training.report.statistics import (
    Number,
    Sample,
    clicks_to,
    curve,
    dice_after,
    difference,
    false_positives,
    mean,
    sample,
    volume_sample,
)
from Training.report.verdict import verdict

CLICKS = Mode.INTERACTIVE


def test_one_set_has_the_interval_that_evaluation_gives_it(rng: np.random.Generator) -> None:
    values, patients = rng.random(30), tuple(str(number % 7) for number in range(30))
    number = mean([Sample(values, patients)], seed=5)
    assert number is not None
    assert number.value == pytest.approx(values.mean())
    assert (number.low, number.high) == pytest.approx(tuple(bootstrap_interval(values, patients, seed=5)))
    assert number.count == 30


def test_every_set_counts_the_same(rng: np.random.Generator) -> None:
    large = Sample(rng.random(90), tuple(str(number % 30) for number in range(90)))
    small = Sample(rng.random(5) + 1, tuple("abcde"))
    number = mean([large, None, small])
    assert number is not None
    assert number.value == pytest.approx((large.values.mean() + small.values.mean()) / 2)
    assert number.low is not None
    assert number.high is not None
    assert number.low < number.value < number.high


def test_the_spread_of_a_mean_is_that_of_independent_sets(rng: np.random.Generator) -> None:
    sets = [Sample(rng.normal(size=200), tuple(map(str, range(200)))) for _ in range(4)]
    alone, together = mean(sets[:1]), mean(sets)
    assert alone is not None
    assert together is not None
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(1 / 2, abs=0.1)


def test_a_set_of_few_patients_leaves_the_spread_unknown() -> None:
    few = Sample(np.array([0.2, 0.4, 0.3, 0.3]), tuple("abcd"))
    number = mean([few])
    assert number == Number(pytest.approx(0.3), None, None, 4)
    assert not number.excludes_zero
    assert verdict(number, 3.0) == "open"
    enough = Sample(np.array([0.2, 0.4, 0.3, 0.3, 0.3]), tuple("abcde"))
    assert verdict(mean([enough]), 3.0) == "yes"
    assert verdict(mean([enough, few]), 3.0) == "open"
    assert mean([]) is None
    assert mean([None]) is None


def test_metrics_of_curves() -> None:
    rows = [
        measured("A", CLICKS, 0.0, 0.92, 0.96),
        measured("A", CLICKS, 0.0, 0.5, 0.91),
        measured("A", CLICKS, present=False),
    ]
    assert sample(rows, dice_after(1)).values.tolist() == [0.92, 0.5]
    assert sample(rows, clicks_to(0.90)).values.tolist() == [1, 2]
    assert sample(rows, clicks_to(0.95)).values.tolist() == [2, 2]  # a failure counts as the cap
    assert sample(rows, curve).values.shape == (2, 3)
    assert sample(rows[2:], curve) is None


def test_empty_slices_and_volumes() -> None:
    rows = [
        measured("A", Mode.SEMANTIC, present=False, found=True),
        measured("A", Mode.SEMANTIC, present=False, found=False, patient="p2"),
        measured("A", Mode.SEMANTIC, 0.5),
    ]
    assert false_positives(rows).values.tolist() == [1.0, 0.0]
    assert false_positives(rows[2:]) is None
    assert volume_sample([VolumeMeasurement("A", "v", "p", "liver", Mode.SEMANTIC, 0.7)]).values.tolist() == [0.7]
    assert volume_sample([]) is None


def test_differences_compare_a_slice_with_itself() -> None:
    ours = [measured("A", Mode.SEMANTIC, 0.9, index=1), measured("A", Mode.SEMANTIC, 0.4, index=2)]
    base = [measured("A", Mode.SEMANTIC, 0.5, index=2), measured("A", Mode.SEMANTIC, 0.6, index=1, cls="spleen")]
    found = difference(ours, base, dice_after(0))
    assert found.values.tolist() == pytest.approx([-0.1])
    assert difference(ours[:1], base, dice_after(0)) is None


def test_verdicts_need_an_interval_without_zero() -> None:
    def number(low: float, high: float) -> Number:
        return Number(np.float64((low + high) / 2), np.float64(low), np.float64(high), 9)

    assert verdict(number(0.1, 0.2), 3.0) == "yes"
    assert verdict(number(-0.2, -0.1), -3.0) == "yes"
    assert verdict(number(0.1, 0.2), -3.0) == "**no**"
    assert verdict(number(-0.1, 0.2), 3.0) == "open"
    assert verdict(None, 3.0) == verdict(number(0.1, 0.2), None) == "–"
