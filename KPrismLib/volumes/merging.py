"""Several structures in one label map: a pixel that more than one claims goes to the most probable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidConfig

MOST_STRUCTURES = 255


def merge(probabilities: Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Labels 1, 2, ... of the most probable structure where it is at least as probable as not, else 0.

    Raises:
        InvalidConfig: more structures than a label map of bytes holds.
    """
    stacked = np.asarray(probabilities)
    if len(stacked) > MOST_STRUCTURES:
        raise InvalidConfig(
            f"A result holds {MOST_STRUCTURES} structures, and {len(stacked)} are asked for; ask for some at a time."
        )
    best = stacked.argmax(axis=0)
    return np.where(stacked.max(axis=0) >= 0.5, best + 1, 0).astype(np.uint8)
