"""A segment editor node for the length of one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLogic.labelmaps import BINARY_LABELMAP
from KPrismLogic.matrices import world_from_node

if TYPE_CHECKING:
    import slicer


def check_editable(volume: slicer.vtkMRMLVolumeNode, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """See to it that a segmentation can be edited on a volume.

    Raises:
        InvalidImage: the nodes are in no scene, or in two.
        InvalidMask: the segments are stored as surfaces.
        GeometryMismatch: a non-linear parent transform.
    """
    scene = segmentation.GetScene()
    if scene is None or volume.GetScene() is not scene:
        raise InvalidImage("Volume and segmentation must be in the same scene.")
    if segmentation.GetSegmentation().GetSourceRepresentationName() != BINARY_LABELMAP:
        raise _stored_otherwise(segmentation)
    world_from_node(segmentation)


def check_readable(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """See to it that segments can be read voxel by voxel.

    Raises:
        InvalidMask: the segments are stored as surfaces, and nobody made labelmaps of them.
        GeometryMismatch: a non-linear parent transform.
    """
    content = segmentation.GetSegmentation()
    stored = content.GetSourceRepresentationName() == BINARY_LABELMAP
    if not stored and not content.ContainsRepresentation(BINARY_LABELMAP):
        raise _stored_otherwise(segmentation)
    world_from_node(segmentation)


@contextmanager
def temporary_editor(
    volume: slicer.vtkMRMLVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    rules: slicer.vtkMRMLSegmentEditorNode | None,
) -> Iterator[slicer.vtkMRMLSegmentEditorNode]:
    """A parameter node for these nodes, gone afterwards.

    Args:
        volume: the source volume.
        segmentation: what is edited.
        segment_id: the selected segment.
        rules: whose masks and overwrite mode to take over; None edits everywhere and overwrites nothing.

    Raises:
        InvalidImage, InvalidMask, GeometryMismatch: as :func:`check_editable`.
    """
    import slicer

    check_editable(volume, segmentation)
    scene = segmentation.GetScene()
    # As the Segment Editor does: without a display node no view would show what is written.
    segmentation.CreateDefaultDisplayNodes()
    node = slicer.vtkMRMLSegmentEditorNode()
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetOverwriteMode(node.OverwriteNone)
    if rules is not None:
        node.SetOverwriteMode(rules.GetOverwriteMode())
        node.SetMaskMode(rules.GetMaskMode())
        node.SetMaskSegmentID(rules.GetMaskSegmentID())
        node.SetSourceVolumeIntensityMask(rules.GetSourceVolumeIntensityMask())
        node.SetSourceVolumeIntensityMaskRange(*rules.GetSourceVolumeIntensityMaskRange())
    scene.AddNode(node)
    try:
        node.SetAndObserveSourceVolumeNode(volume)
        node.SetAndObserveSegmentationNode(segmentation)
        node.SetSelectedSegmentID(segment_id)
        yield node
    finally:
        scene.RemoveNode(node)


def _stored_otherwise(segmentation: slicer.vtkMRMLSegmentationNode) -> InvalidMask:
    return InvalidMask(
        f"{segmentation.GetName()} is stored as {segmentation.GetSegmentation().GetSourceRepresentationName()}; make "
        "binary labelmap its source representation in the Segmentations module first."
    )
