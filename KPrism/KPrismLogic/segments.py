"""Finding segments by name, and making those that do not exist, with terminology and colour of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KPrismLib.terminology import term_for

if TYPE_CHECKING:
    import slicer


def find_segment(segmentation: slicer.vtkMRMLSegmentationNode, name_or_id: str) -> str | None:
    """The ID of the segment with this ID or name; None when there is none."""
    content = segmentation.GetSegmentation()
    if content.GetSegment(name_or_id) is not None:
        return name_or_id
    return content.GetSegmentIdBySegmentName(name_or_id) or None


def find_or_add_segment(segmentation: slicer.vtkMRMLSegmentationNode, name_or_id: str, class_name: str | None) -> str:
    """The ID of a segment; a new one gets the terminology and colour of its class."""
    found = find_segment(segmentation, name_or_id)
    if found is not None:
        return found
    content = segmentation.GetSegmentation()
    if class_name is None:
        return content.AddEmptySegment("", name_or_id)
    added = content.AddEmptySegment("", name_or_id, term_for(class_name).colour)
    apply_term(content.GetSegment(added), class_name)
    content.GetSegment(added).SetName(name_or_id)
    return added


def apply_term(segment: slicer.vtkSegment, class_name: str) -> None:
    """Give a segment the name, colour and terminology of a class."""
    term = term_for(class_name)
    segment.SetName(term.name)
    segment.SetColor(*term.colour)
    segment.SetTerminology(term.entry)
