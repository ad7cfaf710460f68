"""Which slices of a stack hold a segment already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelmaps import Mask, labelmap_of, voxels_of
from KPrismLogic.matrices import world_from_image
from KPrismLogic.slice_voxels import segment_in_slice

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_stack import SliceStack


def drawn_slices(stack: SliceStack, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> dict[int, Mask]:
    """The slices that hold a segment, ascending, each with what :func:`segment_in_slice` sees of it."""
    masks = {
        index: segment_in_slice(stack.image(index), segmentation, segment_id)
        for index in slices_at(stack, segmentation, segment_id)
    }
    return {index: mask for index, mask in masks.items() if mask.any()}


def slices_at(stack: SliceStack, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> list[int]:
    """The slices in front of voxels of a segment, ascending; of hundreds a segment is drawn in a few as a rule."""
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
    tilt = sum(abs(rise[axis]) * (extent[axis, 1] - middle[axis]) for axis in range(3) if axis != across)
    reach = tilt + abs(rise[across]) / 2 + stack.step / 2
    return [index for index, plane in enumerate(stack.planes) if np.abs(heights - normal @ plane.point).min() <= reach]


def _occupied(labelmap: slicer.vtkOrientedImageData, value: int, across: int) -> npt.NDArray[np.intp]:
    """The layers along an axis (0 for i, ...) that hold a value, counted from the first of the labelmap."""
    layers = np.moveaxis(voxels_of(labelmap), 2 - across, 0)
    return np.array([number for number, layer in enumerate(layers) if (layer == value).any()], dtype=np.intp)
