"""One layer of a segmentation's grid, in front of a slice that is parallel to it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelled_voxels import LabelledVoxels
from KPrismLogic.labelmaps import (
    Indices,
    Mask,
    fingerprint,
    grid_key,
    lattice_index,
    new_labelmap,
    values_at,
)
from KPrismLogic.matrices import Matrix, Vector, inverse, transformed, world_from_image
from KPrismLogic.slice_image import SliceImage

if TYPE_CHECKING:
    import slicer


@dataclass(frozen=True, eq=False)
class LayerVoxels(LabelledVoxels):
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
        cls, image: SliceImage, geometry: slicer.vtkOrientedImageData, matrix: Matrix, across: int, layer: int
    ) -> LayerVoxels:
        """The voxels of layer ``layer`` along axis ``across`` (0 i, 1 j, 2 k).

        Args:
            image: the slice; its pixels are looked up straight along its normal.
            geometry: the grid, which stays as it is.
            matrix: pixels of the slice from voxels of the grid, mm along the normal third.
            across: axis along which layers follow each other.
            layer: the layer.
        """
        extent = np.array(geometry.GetExtent()).reshape(3, 2)
        first, second = (axis for axis in range(3) if axis != across)
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
        if image.stack_index is None:  # otherwise all is inside
            seen = seen & image.inside[row, column]
        seen = np.broadcast_to(seen, shape)
        return cls(image, geometry, across, layer, starts, shape, row, column, seen)

    @property
    def key(self) -> Hashable:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        # Not with the extent: the editor's grid grows and shrinks with what other segments hold.
        return grid_key(self.geometry), self.across, self.layer

    @property
    def place(self) -> bytes:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        numbers = self.across, self.layer, *self.starts, *self.shape
        return fingerprint(np.array(numbers), np.array(grid_key(self.geometry)))

    def middle(self, segmentation: slicer.vtkMRMLSegmentationNode) -> Vector:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        place = np.array(self.geometry.GetExtent()).reshape(3, 2).mean(axis=1)
        place[self.across] = self.layer
        return transformed(world_from_image(self.geometry, segmentation), place)

    def values(
        self, labelmap: slicer.vtkOrientedImageData, segmentation: slicer.vtkMRMLSegmentationNode
    ) -> npt.NDArray[Any]:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
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
        return np.where(self.seen, values_at(labelmap, i, j, k), 0)

    def fingerprint(self, content: Mask) -> bytes:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        if not content.any():
            return fingerprint()
        window = _box_around(content)
        bounds = [(side.start + start, side.stop + start) for side, start in zip(window, self.starts, strict=True)]
        return fingerprint(np.array(bounds), np.packbits(content[window]))

    def wanted(self, mask: Mask, otherwise: Mask) -> Mask:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        return np.where(self.seen, mask[self.row, self.column], otherwise)

    def labelmap(self, chosen: Mask) -> slicer.vtkOrientedImageData | None:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        if not chosen.any():
            return None
        low, high = np.empty(3, dtype=np.intp), np.empty(3, dtype=np.intp)
        low[self.across] = high[self.across] = self.layer
        window = _box_around(chosen)
        axes = (axis for axis in range(3) if axis != self.across)
        for axis, side, start in zip(axes, window, self.starts, strict=True):
            low[axis], high[axis] = side.start + start, side.stop - 1 + start
        # The array of a labelmap counts (k, j, i), the reverse of the axes.
        part = chosen[window].T
        labelmap, voxels = new_labelmap(self.geometry, low, high)
        voxels.reshape(part.shape)[...] = part
        return labelmap


def _box_around(chosen: Mask) -> tuple[slice, slice]:
    """The smallest part (A, B) with all that is chosen, which is something."""
    first, second = (np.flatnonzero(chosen.any(axis=other)) for other in (1, 0))
    return slice(int(first[0]), int(first[-1]) + 1), slice(int(second[0]), int(second[-1]) + 1)
