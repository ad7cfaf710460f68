"""An image and its segmentation between files and nodes, without any of Slicer's own readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.ascii_folder import ascii_temporary_folder
from KPrismLogic.labelmaps import Mask, labelmap_of, voxels_of
from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.segments import find_segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    import slicer

    from KPrismLib.imaging.volume import Volume


def add_volume(scene: slicer.vtkMRMLScene, read: Volume, name: str) -> slicer.vtkMRMLVolumeNode:
    """A new node with the voxels of an image that was read, and its modality where Slicer's DICOM import has it.

    :func:`remove_nodes` is to take it away.
    """
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*read.shape[::-1])
    values = np.ascontiguousarray(read.array).reshape(-1, 3) if read.is_colour else read.array.ravel()
    # VTK knows no half precision, and takes the bytes of other computers as if they were in the order of this one.
    kind = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    values = values.astype(kind, copy=False)
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    node_class = "vtkMRMLVectorVolumeNode" if read.is_colour else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(node_class, _speakable(name))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix_from_array(read.ijk_to_ras))
    if read.modality is not None:
        _set_modality(node, read.modality)
    return node


def add_segmentation(
    scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLVolumeNode, name: str
) -> slicer.vtkMRMLSegmentationNode:
    """A new, empty segmentation of a volume, with its display node."""
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _speakable(name))
    segmentation.CreateDefaultDisplayNodes()  # Here, so that who removes the node knows of this one.
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return segmentation


def remove_nodes(scene: slicer.vtkMRMLScene, nodes: Iterable[slicer.vtkMRMLNode]) -> None:
    """Take nodes out of a scene, with what the subject hierarchy has of them: only Slicer's windows see to that."""
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)
        scene.RemoveNode(node)


def segmentation_file(segmentation: slicer.vtkMRMLSegmentationNode) -> bytes:
    """A segmentation as Slicer saves it, a ``.seg.nrrd``.

    Raises:
        CannotWrite: there is no room for it in the temporary folder.
    """
    scene = segmentation.GetScene()
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    try:
        # Slicer writes file by name and in pieces; the folder of results is to have it whole or not at all.
        with ascii_temporary_folder() as folder:
            path = folder / "result.seg.nrrd"
            storage.SetFileName(str(path))
            if not storage.WriteData(segmentation):
                raise CannotWrite(f"Cannot write into the temporary folder {folder.parent}; is the disk full?")
            return path.read_bytes()
    finally:
        scene.RemoveNode(storage)


def whole_mask(volume: slicer.vtkMRMLVolumeNode, segmentation: slicer.vtkMRMLSegmentationNode, segment: str) -> Mask:
    """A segment of a volume's own segmentation, by name, as bool (k, j, i) of the volume."""
    mask = np.zeros(volume.GetImageData().GetDimensions()[::-1], dtype=bool)
    labelmap, value = labelmap_of(segmentation, find_segment(segmentation, segment) or "")
    if labelmap is not None:
        extent: Any = labelmap.GetExtent()
        place = tuple(slice(extent[axis], extent[axis + 1] + 1) for axis in (4, 2, 0))
        mask[place] = voxels_of(labelmap) == value
    return mask


def _set_modality(volume: slicer.vtkMRMLVolumeNode, modality: str) -> None:
    """Let the subject hierarchy know it, where :func:`~KPrismLogic.slice_source.modality_of` looks it up."""
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    # Slicer's windows have made an item for the volume by now; without them nobody does.
    item = hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", modality)


def _speakable(name: str) -> str:
    """A file name as VTK takes it, whose strings are UTF-8."""
    return name.encode(errors="replace").decode()
