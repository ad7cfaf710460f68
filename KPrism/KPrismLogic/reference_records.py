"""References as the editor's parameter node keeps them, so that they are saved with the scene.

Volumes and segmentations are node references, so that they stay right when the scene is imported into one that uses
their IDs already. Each has a role of its own: in a list under one role, those behind a deleted node would move up.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from KPrismLib.errors import InvalidReference, KPrismError
from KPrismLogic.guide import SHELF_SIZE, ReferenceShelf, ReferenceSlice
from KPrismLogic.matrices import Triple
from KPrismLogic.slice_origin import SliceOrigin
from KPrismLogic.slice_plane import SlicePlane

if TYPE_CHECKING:
    import slicer

#: Attribute of the parameter node: JSON with version, and segment and plane of each reference.
ATTRIBUTE = "K-Prism.References"

_VERSION = 1

#: How far a normal's length may be from 1, and a point from the origin in mm; beyond them cutting has no result at all.
_UNIT_TOLERANCE, _FARTHEST = 1e-3, 1e9


@dataclass(frozen=True)
class _Record:
    """What is kept of one reference.

    Attributes:
        volume: the volume node, None if it is not in the scene.
        segmentation: the segmentation node, None if it is not in the scene.
        segment_id: the segment.
        point: a point of the plane, RAS mm.
        normal: unit normal, RAS.
        found: whether a search found it; of two records of one place, that of the shelf counts.
    """

    volume: slicer.vtkMRMLVolumeNode | None
    segmentation: slicer.vtkMRMLSegmentationNode | None
    segment_id: str
    point: Triple
    normal: Triple
    found: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, origin: SliceOrigin, scene: slicer.vtkMRMLScene, *, found: bool = False) -> _Record:
        """Of a reference that was taken somewhere."""
        return cls(*origin.nodes_in(scene), origin.segment_id, origin.point, origin.normal, found)

    def is_whole(self) -> bool:
        """Whether nodes and segment are in the scene."""
        if self.volume is None or self.segmentation is None:
            return False
        return self.segmentation.GetSegmentation().GetSegment(self.segment_id) is not None

    def read(self) -> tuple[ReferenceSlice, SliceOrigin]:
        """The reference, with the segment as it is now.

        Raises:
            InvalidReference: nodes or segment are not in the scene, or the slice holds nothing of the segment.
            KPrismError: the slice cannot be cut.
        """
        if self.volume is None or self.segmentation is None:
            raise InvalidReference("a volume or segmentation is not in the scene")
        segment = self.segmentation.GetSegmentation().GetSegment(self.segment_id)
        if segment is None:
            raise InvalidReference(f"a segment is not in {self.segmentation.GetName()} any more")
        place = self.volume, self.segmentation, self.segment_id
        try:
            reference = ReferenceSlice.of_segment(*place, SlicePlane.through(self.point, self.normal))
        except InvalidReference:
            raise InvalidReference(f"a slice holds nothing of {segment.GetName()} now") from None
        return reference, SliceOrigin.of(*place, self.point, self.normal)


def record(parameters: slicer.vtkMRMLSegmentEditorNode, shelf: ReferenceShelf, *removed: SliceOrigin | None) -> None:
    """Let the parameter node of an editor have records of the references on a shelf.

    Those whose nodes or segment are not in its scene have none, because they could not be read again.

    Args:
        parameters: the parameter node.
        shelf: the references.
        removed: where those were taken that were on the shelf until now, as far as that is known.
    """
    scene = parameters.GetScene()
    own = dict.fromkeys(_Record.of(origin, scene, found=found) for origin, found in shelf.origins)
    gone = {_Record.of(origin, scene) for origin in removed if origin is not None}
    # References of an earlier scene on the shelf keep those of this one from being read; these must not be lost.
    unread = [one for one in _saved(parameters) if one not in own and one not in gone]
    whole = [one for one in (*unread, *own) if one.is_whole()]
    _save(parameters, whole[-SHELF_SIZE:])


def recall(parameters: slicer.vtkMRMLSegmentEditorNode, shelf: ReferenceShelf) -> str:
    """Put the references that a parameter node has records of on an empty shelf, with their segments as they are now.

    Damaged records, and those of another version, count as none.

    Args:
        parameters: the parameter node of the editor.
        shelf: where they are put.

    Returns:
        A sentence about those that cannot be read, "" if there are none.
    """
    saved, reasons = _saved(parameters), []
    for one in saved:
        try:
            shelf.add(*one.read(), found=one.found)
        except KPrismError as error:
            # What to do about it is said behind a semicolon, to somebody who has that slice before them.
            reasons.append(str(error).split(";")[0].rstrip("."))
    if not reasons:
        return ""
    were, why = "was" if len(reasons) == 1 else "were", "; ".join(dict.fromkeys(reasons))
    return f"{len(reasons)} of {len(saved)} saved references {were} left out: {why}. Add others in their place."


def _roles(number: int) -> tuple[str, str]:
    """Under which roles volume and segmentation of a reference are kept, counted from 0."""
    return f"K-Prism.Reference{number + 1}.Volume", f"K-Prism.Reference{number + 1}.Segmentation"


def _save(parameters: slicer.vtkMRMLSegmentEditorNode, records: list[_Record]) -> None:
    words = [
        {"segment": one.segment_id, "point": one.point, "normal": one.normal, "found": one.found} for one in records
    ]
    # As Slicer does with parameters of effects: the editor would update itself, and shows nothing of this.
    disabled = parameters.GetDisableModifiedEvent()
    parameters.SetDisableModifiedEvent(1)
    try:
        text = json.dumps({"version": _VERSION, "references": words}, separators=(",", ":")) if words else None
        parameters.SetAttribute(ATTRIBUTE, text)
        for number in range(SHELF_SIZE):
            one = records[number] if number < len(records) else None
            nodes = (None, None) if one is None else (one.volume, one.segmentation)
            for role, node in zip(_roles(number), nodes, strict=True):
                parameters.SetNodeReferenceID(role, None if node is None else node.GetID())
    finally:
        parameters.SetDisableModifiedEvent(disabled)


def _saved(parameters: slicer.vtkMRMLSegmentEditorNode) -> list[_Record]:
    """What is recorded, none if it is damaged."""
    text = parameters.GetAttribute(ATTRIBUTE)
    if not text:
        return []
    try:
        content = json.loads(text)
        # True equals 1, and is no version.
        if type(content["version"]) is not int or content["version"] != _VERSION:
            return []
        words = [_words(one) for one in content["references"][:SHELF_SIZE]]
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return []
    return [
        _Record(*_nodes(parameters, number), segment_id, point, normal, found)
        for number, (segment_id, point, normal, found) in enumerate(words)
    ]


def _words(one: Any) -> tuple[str, Triple, Triple, bool]:
    """Segment, point and normal of a record, and whether a search found it, which older ones do not say.

    Raises:
        ValueError, TypeError, LookupError, ArithmeticError: it is damaged.
    """
    segment_id, point, normal = str(one["segment"]), _triple(one["point"]), _triple(one["normal"])
    segment_id.encode()  # VTK ends the process over text that cannot be encoded.
    if abs(math.hypot(*normal) - 1) > _UNIT_TOLERANCE:
        raise ValueError("no unit normal")
    return segment_id, point, normal, one.get("found") is True


def _triple(values: Any) -> Triple:
    first, second, third = (float(value) for value in values)
    if not all(abs(value) < _FARTHEST for value in (first, second, third)):
        raise ValueError("no place near any volume")
    return first, second, third


def _nodes(
    parameters: slicer.vtkMRMLSegmentEditorNode, number: int
) -> tuple[slicer.vtkMRMLVolumeNode | None, slicer.vtkMRMLSegmentationNode | None]:
    """Volume and segmentation of a reference; None for what is not in the scene, or something else."""
    volume, segmentation = (parameters.GetNodeReference(role) for role in _roles(number))
    return (
        volume if volume is not None and volume.IsA("vtkMRMLVolumeNode") else None,
        segmentation if segmentation is not None and segmentation.IsA("vtkMRMLSegmentationNode") else None,
    )
