"""What Slicer derives from a segment's voxels, the surface in 3-D views above all, rests while a run writes.

The editor converts it anew at every change of the voxels, on the main thread: for a CT of some size that takes a
second for each slice of a run, and Slicer stands still. Taken away before the first slice and derived once at the end,
it costs that second once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.labelmaps import Mask, labelmap_of
from KPrismLogic.slice_voxels import SliceVoxels

if TYPE_CHECKING:
    import slicer


class DerivedRepresentations:
    """The representations of a segmentation's segments other than its voxels.

    Args:
        segmentation: the node, edited by voxels.
    """

    def __init__(self, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
        self._segmentation = segmentation
        self._resting: set[str] = set()

    def rest(self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]], *, overwrites: bool) -> None:
        """Take them away from a segment whose voxels are about to change, and from those that it may overwrite.

        Args:
            segment_id: the segment.
            added: voxels that it is about to get.
            overwrites: whether other segments may lose these.
        """
        self._take_away(segment_id)
        if overwrites:
            for other in list(self._losing(segment_id, added)):
                self._take_away(other)

    def renew(self) -> None:
        """Derive again what was taken away; nothing where the segmentation is in no scene any more."""
        names, self._resting = sorted(self._resting), set()
        if self._segmentation.GetScene() is not None:
            for name in names:
                # Of those segments only that have none, undone ones for instance have theirs back.
                self._segmentation.GetSegmentation().CreateRepresentation(name)

    def _take_away(self, segment_id: str) -> None:
        for name in list(self._derived(segment_id)):
            self._segmentation.GetSegmentation().GetSegment(segment_id).RemoveRepresentation(name)
            self._resting.add(name)

    def _derived(self, segment_id: str) -> Iterator[str]:
        content = self._segmentation.GetSegmentation()
        names: list[str] = []
        segment = content.GetSegment(segment_id)
        if segment is not None:
            segment.GetContainedRepresentationNames(names)
        yield from (name for name in names if name != content.GetSourceRepresentationName())

    def _losing(self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]]) -> Iterator[str]:
        """Other segments that hold any of the voxels and have something derived."""
        content = self._segmentation.GetSegmentation()
        held: dict[slicer.vtkOrientedImageData, set[int]] = {}  # values among the voxels, by labelmap: many share one
        for other in content.GetSegmentIDs():
            if other == segment_id or not any(self._derived(other)):
                continue
            labelmap, value = labelmap_of(self._segmentation, other)
            if labelmap is None:
                continue
            if labelmap not in held:
                held[labelmap] = {
                    int(found)
                    for voxels, new in added
                    if new.any()
                    for found in np.unique(voxels.values(labelmap, self._segmentation)[new])
                }
            if value in held[labelmap]:
                yield other
