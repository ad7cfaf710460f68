"""Whole volumes into segmentations whose grid is finer or coarser than the volume, as *Specify geometry* makes them."""

import numpy as np
import pytest

from KPrismLib.errors import GeometryMismatch
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.runner import DirectRunner
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import layers_in, voxels_in
from KPrismLogic.volume_run import VolumeRun
from Testing.slicer.scenes import (
    GEOMETRIES,
    LIVER,
    SIZE,
    SPLEEN,
    Bench,
    body,
    fill,
    geometry,
    segmentation_node,
    volume_node,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")

#: Layers of the grid for each slice.
FINER = 4


def _grid(factor, shift=0.0):
    """From a grid with layers ``factor`` times as thin, shifted by a part of one, to that of the volume: 4x4."""
    layers = np.eye(4)
    layers[2, 2] = 1 / factor
    layers[2, 3] = (1 / factor - 1) / 2 + shift / factor
    return layers


def _bench(scene, kind, factor, shift=0.0):
    volume = volume_node(scene, body(), geometry(kind))
    size = (*SIZE[:2], round(SIZE[2] * factor))
    grid = geometry(kind) @ _grid(factor, shift)
    return Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid, size=size))


def _propagate(bench, run, geometry_=None):
    end = []
    VolumeRun(
        bench.editor,
        bench.engine,
        DirectRunner(),
        bench.volume,
        bench.segmentation,
        run.stack,
        record=run.record,
        progress=lambda piece, _: run.written(piece) is None,
        finished=end.append,
    ).start(lambda predictor, window: run.pieces(predictor, window, 0, len(run.stack) - 1))
    assert end == [None]


def _axial(bench, k):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 6, 7))


def _continued(bench, k, earlier=None, **more):
    return SegmentPropagation.continued(earlier, bench.target(_axial(bench, k)), bench.editor.geometry(), **more)


def _thick(voxels):
    return np.repeat(voxels, FINER, axis=0)


@pytest.mark.parametrize("kind", ["identity", "flipped", "anisotropic", "tilted"])
@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (1, 0.5), (4, 0), (3, 0.5), (7, 0.2), (0.5, 0), (0.5, 0.3)])
def test_the_slices_of_a_stack_have_every_layer_once(scene, kind, factor, shift):
    bench = _bench(scene, kind, factor, shift)
    stack = SliceStack.through(bench.volume, _axial(bench, 6))
    geometry_ = bench.editor.geometry()
    found = [layers_in(stack.image(n), bench.segmentation, geometry_, stack.step) for n in range(len(stack))]
    layers = [voxels.layer for slices in found for voxels in slices]
    assert len(set(layers)) == len(layers)
    assert set(range(1, geometry_.GetDimensions()[2] - 1)) <= set(layers)
    for number, slices in enumerate(found):
        if factor >= 1:
            assert voxels_in(stack.image(number), bench.segmentation, geometry_).key in [one.key for one in slices]


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_a_class_fills_all_layers_of_its_slices(scene, kind):
    bench = _bench(scene, kind, FINER)
    model = Model()
    model.use(bench.predictor)
    KPrismLogic(model).segmentVolume(bench.volume, bench.segmentation, ["spleen"])
    spleen = bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("spleen")
    assert np.array_equal(bench.array(spleen), _thick(SPLEEN))


@pytest.mark.parametrize("kind", ["identity", "tilted"])
def test_a_slice_that_is_drawn_in_one_layer_goes_into_those_beside_it(scene, kind):
    bench = _bench(scene, kind, FINER)
    shown = voxels_in(
        SliceStack.through(bench.volume, _axial(bench, 6)).image(6), bench.segmentation, bench.editor.geometry()
    )
    drawn = np.zeros_like(_thick(LIVER))
    drawn[shown.layer] = LIVER[6]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    run = _continued(bench, 6, keep_drawn=True)
    assert run.accepted == (6,)
    _propagate(bench, run)
    assert np.array_equal(bench.array(), _thick(LIVER))

    corrected = bench.array()
    corrected[shown.layer, :2, :2] = True
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    again = _continued(bench, 6, run, keep_drawn=True)
    assert again is run
    _propagate(bench, run)
    assert bench.array()[6 * FINER : 7 * FINER, :2, :2].all()
    assert not bench.array()[: 6 * FINER, :2, :2].any()


def test_what_is_drawn_between_slices_is_kept_on_request(scene):
    bench = _bench(scene, "identity", FINER)
    drawn = np.zeros_like(_thick(LIVER))
    drawn[6 * FINER : 7 * FINER] = LIVER[6]
    between = 8 * FINER  # the slice itself shows another layer
    drawn[between] = _thick(SPLEEN)[between]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    run = _continued(bench, 6, keep_drawn=True)
    assert run.accepted == (6,)
    _propagate(bench, run)
    assert np.array_equal(bench.array()[between], drawn[between])
    assert np.array_equal(bench.array()[between + 1], LIVER[8])

    fill(bench.editor, bench.segmentation, "Liver", drawn)
    _propagate(bench, _continued(bench, 6, keep_drawn=False))
    assert np.array_equal(bench.array(), _thick(LIVER))


def test_another_grid_between_two_runs_makes_no_slice_an_example(scene):
    bench = _bench(scene, "identity", FINER)
    fill(
        bench.editor, bench.segmentation, "Liver", _thick(LIVER) & (np.arange(14 * FINER) // FINER == 6)[:, None, None]
    )
    run = _continued(bench, 6, keep_drawn=False)
    _propagate(bench, run)
    bench.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    again = _continued(bench, 6, run, keep_drawn=True)
    assert again is run
    assert run.accepted == (6,)


def test_a_click_beside_a_grid_that_is_smaller_than_the_volume_is_answered_with_a_sentence(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=geometry("identity"), size=(18, 16, 5)))
    bench.click(_axial(bench, 8), bench.ras(8, 6, 7))
    (failure,) = bench.failures
    assert "no voxels where this was found" in str(failure)
    assert isinstance(failure, GeometryMismatch)
    bench.click(_axial(bench, 4), bench.ras(4, 6, 7))
    assert len(bench.failures) == 1
    assert np.array_equal(bench.array(), LIVER[:5] & (np.arange(5) == 4)[:, None, None])
