"""The surfaces that 3-D views show rest while a run writes, and are made anew once at its end.

The editor converts a segment's surface at every change of its voxels, on the main thread: for a CT of some size that
takes a second for each slice of a run, and Slicer stands still. A surface that is not there is not converted; but a 3-D
view that notices makes it at once, or hides all segments. So it is set aside only while voxels are written, with the
events of the node held back, and views show that of before until the run ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.labelmaps import Mask, labelmap_of
from KPrismLogic.old_surfaces import SURFACE, end_rest, forget, let_rest, surface_of
from KPrismLogic.slice_voxels import SliceVoxels
from KPrismLogic.standing_runs import new_run

if TYPE_CHECKING:
    import slicer


class RestingSurfaces:
    """Those of a segmentation's segments, for one run.

    Args:
        segmentation: the node, edited by voxels; another content that it gets meanwhile is none of the run's.
    """

    def __init__(self, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
        self._segmentation, self._content = segmentation, segmentation.GetSegmentation()
        self._run = new_run()

    @contextmanager
    def at_rest(
        self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]], *, overwrites: bool
    ) -> Iterator[None]:
        """While voxels are written: the surfaces of the segment, and of those that it may overwrite, stay as they are.

        Args:
            segment_id: the segment.
            added: voxels that it is about to get.
            overwrites: whether other segments may lose these.
        """
        content = self._content
        derived = content.GetSourceRepresentationName() != SURFACE
        changing = [segment_id, *(self._losing(segment_id, added) if overwrites else ())] if derived else []
        aside = {one: surface for one in changing if (surface := surface_of(content, one)) is not None}
        if not aside:
            yield
            return
        let_rest(content, aside.values(), self._run)
        with self._quiet():
            for one in aside:
                content.GetSegment(one).RemoveRepresentation(SURFACE)
            try:
                yield
            finally:
                for one, surface in aside.items():
                    segment = content.GetSegment(one)
                    if segment is not None:
                        segment.AddRepresentation(SURFACE, surface)

    def renew(self) -> None:
        """The run has ended: make those anew that are of before.

        Where undo has ended it, those that it brought back are mostly right. Nothing is made where the segmentation is
        in no scene any more.
        """
        if self._segmentation.GetScene() is None:
            forget(self._run)
            return
        with self._quiet():
            end_rest(self._content, self._run)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Views learn of changes at the end, all at once."""
        before = self._segmentation.StartModify()
        try:
            yield
        finally:
            self._segmentation.EndModify(before)

    def _losing(self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]]) -> Iterator[str]:
        """Other segments that have a surface and hold any of the voxels."""
        held: dict[slicer.vtkOrientedImageData, set[int]] = {}  # values among the voxels, by labelmap: many share one
        for other in self._content.GetSegmentIDs():
            if other == segment_id or surface_of(self._content, other) is None:
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
