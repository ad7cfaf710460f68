"""The surfaces that 3-D views show rest while a run writes, and are made once at its end.

The editor converts a segment's surface at every change of its voxels, on the main thread: for a CT of some size that
takes a second for each slice of a run, and Slicer stands still. Taken away before the first slice and made once at the
end, it costs that second once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        self._any = False

    def rest(self, segment_id: str, added: Sequence[tuple[SliceVoxels, Mask]], *, overwrites: bool) -> None:
        """Take the surface away from a segment whose voxels are about to change, and from those that it may overwrite.

        Args:
            segment_id: the segment.
            added: voxels that it is about to get.
            overwrites: whether other segments may lose these.
        """
        content = self._segmentation.GetSegmentation()
        if content.GetSourceRepresentationName() == _SURFACE:
            return  # nothing is derived, then
        for one in [segment_id, *(self._losing(segment_id, added) if overwrites else ())]:
            if self._has_surface(one):
                content.GetSegment(one).RemoveRepresentation(_SURFACE)
                self._any = True

    def renew(self) -> None:
        """Make again what was taken away; nothing where the segmentation is in no scene any more."""
        if self._any and self._segmentation.GetScene() is not None:
            # For those segments only that have none: undone ones for instance have theirs back.
            self._segmentation.GetSegmentation().CreateRepresentation(_SURFACE)
        self._any = False

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
