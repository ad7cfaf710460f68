"""Where in a scene a reference was taken, so that it can be found there again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from KPrismLogic.matrices import Triple, Vector, triple
from KPrismLogic.weak_reference import weak_reference

if TYPE_CHECKING:
    import slicer
    import vtk


@dataclass(frozen=True, eq=False)
class SliceOrigin:
    """A segment in a slice of a volume, by its nodes; for the main thread only, other than the reference itself.

    It keeps no node alive: a reference may outlive its scene, and a later scene may use the same IDs again.

    Attributes:
        volume: the volume node, held weakly.
        segmentation: the segmentation node, held weakly.
        segment_id: the segment.
        point: a point of the plane, RAS mm.
        normal: unit normal of the plane, RAS.
    """

    volume: vtk.vtkWeakReference
    segmentation: vtk.vtkWeakReference
    segment_id: str
    point: Triple
    normal: Triple

    @classmethod
    def of(
        cls,
        volume: slicer.vtkMRMLVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        point: Vector | Triple,
        normal: Vector | Triple,
    ) -> SliceOrigin:
        """A segment in the slice of a volume node through a point (RAS mm) across a unit normal."""
        return cls(weak_reference(volume), weak_reference(segmentation), segment_id, triple(point), triple(normal))

    def nodes_in(
        self, scene: slicer.vtkMRMLScene
    ) -> tuple[slicer.vtkMRMLVolumeNode | None, slicer.vtkMRMLSegmentationNode | None]:
        """Volume and segmentation; None for what is not in a scene."""
        nodes = self.volume.Get(), self.segmentation.Get()
        volume, segmentation = (node if node is not None and node.GetScene() is scene else None for node in nodes)
        return volume, segmentation
