"""Slices of a scene's other volumes in which the same structure is segmented: what references can be chosen from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidReference, KPrismError
from KPrismLib.evenly import evenly
from KPrismLogic.drawn_slices import slices_at
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.segments import segment_named
from KPrismLogic.slice_origin import SliceOrigin
from KPrismLogic.slice_plane import NORMAL_AXES, SlicePlane
from KPrismLogic.slice_stack import SliceStack

if TYPE_CHECKING:
    import slicer

#: How many slices are compared at most, shared by the volumes; an engine remembers so many for the next search.
MOST_SLICES = 20

#: How many of them are taken: what a few have in common, one reference does not show.
TAKEN = 5

#: A reference and where it is from.
Known = tuple[ReferenceSlice, SliceOrigin]


def known_elsewhere(
    volume: slicer.vtkMRMLVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    plane: SlicePlane,
) -> list[Known]:
    """Slices in which a segment of the same name is drawn, of all volumes of the scene but one.

    A segmentation belongs to the volume that its geometry was taken from. Of each volume the slices are evenly spread,
    and parallel to the anatomical plane that is nearest to ``plane``.

    Args:
        volume: the volume in which the structure is looked for.
        segmentation, segment_id: the segment that it is called like.
        plane: the slice in which it is looked for.

    Raises:
        InvalidReference: there are none; the sentence says what is missing.
    """
    name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
    direction = next(known for known, axis in NORMAL_AXES.items() if axis == plane.axis)
    cases = list(_cases(volume, name))
    found: list[Known] = []
    for other, drawing, known_id in cases:
        try:
            stack = SliceStack.through(other, SlicePlane.of_volume(other, direction))
        except KPrismError:
            continue  # warped by a transform, or without voxels: nothing to show
        for index in evenly(slices_at(stack, drawing, known_id), max(1, MOST_SLICES // len(cases))):
            where = stack.planes[index]
            try:
                reference = ReferenceSlice.of_segment(other, drawing, known_id, where)
            except InvalidReference:
                continue  # the segment ends between this slice and the next
            found.append((reference, SliceOrigin.of(other, drawing, known_id, where.point, where.normal)))
    if not found:
        raise InvalidReference(
            f"No other volume of the scene has a segment {name} that was drawn on it; load a segmented case, or add "
            "slices yourself."
        )
    return found


def _cases(
    volume: slicer.vtkMRMLVolumeNode, name: str
) -> Iterator[tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLSegmentationNode, str]]:
    """Other volumes with a segmentation that has a segment of this name, and its ID."""
    import slicer

    scene = volume.GetScene()
    kind, role = "vtkMRMLSegmentationNode", slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        drawing = scene.GetNthNodeByClass(number, kind)
        other, known_id = drawing.GetNodeReference(role), segment_named(drawing, name)
        if known_id and isinstance(other, slicer.vtkMRMLVolumeNode) and other is not volume:
            yield other, drawing, known_id
