"""Noticing that somebody changed a segment, by undo or by hand, while nothing of a run is written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.labelmaps import fingerprint, labelmap_of, voxels_of
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
        self._time, self._content = self._modified(), self._fingerprint()

    def check(self) -> None:
        """See to it that the segment holds the same still.

        Raises:
            NoLongerWanted: it does not.
        """
        now = self._modified()
        if now == self._time:
            return
        # Segments share labelmaps, and views touch them: the time alone says little.
        if self._fingerprint() != self._content:
            raise NoLongerWanted("The segment was undone or changed meanwhile; the rest was not segmented.")
        self._time = now

    def _modified(self) -> int | None:
        labelmap, _ = labelmap_of(self._segmentation, self._segment_id)
        return None if labelmap is None else labelmap.GetMTime()

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
        return fingerprint(np.array([*place, *box.shape]), box)
