"""Where a turned volume ends within the picture of a slice: nothing is shown, found or changed beyond it."""

import numpy as np
import pytest

from KPrismLogic.guide import Guide
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_voxels import LayerVoxels, segment_in_slice, voxels_in
from Testing.slicer.scenes import (
    SIZE,
    Bench,
    body,
    fill,
    geometry,
    rotation,
    segmentation_node,
    view_plane,
    volume_node,
)


@pytest.fixture
def bench(scene):
    """A turned volume, and a segmentation on a larger grid that is parallel to the views; all of it is segmented."""
    matrix = geometry("identity")
    matrix[:3, :3] = rotation(30, 0, 40)[:3, :3]
    volume = volume_node(scene, body(), matrix)
    middle = (matrix @ (*(np.array(SIZE) - 1) / 2, 1))[:3]
    grid = np.eye(4)
    grid[:3, 3] = middle - 15
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid, size=(31, 31, 31)))
    fill(bench.editor, bench.segmentation, "Liver", np.ones((31, 31, 31), bool))
    return bench


@pytest.fixture
def plane(bench):
    return view_plane("axial", bench.ras(6, 7, 7))


def _outside(bench, margin=1.0):
    """Voxels (k, j, i) of the grid that lie outside the volume by so many of its voxels."""
    inverse = np.linalg.inv(world_from_volume(bench.volume))
    ijk = bench.centres() @ inverse[:3, :3].T + inverse[:3, 3]
    return ((ijk < -0.5 - margin) | (ijk > np.array(SIZE) - 0.5 + margin)).any(axis=-1)


def test_what_is_segmented_beside_the_volume_stays(bench, plane):
    voxels = voxels_in(cut(bench.volume, plane), bench.segmentation, bench.editor.geometry())
    assert isinstance(voxels, LayerVoxels)
    rows, columns = voxels.image.shape
    pictured = np.array([[voxels.image.pixel_at(ras) for ras in line] for line in bench.centres()[voxels.layer]])
    beside = _outside(bench)[voxels.layer] & ((pictured >= 0) & (pictured < (rows, columns))).all(axis=-1)
    assert beside.sum() > 20
    bench.click(plane, bench.ras(6, 7, 7), guide=Guide("liver"), anew=True)
    assert not bench.failures
    found = bench.array()[voxels.layer]
    assert found[beside].all()
    assert not found.all()  # the liver alone is left of what was segmented in the volume


def test_a_segment_ends_where_the_volume_does(bench, plane):
    image = cut(bench.volume, plane)
    assert not image.inside.all()
    assert np.array_equal(segment_in_slice(image, bench.segmentation, "Liver"), image.inside)


@pytest.mark.parametrize("offset", [-1000, 0, 500])
def test_beside_the_volume_it_is_as_dark_as_where_it_is_darkest(scene, offset):
    matrix = geometry("tilted")
    volume = volume_node(scene, body().astype(np.int16) + offset, matrix)
    image = cut(volume, view_plane("oblique", (matrix @ (8, 7, 6, 1))[:3]))
    assert 0 < image.inside.sum() < image.inside.size
    assert (image.pixels[~image.inside] == offset).all()
    assert image.pixels[image.inside].min() == offset
