"""Bootstrap intervals: exact small cases, a slow reference, known statistics."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.evaluation.bootstrap import bootstrap_interval


def test_one_patient_has_no_interval() -> None:
    assert bootstrap_interval([0.1, 0.9], ["a", "a"]) is None
    assert bootstrap_interval([], []) is None


def test_two_patients_span_the_interval() -> None:
    # Samples are aa, ab, ba, bb: the extremes have a quarter of the draws each, more than a 2.5 % tail.
    assert bootstrap_interval([0.2, 0.4, 0.9], ["a", "a", "b"]) == pytest.approx([0.3, 0.9])


def test_equal_values_have_no_spread() -> None:
    assert bootstrap_interval([0.5] * 6, list("aabbcc")) == pytest.approx([0.5, 0.5])


def test_equal_seeds_give_equal_intervals(rng: np.random.Generator) -> None:
    values, patients = rng.random(30), [str(number % 9) for number in range(30)]
    first = bootstrap_interval(values, patients, seed=4)
    np.testing.assert_array_equal(first, bootstrap_interval(values, patients, seed=4))
    assert not np.array_equal(first, bootstrap_interval(values, patients, seed=5))


def test_curves_share_their_draws(rng: np.random.Generator) -> None:
    curves, patients = rng.random((40, 3)), [str(number % 11) for number in range(40)]
    table = bootstrap_interval(curves, patients)
    assert table is not None
    assert table.shape == (2, 3)
    for column in range(3):
        np.testing.assert_allclose(table[:, column], bootstrap_interval(curves[:, column], patients))


def test_agrees_with_drawing_patients_one_by_one(rng: np.random.Generator) -> None:
    values, patients = rng.random(60), rng.integers(0, 12, 60)
    by_patient = [values[patients == patient] for patient in range(12) if (patients == patient).any()]
    means = [
        np.concatenate([by_patient[choice] for choice in rng.integers(0, len(by_patient), len(by_patient))]).mean()
        for _ in range(4000)
    ]
    fast = bootstrap_interval(values, [str(patient) for patient in patients], draws=20000)
    np.testing.assert_allclose(fast, np.quantile(means, [0.025, 0.975]), atol=0.01)


def test_resembles_the_normal_interval_of_a_large_sample(rng: np.random.Generator) -> None:
    values = rng.normal(size=800)
    half = 1.96 * values.std() / np.sqrt(values.size)
    interval = bootstrap_interval(values, [str(number) for number in range(800)])
    np.testing.assert_allclose(interval, [values.mean() - half, values.mean() + half], atol=0.01)
    wider = bootstrap_interval(values, [str(number) for number in range(800)], level=0.99)
    assert interval is not None
    assert wider is not None
    assert wider[0] < interval[0] < interval[1] < wider[1]
