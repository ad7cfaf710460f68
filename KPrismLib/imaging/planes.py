"""Slices of a volume in the anatomical planes, displayed as radiologists hold them, and back into the volume.

Axial: patient right on the image's left, anterior up. Coronal: patient right on the left, superior up. Sagittal:
anterior on the left, superior up. The array is only transposed and flipped, never resampled, so every pixel of a slice
is one voxel; of an oblique volume, the slices are those along the array axis nearest to the plane's normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation

from KPrismLib.errors import GeometryMismatch, InvalidImage
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.volume import Volume


class Plane(str, Enum):
    """An anatomical plane; the value is its name in commands and files."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# World axes 0, 1, 2 of RAS, with the sign in which the displayed rows (downwards) and columns (rightwards) run:
# (axis along the normal, (axis down, sign), (axis right, sign)).
_R, _A, _S = 0, 1, 2
_DISPLAY: dict[Plane, tuple[int, tuple[int, int], tuple[int, int]]] = {
    Plane.AXIAL: (_S, (_A, -1), (_R, -1)),
    Plane.CORONAL: (_A, (_S, -1), (_R, -1)),
    Plane.SAGITTAL: (_R, (_S, -1), (_A, -1)),
}


@dataclass(frozen=True)
class SlicePlacement:
    """Where the pixels of one displayed slice lie in the array of its volume.

    Attributes:
        plane: the anatomical plane.
        index: position along ``normal_axis``, as the array counts.
        volume_shape: ``(slices k, rows j, columns i)`` of the volume.
        normal_axis: array axis (0 for k, 1 for j, 2 for i) that the slice cuts.
        row_axis: array axis along which the rows of the picture run.
        column_axis: array axis along which its columns run.
        row_flipped: True when rows run against the array.
        column_flipped: True when columns run against the array.
        spacing: ``(row, column)`` millimetres from one pixel to the next below and to the right.
    """

    plane: Plane
    index: int
    volume_shape: tuple[int, int, int]
    normal_axis: int
    row_axis: int
    column_axis: int
    row_flipped: bool
    column_flipped: bool
    spacing: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)`` of the displayed slice."""
        return self.volume_shape[self.row_axis], self.volume_shape[self.column_axis]

    def extract(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pixels ``(rows, columns[, 3])`` as a new array, from an array ``(k, j, i[, 3])`` on the volume's grid."""
        return self._view(array).copy()

    def paste(self, pixels: npt.NDArray[Any], into: npt.NDArray[Any]) -> None:
        """Write ``pixels`` ``(rows, columns)`` over this slice of ``into`` ``(k, j, i)``, in place."""
        if pixels.shape[:2] != self.shape:
            raise GeometryMismatch(f"The slice has shape {self.shape}, so pixels of shape {pixels.shape} do not fit.")
        self._view(into)[...] = pixels

    def to_voxel(self, row: int, column: int) -> tuple[int, int, int]:
        """The voxel ``(k, j, i)`` under a pixel ``(row, column)``."""
        rows, columns = self.shape
        voxel = [0, 0, 0]
        voxel[self.normal_axis] = self.index
        voxel[self.row_axis] = rows - 1 - row if self.row_flipped else row
        voxel[self.column_axis] = columns - 1 - column if self.column_flipped else column
        return voxel[0], voxel[1], voxel[2]

    def to_pixel(self, k: int, j: int, i: int) -> tuple[int, int]:
        """The pixel ``(row, column)`` that shows a voxel of this slice.

        Raises:
            InvalidImage: the voxel lies in another slice.
        """
        voxel = (k, j, i)
        if voxel[self.normal_axis] != self.index:
            raise InvalidImage(f"Voxel {voxel} (k, j, i) does not lie in {self.plane.value} slice {self.index}.")
        rows, columns = self.shape
        row, column = voxel[self.row_axis], voxel[self.column_axis]
        return (
            rows - 1 - row if self.row_flipped else row,
            columns - 1 - column if self.column_flipped else column,
        )

    def _view(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if array.shape[:3] != self.volume_shape:
            raise GeometryMismatch(f"The slice belongs to a volume of shape {self.volume_shape}, not {array.shape}.")
        view = np.moveaxis(array, (self.normal_axis, self.row_axis, self.column_axis), (0, 1, 2))[self.index]
        return view[:: -1 if self.row_flipped else 1, :: -1 if self.column_flipped else 1]


def stacking_plane(volume: Volume) -> Plane:
    """The plane in which the slices of the array (its first axis, k) lie; axial for a picture."""
    if volume.is_picture:
        return Plane.AXIAL
    return next(plane for plane in Plane if _axes(volume, plane)[0][0] == 0)


def slice_count(volume: Volume, plane: Plane) -> int:
    """How many slices ``volume`` has in ``plane``.

    Raises:
        InvalidImage: another plane than axial of a picture.
    """
    return volume.shape[_axes(volume, plane)[0][0]]


def placement(volume: Volume, plane: Plane, index: int) -> SlicePlacement:
    """Where slice ``index`` of ``plane`` lies in ``volume``.

    Raises:
        InvalidImage: no such slice, or another plane than axial of a picture.
    """
    (normal_axis, row_axis, column_axis), (row_flipped, column_flipped) = _axes(volume, plane)
    count = volume.shape[normal_axis]
    if not 0 <= index < count:
        raise InvalidImage(f"There is no {plane.value} slice {index}; choose one from 0 to {count - 1}.")
    return SlicePlacement(
        plane=plane,
        index=index,
        volume_shape=volume.shape,
        normal_axis=normal_axis,
        row_axis=row_axis,
        column_axis=column_axis,
        row_flipped=row_flipped,
        column_flipped=column_flipped,
        spacing=(volume.spacing[row_axis], volume.spacing[column_axis]),
    )


def only_slice(volume: Volume) -> SlicePlacement | None:
    """The one slice that is all of ``volume``, so that a picture can hold or show it; None when there are several."""
    planes = (Plane.AXIAL,) if volume.is_picture else tuple(Plane)
    return next((placement(volume, plane, 0) for plane in planes if slice_count(volume, plane) == 1), None)


def extract(volume: Volume, plane: Plane, index: int) -> npt.NDArray[Any]:
    """Pixels ``(rows, columns[, 3])`` of one slice in radiological orientation, in the volume's dtype."""
    return placement(volume, plane, index).extract(volume.array)


def pixel_spacing(volume: Volume, place: SlicePlacement) -> tuple[float, float] | None:
    """(row, column) spacing where pixels are not square, else None."""
    if volume.is_picture or math.isclose(*place.spacing, rel_tol=1e-3):
        return None
    return place.spacing


def _axes(volume: Volume, plane: Plane) -> tuple[tuple[int, int, int], tuple[bool, bool]]:
    """Array axes of the (normal, rows, columns) of a plane, and whether (rows, columns) run against the array."""
    if volume.is_picture:
        if plane is not Plane.AXIAL:
            raise InvalidImage(f"A picture has no {plane.value} slices; ask for the axial plane.")
        return (0, 1, 2), (False, False)
    axis_of, sign_of = _array_axes(volume.ijk_to_ras)
    normal, (down, down_sign), (right, right_sign) = _DISPLAY[plane]
    return (axis_of[normal], axis_of[down], axis_of[right]), (sign_of[down] != down_sign, sign_of[right] != right_sign)


def _array_axes(ijk_to_ras: Matrix) -> tuple[dict[int, int], dict[int, int]]:
    """For each world axis R, A, S: the array axis nearest to it, and the sign in which that axis runs along it."""
    axis_of, sign_of = {}, {}
    for matrix_column, (world, sign) in enumerate(io_orientation(ijk_to_ras)):
        axis_of[int(world)] = 2 - matrix_column  # the matrix counts i, j, k; the array k, j, i
        sign_of[int(world)] = int(sign)
    return axis_of, sign_of
