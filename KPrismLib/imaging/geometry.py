"""Where voxels lie in the patient: conversions between world conventions, and whether two images share a grid.

A grid is a shape ``(slices, rows, columns)`` and a 4x4 matrix that maps voxel indices ``(i, j, k, 1)`` = ``(column,
row, slice, 1)`` to RAS millimetres (x to the patient's Right, y to Anterior, z to Superior), as 3D Slicer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import GeometryMismatch
from KPrismLib.image_checks import size_text

Matrix = npt.NDArray[np.float64]

#: Largest difference between two grids that still counts as rounding, in mm (for directions: mm per mm).
GRID_TOLERANCE = 1e-3


class OnGrid(Protocol):
    """Anything that lies on a voxel grid: a :class:`~KPrismLib.imaging.volume.Volume` or a label volume."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(slices, rows, columns)``."""

    @property
    def ijk_to_ras(self) -> Matrix:
        """4x4 float64, ``(column, row, slice, 1)`` to RAS mm."""

    @property
    def source(self) -> Path | None:
        """The file it was read from, if any."""


def lps_to_ras(spacing: Sequence[float], origin: Sequence[float], direction: Sequence[float]) -> Matrix:
    """The 4x4 RAS matrix of an ITK image, whose geometry is given in LPS millimetres.

    Args:
        spacing: millimetres per step along i, j, k.
        origin: LPS position of the centre of voxel (0, 0, 0).
        direction: nine direction cosines, row by row.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction, dtype=np.float64).reshape(3, 3) * np.asarray(spacing, dtype=np.float64)
    matrix[:3, 3] = origin
    return flip_lps_ras(matrix)


def ras_to_lps(ijk_to_ras: Matrix) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """``(spacing, origin, direction)`` of an ITK image from a RAS matrix; the inverse of :func:`lps_to_ras`."""
    lps = flip_lps_ras(ijk_to_ras)
    spacing = grid_spacing_ijk(ijk_to_ras)
    direction = lps[:3, :3] / spacing
    return tuple(spacing.tolist()), tuple(lps[:3, 3].tolist()), tuple(direction.ravel().tolist())


def flip_lps_ras(matrix: Matrix) -> Matrix:
    """Turn a matrix that ends in LPS into one that ends in RAS, or back: x and y change sign."""
    flipped = matrix.copy()
    flipped[:2] *= -1.0
    return flipped + 0.0  # + 0.0 turns the -0.0 of a sign change into 0.0, which would show in written files


def grid_spacing_ijk(ijk_to_ras: Matrix) -> npt.NDArray[np.float64]:
    """Millimetres per step along i (columns), j (rows), k (slices)."""
    return np.asarray(np.sqrt((ijk_to_ras[:3, :3] ** 2).sum(axis=0)), dtype=np.float64)


def is_sheared(matrix: Matrix) -> bool:
    """Whether two axes of a grid are not at right angles, as in CT with a tilted gantry; false for turned and flipped.

    Args:
        matrix: 4x4, ``(i, j, k, 1)`` to RAS mm, no spacing of which is zero.
    """
    directions = matrix[:3, :3] / grid_spacing_ijk(matrix)
    return not np.allclose(directions.T @ directions, np.eye(3), rtol=0, atol=GRID_TOLERANCE)


def same_grid(a: OnGrid, b: OnGrid) -> None:
    """Check that two images lie on the same voxel grid.

    Sizes must be equal; spacing and origin may differ by :data:`GRID_TOLERANCE` mm, direction cosines by the same
    number, which is what rounding in file headers amounts to.

    Raises:
        GeometryMismatch: with the first thing that differs: size, spacing, origin or direction.
    """
    pair = f"{_name(a, 'the first image')} and {_name(b, 'the second image')}"
    if a.shape != b.shape:
        raise GeometryMismatch(
            f"{pair} differ in size (slices x rows x columns): {size_text(a.shape)} and {size_text(b.shape)}; "
            "resample one onto the grid of the other."
        )
    spacing_a, spacing_b = grid_spacing_ijk(a.ijk_to_ras), grid_spacing_ijk(b.ijk_to_ras)
    compared = (
        ("spacing (columns, rows, slices in mm)", spacing_a, spacing_b),
        ("origin (RAS mm)", a.ijk_to_ras[:3, 3], b.ijk_to_ras[:3, 3]),
        ("direction (cosines)", a.ijk_to_ras[:3, :3] / spacing_a, b.ijk_to_ras[:3, :3] / spacing_b),
    )
    for what, left, right in compared:
        if np.abs(left - right).max() > GRID_TOLERANCE:
            raise GeometryMismatch(
                f"{pair} differ in {what}: {_numbers(left)} and {_numbers(right)}; "
                "resample one onto the grid of the other."
            )


def same_orientation(a: Matrix, b: Matrix) -> bool:
    """Whether the axes of two grids point the same ways, each within 60 degrees; spacing and origin do not matter.

    Args:
        a, b: 4x4, ``(column, row, slice, 1)`` to RAS mm.
    """
    directions_a, directions_b = (matrix[:3, :3] / grid_spacing_ijk(matrix) for matrix in (a, b))
    return bool(((directions_a * directions_b).sum(axis=0) > 0.5).all())


def _name(image: OnGrid, otherwise: str) -> str:
    return image.source.name if image.source is not None else otherwise


def _numbers(values: npt.NDArray[Any]) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in np.ravel(values)) + ")"
