"""How sure the model is along the slices of a volume, as a strip of colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

_HEIGHT = 12
_UNKNOWN, _ACCEPTED = (150, 150, 150), (70, 130, 240)
_UNSURE, _SURE = np.array((220, 50, 47)), np.array((60, 170, 80))

#: Below this a slice is as red as it gets; the Dice that a wrong mask promises is never near zero.
_LOWEST = 0.5


def strip(count: int, confidence: Mapping[int, float], accepted: Collection[int]) -> Any:
    """Colours uint8 (rows, count, 3), one column for each slice.

    Args:
        count: how many slices there are.
        confidence: in [0, 1], of the slices that were written.
        accepted: the slices that the user vouches for.
    """
    colours = np.empty((count, 3), dtype=np.uint8)
    colours[:] = _UNKNOWN
    for index, value in confidence.items():
        share = min(max((value - _LOWEST) / (1 - _LOWEST), 0.0), 1.0)
        colours[index] = _UNSURE * (1 - share) + _SURE * share
    for index in accepted:
        colours[index] = _ACCEPTED
    return np.repeat(colours[None], _HEIGHT, axis=0)
