"""How far a predicted slice can be trusted, without knowing the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
