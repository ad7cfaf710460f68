"""What the console's calls are given, checked and brought into one form: a mistake is a sentence, not a traceback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidMask, InvalidPrompt, InvalidReference
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.matrices import inverse, transformed
from KPrismLogic.model import Model
from KPrismLogic.slice_image import cut_grid, stack_axis
from KPrismLogic.slice_plane import NORMAL_AXES, SlicePlane
from KPrismLogic.stroke import Stroke
from KPrismLogic.temporary_editor import check_editable
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    import slicer

#: How far from the middle of its slice a click may lie, in slices; a little more than half for rounding.
_HALF_A_SLICE = 0.5 + 1e-3


def check_nodes(volume: Any, segmentation: Any, *segments: Any) -> None:
    """See to it that these are a volume with voxels, a segmentation, and names of segments.

    Raises:
        InvalidImage: no volume node, or one without voxels.
        InvalidMask: no segmentation node, or no name.
        GeometryMismatch: a non-linear parent transform.
    """
    import slicer

    if not isinstance(volume, slicer.vtkMRMLVolumeNode):
        raise InvalidImage(f"volumeNode is {_told(volume)}; give a volume node, as slicer.util.getNode does by name.")
    if not isinstance(segmentation, slicer.vtkMRMLSegmentationNode):
        raise InvalidMask(
            f"segmentationNode is {_told(segmentation)}; give a segmentation node, as slicer.util.getNode does by name."
        )
    VoxelGrid.of(volume)
    for segment in segments:
        if not isinstance(segment, str) or not segment.strip():
            raise InvalidMask(f"A segment is {_told(segment)}; give a name, or the ID of one that exists.")


def check_editing(volume: Any, segmentation: Any, editor: Any, *segments: Any) -> None:
    """As :func:`check_nodes`, for a call that writes by the rules of an editor node, or of none.

    Raises:
        InvalidImage, InvalidMask, GeometryMismatch: see there; also a segmentation that cannot be edited on the volume.
        InvalidConfig: no editor node.
    """
    import slicer

    check_nodes(volume, segmentation, *segments)
    check_editable(volume, segmentation)
    if not (editor is None or isinstance(editor, slicer.vtkMRMLSegmentEditorNode)):
        raise InvalidConfig(
            f"editorNode is {_told(editor)}; give a vtkMRMLSegmentEditorNode, whose masks and overwrite rules hold."
        )


def check_model(model: Any) -> None:
    """See to it that this is a model, or None.

    Raises:
        InvalidConfig: something else.
    """
    if not (model is None or isinstance(model, Model)):
        raise InvalidConfig(
            f"model is {_told(model)}; give none and choose one with model.choose, or give a KPrismLogic.model.Model."
        )


def millimetres(name: str, value: Any) -> float | None:
    """A coordinate, or None.

    Raises:
        InvalidConfig: neither a finite number nor None.
    """
    if value is None:
        return None
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise InvalidConfig(f"{name} is {value!r}; give a number, in mm.")
    return float(value)


def offsets_of(offsets: Any) -> list[float | None]:
    """Coordinates from one or several.

    Raises:
        InvalidConfig: something that is no number.
    """
    if offsets is None or isinstance(offsets, (Real, str)):
        offsets = [offsets]
    return [millimetres("offsets", one) for one in _listed(offsets, "offsets")]


def classes_of(classes: Any) -> list[Any]:
    """What is given as names of classes, to be checked.

    Raises:
        InvalidPrompt: no list, or nothing in it.
    """
    listed = [] if isinstance(classes, str) else _listed(classes, "classes")
    if not listed:
        raise InvalidPrompt("Give a list of classes to segment.")
    return listed


def progress_of(progress: Any) -> Callable[[int, int], object]:
    """What to call with the progress of a run; None for nothing.

    Raises:
        InvalidConfig: something that cannot be called.
    """
    if progress is None:
        return lambda _done, _all: None
    if not callable(progress):
        raise InvalidConfig(f"progress is {_told(progress)}; give a function of (slices written, slices in the range).")
    called: Callable[[int, int], object] = progress
    return called


def goes_on(told: Any) -> bool:
    """Whether a run goes on after what ``progress`` returned: unless that is false, also the false of numpy."""
    return not (isinstance(told, (bool, np.bool_)) and not told)


def guide_of(cls: Any, reference: Any) -> Guide:
    """What shows a slice what to segment: a class, references, or neither.

    Raises:
        InvalidPrompt: both, or no name of a class.
        InvalidReference: something that is no reference.
    """
    if not (cls is None or isinstance(cls, str)):
        raise InvalidPrompt(f"cls is {_told(cls)}; give the name of one class, segmentVolume takes several.")
    references = _references_of(reference)
    if cls and references:
        raise InvalidPrompt("Give either a class or references, not both; clicks can refine either.")
    return Guide(cls or None, references)


def _references_of(reference: Any) -> tuple[ReferenceSlice, ...]:
    """References from one, several or None.

    Raises:
        InvalidReference: something else.
    """
    if isinstance(reference, ReferenceSlice):
        return (reference,)
    given = tuple(_listed(reference, "reference"))
    for one in given:
        if not isinstance(one, ReferenceSlice):
            raise InvalidReference(f"reference holds {_told(one)}; give what referenceSlice returns.")
    return given


def strokes_of(clicks: Any, scribbles: Any) -> tuple[Stroke, ...]:
    """Clicks and scribbles from lists or arrays of points (R, A, S), with or without a sign.

    Raises:
        InvalidPrompt: something that is no point, or a scribble without any.
    """
    clicked = [[one] for one in _listed(clicks, "clicks")]
    return tuple(_stroke(_listed(points, "a scribble")) for points in (*clicked, *_listed(scribbles, "scribbles")))


def plane_of(volume: slicer.vtkMRMLVolumeNode, plane: Any, offset: Any, strokes: Sequence[Stroke] = ()) -> SlicePlane:
    """The slice that is meant.

    Raises:
        InvalidConfig: no plane, or an offset for a plane that has its own.
        InvalidImage: no plane of this name, or it misses the volume.
        InvalidPrompt: a click or scribble lies in another slice.
    """
    offset = millimetres("offset", offset)
    if isinstance(plane, str):
        where = SlicePlane.of_volume(volume, plane, offset)
        where = where.moved_to(strokes[0].points[0]) if offset is None and strokes else where
    elif not (isinstance(plane, SlicePlane) or hasattr(plane, "GetSliceToRAS")):
        raise InvalidConfig(f"plane is {_told(plane)}; give one of {', '.join(NORMAL_AXES)}, or a slice view's node.")
    elif offset is not None:
        raise InvalidConfig(
            f"A view or plane is a slice of its own, so that there is none at {offset:g} mm; give offsets only with "
            f"one of {', '.join(NORMAL_AXES)}."
        )
    else:
        where = plane if isinstance(plane, SlicePlane) else SlicePlane.of_view(plane)
    if strokes:
        _check_in_slice(VoxelGrid.of(volume), where, [point for stroke in strokes for point in stroke.points])
    return where


def _check_in_slice(grid: VoxelGrid, plane: SlicePlane, points: Sequence[Sequence[float]]) -> None:
    image, across, step = cut_grid(grid, plane), stack_axis(grid, plane), grid.step_along(plane.normal)
    for point in points:
        if across is None or image.stack_index is None:
            apart = float(plane.normal @ (np.array(point) - plane.point)) / step
        else:
            # From the middle of the voxels: the plane may pass them anywhere.
            apart = float(transformed(inverse(grid.world), point)[across]) - image.stack_index
        if abs(apart) > _HALF_A_SLICE:
            place = ", ".join(f"{value:.5g}" for value in point)
            raise InvalidPrompt(
                f"The point ({place}) lies {abs(apart) * step:.3g} mm from the slice at {_offset(grid, plane)}; one "
                "call segments one slice, so give only points in it."
            )


def _offset(grid: VoxelGrid, plane: SlicePlane) -> str:
    """Where a plane passes the middle of the volume, for a sentence."""
    return f"{'RAS'[plane.axis]} = {plane.offset_at(grid.middle):.5g} mm"


def _stroke(points: Sequence[Any]) -> Stroke:
    if not points:
        raise InvalidPrompt("The scribble has no points; draw at least one.")
    places = [_place(point) for point in points]
    return Stroke(tuple(places), len(points[0]) < 4 or bool(points[0][3]))


def _place(point: Any) -> tuple[float, float, float]:
    try:
        right, anterior, superior = (float(value) for value in point[:3])
        right_size = len(point) in (3, 4)
    except (TypeError, ValueError, IndexError, KeyError):
        right_size = False
    if not right_size or not np.isfinite([right, anterior, superior]).all():
        raise InvalidPrompt(
            f"{point!r} is no point; clicks are a list of points (R, A, S) or (R, A, S, False) in mm, and scribbles a "
            "list of such lists."
        )
    return right, anterior, superior


def _listed(values: Any, name: str) -> list[Any]:
    """A list of what a list, an array, or None holds."""
    if values is None:
        return []
    try:
        return list(values)
    except TypeError as error:
        raise InvalidPrompt(f"{name} is {_told(values)}; give a list.") from error


def _told(value: Any) -> str:
    """What something is, for a sentence."""
    if hasattr(value, "GetName") and hasattr(value, "GetClassName"):
        return f"{value.GetName()}, a {value.GetClassName()}"
    return repr(value) if value is None or isinstance(value, (str, Real)) else f"a {type(value).__name__}"
