"""Pixels of a slice out of a volume node, and where each of them lies in the world."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage
from KPrismLogic.matrices import Matrix, Vector, inverse, matrix_from_array, unit
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import slicer
    import vtk

#: A plane belongs to the stack when over the whole volume it leaves its slice by less than this part of a voxel.
_STACK_TOLERANCE = 0.05

#: Added before rounding down, so that a plane half-way between slices chooses the same one in every computation.
ROUNDING = 1e-6

_MAXIMUM_SIDE = 1536

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))


@dataclass(frozen=True, eq=False)
class SliceImage:
    """A slice as the model sees it.

    Attributes:
        seen: the pixels, in any order of memory, which may be the volume's own.
        inside: bool ``(rows, columns)``, False where a pixel of an oblique slice lies outside the volume.
        plane: the plane in the world.
        world_from_pixel: 4x4; maps ``(column, row, millimetres along the normal, 1)`` to RAS mm.
        stack_index: position in the stack of voxel slices, or None for an oblique slice.
    """

    seen: npt.NDArray[Any]
    inside: npt.NDArray[np.bool_]
    plane: SlicePlane
    world_from_pixel: Matrix
    stack_index: int | None

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """``(rows, columns)`` or ``(rows, columns, 3)``, in the volume's type; of an oblique slice interpolated.

        New ones whenever somebody asks: most want to know where they lie, of hundreds of slices at once.
        """
        # A copy: of one mirrored row numpy calls a view contiguous, though its memory runs backwards.
        return self.seen.copy()

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.seen.shape[:2]
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


@dataclass(frozen=True)
class Frame:
    """The part of a plane that a picture shows, in mm from where the world's origin falls on it.

    Attributes:
        left, right: along the picture's columns.
        top, bottom: along its rows.
    """

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def around(cls, points: Vector, plane: SlicePlane) -> Frame:
        """The frame of points (N, 3), RAS mm, seen along the normal of a plane."""
        across, down = points @ plane.rightwards, points @ plane.downwards
        return cls(float(across.min()), float(across.max()), float(down.min()), float(down.max()))


def cut(volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> SliceImage:
    """The slice of a volume in a plane: exactly its voxels where the plane is one of its stacks, else interpolated.

    Raises:
        InvalidImage: the plane misses the volume, or the volume has no grey or colour voxels.
        GeometryMismatch: a non-linear parent transform.
    """
    return cut_grid(VoxelGrid.of(volume), plane)


def cut_grid(grid: VoxelGrid, plane: SlicePlane, frame: Frame | None = None) -> SliceImage:
    """As :func:`cut`, from any thread.

    Args:
        grid: the voxels.
        plane: the plane.
        frame: what an oblique slice shows; None for the volume as far as it is in the plane.

    Raises:
        InvalidImage: the plane misses the volume.
    """
    across = stack_axis(grid, plane)
    return _reslice(grid, plane, frame) if across is None else _take(grid, across, plane)


def stack_axis(grid: VoxelGrid, plane: SlicePlane) -> int | None:
    """The voxel axis (0 i, 1 j, 2 k) whose slices are parallel to the plane; None for an oblique plane."""
    covector = plane.normal @ grid.world[:3, :3]  # millimetres off the plane for each step along i, j, k
    across = int(np.argmax(np.abs(covector) / np.linalg.norm(grid.world[:3, :3], axis=0)))
    drift = sum(abs(covector[axis]) * grid.size[axis] for axis in range(3) if axis != across)
    return across if drift < _STACK_TOLERANCE * abs(covector[across]) else None


def corners_of(grid: VoxelGrid) -> Vector:
    """The corners of a volume's box, (8, 3) RAS mm; corner n lies low or high along i, j, k as the bits of n say."""
    places: Vector = (_CORNERS * grid.size - 0.5).astype(np.float64) @ grid.world[:3, :3].T + grid.world[:3, 3]
    return places


def _take(grid: VoxelGrid, across: int, plane: SlicePlane) -> SliceImage:
    voxels, world = grid.voxels, grid.world
    first, second = (axis for axis in range(3) if axis != across)
    # Of a plane that is parallel but for rounding, the exact one, through the middle of the slice.
    middle = [(voxels.shape[2 - axis] - 1) / 2 for axis in range(3)]
    offset = float(plane.normal @ (plane.point - world[:3, :3] @ middle - world[:3, 3]))
    position = middle[across] + offset / float(plane.normal @ world[:3, across])
    exact = SlicePlane.through(plane.point, np.cross(world[:3, first], world[:3, second]).astype(np.float64))
    index = int(np.floor(position + 0.5 + ROUNDING))
    if not 0 <= index < voxels.shape[2 - across]:
        raise InvalidImage(f"The slice lies outside {grid.name}; scroll to where the volume is.")

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
    return SliceImage(pixels, np.broadcast_to(np.True_, pixels.shape[:2]), exact, matrix, index)


def shows(grid: VoxelGrid, plane: SlicePlane, frame: Frame) -> bool:
    """Whether the middle of any pixel of an oblique slice lies in the volume; a plane may pass by its corners only."""
    return bool(_oblique_pixels(grid, plane, frame)[1].any())


def _reslice(grid: VoxelGrid, plane: SlicePlane, frame: Frame | None) -> SliceImage:
    if frame is None:
        outline = _outline(grid, plane)
        if len(outline) == 0:
            raise InvalidImage(f"The slice lies outside {grid.name}; scroll to where the volume is.")
        frame = Frame.around(outline, plane)
    matrix, inside = _oblique_pixels(grid, plane, frame)
    if not inside.any():
        raise InvalidImage(f"The slice lies outside {grid.name}; scroll to where the volume is.")
    voxels, shape = grid.image(), (inside.shape[0], inside.shape[1])
    if voxels is None:
        pixels = np.zeros((*shape, *(grid.voxels.shape[3:] or (1,))), grid.voxels.dtype)
    else:
        pixels = _interpolated(voxels, inverse(grid.world) @ matrix, shape)
    if pixels.dtype != grid.voxels.dtype:
        pixels = np.rint(pixels).astype(grid.voxels.dtype)
    if grid.voxels.ndim == 3:
        pixels = pixels[..., 0]
        # Outside is as dark as the darkest pixel inside, whatever a zero means in this volume.
        pixels[~inside] = pixels[inside].min()
    else:
        pixels = pixels[..., :3]
        pixels[~inside] = 0
    return SliceImage(pixels, inside, plane, matrix, None)


def _oblique_pixels(grid: VoxelGrid, plane: SlicePlane, frame: Frame) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """World from pixel (4, 4) of an oblique slice, and which of its pixels (rows, columns) lie in the volume."""
    step = float(np.linalg.norm(grid.world[:3, :3], axis=0).min())
    right, down = plane.rightwards, plane.downwards
    width, height = frame.right - frame.left, frame.bottom - frame.top
    # Pixels of one size, as many as the finest voxels deserve.
    step = max(step, max(width, height) / _MAXIMUM_SIDE)
    columns, rows = (max(int(np.ceil(length / step - ROUNDING)), 1) for length in (width, height))
    left = (frame.left + frame.right - step * (columns - 1)) / 2
    top = (frame.top + frame.bottom - step * (rows - 1)) / 2
    corner = right * left + down * top + plane.normal * float(plane.normal @ plane.point)
    matrix = _pixel_matrix(right * step, down * step, plane.normal, corner)
    ijk_from_pixel = inverse(grid.world) @ matrix
    inside = np.ones((rows, columns), bool)
    for axis, size in enumerate(grid.size):
        place = (
            ijk_from_pixel[axis, 3]
            + ijk_from_pixel[axis, 1] * np.arange(rows)[:, None]
            + ijk_from_pixel[axis, 0] * np.arange(columns)[None, :]
        )
        inside &= (place >= -0.5) & (place < size - 0.5)
    return matrix, inside


def _outline(grid: VoxelGrid, plane: SlicePlane) -> Vector:
    """Points (N, 3) in RAS mm where the edges of the volume's box cross the plane."""
    places = corners_of(grid)
    heights = (places - plane.point) @ plane.normal
    crossings = []
    for a, b in itertools.combinations(range(8), 2):
        if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1 and heights[a] * heights[b] <= 0 and heights[a] != heights[b]:
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
