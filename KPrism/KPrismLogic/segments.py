"""Finding segments by name, and making those that do not exist, with terminology and colour of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidMask
from KPrismLib.terminology import term_for
from KPrismLogic.labelmaps import labelmap_of, voxels_of

if TYPE_CHECKING:
    import slicer


def find_segment(segmentation: slicer.vtkMRMLSegmentationNode, name_or_id: str) -> str | None:
    """The ID of the segment with this name or ID; None when there is none.

    What users see is the name: a segment of exactly this name comes before one that has it as an ID, since a renamed
    segment keeps the ID of its old name; one whose name differs in capital letters comes last.
    """
    content = segmentation.GetSegmentation()
    exact = _exactly_named(segmentation, name_or_id)
    if exact is None and content.GetSegment(name_or_id) is not None:
        return name_or_id
    return exact or segment_named(segmentation, name_or_id)


def existing_segment(segmentation: slicer.vtkMRMLSegmentationNode, name_or_id: str) -> str:
    """As :func:`find_segment`, for a segment that must be there.

    Raises:
        InvalidMask: there is no such segment.
    """
    segment_id = find_segment(segmentation, name_or_id)
    if segment_id is None:
        raise InvalidMask(f"{segmentation.GetName()} has no segment {name_or_id!r}.")
    return segment_id


def segment_named(segmentation: slicer.vtkMRMLSegmentationNode, name: str) -> str | None:
    """The ID of the segment with this name, whatever its ID is; capital letters matter only if two names differ so."""
    exact = _exactly_named(segmentation, name)
    return exact or segmentation.GetSegmentation().GetSegmentIdBySegmentName(name) or None


def find_or_add_segment(segmentation: slicer.vtkMRMLSegmentationNode, name_or_id: str, class_name: str | None) -> str:
    """The ID of a segment; a new one gets the terminology and colour of its class."""
    return find_segment(segmentation, name_or_id) or add_segment(segmentation, name_or_id, class_name)


def add_segment(segmentation: slicer.vtkMRMLSegmentationNode, name: str, class_name: str | None) -> str:
    """The ID of a new, empty segment, with the terminology and colour of its class."""
    content = segmentation.GetSegmentation()
    if class_name is None:
        return content.AddEmptySegment("", name)
    added = content.AddEmptySegment("", name, term_for(class_name).colour)
    apply_term(content.GetSegment(added), class_name)
    content.GetSegment(added).SetName(name)
    return added


def remove_if_empty(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> None:
    """Take a segment away again, if it is still there and nobody has drawn in it."""
    labelmap, value = labelmap_of(segmentation, segment_id)
    if labelmap is None or not (voxels_of(labelmap) == value).any():
        segmentation.GetSegmentation().RemoveSegment(segment_id)


def apply_term(segment: slicer.vtkSegment, class_name: str) -> None:
    """Give a segment the name, colour and terminology of a class."""
    term = term_for(class_name)
    segment.SetName(term.name)
    segment.SetColor(*term.colour)
    segment.SetTerminology(term.entry)


def _exactly_named(segmentation: slicer.vtkMRMLSegmentationNode, name: str) -> str | None:
    # Slicer's own search takes capital letters for small ones, and the first segment of several.
    content = segmentation.GetSegmentation()
    return next((one for one in content.GetSegmentIDs() if content.GetSegment(one).GetName() == name), None)
