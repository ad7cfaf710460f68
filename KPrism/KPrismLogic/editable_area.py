"""Whether masks of a segment editor let anything of a change be written, asked before an undo state is kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import KPrismError

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.segment_editing import Editor
    from KPrismLogic.slice_voxels import SliceVoxels


#: How a sentence begins on what masks forbid.
MASKED = "The Segment Editor's masking (editable area or intensity range) lets nothing be written"


class NothingEditable(KPrismError):
    """Masks forbid all of a change; nothing is written."""

    def __init__(self) -> None:
        super().__init__(f"{MASKED} here; nothing was changed.")


def check_editable_area(
    editor: Editor,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    voxels: SliceVoxels,
    wanted: Mask,
    content: Mask,
) -> None:
    """See to it that masks let something of a change be written, if there is any.

    Args:
        editor: whose masks hold.
        segmentation, segment_id: the segment.
        voxels: the voxels of a slice.
        wanted: which of them shall belong to the segment.
        content: which of them do.

    Raises:
        NothingEditable: they do not.
    """
    rules = editor.rules()
    inside_one = rules.GetMaskMode() == segmentation.EditAllowedInsideSingleSegment
    if inside_one and (content & ~wanted).any():
        return  # There the editor lets the segment's own area be taken away wherever it is.
    changed = wanted ^ content
    if changed.any() and not (changed & ~_protected(editor, segmentation, segment_id, voxels, changed)).any():
        raise NothingEditable


def _protected(
    editor: Editor,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    voxels: SliceVoxels,
    changed: Mask,
) -> Mask:
    import slicer

    rules, protected = editor.rules(), np.zeros_like(changed)
    if rules.GetMaskMode() != segmentation.EditAllowedEverywhere:
        # The editor's own mask, of the box around the change only.
        mask, box = slicer.vtkOrientedImageData(), voxels.labelmap(changed)
        told = rules.GetMaskMode(), box, segment_id, rules.GetMaskSegmentID() or ""
        protected |= voxels.values(mask, segmentation) != 0 if segmentation.GenerateEditMask(mask, *told) else True
    intensities = editor.intensities() if rules.GetSourceVolumeIntensityMask() else None
    if intensities is not None:
        # Not the pixels of the slice: between voxels it has values that no voxel has, and colours.
        values = voxels.values(intensities, segmentation)
        limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else np.finfo(values.dtype)
        # As the editor's filter, which cuts fractions off where intensities are whole numbers.
        low, high = np.clip(rules.GetSourceVolumeIntensityMaskRange(), limits.min, limits.max).astype(values.dtype)
        protected |= ~((values >= low) & (values <= high))
    return protected
