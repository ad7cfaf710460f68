"""How sure the model is along the slices of a volume, as a strip of colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

_HEIGHT = 12
_UNKNOWN, _ACCEPTED = (150, 150, 150), (70, 130, 240)

#: Of a confidence of 0, of 0.5 and of 1, with even steps between them: what runs of classes write lies above 0.7, most
#: of what is carried from slice to slice far below, and the slices of either are to be told apart.
_COLOURS = np.array(((220, 50, 47), (235, 180, 40), (60, 170, 80)))


def strip(count: int, confidence: Mapping[int, float], accepted: Collection[int]) -> Any:
    """Colours uint8 (rows, count, 3), one column for each slice.

    Args:
        count: how many slices there are.
        confidence: in [0, 1], of the slices that were written, by whatever run.
        accepted: the slices that the user vouches for.
    """
    colours = np.empty((count, 3), dtype=np.uint8)
    colours[:] = _UNKNOWN
    steps = np.linspace(0, 1, len(_COLOURS))
    for index, value in confidence.items():
        colours[index] = [round(float(np.interp(value, steps, channel))) for channel in _COLOURS.T]
    for index in accepted:
        colours[index] = _ACCEPTED
    return np.repeat(colours[None], _HEIGHT, axis=0)
