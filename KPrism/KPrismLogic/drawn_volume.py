"""Which volume of a scene a segmentation was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidReference, KPrismError
from KPrismLogic.labelmaps import labelmap_of
from KPrismLogic.matrices import inverse, world_from_image, world_from_volume

if TYPE_CHECKING:
    import slicer

#: How far grids may be apart that are the same, in voxels: files round.
_TOLERANCE = 1e-2


def volume_of(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> slicer.vtkMRMLVolumeNode:
    """The volume that a segmentation was drawn on.

    It is the one that its geometry was taken from. A segmentation from a file does not know that one, but has its grid;
    of several volumes with this grid, it is the one that the segmentation is called after.

    Args:
        segmentation: the segmentation.
        segment_id: a segment, for its labelmap and for messages.

    Raises:
        InvalidReference: nothing tells which one it is; the sentence says what to do.
    """
    import slicer

    known = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    if isinstance(known, slicer.vtkMRMLVolumeNode):
        return known
    fitting = _fitting(segmentation, segment_id)
    if len(fitting) > 1:
        fitting = _called_after(segmentation.GetName() or "", fitting) or fitting
    if len(fitting) == 1:
        return fitting[0]
    has = f"{segmentation.GetName()} has the segment {segmentation.GetSegmentation().GetSegment(segment_id).GetName()}"
    choose = "choose the one that it was drawn on under Specify geometry in the Segment Editor."
    if fitting:
        raise InvalidReference(f"{has}, but several volumes of the scene have its geometry; {choose}")
    raise InvalidReference(f"{has}, but no volume of the scene has its geometry; load that one, or {choose}")


def _fitting(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> list[slicer.vtkMRMLVolumeNode]:
    """The volumes with the grid of a segmentation or, where there is none, with that of a segment's labelmap."""
    import slicer

    scene, kind = segmentation.GetScene(), "vtkMRMLVolumeNode"
    nodes = [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]
    volumes = [node for node in nodes if not node.IsA("vtkMRMLLabelMapVolumeNode")]
    converter, whole = slicer.vtkSegmentationConverter, slicer.vtkOrientedImageData()
    text = segmentation.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if text and converter.DeserializeImageGeometry(text, whole, False):
        return [one for one in volumes if _has_grid(one, whole, segmentation, whole=True)]
    # A labelmap is no larger than needed.
    part, _ = labelmap_of(segmentation, segment_id)
    return [one for one in volumes if part is not None and _has_grid(one, part, segmentation, whole=False)]


def _has_grid(
    volume: slicer.vtkMRMLVolumeNode,
    image: slicer.vtkOrientedImageData,
    segmentation: slicer.vtkMRMLSegmentationNode,
    *,
    whole: bool,
) -> bool:
    """Whether the voxels of an image of a segmentation are those of a volume: all of them, or a part."""
    if volume.GetImageData() is None:
        return False
    try:
        voxels = inverse(world_from_volume(volume)) @ world_from_image(image, segmentation)
    except KPrismError:
        return False  # What a transform warps cannot be cut either.
    extent, last = np.array(image.GetExtent()).reshape(3, 2), np.array(volume.GetImageData().GetDimensions()) - 1
    low, high = (voxels[:3, :3] @ extent[:, end] + voxels[:3, 3] for end in (0, 1))
    apart = [(voxels[:3, :3] - np.eye(3)) * (last + 1), low - low.round()]
    apart += [low, high - last] if whole else [np.minimum(low, 0), np.maximum(high - last, 0)]
    return all(bool((np.abs(one) < _TOLERANCE).all()) for one in apart)


def _called_after(name: str, volumes: Sequence[slicer.vtkMRMLVolumeNode]) -> list[slicer.vtkMRMLVolumeNode]:
    """The volumes with the longest name that a name begins with: "CT 1" and "CT 1 segmentation", not "CT 12"."""
    names = {one.GetName() or "" for one in volumes}
    begins = [one for one in names if one and name.startswith(one) and not name[len(one) :][:1].isalnum()]
    return [one for one in volumes if begins and one.GetName() == max(begins, key=len)]
