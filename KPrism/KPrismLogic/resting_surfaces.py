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
from KPrismLogic.slice_voxels import SliceVoxels

if TYPE_CHECKING:
    import slicer

#: As Slicer calls the representation. Others stay: what a planar contour is made of, for instance, voxels are not.
_SURFACE = "Closed surface"


class RestingSurfaces:
    """Those of a segmentation's segments.

    Args:
        segmentation: the node, edited by voxels.
    """

    def __init__(self, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
        self._segmentation = segmentation
        self._old: set[str] = set()  # segments whose surfaces are those of before

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
        content = self._segmentation.GetSegmentation()
        derived = content.GetSourceRepresentationName() != _SURFACE
        changing = [segment_id, *(self._losing(segment_id, added) if overwrites else ())] if derived else []
        aside = {one: content.GetSegment(one).GetRepresentation(_SURFACE) for one in changing if self._has_surface(one)}
        if not aside:
            yield
            return
        self._old.update(aside)
        with self._quiet():
            for one in aside:
                content.GetSegment(one).RemoveRepresentation(_SURFACE)
            try:
                yield
            finally:
                for one, surface in aside.items():
                    segment = content.GetSegment(one)
                    if segment is not None:
                        segment.AddRepresentation(_SURFACE, surface)

    def renew(self) -> None:
        """Make those anew that are of before; nothing where the segmentation is in no scene any more."""
        # Whoever shows no surfaces any more has taken them away.
        old, self._old = [one for one in self._old if self._has_surface(one)], set()
        if not old or self._segmentation.GetScene() is None:
            return
        content = self._segmentation.GetSegmentation()
        with self._quiet():
            for one in old:
                content.GetSegment(one).RemoveRepresentation(_SURFACE)
            content.CreateRepresentation(_SURFACE)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Views learn of changes at the end, all at once."""
        before = self._segmentation.StartModify()
        try:
            yield
        finally:
            self._segmentation.EndModify(before)

    def _has_surface(self, segment_id: str) -> bool:
        segment = self._segmentation.GetSegmentation().GetSegment(segment_id)
        return segment is not None and segment.GetRepresentation(_SURFACE) is not None

    def _losing(self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]]) -> Iterator[str]:
        """Other segments that have a surface and hold any of the voxels."""
        held: dict[slicer.vtkOrientedImageData, set[int]] = {}  # values among the voxels, by labelmap: many share one
        for other in self._segmentation.GetSegmentation().GetSegmentIDs():
            if other == segment_id or not self._has_surface(other):
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
