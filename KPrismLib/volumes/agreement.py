"""Which of several masks of one slice are to be trusted: those that others, found in other ways, agree with.

Whoever is wrong is wrong in a way of its own; who is right has company.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def agreement(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """The mean Dice of each mask with all the others.

    Args:
        masks: bool, at least one, all of one shape.

    Returns:
        float64 (masks,) in [0, 1]; 0 for a mask without a pixel, and 1 for one with pixels that has no company.
    """
    flat = np.stack([mask.ravel() for mask in masks]).astype(np.float32)
    shows = flat.any(axis=1)
    if len(flat) == 1:
        return np.asarray(shows, dtype=np.float64)
    # Sums of zeros and ones: exact in single precision up to 16 million pixels.
    shared = (flat @ flat.T).astype(np.float64)
    size = np.diag(shared)
    pairs = 2 * shared / np.maximum(size[:, None] + size[None, :], 1)
    return np.asarray((pairs.sum(axis=1) - shows) / (len(flat) - 1), dtype=np.float64)
