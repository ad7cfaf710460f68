"""What a segment looks like on a grid that it is not edited on any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.labelmaps import empty_grid, grid_key, joined
from KPrismLogic.matrices import inverse
from KPrismLogic.slice_voxels import layers_in

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_stack import SliceStack


def as_seen_on(
    grid: slicer.vtkOrientedImageData,
    stack: SliceStack,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
) -> slicer.vtkOrientedImageData | None:
    """A segment as a labelmap of another grid than its own, as far as it lies in the slices of a stack; None if empty.

    Args:
        grid: the other grid.
        stack: the slices.
        segmentation, segment_id: the segment.
    """
    parts = []
    for index in range(len(stack)):
        for voxels in layers_in(stack.image(index), segmentation, grid, stack.step):
            parts.append(voxels.labelmap(voxels.read(segmentation, segment_id)))
    return joined([part for part in parts if part is not None])


def as_large(grid: slicer.vtkOrientedImageData, other: slicer.vtkOrientedImageData) -> slicer.vtkOrientedImageData:
    """A grid, without voxels, with an extent that covers both its own and another's."""
    there, back = np.array(grid_key(other)).reshape(4, 4), inverse(np.array(grid_key(grid)).reshape(4, 4))
    extents = np.array([image.GetExtent() for image in (grid, other)]).reshape(2, 3, 2)
    corners = np.array(np.meshgrid(*(extents[1] + (-0.5, 0.5)))).reshape(3, -1)
    places = (back @ there)[:3, :3] @ corners + (back @ there)[:3, 3:]
    low = np.minimum(extents[0, :, 0], np.floor(places.min(axis=1)))
    high = np.maximum(extents[0, :, 1], np.ceil(places.max(axis=1)))
    large = empty_grid(grid)
    large.SetExtent(*(int(bound) for pair in zip(low, high, strict=True) for bound in pair))
    return large
