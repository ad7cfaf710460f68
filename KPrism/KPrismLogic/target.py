"""What a user points at: a slice of a volume, and the segment that it is to become part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KPrismLib.errors import KPrismError

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_plane import SlicePlane


class NoLongerWanted(KPrismError):
    """What was asked for has no place any more; the answer is dropped and nothing is written."""


@dataclass(frozen=True, eq=False)
class Target:
    """A place to segment, fixed when the user asks; the nodes may be gone when the answer comes.

    Attributes:
        volume: the volume node.
        segmentation: the segmentation node.
        segment_id: the segment.
        plane: the plane of the slice.
    """

    volume: slicer.vtkMRMLVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    segment_id: str
    plane: SlicePlane

    @property
    def place(self) -> tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLSegmentationNode, str]:
        """Volume, segmentation and segment, in whatever slice."""
        return self.volume, self.segmentation, self.segment_id

    def segment(self) -> slicer.vtkSegment:
        """The segment.

        Raises:
            NoLongerWanted: the volume was closed, or the segment was deleted.
        """
        # A node that was removed from its scene lives on as long as somebody holds it, as this target does.
        if self.volume.GetScene() is None or self.volume.GetImageData() is None:
            raise NoLongerWanted("The volume was closed; nothing was changed.")
        segment = None
        if self.segmentation.GetScene() is not None:
            segment = self.segmentation.GetSegmentation().GetSegment(self.segment_id)
        if segment is None:
            raise NoLongerWanted("The segment was deleted; nothing was changed.")
        return segment
