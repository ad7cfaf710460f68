"""Pixels of a slice out of a volume node, and where each of them lies in the world."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLogic.matrices import Matrix, Vector, inverse, matrix_from_array, unit, world_from_volume
from KPrismLogic.slice_plane import SlicePlane

if TYPE_CHECKING:
    from collections.abc import Sequence

    import slicer
    import vtk

#: A plane belongs to the stack when over the whole volume it leaves its slice by less than this part of a voxel.
_STACK_TOLERANCE = 0.05

#: Added before rounding down, so that a plane half-way between slices chooses the same one in every computation.
ROUNDING = 1e-6

_MAXIMUM_SIDE = 1536


@dataclass(frozen=True, eq=False)
class SliceImage:
    """A slice as the model sees it.

    Attributes:
        pixels: ``(rows, columns)`` or ``(rows, columns, 3)``, in the volume's type; of an oblique slice interpolated.
        inside: bool ``(rows, columns)``, False where a pixel of an oblique slice lies outside the volume.
        plane: the plane in the world.
        world_from_pixel: 4x4; maps ``(column, row, millimetres along the normal, 1)`` to RAS mm.
        stack_index: position in the stack of voxel slices, or None for an oblique slice.
    """

    pixels: npt.NDArray[Any]
    inside: npt.NDArray[np.bool_]
    plane: SlicePlane
    world_from_pixel: Matrix
    stack_index: int | None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.pixels.shape[:2]
        return rows, columns

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres from one pixel to the next (below, to the right)."""
        columns, rows = np.linalg.norm(self.world_from_pixel[:3, :2], axis=0)
        return float(rows), float(columns)

    @property
    def pixel_from_world(self) -> Matrix:
        """4x4; maps RAS mm to ``(column, row, millimetres from the plane, 1)``, along the normal."""
        return inverse(self.world_from_pixel)

    def pixel_at(self, ras: Sequence[float] | Vector) -> tuple[int, int]:
        """The pixel (row, column) under a point (RAS mm) seen along the normal; it may lie outside the picture."""
        matrix = self.pixel_from_world
        column, row, _ = matrix[:3, :3] @ np.asarray(ras, dtype=np.float64) + matrix[:3, 3]
        return int(np.floor(row + 0.5 + ROUNDING)), int(np.floor(column + 0.5 + ROUNDING))

    def contains(self, row: int, column: int) -> bool:
        """Whether there is a pixel of the volume at (row, column)."""
        rows, columns = self.shape
        return 0 <= row < rows and 0 <= column < columns and bool(self.inside[row, column])

    def ras_at(self, row: float, column: float) -> Vector:
        """Where the middle of a pixel (row, column) lies, RAS mm."""
        place: Vector = self.world_from_pixel[:3, 3] + self.world_from_pixel[:3, :2] @ np.array([column, row])
        return place


def voxels_of(volume: slicer.vtkMRMLVolumeNode) -> npt.NDArray[Any]:
    """All voxels ``(k, j, i)`` or ``(k, j, i, 3)`` as a view of the node's memory.

    Raises:
        InvalidImage: no voxels, or neither grey nor colour.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    image = volume.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        raise InvalidImage(f"{volume.GetName()} holds no voxels.")
    columns, rows, slices = image.GetDimensions()
    components = scalars.GetNumberOfComponents()
    if components not in (1, 3, 4):
        raise InvalidImage(f"{volume.GetName()} has {components} values per voxel; grey or colour is needed.")
    voxels = vtk_to_numpy(scalars).reshape((slices, rows, columns, components))
    return voxels[..., 0] if components == 1 else voxels[..., :3]


def cut(volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> SliceImage:
    """The slice of a volume in a plane: exactly its voxels where the plane is one of its stacks, else interpolated.

    Raises:
        InvalidImage: the plane misses the volume, or the volume has no grey or colour voxels.
        GeometryMismatch: a non-linear parent transform.
    """
    voxels, world = voxels_of(volume), world_from_volume(volume)
    size = np.array(voxels.shape[2::-1])
    across = _stack_axis(world, size, plane)
    if across is None:
        return _reslice(volume, voxels, world, plane)
    return _take(volume, voxels, world, across, plane)


def _stack_axis(world: Matrix, size: npt.NDArray[np.intp], plane: SlicePlane) -> int | None:
    """The voxel axis (0 i, 1 j, 2 k) whose slices are parallel to the plane."""
    covector = plane.normal @ world[:3, :3]  # millimetres off the plane for each step along i, j, k
    across = int(np.argmax(np.abs(covector) / np.linalg.norm(world[:3, :3], axis=0)))
    drift = sum(abs(covector[axis]) * size[axis] for axis in range(3) if axis != across)
    return across if drift < _STACK_TOLERANCE * abs(covector[across]) else None


def _take(
    volume: slicer.vtkMRMLVolumeNode, voxels: npt.NDArray[Any], world: Matrix, across: int, plane: SlicePlane
) -> SliceImage:
    first, second = (axis for axis in range(3) if axis != across)
    # Of a plane that is parallel but for rounding, the exact one, through the middle of the slice.
    middle = [(voxels.shape[2 - axis] - 1) / 2 for axis in range(3)]
    offset = float(plane.normal @ (plane.point - world[:3, :3] @ middle - world[:3, 3]))
    position = middle[across] + offset / float(plane.normal @ world[:3, across])
    exact = SlicePlane.through(plane.point, np.cross(world[:3, first], world[:3, second]))
    index = int(np.floor(position + 0.5 + ROUNDING))
    if not 0 <= index < voxels.shape[2 - across]:
        raise InvalidImage(f"The slice lies outside {volume.GetName()}; scroll to where the volume is.")

    def agreement(order: tuple[int, int]) -> float:
        right, down = (unit(world[:3, axis]) for axis in order)
        return float(abs(right @ exact.rightwards) + abs(down @ exact.downwards))

    columns, rows = max(((first, second), (second, first)), key=agreement)
    pixels = np.moveaxis(voxels, (2 - across, 2 - rows, 2 - columns), (0, 1, 2))[index]
    corner = np.zeros(3)
    corner[across] = position
    steps: list[Vector] = []
    for axis, direction, extent in (
        (columns, exact.rightwards, pixels.shape[1]),
        (rows, exact.downwards, pixels.shape[0]),
    ):
        against = world[:3, axis] @ direction < 0
        corner[axis] = extent - 1 if against else 0
        steps.append(-world[:3, axis] if against else world[:3, axis])
        if against:
            pixels = pixels[:, ::-1] if axis == columns else pixels[::-1]
    matrix = _pixel_matrix(steps[0], steps[1], exact.normal, world[:3, :3] @ corner + world[:3, 3])
    return SliceImage(np.ascontiguousarray(pixels), np.ones(pixels.shape[:2], bool), exact, matrix, index)


def _reslice(
    volume: slicer.vtkMRMLVolumeNode, voxels: npt.NDArray[Any], world: Matrix, plane: SlicePlane
) -> SliceImage:
    size = np.array(voxels.shape[2::-1], dtype=np.float64)
    step = float(np.linalg.norm(world[:3, :3], axis=0).min())
    right, down = plane.rightwards, plane.downwards
    outline = _outline(world, size, plane)
    if len(outline) == 0:
        raise InvalidImage(f"The slice lies outside {volume.GetName()}; scroll to where the volume is.")
    flat = (outline - plane.point) @ np.stack([right, down], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    # Pixels of one size, as many as the finest voxels deserve.
    step = max(step, float((high - low).max()) / _MAXIMUM_SIDE)
    columns, rows = (int(count) for count in np.maximum(np.ceil((high - low) / step - ROUNDING), 1))
    centre = plane.point + np.stack([right, down], axis=1) @ ((low + high) / 2)
    corner = centre - right * step * (columns - 1) / 2 - down * step * (rows - 1) / 2
    matrix = _pixel_matrix(right * step, down * step, plane.normal, corner)
    ijk_from_pixel = inverse(world) @ matrix
    inside = np.ones((rows, columns), bool)
    for axis in range(3):
        place = (
            ijk_from_pixel[axis, 3]
            + ijk_from_pixel[axis, 1] * np.arange(rows)[:, None]
            + ijk_from_pixel[axis, 0] * np.arange(columns)[None, :]
        )
        inside &= (place >= -0.5) & (place < size[axis] - 0.5)
    if not inside.any():
        raise InvalidImage(f"The slice lies outside {volume.GetName()}; scroll to where the volume is.")
    pixels = _interpolated(volume.GetImageData(), ijk_from_pixel, (rows, columns))
    if voxels.ndim == 3:
        pixels = pixels[..., 0]
        # Outside is as dark as the darkest pixel inside, whatever a zero means in this volume.
        pixels[~inside] = pixels[inside].min()
    else:
        pixels = pixels[..., :3]
        pixels[~inside] = 0
    return SliceImage(np.ascontiguousarray(pixels), inside, plane, matrix, None)


def _outline(world: Matrix, size: Vector, plane: SlicePlane) -> Vector:
    """Points (N, 3) in RAS mm where the edges of the volume's box cross the plane."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    places = (corners * size - 0.5) @ world[:3, :3].T + world[:3, 3]
    heights = (places - plane.point) @ plane.normal
    crossings = []
    for a, b in itertools.combinations(range(8), 2):
        if np.abs(corners[a] - corners[b]).sum() == 1 and heights[a] * heights[b] <= 0 and heights[a] != heights[b]:
            share = heights[a] / (heights[a] - heights[b])
            crossings.append(places[a] + share * (places[b] - places[a]))
    return np.array(crossings).reshape(-1, 3)


def _pixel_matrix(right: Vector, down: Vector, normal: Vector, corner: Vector) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = right, down, normal, corner
    return matrix


def _interpolated(image: vtk.vtkImageData, ijk_from_pixel: Matrix, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Linear samples (rows, columns, components) of an image of unit spacing."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceAxes(matrix_from_array(ijk_from_pixel))
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputDimensionality(2)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, shape[1] - 1, 0, shape[0] - 1, 0, 0)
    reslice.Update()
    scalars = reslice.GetOutput().GetPointData().GetScalars()
    return vtk_to_numpy(scalars).reshape(*shape, scalars.GetNumberOfComponents()).copy()
