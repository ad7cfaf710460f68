"""How much of what was found the grid of a segmentation covers; the rest cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import GeometryMismatch
from KPrismLogic.labelmaps import Mask
from KPrismLogic.matrices import inverse, world_from_image
from KPrismLogic.slice_image import SliceImage

if TYPE_CHECKING:
    import slicer

_REMEDY = "let its geometry cover the volume (Specify geometry in the Segment Editor)"

#: What the user should know where a part is missing.
LEFT_OUT = f"Part of what was found lies outside the segmentation's geometry and was left out; {_REMEDY}."

#: Half a voxel, and a little for rounding.
_HALF = 0.5 + 1e-3


def nothing_covered() -> GeometryMismatch:
    """The error where all of it is missing."""
    return GeometryMismatch(f"The segmentation has no voxels where this was found; {_REMEDY}.")


def pixels_outside(
    image: SliceImage,
    mask: Mask,
    segmentation: slicer.vtkMRMLSegmentationNode,
    geometry: slicer.vtkOrientedImageData,
) -> int:
    """How many pixels of a mask have their middle in no voxel of a grid.

    Args:
        image: the slice.
        mask: bool (rows, columns) of the slice.
        segmentation: the node, for its parent transforms.
        geometry: the grid that its segments are edited on.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return 0
    matrix = inverse(world_from_image(geometry, segmentation)) @ image.world_from_pixel
    extent = np.array(geometry.GetExtent()).reshape(3, 2)

    def outside(row: npt.NDArray[np.intp], column: npt.NDArray[np.intp]) -> int:
        places = matrix[:3, :2] @ np.stack([column, row]) + matrix[:3, 3:]
        beyond = (places < extent[:, :1] - _HALF) | (places > extent[:, 1:] + _HALF)
        return int(np.count_nonzero(beyond.any(axis=0)))

    # Nearly always the box around the mask is inside, and then all of it is.
    in_a_corner = outside(rows[[0, 0, -1, -1]], columns[[0, -1, 0, -1]])
    return outside(*np.nonzero(mask)) if in_a_corner else 0
