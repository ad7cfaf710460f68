"""The slices of a volume that may show something else meanwhile, as a sequence does, and then the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KPrismLib.errors import GeometryMismatch, InvalidImage
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.volume_content import content_of, state_of

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_plane import SlicePlane


class ReplayedStack:
    """Of what a volume shows when this is made.

    Args:
        volume, plane: as for :meth:`SliceStack.through`.

    Raises:
        InvalidImage, GeometryMismatch: as :meth:`SliceStack.through`.
    """

    def __init__(self, volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> None:
        self._volume = volume
        self._content = content_of(volume)
        #: The slices; without voxels between :meth:`rest` and :meth:`go_on`.
        self.slices = SliceStack.through(volume, plane)

    @property
    def is_shown(self) -> bool:
        """Whether the volume shows it, still or again."""
        try:
            return self.slices.state == state_of(self._volume) or self._content == content_of(self._volume)
        except InvalidImage:
            return False

    def fits(self, plane: SlicePlane) -> bool:
        """Whether the volume shows it, where it was, and a plane is parallel."""
        try:
            return self.slices.lies_in(self._volume, plane) and self.is_shown
        except GeometryMismatch:
            return False

    def rest(self) -> None:
        """Keep no voxels in memory, while the volume shows others."""
        self.slices = self.slices.emptied()

    def go_on(self) -> None:
        """See the voxels in the volume, which shows them again."""
        if self.slices.state != state_of(self._volume):
            self.slices = self.slices.filled(self._volume)
