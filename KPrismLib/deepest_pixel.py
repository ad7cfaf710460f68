"""Where a region is deepest: the pixel that a person would click on to say "this here"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def deepest_pixel(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel of a region that is farthest from everything outside it.

    Args:
        mask: bool (rows, columns), not empty; beyond the image counts as outside.

    Returns:
        (row, column); of equally deep pixels the first in row-major order.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    # One pixel of margin stands for everything that is outside, the border of the image included.
    inside = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    depth = ndimage.distance_transform_edt(inside)
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return top + int(row) - 1, left + int(column) - 1
