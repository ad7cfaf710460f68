"""What values a whole volume holds: its range, its percentiles (exact, whatever the dtype), its labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]

#: Colours are stored in these types; what has a sign or fractions was measured or computed.
COLOUR_TYPES = (np.uint8, np.uint16)

#: Integers that span no more values than this are counted instead of sorted.
_COUNTABLE = 1 << 17
#: Values looked at in one piece, so that counting needs little memory beside the volume.
_PIECE = 1 << 20


def value_range(array: _Array) -> tuple[float, float]:
    """Smallest and largest value; NaN if there is one."""
    return float(array.min()), float(array.max())


def percentiles(array: _Array, percents: Sequence[float]) -> list[float]:
    """The percentiles of all values, by linear interpolation between the two nearest ranks, in double precision.

    Args:
        array: any shape, integers or floats without NaN, at least one value.
        percents: each in 0..100.
    """
    ranks = [percent / 100.0 * (array.size - 1) for percent in percents]
    whole = sorted({edge for rank in ranks for edge in (math.floor(rank), math.ceil(rank))})
    at_rank = dict(zip(whole, _order_statistics(array, whole), strict=True))
    result = []
    for rank in ranks:
        below, above = at_rank[math.floor(rank)], at_rank[math.ceil(rank)]
        result.append(below + (above - below) * (rank - math.floor(rank)))
    return result


def labels_in(labelmap: _Array) -> list[int]:
    """The numbers that occur in a uint8 or uint16 label map, in order, without the background 0."""
    found = np.zeros(1 << 16, dtype=bool)
    for piece in _pieces(labelmap):
        counts = np.bincount(piece)
        found[: len(counts)] |= counts > 0
    return [int(value) for value in np.flatnonzero(found) if value]


def _order_statistics(array: _Array, ranks: Sequence[int]) -> list[float]:
    """The values at these positions (0-based) of the sorted array."""
    if array.dtype.kind in "bui":
        low, high = int(array.min()), int(array.max())
        if high - low < _COUNTABLE and high <= np.iinfo(np.int64).max:
            counts = np.zeros(high - low + 1, dtype=np.int64)
            for piece in _pieces(array):
                counts += np.bincount(piece.astype(np.int64) - low, minlength=len(counts))
            positions = np.searchsorted(np.cumsum(counts), np.asarray(ranks), side="right")
            return [float(low + position) for position in positions.tolist()]
    flat = array.ravel()
    return [float(value) for value in np.partition(flat, ranks)[list(ranks)]]


def _pieces(array: _Array) -> Iterator[_Array]:
    """The values, some at a time, without copying a memory-mapped volume as a whole."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel(order="K")
    for start in range(0, flat.size, _PIECE):
        yield np.asarray(flat[start : start + _PIECE])
