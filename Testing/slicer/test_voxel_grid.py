"""What is taken for grey and for colour among volumes with several values per voxel."""

import numpy as np
import pytest
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from KPrismLib.errors import InvalidImage
from KPrismLogic.voxel_grid import VoxelGrid


def _node(scene, kind, dtype, components):
    node = scene.AddNewNodeByClass(kind, "A")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 3, 2)
    values = np.arange(24 * components).reshape(24, components).astype(dtype)
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    node.SetAndObserveImageData(image)
    return node


@pytest.mark.parametrize("components", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unsigned_values_are_colours_without_alpha(scene, dtype, components):
    voxels = VoxelGrid.of(_node(scene, "vtkMRMLVectorVolumeNode", dtype, components)).voxels
    assert voxels.shape == (2, 3, 4, 3)
    assert voxels[0, 0, 1].tolist() == [components, components + 1, components + 2]


@pytest.mark.parametrize("components", [3, 4])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("vtkMRMLVectorVolumeNode", np.int16),
        ("vtkMRMLVectorVolumeNode", np.float32),
        ("vtkMRMLDiffusionWeightedVolumeNode", np.int16),
        ("vtkMRMLDiffusionWeightedVolumeNode", np.uint16),
    ],
)
def test_time_points_directions_and_vectors_are_no_colours(scene, kind, dtype, components):
    node = _node(scene, kind, dtype, components)
    with pytest.raises(InvalidImage, match=f"A has {components} values per voxel, which are no colours; extract one"):
        VoxelGrid.of(node)


def test_what_slicer_knows_to_be_colours_are_colours_in_any_type(scene):
    node = _node(scene, "vtkMRMLVectorVolumeNode", np.float32, 3)
    node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
    assert VoxelGrid.of(node).voxels.shape == (2, 3, 4, 3)


def test_grey_is_grey_in_any_type_and_two_values_are_never_colours(scene):
    assert VoxelGrid.of(_node(scene, "vtkMRMLScalarVolumeNode", np.float32, 1)).voxels.shape == (2, 3, 4)
    with pytest.raises(InvalidImage, match="2 values per voxel"):
        VoxelGrid.of(_node(scene, "vtkMRMLVectorVolumeNode", np.uint8, 2))
