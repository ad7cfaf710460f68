"""The one form in which every image enters the engine: voxels, where they are, and what made them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.geometry import Matrix, grid_spacing_ijk


def picture_matrix() -> Matrix:
    """RAS matrix of a picture without physical geometry: 1 mm pixels, as 3D Slicer places a PNG (LPS identity)."""
    return np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Volume:
    """An image on a voxel grid; a 2-D picture is a volume of one slice.

    Attributes:
        array: ``(slices k, rows j, columns i)``, or ``(k, j, i, 3)`` RGB; any integer or float dtype, as stored.
        ijk_to_ras: 4x4 float64; maps ``(i, j, k, 1)`` = (column, row, slice, 1) to RAS mm.
        modality: DICOM modality ("CT", "MR", "XR", "US", ...), or None when unknown.
        is_picture: True for a picture without physical geometry (PNG, JPEG, ...).
        source: the file or folder it came from, if any.
        dicom_files: the DICOM files that it was read from, in the order of its slices (one for a multi-frame file);
            empty for other formats.

    Raises:
        InvalidImage: empty, not 3-D, complex, NaN or infinite values, or a matrix that is no geometry.
    """

    array: npt.NDArray[Any]
    ijk_to_ras: Matrix
    modality: str | None = None
    is_picture: bool = False
    source: Path | None = None
    dicom_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        name = self.source.name if self.source is not None else "the image"
        array = np.asanyarray(self.array)
        if array.dtype == np.bool_:
            array = array.view(np.uint8)
        _check_array(array, name)
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        _check_matrix(matrix, name)
        matrix.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "ijk_to_ras", matrix)

    @classmethod
    def from_picture(
        cls, pixels: npt.NDArray[Any], *, modality: str | None = None, source: Path | None = None
    ) -> Volume:
        """A volume of one slice from pixels ``(rows, columns)`` or ``(rows, columns, 3)``."""
        return cls(np.asanyarray(pixels)[np.newaxis], picture_matrix(), modality, is_picture=True, source=source)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(slices, rows, columns)``, without the colour axis."""
        slices, rows, columns = self.array.shape[:3]
        return slices, rows, columns

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres per step along ``(slices, rows, columns)``; 1 for pictures."""
        column, row, slice_ = grid_spacing_ijk(self.ijk_to_ras).tolist()
        return slice_, row, column

    @property
    def is_colour(self) -> bool:
        """True when ``array`` has a last axis of three colours, RGB."""
        return self.array.ndim == 4


def _check_array(array: npt.NDArray[Any], name: str) -> None:
    if np.iscomplexobj(array):
        raise InvalidImage(f"{name} holds complex numbers; save its magnitude first.")
    if array.dtype.kind not in "uif":
        raise InvalidImage(f"{name} holds {array.dtype} values; only integers and floating point numbers can be used.")
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 3)):
        raise InvalidImage(
            f"{name} has shape {array.shape}; K-Prism takes one 3-D volume (slices, rows, columns), grey or RGB, "
            "so extract one time point or channel first."
        )
    if array.size == 0:
        raise InvalidImage(f"{name} is empty: its shape is {array.shape}.")
    # One slice at a time: a test over the whole of a memory-mapped volume would need as much memory again.
    if array.dtype.kind == "f" and not all(np.isfinite(plane).all() for plane in array):
        raise InvalidImage(f"{name} holds NaN or infinite values; replace them by numbers first.")


def _check_matrix(matrix: Matrix, name: str) -> None:
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise InvalidImage(f"{name} needs a 4x4 matrix of finite numbers from voxel indices to RAS millimetres.")
    spacing = grid_spacing_ijk(matrix)
    # Relative to the spacing, so that a microscope's 1e-4 mm pixels are as good as a scanner's.
    if not spacing.all() or abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-6:
        raise InvalidImage(f"{name} has a geometry with no volume: two of its axes are parallel or a spacing is zero.")
