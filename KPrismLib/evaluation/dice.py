"""Dice: of one slice, and of a volume gathered slice by slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import GeometryMismatch


def dice(prediction: NDArray[np.bool_], target: NDArray[np.bool_], *, both_empty: float = math.nan) -> float:
    """Twice the overlap over the sum of the sizes.

    The paper's protocol scores only classes that are present in a slice, so two empty masks never meet there.
    Elsewhere their Dice is undefined: a model that rightly finds nothing would otherwise look as good as one that
    outlines an organ perfectly. A caller that wants a number says which.

    Args:
        prediction: bool, any shape.
        target: bool, same shape.
        both_empty: What to return when neither mask has a pixel.

    Returns:
        Between 0 and 1, or ``both_empty``.

    Raises:
        GeometryMismatch: The masks differ in shape.
    """
    score = VolumeDice(both_empty=both_empty)
    score.add(prediction, target)
    return score.value


def counts(prediction: NDArray[np.bool_], target: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Pixels that two masks share, and how many each has.

    Raises:
        GeometryMismatch: The masks differ in shape.
    """
    if prediction.shape != target.shape:
        raise GeometryMismatch(f"The prediction is {prediction.shape} but the target is {target.shape}.")
    shared = int(np.count_nonzero(prediction & target))
    return shared, int(np.count_nonzero(prediction)), int(np.count_nonzero(target))


@dataclass
class VolumeDice:
    """Dice over all pixels of a volume that arrives slice by slice.

    Attributes:
        both_empty: Value when neither mask ever had a pixel.
    """

    both_empty: float = math.nan
    _overlap: int = 0
    _size: int = 0

    def add(self, prediction: NDArray[np.bool_], target: NDArray[np.bool_]) -> None:
        """Count one more slice.

        Args:
            prediction: bool, any shape.
            target: bool, same shape.

        Raises:
            GeometryMismatch: The masks differ in shape.
        """
        self.add_counts(counts(prediction, target))

    def add_counts(self, pixels: tuple[int, int, int]) -> None:
        """Add one more slice that was counted before."""
        overlap, predicted, true = pixels
        self._overlap += overlap
        self._size += predicted + true

    @property
    def value(self) -> float:
        """Dice of everything added so far."""
        return 2 * self._overlap / self._size if self._size else self.both_empty


def soft_dice(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """How far two probability maps agree: 2 sum(p q) / (sum(p^2) + sum(q^2)), 1 where both are 0 everywhere."""
    overlap, size = np.vdot(first, second), np.vdot(first, first) + np.vdot(second, second)
    return float(2 * overlap / size) if size else 1.0
