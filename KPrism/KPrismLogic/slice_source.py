"""A slice cut loose from its node: what the model needs of it, safe to hand to another thread."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from KPrismLogic.labelmaps import fingerprint
from KPrismLogic.slice_image import SliceImage, stack_axis
from KPrismLogic.volume_content import node_key, state_of
from KPrismLogic.volume_window import VolumeWindow
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    import slicer


@dataclass(frozen=True, eq=False)
class SliceSource:
    """Pixels with a name that changes whenever they do.

    Attributes:
        key: equal for equal pixels in one place of one volume, also where others were shown there in between.
        pixels: a copy, ``(rows, columns)`` or ``(rows, columns, 3)``.
        spacing: millimetres along (rows, columns).
        window: the intensity window of the volume, which alone needs all of its voxels.
    """

    key: Hashable
    pixels: npt.NDArray[Any]
    spacing: tuple[float, float]
    window: VolumeWindow

    @classmethod
    def of(cls, volume: slicer.vtkMRMLVolumeNode, image: SliceImage) -> SliceSource:
        """What the model needs of a slice of a volume node."""
        grid, pixels = VoxelGrid.of(volume), image.pixels
        # A slice of voxels has the same pixels wherever in its thickness a view is.
        whole = image.stack_index is not None
        place = (stack_axis(grid, image.plane), image.stack_index) if whole else ()
        # In pixels, not in mm: an electron microscope's are a millionth of that.
        world = ((grid.world if whole else image.world_from_pixel) / min(image.spacing)).round(5)
        shown = fingerprint(pixels), pixels.dtype.str, pixels.shape
        key = (node_key(volume), *shown, image.spacing, place, tuple(world.ravel().tolist()))
        window = VolumeWindow(state_of(volume), grid.voxels, modality_of(volume), grid.scalars)
        return cls(key, pixels, image.spacing, window)


def modality_of(volume: slicer.vtkMRMLVolumeNode) -> str | None:
    """The DICOM modality that the subject hierarchy knows of a volume, or None."""
    import slicer

    scene = volume.GetScene()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene) if scene is not None else None
    if hierarchy is None:
        return None
    item = hierarchy.GetItemByDataNode(volume)
    return (hierarchy.GetItemAttribute(item, "DICOM.Modality") or None) if item else None
