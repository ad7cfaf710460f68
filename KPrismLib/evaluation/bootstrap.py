"""How far a mean could have come out otherwise, had other patients been examined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bootstrap_interval(
    values: ArrayLike,
    patients: Sequence[str],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> NDArray[np.float64] | None:
    """Percentile bootstrap interval of a mean over measurements, with patients as the unit of chance.

    Slices of one patient resemble each other, so whole patients are drawn with replacement: every measurement of
    a patient comes as often as the patient was drawn.

    Args:
        values: float, shape (N,) or (N, K): K measurements (a curve, say) with a common draw.
        patients: N names, the patient of each row.
        level: Share of the draws inside the interval.
        draws: How many bootstrap samples.
        seed: The same seed gives the same interval.

    Returns:
        Shape (2,) or (2, K): lower and upper bound; ``None`` for fewer than two patients, whose spread is unknown.
    """
    samples = bootstrap_means(values, patients, draws=draws, seed=seed)
    if samples is None:
        return None
    tail = (1 - level) / 2
    return np.quantile(samples, [tail, 1 - tail], axis=0)


def bootstrap_means(
    values: ArrayLike, patients: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> NDArray[np.float64] | None:
    """The means whose spread :func:`bootstrap_interval` tells, for means of several datasets.

    Returns:
        Shape (draws,) or (draws, K); ``None`` for fewer than two patients.
    """
    table = np.asarray(values, dtype=np.float64)
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if names.size < 2:
        return None
    totals = np.zeros((names.size, *table.shape[1:]))
    np.add.at(totals, owner, table)
    counts = np.bincount(owner)
    # How often each patient is drawn says all there is to say about a sample.
    weights = np.random.default_rng(seed).multinomial(names.size, np.full(names.size, 1 / names.size), size=draws)
    means: NDArray[np.float64] = weights @ totals / (weights @ counts).reshape(-1, *(1,) * (table.ndim - 1))
    return means
