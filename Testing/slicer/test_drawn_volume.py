"""Which volume a segmentation was drawn on, where it came from a file and no node says so."""

import numpy as np
import pytest

from KPrismLib.errors import InvalidReference
from KPrismLogic.drawn_volume import volume_of
from Testing.slicer.scenes import (
    GEOMETRIES,
    LIVER,
    Bench,
    body,
    fill,
    geometry,
    rotation,
    segmentation_node,
    under_transform,
    volume_node,
)


def _volume(scene, name, matrix):
    return volume_node(scene, body(), matrix, name=name)


def _drawn(scene, matrix):
    """A segmentation with a liver, and without any volume."""
    volume = _volume(scene, "Gone", matrix)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    scene.RemoveNode(volume)
    return bench.segmentation


def _read(scene, segmentation, path):
    """The segmentation from a file instead."""
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.WriteData(segmentation)
    read = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Read")
    assert storage.ReadData(read)
    scene.RemoveNode(segmentation)
    return read


@pytest.mark.parametrize("way", ["file", "labelmap", "moved"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_it_is_the_one_with_its_grid(scene, tmp_path, kind, way):
    matrix, shifted, larger = geometry(kind), geometry(kind), geometry(kind)
    shifted[:3, 3] += 0.1
    larger[:3, :3] *= 1.01
    segmentation = _read(scene, _drawn(scene, matrix), tmp_path / "Read.seg.nrrd")
    for other in (shifted, larger):
        _volume(scene, "Other", other)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    volume = _volume(scene, "CT", matrix)
    labels.CopyContent(volume)
    if way == "labelmap":
        segmentation.GetSegmentation().SetConversionParameter("Reference image geometry", "")
    if way == "moved":
        transform = under_transform(scene, volume, rotation(10, 20, 30))
        with pytest.raises(InvalidReference, match="no volume of the scene has its geometry"):
            volume_of(segmentation, "Liver")
        segmentation.SetAndObserveTransformNodeID(transform.GetID())
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is None
    assert volume_of(segmentation, "Liver") is volume


def test_of_several_it_is_the_one_that_it_is_called_after(scene):
    segmentation = _drawn(scene, np.eye(4))
    volumes = {name: _volume(scene, name, np.eye(4)) for name in ("CT", "CT 1", "CT 12", "MR")}
    for name, volume in [("CT.seg", "CT"), ("CT 1 liver", "CT 1"), ("CT 12", "CT 12"), ("CT 123", "CT")]:
        segmentation.SetName(name)
        assert volume_of(segmentation, "Liver") is volumes[volume]
    segmentation.SetName("PET")
    with pytest.raises(InvalidReference, match=r"^PET has the segment Liver, but several volumes .*; choose the one"):
        volume_of(segmentation, "Liver")


def test_a_volume_without_voxels_or_of_another_size_is_not_it(scene):
    segmentation = _drawn(scene, np.eye(4))
    _volume(scene, "Empty", np.eye(4)).SetAndObserveImageData(None)
    short = volume_node(scene, body()[:-1], np.eye(4), name="Short")
    with pytest.raises(InvalidReference, match="no volume of the scene has its geometry"):
        volume_of(segmentation, "Liver")
    # Without a grid of its own the segmentation may be larger than what is drawn.
    segmentation.GetSegmentation().SetConversionParameter("Reference image geometry", "1;0;")
    assert volume_of(segmentation, "Liver") is short
