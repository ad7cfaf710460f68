"""Which slices of a stack hold a segment already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelmaps import labelmap_of, voxels_of
from KPrismLogic.matrices import world_from_image

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_stack import SliceStack


#: How far rounding may put a voxel beside the slice that shows it, as a part of the way from layer to layer.
_ROUNDING = 1e-3


def slices_through(stack: SliceStack, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> list[int]:
    """The slices that pass through voxels of a segment, ascending, found without cutting any.

    Of a stack that is parallel to the segment's grid these are the slices that show it; of a tilted one also some that
    pass it by.
    """
    return _slices_within(stack, segmentation, segment_id, 0)


def slices_at(stack: SliceStack, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> list[int]:
    """As :func:`slices_through`, with those between which voxels lie, as of a grid that is finer than the volume."""
    return _slices_within(stack, segmentation, segment_id, stack.step / 2)


def _slices_within(
    stack: SliceStack, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, margin: float
) -> list[int]:
    """The slices at most so many mm away from voxels of a segment; of hundreds it is drawn in a few as a rule."""
    labelmap, value = labelmap_of(segmentation, segment_id)
    if labelmap is None:
        return []
    normal = stack.planes[0].normal
    world = world_from_image(labelmap, segmentation)
    rise = normal @ world[:3, :3]  # mm along the normal from voxel to voxel, along i, j and k
    across = int(np.argmax(np.abs(rise)))
    extent = np.array(labelmap.GetExtent()).reshape(3, 2)
    middle = extent.mean(axis=1)
    layers = extent[across, 0] + _occupied(labelmap, value, across)
    if len(layers) == 0:
        return []
    heights = normal @ (world[:3, :3] @ middle + world[:3, 3]) + rise[across] * (layers - middle[across])
    tilt = sum(abs(rise[axis]) * (extent[axis, 1] + 0.5 - middle[axis]) for axis in range(3) if axis != across)
    reach = tilt + abs(rise[across]) * (0.5 + _ROUNDING) + margin
    return [index for index, plane in enumerate(stack.planes) if np.abs(heights - normal @ plane.point).min() <= reach]


def _occupied(labelmap: slicer.vtkOrientedImageData, value: int, across: int) -> npt.NDArray[np.intp]:
    """The layers along an axis (0 for i, ...) that hold a value, counted from the first of the labelmap."""
    others = tuple(axis for axis in range(3) if axis != 2 - across)
    # In one go through the memory: layer by layer along i, each voxel would be fetched with all of its row.
    found: npt.NDArray[np.intp] = np.flatnonzero((voxels_of(labelmap) == value).any(axis=others))
    return found
