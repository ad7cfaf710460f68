"""Writing a mask into the voxels that a slice shows, through the segment editor's own rules and undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from KPrismLogic.labelmaps import Mask, joined
from KPrismLogic.resting_surfaces import RestingSurfaces
from KPrismLogic.slice_voxels import SliceVoxels

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.editor_undo import KeepState


class Editor(Protocol):
    """What writing needs of a segment editor: the desktop's effect, or the editor logic without a desktop."""

    def geometry(self) -> slicer.vtkOrientedImageData | None:
        """The grid on which segments are edited, without voxels; None while nothing is chosen."""

    def rules(self) -> slicer.vtkMRMLSegmentEditorNode:
        """The node whose masks and overwrite mode hold; there is one while something is chosen."""

    def intensities(self) -> slicer.vtkOrientedImageData | None:
        """What the intensity range of the masks is compared with, on the grid of :meth:`geometry`; None if unknown."""

    def save_state(self) -> None:
        """Keep the segmentation as it is for the editor's undo."""

    def add(self, segment_id: str, labelmap: slicer.vtkOrientedImageData) -> None:
        """Add voxels to a segment, where masks and overwrite rules allow."""

    def remove(self, segment_id: str, labelmap: slicer.vtkOrientedImageData) -> None:
        """Remove voxels from a segment, where masks allow."""


class LogicEditor:
    """The segment editor logic of a parameter node, for console, batch and tests.

    Args:
        parameters: the segment editor node, with segmentation and source volume chosen.
        keep_state: how to keep a state of the segmentation for somebody's undo; None for the undo of this logic.
    """

    def __init__(
        self,
        parameters: slicer.vtkMRMLSegmentEditorNode,
        keep_state: KeepState | None = None,
    ) -> None:
        import slicer

        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.parameters = parameters
        self._keep_state = keep_state
        self.logic.SetMRMLScene(parameters.GetScene())
        self.logic.SetSegmentEditorNode(parameters)
        self.logic.SetSegmentationNode(parameters.GetSegmentationNode())

    def geometry(self) -> slicer.vtkOrientedImageData | None:
        """See :class:`Editor`."""
        return self.logic.GetReferenceGeometryImage() if self.logic.UpdateReferenceGeometryImage() else None

    def rules(self) -> slicer.vtkMRMLSegmentEditorNode:
        """See :class:`Editor`."""
        return self.parameters

    def intensities(self) -> slicer.vtkOrientedImageData | None:
        """See :class:`Editor`."""
        return self.logic.GetAlignedSourceVolume() if self.logic.UpdateAlignedSourceVolume() else None

    def save_state(self) -> None:
        """See :class:`Editor`."""
        if self._keep_state is None:
            self.logic.SaveStateForUndo()
        else:
            self._keep_state(self.parameters.GetSegmentationNode())

    def add(self, segment_id: str, labelmap: slicer.vtkOrientedImageData) -> None:
        """See :class:`Editor`."""
        self._modify(segment_id, labelmap, self.logic.ModificationModeAdd)

    def remove(self, segment_id: str, labelmap: slicer.vtkOrientedImageData) -> None:
        """See :class:`Editor`."""
        self._modify(segment_id, labelmap, self.logic.ModificationModeRemove)

    def _modify(self, segment_id: str, labelmap: slicer.vtkOrientedImageData, mode: int) -> None:
        segmentation = self.parameters.GetSegmentationNode()
        # Masks and overwrite rules are those of the selected segment, which "outside all segments" leaves out.
        self.parameters.SetSelectedSegmentID(segment_id)
        self.logic.ModifySegmentByLabelmap(segmentation, segment_id, labelmap, mode, True, False)


def write_voxels(
    editor: Editor,
    segment_id: str,
    places: Sequence[tuple[SliceVoxels, Mask, Mask]],
    surfaces: RestingSurfaces | None = None,
) -> None:
    """Make a segment hold what it shall in some voxels, as far as the rules allow; the caller saves the undo state.

    Removing and adding only what differs keeps all other voxels and what the masks protect; the mode "Set" of the
    editor would clear the segment everywhere first. Several places of one grid are written at once, since the editor
    copies the segment for every call.

    Args:
        editor: where masks, overwrite rules and undo come from.
        segment_id: the segment.
        places: voxels, which of them shall belong to the segment, and which do.
        surfaces: know which are those of before, until the caller has them renewed; None to renew them at once.
    """
    removed, added = (
        joined([part for part in parts if part is not None])
        for parts in (
            [voxels.labelmap(content & ~wanted) for voxels, wanted, content in places],
            [voxels.labelmap(wanted & ~content) for voxels, wanted, content in places],
        )
    )
    if removed is None and added is None:
        return
    rules = editor.rules()
    resting = RestingSurfaces(rules.GetSegmentationNode()) if surfaces is None else surfaces
    new = [(voxels, wanted & ~content) for voxels, wanted, content in places]
    try:
        with resting.at_rest(segment_id, new, overwrites=rules.GetOverwriteMode() != rules.OverwriteNone):
            if removed is not None:
                editor.remove(segment_id, removed)
            if added is not None:
                editor.add(segment_id, added)
    finally:
        if surfaces is None:
            resting.renew()
