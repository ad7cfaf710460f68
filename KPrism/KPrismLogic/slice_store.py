"""What the main thread keeps of slices, so that a second look at one costs next to nothing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidImage
from KPrismLogic.labelmaps import Mask, labelmap_of
from KPrismLogic.matrices import world_from_image, world_from_volume
from KPrismLogic.prompt_states import Topic
from KPrismLogic.recently_used import RecentlyUsed
from KPrismLogic.slice_image import SliceImage, cut
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.slice_voxels import SliceVoxels, voxels_in
from KPrismLogic.volume_content import state_of

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.target import Target

_KEPT_SLICES = 64
_KEPT_VOXELS = 16


@dataclass(frozen=True, eq=False)
class ShownSlice:
    """A slice of a volume in a plane.

    Attributes:
        image: its pixels, and where they lie.
        source: what the model needs of it.
    """

    image: SliceImage
    source: SliceSource


class SliceStore:
    """Slices, the voxels that they show, and what segments hold of them, each as long as nothing of it has changed."""

    def __init__(self) -> None:
        self._slices: RecentlyUsed[ShownSlice] = RecentlyUsed(_KEPT_SLICES)
        self._voxels: RecentlyUsed[SliceVoxels] = RecentlyUsed(_KEPT_VOXELS)
        self._contents: RecentlyUsed[Mask] = RecentlyUsed(_KEPT_VOXELS)

    def slice(self, volume: slicer.vtkMRMLVolumeNode, plane: SlicePlane) -> ShownSlice:
        """The slice of a volume in a plane.

        Raises:
            InvalidImage, GeometryMismatch: as :func:`~KPrismLogic.slice_image.cut`.
        """
        if volume.GetImageData() is None:
            raise InvalidImage(f"{volume.GetName()} holds no voxels.")
        world = world_from_volume(volume)
        voxel = np.linalg.norm(world[:3, :3], axis=0).min()
        state = state_of(volume)
        key = (state, world.tobytes(), *(plane.point / voxel).round(6), *plane.normal.round(9))

        def make() -> ShownSlice:
            # Of what the volume was before, as at another time of a sequence, nothing is found any more.
            self._slices.drop(lambda known: known[0][0] == state[0] and known[0] != state)
            image = cut(volume, plane)
            source = SliceSource.of(volume, image)
            # With the pixels of its own, not with the volume's, all of which they would keep in memory.
            return ShownSlice(replace(image, seen=source.pixels), source)

        return self._slices.get_or_make(key, make)

    def voxels(self, shown: ShownSlice, target: Target, geometry: slicer.vtkOrientedImageData | None) -> SliceVoxels:
        """The voxels of a segmentation's grid that a slice shows.

        Args:
            shown: the slice.
            target: whose segmentation.
            geometry: the grid on which its segments are edited.

        Raises:
            InvalidImage: there is no grid.
        """
        key = _grid_key(shown, target, geometry)
        return self._voxels.get_or_make(key, lambda: voxels_in(shown.image, target.segmentation, geometry))

    def topic(self, shown: ShownSlice, target: Target, geometry: slicer.vtkOrientedImageData | None) -> Topic:
        """What prompts in a slice are about.

        Raises:
            InvalidImage: there is no grid.
        """
        layer = self.voxels(shown, target, geometry).key
        if layer is None:
            # Across a grid that is not parallel every place in the thickness of a slice has voxels of its own.
            plane = shown.image.plane
            layer = round(float(plane.normal @ plane.point) / min(shown.image.spacing), 5)
        return Topic(shown.source.key, layer)

    def content(self, shown: ShownSlice, target: Target, geometry: slicer.vtkOrientedImageData | None) -> Mask:
        """Which of the voxels that a slice shows belong to the target's segment; not to be changed.

        Raises:
            InvalidImage: there is no grid.
        """
        labelmap, value = labelmap_of(target.segmentation, target.segment_id)
        # Segments that have been empty always look the same. No two states of any object in VTK have one time.
        state = (
            None
            if labelmap is None
            else (value, labelmap.GetMTime(), world_from_image(labelmap, target.segmentation).tobytes())
        )
        voxels = self.voxels(shown, target, geometry)
        key = (state, *_grid_key(shown, target, geometry))
        return self._contents.get_or_make(key, lambda: voxels.read(target.segmentation, target.segment_id))

    def clear(self) -> None:
        """Forget everything."""
        for store in (self._slices, self._voxels, self._contents):
            store.clear()


def _grid_key(shown: ShownSlice, target: Target, geometry: slicer.vtkOrientedImageData | None) -> tuple[Hashable, ...]:
    if geometry is None:
        raise InvalidImage("The segmentation has no geometry; choose a source volume first.")
    world = world_from_image(geometry, target.segmentation).tobytes()
    place = (shown.image.plane.point / min(shown.image.spacing)).round(6).tobytes()
    return shown.source.key, place, target.segmentation.GetID(), world, tuple(geometry.GetExtent())
