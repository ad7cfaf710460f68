"""Writing through the effect, so that the editor's own undo, masks and overwrite rules apply."""

from __future__ import annotations

from typing import Any

import slicer


class EffectEditor:
    """The segment editor behind a scripted effect; see ``KPrismLogic.segment_editing.Editor``.

    Args:
        effect: the ``qSlicerSegmentEditorScriptedEffect``.
    """

    def __init__(self, effect: Any) -> None:
        self._effect = effect

    def geometry(self) -> Any:
        """The grid on which segments are edited; None while nothing is chosen."""
        image = self._effect.referenceGeometryImage()
        return None if image is None or image.GetExtent()[1] < image.GetExtent()[0] else image

    def rules(self) -> Any:
        """The node whose masks and overwrite mode hold."""
        return self._effect.parameterSetNode()

    def intensities(self) -> Any:
        """The volume on the grid on which segments are edited, as the intensity range sees it; None if unknown."""
        return self._effect.sourceVolumeImageData()

    def save_state(self) -> None:
        """Keep the segmentation as it is for the editor's undo."""
        self._effect.saveStateForUndo()

    def add(self, segment_id: str, labelmap: Any) -> None:
        """Add voxels to a segment."""
        self._modify(segment_id, labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd)

    def remove(self, segment_id: str, labelmap: Any) -> None:
        """Remove voxels from a segment."""
        self._modify(segment_id, labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeRemove)

    def _modify(self, segment_id: str, labelmap: Any, mode: Any) -> None:
        segmentation = self._effect.parameterSetNode().GetSegmentationNode()
        # Not the "selected segment" form: the selection may have changed since the click.
        self._effect.modifySegmentByLabelmap(segmentation, segment_id, labelmap, mode)
