"""The voxels of an oblique slice, against a slow search that looks at every voxel of the grid."""

import numpy as np
import pytest

from KPrismLogic.matrices import world_from_image
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_voxels import layers_in, voxels_in
from Testing.slicer.scenes import GEOMETRIES, Bench, view_plane


@pytest.fixture
def plane(bench):
    # Past the middle of every voxel, where rounding would decide.
    return view_plane("oblique", bench.ras(6.13, 7.21, 8.37))


@pytest.fixture(params=GEOMETRIES)
def bench(scene, request):
    return Bench.of_body(scene, request.param)


def _voxels(voxels):
    return {tuple(ijk) for ijk in voxels.ijk.T.tolist()}


def _searched(bench, plane, thickness):
    """Voxels (i, j, k) whose cell the plane cuts, or whose middle lies in a plane that is so thick, in mm."""
    distance = (bench.centres() - plane.point) @ plane.normal
    cell = np.abs(plane.normal @ world_from_image(bench.editor.geometry(), bench.segmentation)[:3, :3]).sum()
    return {tuple(kji[::-1]) for kji in np.argwhere(np.abs(distance) <= max(cell, thickness) / 2).tolist()}


@pytest.mark.parametrize("thickness", [0.5, 4.0, 9.0])
def test_a_thick_slice_has_the_voxels_whose_middle_lies_in_it(bench, plane, thickness):
    image = cut(bench.volume, plane)
    (thick,) = layers_in(image, bench.segmentation, bench.editor.geometry(), thickness)
    found = _voxels(thick)
    assert len(found) == thick.ijk.shape[1]  # each once
    # Seen along the normal, voxels at the border lie beside the picture.
    row, column = np.array([image.pixel_at(bench.ras(k, j, i)) for i, j, k in found]).T
    assert image.inside[row, column].all()
    searched = _searched(bench, plane, thickness)
    assert found <= searched
    missing = searched - found
    assert not any(image.contains(*image.pixel_at(bench.ras(k, j, i))) for i, j, k in missing)
    thin = _voxels(voxels_in(image, bench.segmentation, bench.editor.geometry()))
    assert (found > thin) == (thickness > 1)


def test_beyond_a_slice_lie_the_voxels_that_it_does_not_have(bench, plane):
    image, geometry = cut(bench.volume, plane), bench.editor.geometry()
    (thick,) = layers_in(image, bench.segmentation, geometry, 9.0)
    thin = voxels_in(image, bench.segmentation, geometry)
    within = _voxels(thin)
    assert thick.beyond(thin).tolist() == [tuple(ijk) not in within for ijk in thick.ijk.T.tolist()]
    assert not thin.beyond(thick).any()
