"""The voxels of a segmentation that a slice shows: reading a segment there, and what must change to get a mask.

They are the voxels whose cells the plane of the slice passes through. Where the plane is parallel to the grid that is
one layer; where it is oblique, it is all that a view of the plane shows, so that writing leaves no holes in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelmaps import Indices, Mask, labelmap_of, lattice_index, values_at
from KPrismLogic.matrices import Matrix, inverse, world_from_image
from KPrismLogic.slice_image import ROUNDING, SliceImage

if TYPE_CHECKING:
    import slicer


class SliceVoxels(Protocol):
    """Some voxels, in an order of their own; their masks are arrays of one shape, ``(N,)`` or ``(A, B)``."""

    @property
    def image(self) -> SliceImage:
        """The slice."""

    @property
    def layer(self) -> int | None:
        """The layer of the grid that they are; None of an oblique slice, which shares voxels with its neighbours."""

    def read(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
        """Which of the voxels belong to a segment."""

    def wanted(self, mask: Mask, otherwise: Mask) -> Mask:
        """Which of the voxels a mask (rows, columns) of the slice asks for; ``otherwise`` outside the picture."""

    def labelmap(self, chosen: Mask) -> slicer.vtkOrientedImageData | None:
        """Some of the voxels as a labelmap on the segmentation's grid, no larger than needed; None for none."""


def voxels_in(
    image: SliceImage, segmentation: slicer.vtkMRMLSegmentationNode, geometry: slicer.vtkOrientedImageData
) -> SliceVoxels:
    """The voxels of a grid that a slice shows.

    Args:
        image: the slice.
        segmentation: the node, for its parent transforms.
        geometry: the grid that its segments are edited on.
    """
    grid = _grid_of(geometry)
    matrix = image.pixel_from_world @ world_from_image(grid, segmentation)
    covector = matrix[2, :3]
    across = int(np.argmax(np.abs(covector)))
    extent = np.array(grid.GetExtent()).reshape(3, 2)
    size = extent[:, 1] - extent[:, 0] + 1
    tilt = sum(abs(covector[axis]) * size[axis] for axis in range(3) if axis != across) / abs(covector[across])
    if tilt > 1e-3:
        return _ObliqueVoxels.find(image, grid, matrix)
    return _LayerVoxels.find(image, grid, matrix, across)


def segment_in_slice(image: SliceImage, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
    """The segment as a mask (rows, columns) of the slice: at the middle of each pixel, the nearest voxel."""
    labelmap, value = labelmap_of(segmentation, segment_id)
    if labelmap is None:
        return np.zeros(image.shape, dtype=bool)
    matrix = inverse(world_from_image(labelmap, segmentation)) @ image.world_from_pixel
    i, j, k = (lattice_index(row[[1, 0, 3]], image.shape) for row in matrix[:3])
    return np.broadcast_to(values_at(labelmap, i, j, k) == value, image.shape) & image.inside


@dataclass(frozen=True, eq=False)
class _LayerVoxels:
    """One layer of a grid: voxels ``(a, b)`` along its two other axes, in the order of the axes."""

    image: SliceImage
    geometry: slicer.vtkOrientedImageData
    across: int
    layer: int
    starts: tuple[int, int]
    shape: tuple[int, int]
    row: Indices
    column: Indices
    seen: Mask

    @classmethod
    def find(
        cls, image: SliceImage, geometry: slicer.vtkOrientedImageData, matrix: Matrix, across: int
    ) -> _LayerVoxels:
        extent = np.array(geometry.GetExtent()).reshape(3, 2)
        first, second = (axis for axis in range(3) if axis != across)
        # Where the plane crosses the middle of the grid; it hardly varies over it.
        middle = [matrix[2, axis] * extent[axis].mean() for axis in (first, second)]
        layer = int(np.floor(-(sum(middle) + matrix[2, 3]) / matrix[2, across] + 0.5 + ROUNDING))
        starts = int(extent[first, 0]), int(extent[second, 0])
        shape = int(extent[first, 1] - extent[first, 0] + 1), int(extent[second, 1] - extent[second, 0] + 1)
        row, column = (
            lattice_index(np.array([line[first], line[second], line[3] + line[across] * layer]), shape, starts)
            for line in (matrix[1], matrix[0])
        )
        rows, columns = image.shape
        seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        if not extent[across, 0] <= layer <= extent[across, 1]:
            seen = np.zeros((1, 1), dtype=bool)
        row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
        seen = np.broadcast_to(seen & image.inside[row, column], shape)
        return cls(image, geometry, across, layer, starts, shape, row, column, seen)

    def read(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
        """See :class:`SliceVoxels`."""
        labelmap, value = labelmap_of(segmentation, segment_id)
        if labelmap is None:
            return np.zeros(self.shape, dtype=bool)
        first, second = (axis for axis in range(3) if axis != self.across)
        move = inverse(world_from_image(labelmap, segmentation)) @ world_from_image(self.geometry, segmentation)
        i, j, k = (
            lattice_index(
                np.array([line[first], line[second], line[3] + line[self.across] * self.layer]),
                self.shape,
                self.starts,
            )
            for line in move[:3]
        )
        return np.broadcast_to(values_at(labelmap, i, j, k) == value, self.shape) & self.seen

    def wanted(self, mask: Mask, otherwise: Mask) -> Mask:
        """See :class:`SliceVoxels`."""
        return np.where(self.seen, mask[self.row, self.column], otherwise)

    def labelmap(self, chosen: Mask) -> slicer.vtkOrientedImageData | None:
        """See :class:`SliceVoxels`."""
        if not chosen.any():
            return None
        first, second = (axis for axis in range(3) if axis != self.across)
        low, high = np.empty(3, dtype=np.intp), np.empty(3, dtype=np.intp)
        low[self.across] = high[self.across] = self.layer
        window = []
        for axis, other, start in ((first, 1, self.starts[0]), (second, 0, self.starts[1])):
            used = np.flatnonzero(chosen.any(axis=other))
            window.append(slice(used[0], used[-1] + 1))
            low[axis], high[axis] = used[0] + start, used[-1] + start
        # The array of a labelmap counts (k, j, i), the reverse of the axes.
        part = chosen[window[0], window[1]].T
        labelmap, voxels = _labelmap(self.geometry, low, high)
        voxels.reshape(part.shape)[...] = part
        return labelmap


@dataclass(frozen=True, eq=False)
class _ObliqueVoxels:
    """Voxels ``(3, N)`` of a grid, each once, with the pixels (N,) in front of them."""

    image: SliceImage
    geometry: slicer.vtkOrientedImageData
    ijk: Indices
    row: Indices
    column: Indices
    layer: None = None

    @classmethod
    def find(cls, image: SliceImage, geometry: slicer.vtkOrientedImageData, matrix: Matrix) -> _ObliqueVoxels:
        ijk = _passed_by_plane(matrix[2], geometry.GetExtent())
        column, row = (
            np.floor(line[0] * ijk[0] + line[1] * ijk[1] + line[2] * ijk[2] + (line[3] + 0.5 + ROUNDING)).astype(
                np.intp
            )
            for line in matrix[:2]
        )
        rows, columns = image.shape
        seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        seen &= image.inside.ravel()[np.where(seen, row * columns + column, 0)]
        if not seen.all():
            chosen = np.flatnonzero(seen)
            ijk, row, column = ijk.take(chosen, axis=1), row.take(chosen), column.take(chosen)
        return cls(image, geometry, ijk, row, column)

    def read(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
        """See :class:`SliceVoxels`."""
        labelmap, value = labelmap_of(segmentation, segment_id)
        if labelmap is None:
            return np.zeros(self.ijk.shape[1], dtype=bool)
        move = inverse(world_from_image(labelmap, segmentation)) @ world_from_image(self.geometry, segmentation)
        ijk = self.ijk
        if not np.allclose(move, np.eye(4), atol=1e-6):
            ijk = np.floor(move[:3, :3] @ ijk + move[:3, 3:] + 0.5 + ROUNDING).astype(np.intp)
        return values_at(labelmap, *ijk) == value

    def wanted(self, mask: Mask, otherwise: Mask) -> Mask:
        """See :class:`SliceVoxels`; all of these voxels lie in the picture."""
        del otherwise
        return mask[self.row, self.column]

    def labelmap(self, chosen: Mask) -> slicer.vtkOrientedImageData | None:
        """See :class:`SliceVoxels`."""
        ijk = self.ijk.take(np.flatnonzero(chosen), axis=1)
        if ijk.shape[1] == 0:
            return None
        low, high = ijk.min(axis=1), ijk.max(axis=1)
        labelmap, voxels = _labelmap(self.geometry, low, high)
        voxels.fill(0)
        i, j, k = ijk - low[:, None]
        columns, rows = (int(count) for count in (high - low + 1)[:2])
        voxels[i + columns * (j + rows * k)] = 1
        return labelmap


def _labelmap(
    geometry: slicer.vtkOrientedImageData, low: Indices, high: Indices
) -> tuple[slicer.vtkOrientedImageData, npt.NDArray[np.uint8]]:
    """A labelmap of voxels from ``low`` to ``high`` (i, j, k) of a grid, and its memory, i fastest, to be filled."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    labelmap = _grid_of(geometry)
    labelmap.SetExtent(*(int(bound) for pair in zip(low, high, strict=True) for bound in pair))
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return labelmap, vtk_to_numpy(labelmap.GetPointData().GetScalars())


def _passed_by_plane(distance: Matrix, extent: tuple[int, ...]) -> Indices:
    """Voxels (3, N) in an extent (i0, i1, j0, j1, k0, k1) whose cell the plane ``distance @ (i, j, k, 1) == 0`` cuts.

    Of two layers that touch a plane between them, the one with the higher index is taken.
    """
    across = int(np.argmax(np.abs(distance[:3])))
    first, second = (axis for axis in range(3) if axis != across)
    start, end = extent[2 * across], extent[2 * across + 1]
    along_first = np.arange(extent[2 * first], extent[2 * first + 1] + 1)
    along_second = np.arange(extent[2 * second], extent[2 * second + 1] + 1)
    height = distance[first] * along_first[:, None] + (distance[second] * along_second + distance[3])[None, :]
    centre = height * (-1 / distance[across])
    half = 0.5 * float(np.abs(distance[:3]).sum() / abs(distance[across]))
    lowest = np.floor(centre + (ROUNDING - half)).astype(np.intp) + 1
    highest = np.minimum(np.floor(centre + (ROUNDING + half)).astype(np.intp), end)
    found = [np.empty((3, 0), dtype=np.intp)]
    for layer in range(int((highest - lowest).max(initial=-1)) + 1):
        position = lowest + layer
        flat = np.flatnonzero((position <= highest) & (position >= start))
        voxels = np.empty((3, len(flat)), dtype=np.intp)
        a, b = np.divmod(flat, len(along_second))
        voxels[first], voxels[second], voxels[across] = along_first[a], along_second[b], position.ravel()[flat]
        found.append(voxels)
    return np.concatenate(found, axis=1)


def _grid_of(image: slicer.vtkOrientedImageData) -> slicer.vtkOrientedImageData:
    """The grid of an image, without its voxels; the editor's own geometry image changes under our hands."""
    import slicer

    grid = slicer.vtkOrientedImageData()
    grid.SetSpacing(image.GetSpacing())
    grid.SetOrigin(image.GetOrigin())
    grid.CopyDirections(image)
    grid.SetExtent(image.GetExtent())
    return grid
