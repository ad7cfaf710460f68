"""Surfaces that do not show the voxels of now say so of themselves, and are made anew whenever they come back.

A state of a segmentation that somebody keeps for undo while a run writes has the voxels of then and surfaces of before.
Undo and redo bring it back at any time, and nobody is told but the segmentation: so that is watched from then on.

A surface is made anew inside itself. Taking it out of its segment or putting another one in would be a change of the
segmentation, after which nothing can be redone.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from KPrismLogic.weak_reference import weak_reference

if TYPE_CHECKING:
    import slicer
    import vtk

#: As Slicer calls the representation. Others stay: what a planar contour is made of, for instance, voxels are not.
SURFACE = "Closed surface"

#: A field of the surface with the name of the run that leaves it as it is. Copies have it, too; a surface that Slicer
#: makes of voxels has none.
_MARK = "KPrism.Resting"


def surface_of(content: slicer.vtkSegmentation, segment_id: str) -> vtk.vtkPolyData | None:
    """The surface of a segment, right or not; None where there is none."""
    segment = content.GetSegment(segment_id)
    return None if segment is None else segment.GetRepresentation(SURFACE)


def let_rest(content: slicer.vtkSegmentation, surfaces: Collection[vtk.vtkPolyData], run: str) -> None:
    """Surfaces stay as they are until the run of this name has ended, whatever becomes of the voxels."""
    import vtk

    _watch(content)
    _under_way().add(run)
    for surface in surfaces:
        if _run_of(surface) not in _under_way():  # Once, since views draw anew what is marked.
            mark = vtk.vtkStringArray()
            mark.SetName(_MARK)
            mark.InsertNextValue(run)
            surface.GetFieldData().AddArray(mark)


def end_rest(content: slicer.vtkSegmentation, run: str) -> None:
    """The run of this name has ended: make anew what it has let rest, as far as that is there."""
    forget(run)
    _make_anew(content, [one for one in content.GetSegmentIDs() if _is_old(content, one)])


def forget(run: str) -> None:
    """The run of this name has ended."""
    _under_way().discard(run)


@functools.cache
def _under_way() -> set[str]:
    """Names of runs that have let surfaces rest and not ended."""
    return set()


def _run_of(surface: vtk.vtkPolyData) -> str:
    """The run that has let a surface, or the one of which it is a copy, rest; "" for none."""
    mark = surface.GetFieldData().GetAbstractArray(_MARK)
    return "" if mark is None else str(mark.GetValue(0))


def _is_old(content: slicer.vtkSegmentation, segment_id: str) -> bool:
    """Whether a segment has voxels and a surface of others, and no run that is under way will have it made anew."""
    surface = surface_of(content, segment_id)
    if surface is None or _run_of(surface) in {"", *_under_way()}:
        return False
    # Undo gives a segment one representation after the other, and says so each time.
    return content.GetSegment(segment_id).GetRepresentation(content.GetSourceRepresentationName()) is not None


def _make_anew(content: slicer.vtkSegmentation, segment_ids: Collection[str]) -> None:
    """Have surfaces show the voxels of now, by Slicer's own means and with the settings of the segmentation."""
    import slicer

    if not segment_ids:
        return
    workshop, source = slicer.vtkSegmentation(), content.GetSourceRepresentationName()
    workshop.SetSourceRepresentationName(source)
    workshop.CopyConversionParameters(content)
    try:
        for one in segment_ids:
            segment = slicer.vtkSegment()
            segment.SetLabelValue(content.GetSegment(one).GetLabelValue())
            segment.AddRepresentation(source, content.GetSegment(one).GetRepresentation(source))
            workshop.AddSegment(segment, one)
        workshop.CreateRepresentation(SURFACE)
        for one in segment_ids:
            old, made = surface_of(content, one), surface_of(workshop, one)
            if old is not None and made is not None:
                old.ShallowCopy(made)
                content.InvokeEvent(content.RepresentationModified, one)
    finally:
        for one in workshop.GetSegmentIDs():
            # A segmentation that goes would clear its segments out of labelmaps that they share.
            workshop.GetSegment(one).RemoveAllRepresentations()


@functools.cache
def _watched() -> list[Any]:
    """The segmentations that are watched, held weakly."""
    return []


def _watch(content: slicer.vtkSegmentation) -> None:
    """Have surfaces made anew when undo or redo bring them back, as long as the segmentation lives."""
    import vtk

    watched = _watched()
    watched[:] = [one for one in watched if one.Get() is not None]
    if all(one.Get() is not content for one in watched):
        watched.append(weak_reference(content))
        content.AddObserver(content.SegmentModified, vtk.calldata_type(vtk.VTK_STRING)(_on_modified))


def _on_modified(content: slicer.vtkSegmentation, _event: str, segment_id: str) -> None:
    if _is_old(content, segment_id):
        _make_anew(content, [segment_id])
