"""What somebody drew or clicked between two slices, on a grid that is finer than the volume, is not written over."""

import numpy as np
import pytest

from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_voxels import voxels_in
from Testing.slicer.carrying import propagate
from Testing.slicer.scenes import (
    LIVER,
    SIZE,
    SPLEEN,
    Bench,
    body,
    fill,
    geometry,
    rotation,
    segmentation_node,
    volume_node,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")

#: Layers of the grid for each slice.
FINER = 4
THICK_LIVER = np.repeat(LIVER, FINER, axis=0)


@pytest.fixture(params=["identity", "tilted"])
def bench(scene, request):
    """On a grid with layers a quarter as thick as the slices."""
    thinner = np.diag([1.0, 1.0, 1 / FINER, 1.0])
    thinner[2, 3] = (1 / FINER - 1) / 2
    volume = volume_node(scene, body(), geometry(request.param))
    grid = geometry(request.param) @ thinner
    return Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid, size=(*SIZE[:2], SIZE[2] * FINER)))


@pytest.fixture
def logic(bench):
    model = Model()
    model.use(bench.predictor)
    return KPrismLogic(model)


def _axial(bench, k):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 6, 7))


def _layers(bench, k):
    """The layer that slice ``k`` shows, and those beside it that belong to the slice, too."""
    shown = voxels_in(cut(bench.volume, _axial(bench, k)), bench.segmentation, bench.editor.geometry()).layer
    return shown, [layer for layer in range(k * FINER, (k + 1) * FINER) if layer != shown]


def test_beside_an_accepted_slice_only_empty_layers_are_filled(bench, logic):
    shown, (drawn_by_hand, *empty) = _layers(bench, 6)
    drawn = np.zeros_like(THICK_LIVER)
    drawn[shown], drawn[drawn_by_hand] = LIVER[6], SPLEEN[6]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    logic.propagate(bench.volume, bench.segmentation, "Liver", plane=_axial(bench, 6), keepDrawn=True)
    found = bench.array()
    assert np.array_equal(found[[shown, drawn_by_hand]], drawn[[shown, drawn_by_hand]])
    assert (found[empty] == LIVER[6]).all()
    others = np.arange(len(found)) // FINER != 6
    assert np.array_equal(found[others], THICK_LIVER[others])


def test_a_layer_that_was_corrected_after_a_run_stays_in_the_next(bench, logic):
    shown, (corrected_by_hand, *_) = _layers(bench, 6)
    drawn = np.zeros_like(THICK_LIVER)
    drawn[shown] = LIVER[6]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    logic.propagate(bench.volume, bench.segmentation, "Liver", plane=_axial(bench, 6))
    assert np.array_equal(bench.array(), THICK_LIVER)
    corrected = THICK_LIVER.copy()
    corrected[corrected_by_hand, :2, :2] = True
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    logic.propagate(bench.volume, bench.segmentation, "Liver", plane=_axial(bench, 6), keepDrawn=True)
    assert np.array_equal(bench.array(), corrected)


def test_prompts_in_two_layers_of_one_slice_stay_apart_and_both_are_kept(bench):
    lowest, highest = (_axial(bench, 6).moved_to(bench.ras(6 + aside, 6, 7)) for aside in (-0.35, 0.35))
    ends = [6 * FINER, 7 * FINER - 1]
    bench.click(lowest, bench.ras(6, 6, 7))
    bench.click(highest, bench.ras(6, 6, 14))
    clicked = bench.array()[ends]
    assert np.array_equal(clicked, [LIVER[6], SPLEEN[6]])
    for plane in (lowest, highest):
        assert len(bench.controller.prompts(bench.target(plane))) == 1
    assert bench.controller.prompts(bench.target(_axial(bench, 6))) == []
    assert len(bench.predictor.encoded) == 1

    here = bench.target(_axial(bench, 4))
    bench.click(here.plane, bench.ras(4, 6, 7))
    answered = bench.controller.answered(here)
    assert answered == [lowest, highest, here.plane]
    run = SegmentPropagation.continued(None, here, bench.editor.geometry(), keep_drawn=False, answered=answered)
    assert run.accepted == (4, 6)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array()[ends], clicked)


def test_prompts_in_one_slice_stay_apart_where_they_wrote_across_a_turned_grid(scene):
    volume, turned = volume_node(scene, body(), geometry("anisotropic")), rotation(20, 10, 0)
    turned[:3, 3] = geometry("anisotropic")[:3, 3] - (2, 2, 0)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=turned, size=(24, 24, 48)))
    below, above = (_axial(bench, 6).moved_to(bench.ras(6 + apart, 6, 7)) for apart in (-0.4, 0.4))
    bench.click(below, bench.ras(6, 6, 7))
    bench.click(above, bench.ras(6, 6, 14))
    for plane in (below, above):
        assert len(bench.controller.prompts(bench.target(plane))) == 1
