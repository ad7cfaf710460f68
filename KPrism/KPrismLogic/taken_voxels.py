"""What a segment's answers in a slice took from other segments, so that an answer that needs it no more gives it back.

Where the editor overwrites other segments, a click that goes too far takes voxels of a neighbour; the click that
corrects it would leave a hole there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.editable_area import NothingEditable
from KPrismLogic.labelmaps import Mask, labelmap_of
from KPrismLogic.segment_editing import Editor, write_voxels
from KPrismLogic.slice_voxels import SliceVoxels

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.target import Target

#: Which voxels of a slice segments hold, by ID; those that hold none are left out.
Holdings = Mapping[str, Mask]


@dataclass(frozen=True, eq=False)
class TakenVoxels:
    """As of the last answer in a slice; bits instead of masks, since there is one for every state of undo.

    Attributes:
        place: of the voxels that the bits stand for; a grid may change.
        taken: what each segment has lost, by ID.
        shared: what of that yet another segment held nevertheless.
        holders: the segments that held something in the slice.
    """

    place: bytes = b""
    taken: Mapping[str, bytes] = field(default_factory=dict)
    shared: bytes = b""
    holders: frozenset[str] = frozenset()

    @classmethod
    def of(cls, voxels: SliceVoxels, taken: Holdings, others: Holdings) -> TakenVoxels:
        """What segments have lost, while others hold what they hold."""
        taken = {segment_id: mask for segment_id, mask in taken.items() if mask.any()}
        if not taken:
            return cls()
        lost = np.any(list(taken.values()), axis=0)
        bits = {segment_id: _packed(mask) for segment_id, mask in taken.items()}
        return cls(voxels.place, bits, _packed(lost & _union(others, lost)), frozenset(others))

    def owed(self, voxels: SliceVoxels, content: Mask, others: Holdings) -> dict[str, Mask]:
        """What segments have lost, where nobody has changed anything since; nothing of one that was emptied since.

        Args:
            voxels: the voxels.
            content: which of them belong to the segment that took them.
            others: what other segments hold by now.
        """
        if not self.taken or voxels.place != self.place:
            return {}
        unchanged = content & ~(_union(others, content) & ~_unpacked(self.shared, content))
        return {
            segment_id: _unpacked(bits, content) & unchanged
            for segment_id, bits in self.taken.items()
            if segment_id in others or segment_id not in self.holders
        }


def write_and_give_back(
    editor: Editor,
    target: Target,
    voxels: SliceVoxels,
    wanted: Mask,
    content: Callable[[], Mask],
    earlier: TakenVoxels,
) -> TakenVoxels:
    """Make a segment hold what is wanted, and give back what it had taken from others and does not hold any more.

    Args:
        editor: where masks, overwrite rules and undo come from; the caller saves the undo state.
        target: the segment.
        voxels: the voxels that the slice shows.
        wanted: which of them shall belong to the segment.
        content: tells which of them do.
        earlier: what its earlier answers took.

    Returns:
        What it has taken by now.

    Raises:
        NothingEditable: the rules let nothing of it be written.
    """
    segmentation, found, nothing = target.segmentation, content(), np.zeros_like(wanted)
    before = _others(voxels, target)
    owed = earlier.owed(voxels, found, before)
    write_voxels(editor, target.segment_id, [(voxels, wanted, found)])
    held = content()
    if np.array_equal(held, found) and not np.array_equal(wanted, found):
        raise NothingEditable
    if not owed and not (_union(before, wanted) & wanted).any():
        return TakenVoxels()  # as nearly always
    for segment_id, lost in owed.items():
        _give_back(segmentation, segment_id, voxels.labelmap(lost & ~held))
    after = _others(voxels, target)
    taken = {
        segment_id: held
        & (owed.get(segment_id, nothing) | before.get(segment_id, nothing) & ~after.get(segment_id, nothing))
        for segment_id in {**owed, **before}
    }
    return TakenVoxels.of(voxels, taken, after)


def _others(voxels: SliceVoxels, target: Target) -> dict[str, Mask]:
    """What all segments but the target's hold; each labelmap is read once, whoever shares it."""
    held, read = {}, {}
    for segment_id in target.segmentation.GetSegmentation().GetSegmentIDs():
        labelmap, value = labelmap_of(target.segmentation, segment_id)
        if labelmap is None or segment_id == target.segment_id:
            continue
        if labelmap not in read:
            values = voxels.values(labelmap, target.segmentation)
            read[labelmap] = values, frozenset(np.unique(values[values != 0]).tolist())
        values, found = read[labelmap]
        if value in found:
            held[segment_id] = values == value
    return held


def _give_back(
    segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, labelmap: slicer.vtkOrientedImageData | None
) -> None:
    """Add voxels to a segment past masks, which did not ask whether it loses them either, and over no other segment."""
    import slicer

    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if labelmap is not None and segmentation.GetSegmentation().GetSegment(segment_id) is not None:
        logic.SetBinaryLabelmapToSegment(labelmap, segmentation, segment_id, logic.MODE_MERGE_MASK)


def _union(holdings: Holdings, like: Mask) -> Mask:
    return np.any([np.zeros_like(like), *holdings.values()], axis=0)


def _packed(mask: Mask) -> bytes:
    return np.packbits(mask).tobytes()


def _unpacked(bits: bytes, like: Mask) -> Mask:
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=like.size).astype(bool).reshape(like.shape)
