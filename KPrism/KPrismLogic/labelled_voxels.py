"""What the voxels of a slice hold, asked alike whether they are a layer of a grid or what an oblique plane shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLogic.labelmaps import Mask, labelmap_of

if TYPE_CHECKING:
    import slicer


class LabelledVoxels(ABC):
    """Voxels whose values in a labelmap are known; see :class:`~KPrismLogic.slice_voxels.SliceVoxels`.

    Attributes:
        shape: of an array with one entry for each of them.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def values(
        self, labelmap: slicer.vtkOrientedImageData, segmentation: slicer.vtkMRMLSegmentationNode
    ) -> npt.NDArray[Any]:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""

    def read(self, segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Mask:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        return self.look_up(*labelmap_of(segmentation, segment_id), segmentation)

    def look_up(
        self,
        labelmap: slicer.vtkOrientedImageData | None,
        value: int,
        segmentation: slicer.vtkMRMLSegmentationNode,
    ) -> Mask:
        """See :class:`~KPrismLogic.slice_voxels.SliceVoxels`."""
        if labelmap is None:
            return np.zeros(self.shape, dtype=bool)
        found: Mask = self.values(labelmap, segmentation) == value
        return found
