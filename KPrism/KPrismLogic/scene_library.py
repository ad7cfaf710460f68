"""Slices of a scene's other volumes in which the same structure is segmented: what references can be chosen from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidReference, KPrismError
from KPrismLib.evenly import evenly
from KPrismLogic.drawn_slices import slices_through
from KPrismLogic.drawn_volume import volume_of
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.segments import segment_named
from KPrismLogic.slice_origin import SliceOrigin
from KPrismLogic.slice_plane import NORMAL_AXES, SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.temporary_editor import check_readable

if TYPE_CHECKING:
    import slicer

#: How many slices are compared at most, shared by the volumes; an engine remembers so many for the next search.
MOST_SLICES = 20

#: How many of them are taken: what a few have in common, one reference does not show.
TAKEN = 5

#: A reference and where it is from.
Known = tuple[ReferenceSlice, SliceOrigin]

#: A volume, a segmentation of it, and the ID of a segment.
_Case = tuple["slicer.vtkMRMLVolumeNode", "slicer.vtkMRMLSegmentationNode", str]


def known_elsewhere(
    volume: slicer.vtkMRMLVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    plane: SlicePlane,
) -> list[Known]:
    """Slices in which a segment of the same name is drawn, of all volumes of the scene but one.

    Of each volume they are evenly spread over those that show the segment, and parallel to the anatomical plane that is
    nearest to ``plane``. What cannot be cut is left out.

    Args:
        volume: the volume in which the structure is looked for.
        segmentation, segment_id: the segment that it is called like.
        plane: the slice in which it is looked for.

    Raises:
        InvalidReference: there are none; the sentence says what is missing.
    """
    name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
    direction = next(known for known, axis in NORMAL_AXES.items() if axis == plane.axis)
    cases, skipped = _cases(volume, segmentation, name)
    chosen = evenly(cases, MOST_SLICES)
    # The others fill the places of those that show nothing.
    cases = [*chosen, *(case for case in cases if case not in chosen)]
    found: list[Known] = []
    for number, case in enumerate(cases):
        if len(found) == MOST_SLICES:
            break
        share = math.ceil((MOST_SLICES - len(found)) / (len(cases) - number))
        try:
            found += _spread(case, direction, share)
        except KPrismError as error:
            skipped.append(error)  # warped by a transform, or without voxels: nothing to show
    if not found and skipped:
        raise InvalidReference(str(skipped[0]))
    if not found:
        raise InvalidReference(
            f"No other volume of the scene has a segment {name} that was drawn on it; load a segmented case, or add "
            "slices yourself."
        )
    return found


def _spread(case: _Case, direction: str, most: int) -> list[Known]:
    """At most so many slices of a case in an anatomical direction, evenly spread over those that show its segment.

    Each is the middle one of its share of them, so that a single one is the middle one of all.

    Raises:
        KPrismError: nodes that cannot be cut.
    """
    volume, segmentation, segment_id = case
    stack = SliceStack.through(volume, SlicePlane.of_volume(volume, direction))
    showing = slices_through(stack, segmentation, segment_id)
    count = min(most, len(showing))
    found = []
    for share in np.array_split(showing, count) if count else ():
        middle = share[len(share) // 2]
        for index in sorted(share, key=lambda index: abs(index - middle)):
            where = stack.planes[index]
            try:
                reference = ReferenceSlice.of_segment(*case, where)
            except InvalidReference:
                continue  # of a tilted grid: it passes the segment by
            found.append((reference, SliceOrigin.of(*case, where.point, where.normal)))
            break
    return found


def _cases(
    volume: slicer.vtkMRMLVolumeNode, segmentation: slicer.vtkMRMLSegmentationNode, name: str
) -> tuple[list[_Case], list[KPrismError]]:
    """Other volumes with a segmentation that has a segment of a name, and why others are left out."""
    scene, kind = volume.GetScene(), "vtkMRMLSegmentationNode"
    cases: list[_Case] = []
    skipped: list[KPrismError] = []
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        drawing = scene.GetNthNodeByClass(number, kind)
        known_id = segment_named(drawing, name)
        if known_id is None:
            continue
        try:
            other = volume_of(drawing, known_id)
            if other is not volume:
                check_readable(drawing)
                cases.append((other, drawing, known_id))
        except KPrismError as error:
            if drawing is not segmentation:  # which is the volume's, whatever its geometry is
                skipped.append(error)
    return cases, skipped
