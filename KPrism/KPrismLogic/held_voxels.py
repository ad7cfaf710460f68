"""Noticing that somebody changed a segment, by undo or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLogic.labelmaps import fingerprint, labelmap_of, voxels_of
from KPrismLogic.matrices import world_from_image
from KPrismLogic.standing_runs import StandingRun, standing_runs
from KPrismLogic.target import NoLongerWanted

if TYPE_CHECKING:
    import slicer


class HeldVoxels:
    """What a segment holds when this is made.

    Args:
        segmentation: the node.
        segment_id: the segment.
    """

    def __init__(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> None:
        self._segmentation, self._segment_id = segmentation, segment_id
        self._standing, self._time, self._content = self._runs(), self._modified(), self._fingerprint()

    def check(self) -> None:
        """See to it that the segment holds the same still.

        Raises:
            NoLongerWanted: it does not.
        """
        if not self.are_there_still():
            raise NoLongerWanted("The segment was undone or changed meanwhile; the rest was not segmented.")

    def are_there_still(self) -> bool:
        """Whether the segment holds the same, and the same runs stand in it."""
        if self._runs() != self._standing:
            return False
        now = self._modified()
        if now == self._time:
            return True
        # Segments share labelmaps, and views touch them: the time alone says little.
        if self._fingerprint() != self._content:
            return False
        self._time = now
        return True

    def _runs(self) -> tuple[StandingRun, ...]:
        segment = self._segmentation.GetSegmentation().GetSegment(self._segment_id)
        return () if segment is None else standing_runs(segment)

    def _modified(self) -> tuple[Any, ...]:
        """Changes whenever voxels do, or where they are."""
        labelmap, _ = labelmap_of(self._segmentation, self._segment_id)
        if labelmap is None:
            return ()
        return labelmap.GetMTime(), world_from_image(labelmap, self._segmentation).tobytes()

    def _fingerprint(self) -> bytes:
        """Of the box around the segment, since the labelmap grows with what others put into it."""
        labelmap, value = labelmap_of(self._segmentation, self._segment_id)
        if labelmap is None:
            return b""
        box, place = voxels_of(labelmap) == value, []
        for axis, start in enumerate(labelmap.GetExtent()[4::-2]):
            layers = np.flatnonzero(box.any(axis=tuple({0, 1, 2} - {axis})))
            if len(layers) == 0:
                return b""
            box = box[(slice(None),) * axis + (slice(layers[0], layers[-1] + 1),)]
            place.append(start + layers[0])
        return fingerprint(np.array([*place, *box.shape]), world_from_image(labelmap, self._segmentation), box)
