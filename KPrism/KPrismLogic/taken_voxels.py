"""What a segment's answers in a slice took from other segments, so that an answer that needs it no more gives it back.

Where the editor overwrites other segments, a click that goes too far takes voxels of a neighbour; the click that
corrects it would leave a hole there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLogic.editable_area import NothingEditable
from KPrismLogic.labelmaps import Mask, labelmap_of, voxels_of
from KPrismLogic.segment_editing import Editor, write_voxels
from KPrismLogic.slice_voxels import SliceVoxels
from KPrismLogic.weak_reference import weak_reference

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.target import Target

#: Which voxels of a slice segments hold, by ID; those that hold none are left out.
Holdings = Mapping[str, Mask]


@dataclass(frozen=True, eq=False)
class _Loss:
    """What one segment has lost, as bits instead of a mask, since there is one for every state of undo.

    Attributes:
        bits: which voxels.
        segment: held weakly; a copy of the segmentation, or whoever comes later, may have another one of its ID.
        held: whether it held something else in the slice, and whether it did anywhere.
    """

    bits: bytes
    segment: Any
    held: tuple[bool, bool]

    @classmethod
    def of(cls, mask: Mask, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, others: Holdings) -> _Loss:
        """What a segment has lost, while others hold what they hold."""
        segment = weak_reference(segmentation.GetSegmentation().GetSegment(segment_id))
        return cls(_packed(mask), segment, _held(segmentation, segment_id, others))

    def stands(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, others: Holdings) -> bool:
        """Whether it is this very segment still, and nobody has emptied it, the slice or all of it."""
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if segment is None or self.segment.Get() is not segment:
            return False
        now = _held(segmentation, segment_id, others)
        return all(held or not before for held, before in zip(now, self.held, strict=True))


@dataclass(frozen=True, eq=False)
class TakenVoxels:
    """As of the last answer in a slice.

    Attributes:
        place: of the voxels that were lost; a grid may change.
        losses: what each segment has lost, by ID.
        shared: what of that yet another segment held nevertheless, as bits.
    """

    place: bytes = b""
    losses: Mapping[str, _Loss] = field(default_factory=dict)
    shared: bytes = b""

    @classmethod
    def of(cls, voxels: SliceVoxels, taken: Holdings, target: Target, others: Holdings) -> TakenVoxels:
        """What segments have lost, while others hold what they hold."""
        taken = {segment_id: mask for segment_id, mask in taken.items() if mask.any()}
        if not taken:
            return cls()
        lost = np.any(list(taken.values()), axis=0)
        losses = {one: _Loss.of(mask, target.segmentation, one, others) for one, mask in taken.items()}
        return cls(voxels.place, losses, _packed(lost & _union(others, lost)))

    def owed(self, voxels: SliceVoxels, content: Mask, target: Target, others: Holdings) -> dict[str, Mask]:
        """What segments have lost, where nobody has changed anything since; nothing of one that was emptied since.

        Args:
            voxels: the voxels.
            content: which of them belong to the segment that took them.
            target: that segment.
            others: what other segments hold by now.
        """
        if not self.losses or voxels.place != self.place:
            return {}
        unchanged = content & ~(_union(others, content) & ~_unpacked(self.shared, content))
        return {
            segment_id: _unpacked(loss.bits, content) & unchanged
            for segment_id, loss in self.losses.items()
            if loss.stands(target.segmentation, segment_id, others)
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
    owed = earlier.owed(voxels, found, target, before)
    write_voxels(editor, target.segment_id, [(voxels, wanted, found)])
    held = content()
    if np.array_equal(held, found) and not np.array_equal(wanted, found):
        raise NothingEditable
    if not owed and not (_union(before, wanted) & wanted).any():
        return TakenVoxels()  # as nearly always
    back = {segment_id: lost & ~held for segment_id, lost in owed.items() if (lost & ~held).any()}
    if back:
        # Inside a single segment, the editor gives that one what it erases; it has an owner then.
        given = _union(_others(voxels, target), held) & ~_union(before, held)
        for segment_id, lost in back.items():
            _give_back(segmentation, segment_id, voxels.labelmap(lost & ~given))
    after = _others(voxels, target)
    taken = {
        segment_id: held
        & (owed.get(segment_id, nothing) | before.get(segment_id, nothing) & ~after.get(segment_id, nothing))
        for segment_id in {**owed, **before}
    }
    return TakenVoxels.of(voxels, taken, target, after)


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


def _held(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, others: Holdings) -> tuple[bool, bool]:
    """Whether a segment holds something in the slice, and whether it does anywhere."""
    if segment_id in others:
        return True, True
    labelmap, value = labelmap_of(segmentation, segment_id)
    return False, labelmap is not None and bool((voxels_of(labelmap) == value).any())


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
