"""The voxels of a segmentation's grid that an oblique slice passes through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelled_voxels import LabelledVoxels
from KPrismLogic.labelmaps import Indices, Mask, fingerprint, new_labelmap, values_at
from KPrismLogic.matrices import Matrix, Vector, inverse, world_from_image
from KPrismLogic.slice_image import ROUNDING, SliceImage

if TYPE_CHECKING:
    import slicer


@dataclass(frozen=True, eq=False)
class ObliqueVoxels(LabelledVoxels):
    """Voxels ``(3, N)`` of a grid, each once, with the pixels (N,) in front of them."""

    image: SliceImage
    geometry: slicer.vtkOrientedImageData
    ijk: Indices
    row: Indices
    column: Indices
    key: None = None

    @classmethod
    def find(
        cls, image: SliceImage, geometry: slicer.vtkOrientedImageData, matrix: Matrix, thickness: float = 0.0
    ) -> ObliqueVoxels:
        """The voxels that the plane passes through, and those whose middle lies within a slice of some thickness.

        Args:
            image: the slice.
            geometry: the grid, which stays as it is.
            matrix: pixels of the slice from voxels of the grid, mm along the normal third.
            thickness: of the slice, mm.
        """
        ijk = _passed_by_plane(matrix[2], geometry.GetExtent(), thickness)
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

    @property
    def shape(self) -> tuple[int]:  # type: ignore[override]  # derived here, a field of a layer
        """(N,)."""
        return (self.ijk.shape[1],)

    @cached_property
    def place(self) -> bytes:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        return fingerprint(self.ijk)

    def middle(self, segmentation: slicer.vtkMRMLSegmentationNode) -> Vector:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        del segmentation  # the plane is in the world already
        return self.image.plane.point

    def values(
        self, labelmap: slicer.vtkOrientedImageData, segmentation: slicer.vtkMRMLSegmentationNode
    ) -> npt.NDArray[Any]:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        move = inverse(world_from_image(labelmap, segmentation)) @ world_from_image(self.geometry, segmentation)
        ijk = self.ijk
        if not np.allclose(move, np.eye(4), atol=1e-6):
            ijk = np.floor(move[:3, :3] @ ijk + move[:3, 3:] + 0.5 + ROUNDING).astype(np.intp)
        return values_at(labelmap, *ijk)

    def fingerprint(self, content: Mask) -> bytes:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        return fingerprint(self.ijk.take(np.flatnonzero(content), axis=1))

    def wanted(self, mask: Mask, otherwise: Mask) -> Mask:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`; all of these voxels lie in the picture."""
        del otherwise
        return mask[self.row, self.column]

    def beyond(self, other: ObliqueVoxels) -> Mask:
        """Which of these voxels (N,) the other ones, of the same grid, do not have."""
        # Counted from the first of all: an editor's grid may begin below 0.
        low = np.minimum(self.ijk.min(axis=1, initial=0), other.ijk.min(axis=1, initial=0))[:, None]
        high = np.maximum(self.ijk.max(axis=1, initial=0), other.ijk.max(axis=1, initial=0))[:, None]
        shape = tuple((high - low + 1)[:, 0])
        own, others = (np.ravel_multi_index(tuple(one.ijk - low), shape) for one in (self, other))
        return ~np.isin(own, others)

    def labelmap(self, chosen: Mask) -> slicer.vtkOrientedImageData | None:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        ijk = self.ijk.take(np.flatnonzero(chosen), axis=1)
        if ijk.shape[1] == 0:
            return None
        low, high = ijk.min(axis=1), ijk.max(axis=1)
        labelmap, voxels = new_labelmap(self.geometry, low, high)
        voxels.fill(0)
        i, j, k = ijk - low[:, None]
        columns, rows = (int(count) for count in (high - low + 1)[:2])
        voxels[i + columns * (j + rows * k)] = 1
        return labelmap


def _passed_by_plane(distance: Matrix, extent: tuple[int, ...], thickness: float) -> Indices:
    """Voxels (3, N) in an extent (i0, i1, j0, j1, k0, k1) whose cell the plane ``distance @ (i, j, k, 1) == 0`` cuts.

    Of a plane that is thicker than that, in mm, also those whose middle lies in it.

    Of two layers that touch a plane between them, the one with the higher index is taken.
    """
    across = int(np.argmax(np.abs(distance[:3])))
    first, second = (axis for axis in range(3) if axis != across)
    start, end = extent[2 * across], extent[2 * across + 1]
    along_first = np.arange(extent[2 * first], extent[2 * first + 1] + 1)
    along_second = np.arange(extent[2 * second], extent[2 * second + 1] + 1)
    height = distance[first] * along_first[:, None] + (distance[second] * along_second + distance[3])[None, :]
    centre = height * (-1 / distance[across])
    half = 0.5 * float(max(np.abs(distance[:3]).sum(), thickness) / abs(distance[across]))
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
