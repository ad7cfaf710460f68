"""How far a predicted slice can be trusted, without knowing the truth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: How much of its neighbour's confidence, in logarithms, a slice takes over.
INHERITED = 0.7


def expected_dice(probability: NDArray[np.float32]) -> float:
    """The Dice that the probabilities themselves promise for their mask, 2 sum(p m) / (sum(m) + sum(p)).

    Args:
        probability: float32 (rows, columns) in [0, 1]; the mask m is where it is at least 0.5.

    Returns:
        In [0, 1]. For an empty mask, how sure the most doubtful pixel is of not being part of the structure.
    """
    mask = probability >= 0.5
    if not mask.any():
        return 1.0 - float(probability.max())
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside / (float(mask.sum()) + float(probability.sum(dtype=np.float64)))


def evidence(mask: NDArray[np.bool_], *, overlap: float, promise: float, agreement: float) -> float:
    """What speaks for a slice by itself.

    A structure overlaps with itself from slice to slice, the model is sure where it knows what it sees, and what it
    recognises agrees with what it follows. Together they tell right from wrong better than each; how much each counts
    was measured (``Training/volume_report.py`` shows how well confidence ranks slices).

    Args:
        mask: bool (rows, columns) of the slice.
        overlap: Dice with the mask that it was carried from.
        promise: Dice that the probabilities expect, without the neighbour's prior.
        agreement: soft Dice of the in-context mask and the one that follows the neighbour.

    Returns:
        In [0, 1]; for an empty mask, which overlaps with nothing, the promise alone.
    """
    if not mask.any():
        return promise
    return promise * overlap * math.sqrt(agreement)


def confidence_from(evidence: float, neighbour: float) -> float:
    """Confidence of a slice, from its own evidence and its neighbour's confidence, all in [0, 1].

    A slice is hardly better than the one it was carried from. The power forgets a weak link after some slices that
    are convincing: without it, confidence would fall with the number of slices, and thin slices would be punished.
    """
    return float(evidence * neighbour**INHERITED)
