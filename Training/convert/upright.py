"""Volumes turned so that their slices are upright on the screen, as dataset folders store them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.geometry import Matrix

_R, _A, _S = 0, 1, 2

#: World axis along the normal: (axis, sign) to the right and (axis, sign) downwards, the display of
#: `KPrismLib.imaging.planes`: right of the patient, or anterior, on the left; superior, or anterior, above.
_DISPLAY: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    _S: ((_R, -1), (_A, -1)),
    _A: ((_R, -1), (_S, -1)),
    _R: ((_A, -1), (_S, -1)),
}


class Slices(Enum):
    """Which array axis the slices are taken along."""

    AXIAL = "axial"
    #: The third axis of the file: short and long axis views of the heart are oblique, and only these slices are real.
    ACQUIRED = "acquired"


def upright(array: npt.NDArray[Any], affine: Matrix, slices: Slices) -> tuple[npt.NDArray[Any], Matrix]:
    """Transpose and flip, never resample, to (columns, rows, slices).

    Axial slices also run upwards; acquired ones keep their order.

    Args:
        array: ``(i, j, k)``, as nibabel gives it.
        affine: 4x4, ``(i, j, k, 1)`` to RAS mm.
        slices: Along which axis.

    Returns:
        The turned array, and the matrix that leaves every voxel where it was in the patient.

    Raises:
        InvalidImage: The matrix is no geometry.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    orientation = io_orientation(matrix) if np.isfinite(matrix).all() else np.full((3, 2), np.nan)
    if np.isnan(orientation).any():
        raise InvalidImage("The header holds no usable orientation.")
    world = {int(axis): number for number, (axis, _) in enumerate(orientation)}
    sign = {int(axis): int(direction) for axis, direction in orientation}
    normal = _S if slices is Slices.AXIAL else int(orientation[2, 0])
    (right, right_sign), (down, down_sign) = _DISPLAY[normal]
    turn = np.empty((3, 2))
    turn[world[right]] = 0, sign[right] * right_sign
    turn[world[down]] = 1, sign[down] * down_sign
    turn[world[normal]] = 2, sign[normal] if slices is Slices.AXIAL else 1
    turned = np.ascontiguousarray(apply_orientation(array, turn))
    return turned, matrix @ inv_ornt_aff(turn, array.shape)
