"""Bootstrap intervals: exact small cases, a slow reference, known statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from KPrismLib.evaluation.bootstrap import bootstrap_interval, interval_over_sets


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_few_patients_have_no_interval() -> None:
    assert bootstrap_interval([], []) is None
    assert bootstrap_interval([0.1, 0.9], ["a", "a"]) is None
    assert bootstrap_interval([0.1, 0.9] * 4, list("aabbccdd")) is None
    assert bootstrap_interval([0.1, 0.9] * 5, list("aabbccddee")) is not None
    many = (np.arange(30.0), names(30))
    assert interval_over_sets([many, ([0.1, 0.9, 0.3, 0.2], list("abcd"))]) is None
    assert interval_over_sets([]) is None


@pytest.mark.parametrize("patients", [5, 10, 20])
def test_the_true_mean_is_in_as_many_intervals_as_they_say(patients: int) -> None:
    """Of normal values. The plain percentile interval holds it in 84, 90 and 93 of 100 studies."""
    studies = np.random.default_rng(7).normal(size=(1500, patients))
    intervals = np.array(
        [bootstrap_interval(study, names(patients), draws=2000, seed=seed) for seed, study in enumerate(studies)]
    )
    covered = np.mean((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0))
    # Three standard errors of a share of 1500 are 0.017. With five patients samples are few, and something is missing.
    assert covered == pytest.approx({5: 0.92, 10: 0.945, 20: 0.945}[patients], abs=0.017)


@pytest.mark.parametrize(("spreads", "expected"), [((1, 1), 0.95), ((4, 1), 0.93), ((1, 4), 0.945)])
def test_so_it_is_in_intervals_of_means_over_sets(spreads: tuple[int, int], expected: float) -> None:
    """A set of six patients and one of twenty: where all depends on one of them, it is as if that one were alone."""
    rng = np.random.default_rng(8)
    covered = []
    for seed in range(1500):
        sets = [(spread * rng.normal(size=count), names(count)) for spread, count in zip(spreads, (6, 20), strict=True)]
        interval = interval_over_sets(sets, draws=2000, seed=seed)
        assert interval is not None
        covered.append(interval[0] <= 0 <= interval[1])
    assert np.mean(covered) == pytest.approx(expected, abs=0.018)  # three standard errors


def test_the_tails_are_those_of_the_expanded_interval() -> None:
    """For ten patients 0.86 % instead of 2.5 %, by Hesterberg's formula."""
    values = np.random.default_rng(3).normal(size=10)
    tail = stats.norm.cdf(-np.sqrt(10 / 9) * stats.t.ppf(0.975, 9))
    means = np.random.default_rng(4).choice(values, size=(100_000, 10)).mean(axis=1)
    assert tail == pytest.approx(0.00855, abs=5e-5)
    interval = bootstrap_interval(values, names(10), draws=100_000)
    np.testing.assert_allclose(interval, np.quantile(means, [tail, 1 - tail]), atol=0.03)


def test_equal_values_have_no_spread() -> None:
    assert bootstrap_interval([0.5] * 10, list("aabbccddee")) == pytest.approx([0.5, 0.5])
    both = bootstrap_interval(np.stack([np.full(6, 0.5), np.arange(6)], axis=1), names(6))
    assert both is not None
    assert both[0, 0] == both[1, 0] == 0.5
    assert both[0, 1] < both[1, 1]


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
    """Patients with as many slices as they happen to have; of a hundred of them, the interval is hardly expanded."""
    values, patients = rng.random(400), rng.integers(0, 100, 400)
    by_patient = [values[patients == patient] for patient in range(100) if (patients == patient).any()]
    means = [
        np.concatenate([by_patient[choice] for choice in rng.integers(0, len(by_patient), len(by_patient))]).mean()
        for _ in range(4000)
    ]
    fast = bootstrap_interval(values, [str(patient) for patient in patients])
    np.testing.assert_allclose(fast, np.quantile(means, [0.0225, 0.9775]), atol=0.003)


def test_resembles_the_normal_interval_of_a_large_sample(rng: np.random.Generator) -> None:
    values = rng.normal(size=800)
    half = 1.96 * values.std() / np.sqrt(values.size)
    interval = bootstrap_interval(values, [str(number) for number in range(800)])
    np.testing.assert_allclose(interval, [values.mean() - half, values.mean() + half], atol=0.01)
    wider = bootstrap_interval(values, [str(number) for number in range(800)], level=0.99)
    assert interval is not None
    assert wider is not None
    assert wider[0] < interval[0] < interval[1] < wider[1]
