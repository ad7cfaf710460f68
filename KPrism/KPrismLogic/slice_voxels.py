"""The voxels of a segmentation that a slice shows: reading a segment there, and what must change to get a mask.

They are the voxels whose cells the plane of the slice passes through. Where the plane is parallel to the grid that is
one layer; where it is oblique, it is all that a view of the plane shows, so that writing leaves no holes in it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelmaps import Mask, empty_grid, labelmap_of, lattice_index, values_at
from KPrismLogic.layer_voxels import LayerVoxels
from KPrismLogic.matrices import Matrix, Vector, inverse, world_from_image
from KPrismLogic.oblique_voxels import ObliqueVoxels
from KPrismLogic.slice_image import ROUNDING, SliceImage

if TYPE_CHECKING:
    import slicer


class SliceVoxels(Protocol):
    """Some voxels, in an order of their own; their masks are arrays of one shape, ``(N,)`` or ``(A, B)``."""

    @property
    def image(self) -> SliceImage:
        """The slice."""

    @property
    def key(self) -> Hashable:
        """Tells them from those of other slices and grids; None of an oblique slice, which shares voxels."""

    @property
    def place(self) -> bytes:
        """Tells all of them in their order from those of other places; a grid may grow."""

    def middle(self, segmentation: slicer.vtkMRMLSegmentationNode) -> Vector:
        """A point in the middle of them along the normal, RAS mm."""

    def read(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
        """Which of the voxels belong to a segment."""

    def values(
        self, labelmap: slicer.vtkOrientedImageData, segmentation: slicer.vtkMRMLSegmentationNode
    ) -> npt.NDArray[Any]:
        """The values of the voxels in a labelmap, on any grid, of the segmentation; 0 where it has none."""

    def look_up(
        self,
        labelmap: slicer.vtkOrientedImageData | None,
        value: int,
        segmentation: slicer.vtkMRMLSegmentationNode,
    ) -> Mask:
        """Which of the voxels have a value in a labelmap, on any grid, of the segmentation; None for an empty one."""

    def fingerprint(self, content: Mask) -> bytes:
        """A few bytes that stand for some of the voxels, however many more of its grid an image has."""

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
    grid = empty_grid(geometry)
    matrix = image.pixel_from_world @ world_from_image(grid, segmentation)
    across = _across(matrix, grid)
    if across is None:
        return ObliqueVoxels.find(image, grid, matrix)
    layer = int(np.floor(_place(matrix, grid, across) + 0.5 + ROUNDING))
    return LayerVoxels.find(image, grid, matrix, across, layer)


def layers_in(
    image: SliceImage,
    segmentation: slicer.vtkMRMLSegmentationNode,
    geometry: slicer.vtkOrientedImageData,
    thickness: float,
) -> tuple[SliceVoxels, ...]:
    """The layers of a grid that lie nearer to a slice than to its neighbours in the stack, those behind each other.

    A grid may be finer than the volume, or coarser: together the slices of a stack have every layer once. Of an oblique
    slice there is one, with all voxels that it passes or that lie within its thickness.

    Args:
        image: the slice.
        segmentation: the node, for its parent transforms.
        geometry: the grid that its segments are edited on.
        thickness: mm from one slice of the stack to the next.
    """
    grid = empty_grid(geometry)
    matrix = image.pixel_from_world @ world_from_image(grid, segmentation)
    across = _across(matrix, grid)
    if across is None:
        return (ObliqueVoxels.find(image, grid, matrix, thickness),)
    middle, half = _place(matrix, grid, across), thickness / 2 / abs(float(matrix[2, across]))
    # Half a slice to either side; a layer between two slices belongs to one of them, and here too to the upper one.
    lowest, highest = (int(np.floor(middle + end + ROUNDING)) for end in (-half, half))
    return tuple(LayerVoxels.find(image, grid, matrix, across, layer) for layer in range(lowest + 1, highest + 1))


def segment_in_slice(image: SliceImage, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
    """The segment as a mask (rows, columns) of the slice: at the middle of each pixel, the nearest voxel."""
    labelmap, value = labelmap_of(segmentation, segment_id)
    if labelmap is None:
        return np.zeros(image.shape, dtype=bool)
    matrix = inverse(world_from_image(labelmap, segmentation)) @ image.world_from_pixel
    i, j, k = (lattice_index(row[[1, 0, 3]], image.shape) for row in matrix[:3])
    return np.broadcast_to(values_at(labelmap, i, j, k) == value, image.shape) & image.inside


def _across(matrix: Matrix, grid: slicer.vtkOrientedImageData) -> int | None:
    """The axis of a grid (0 i, 1 j, 2 k) whose layers are parallel to a slice; None of an oblique slice.

    Args:
        matrix: pixels of the slice from voxels of the grid, mm along the normal third.
        grid: the grid.
    """
    covector = matrix[2, :3]
    across = int(np.argmax(np.abs(covector)))
    extent = np.array(grid.GetExtent()).reshape(3, 2)
    size = extent[:, 1] - extent[:, 0] + 1
    tilt = sum(abs(covector[axis]) * size[axis] for axis in range(3) if axis != across) / abs(covector[across])
    return None if tilt > 1e-3 else across


def _place(matrix: Matrix, grid: slicer.vtkOrientedImageData, across: int) -> float:
    """Where among the layers a slice lies that is parallel to them, as a layer's number with a fraction."""
    extent = np.array(grid.GetExtent()).reshape(3, 2)
    # Where the plane crosses the middle of the grid; it hardly varies over it.
    middle = [matrix[2, axis] * extent[axis].mean() for axis in range(3) if axis != across]
    return float(-(sum(middle) + matrix[2, 3]) / matrix[2, across])
