"""Reading slices out of labelmaps: as a box where they are one, with the same values as voxel by voxel."""

import functools

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import numpy_to_vtk

from KPrismLogic import labelmaps, segment_examples
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_image import SliceImage
from Testing.slicer.scenes import LIVER, Bench, fill, view_plane

SIZE = (5, 4, 3)  # i, j, k


@pytest.fixture
def labelmap():
    image = slicer.vtkOrientedImageData()
    image.SetExtent(2, 6, -1, 2, 7, 9)
    values = np.random.default_rng(3).integers(1, 200, SIZE[::-1], np.uint8)
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    return image


def _down(start, stop):
    return np.arange(start, stop)[:, None]


def _right(start, stop):
    return np.arange(start, stop)[None, :]


def _at(place):
    return np.full((1, 1), place)


@pytest.mark.parametrize(
    ("box", "i", "j", "k"),
    [
        pytest.param(True, _right(2, 7), _down(-1, 3), _at(8), id="all of a layer"),
        pytest.param(True, _down(2, 7), _right(-1, 3), _at(8), id="transposed"),
        pytest.param(True, _right(2, 7)[:, ::-1], _down(-1, 3)[::-1], _at(7), id="mirrored, all of a layer"),
        pytest.param(True, _right(4, 12), _down(-9, 1)[::-1], _at(9), id="partly outside"),
        pytest.param(True, _right(-20, -3), _down(-1, 3), _at(8), id="outside along one axis"),
        pytest.param(True, _right(2, 7), _down(-1, 3), _at(6), id="a layer outside"),
        pytest.param(True, _at(4), _right(-1, 3), _down(5, 12), id="across the memory"),
        pytest.param(True, _at(4), _at(1), _down(5, 12), id="a line"),
        pytest.param(True, _at(4), _at(1), _at(8), id="a voxel"),
        pytest.param(False, _right(2, 5) * 2, _down(-1, 3), _at(8), id="every other voxel"),
        pytest.param(False, np.floor(_right(4, 14) / 2).astype(int), _down(-1, 3), _at(8), id="every voxel twice"),
        pytest.param(False, _right(2, 7), _down(-1, 3), 6 + _right(0, 5), id="oblique"),
        pytest.param(False, np.array([3, 4]), np.array([0, 1]), np.array([7, 8]), id="voxels of an oblique slice"),
        pytest.param(False, _right(2, 2), _down(-1, 3), _at(8), id="nothing"),
    ],
)
def test_a_box_holds_what_its_voxels_hold(labelmap, monkeypatch, box, i, j, k):
    read = labelmaps.values_at(labelmap, i, j, k)
    extent, values = np.array(labelmap.GetExtent()).reshape(3, 2), labelmaps.voxels_of(labelmap)
    expected = np.zeros(np.broadcast_shapes(i.shape, j.shape, k.shape), np.uint8)
    for place in np.ndindex(expected.shape):
        ijk = np.array([np.broadcast_to(one, expected.shape)[place] for one in (i, j, k)])
        if (ijk >= extent[:, 0]).all() and (ijk <= extent[:, 1]).all():
            expected[place] = values[tuple((ijk - extent[:, 0])[::-1])]
    assert np.array_equal(read, expected)
    monkeypatch.setattr(labelmaps, "_box_at", lambda *_: None)
    assert np.array_equal(labelmaps.values_at(labelmap, i, j, k), expected)
    monkeypatch.undo()
    monkeypatch.setattr(labelmaps, "_gathered", lambda *_: None)
    assert (labelmaps.values_at(labelmap, i, j, k) is not None) == box


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_what_is_accepted_is_looked_at_again_without_pixels_and_once(scene, monkeypatch, plane):
    bench = Bench.of_body(scene, "flipped")
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    target = bench.target(view_plane(plane, bench.ras(6, 6, 7)))
    again = functools.partial(SegmentPropagation.continued, target=target, geometry=bench.editor.geometry())
    run, read = again(None, keep_drawn=True), []
    monkeypatch.setattr(SliceImage, "pixels", property(lambda _: pytest.fail("pixels were copied")))
    segment_in_slice = segment_examples.segment_in_slice
    monkeypatch.setattr(
        segment_examples, "segment_in_slice", lambda image, *rest: read.append(image) or segment_in_slice(image, *rest)
    )
    assert again(run, keep_drawn=True) is run
    assert len(run.accepted) == LIVER.any(axis={"axial": (1, 2), "sagittal": (0, 1)}[plane]).sum()
    # The shown one is accepted anew, and those at both ends may be drawn in.
    assert len(read) <= len(run.accepted) + 3
