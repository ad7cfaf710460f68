"""Whole volumes into segmentations whose grid is finer or coarser than the volume, as *Specify geometry* makes them."""

import numpy as np
import pytest

from KPrismLib.errors import GeometryMismatch
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import layers_in, voxels_in
from Testing.slicer.carrying import propagate
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
    view_plane,
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
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array(), _thick(LIVER))

    corrected = bench.array()
    corrected[shown.layer, :2, :2] = True
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    again = _continued(bench, 6, run, keep_drawn=True)
    assert again is run
    assert propagate(bench, run) is None
    assert bench.array()[6 * FINER : 7 * FINER, :2, :2].all()
    assert not bench.array()[: 6 * FINER, :2, :2].any()


def test_the_layer_that_is_shown_or_was_changed_counts_not_the_middle_one(scene):
    bench = _bench(scene, "identity", FINER)
    lowest, highest = 6 * FINER, 7 * FINER - 1
    drawn = np.zeros_like(_thick(LIVER))
    drawn[highest] = LIVER[6]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    above = _axial(bench, 6).moved_to(bench.ras(6.35, 6, 7))
    run = SegmentPropagation.continued(None, bench.target(above), bench.editor.geometry(), keep_drawn=False)
    assert run.accepted == (6,)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array(), _thick(LIVER))

    corrected = bench.array()
    corrected[highest + FINER, :2, :2] = True  # slice 7, away from its middle
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert _continued(bench, 6, run, keep_drawn=False).accepted == (6, 7)
    assert propagate(bench, run) is None
    assert bench.array()[7 * FINER : 8 * FINER, :2, :2].all()
    assert not bench.array()[lowest, :2, :2].any()

    emptied = bench.array()
    emptied[8 * FINER + 1] = False  # a layer beside the middle of slice 8
    fill(bench.editor, bench.segmentation, "Liver", emptied)
    assert _continued(bench, 6, run, keep_drawn=False).accepted == (6, 7, 8)
    assert propagate(bench, run) is None
    assert not bench.array()[8 * FINER : 9 * FINER].any()


@pytest.mark.parametrize("factor", [3, 7])
def test_an_oblique_slice_that_stays_is_filled_as_thick_as_its_neighbours(scene, factor):
    voxels = np.full(SIZE[::-1], 100, np.uint8)
    voxels[0] = 0
    volume = volume_node(scene, voxels, geometry("anisotropic"))
    size = (*SIZE[:2], SIZE[2] * factor)
    grid = geometry("anisotropic") @ _grid(factor)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=grid, size=size))
    plane = view_plane("oblique", bench.ras(7, 8, 9))
    bench.click(plane, bench.ras(7, 8, 9))
    run = SegmentPropagation.continued(None, bench.target(plane), bench.editor.geometry(), keep_drawn=False)
    assert propagate(bench, run) is None
    stack = run.stack
    (thick,) = layers_in(stack.image(run.accepted[0]), bench.segmentation, bench.editor.geometry(), stack.step)
    holds = thick.read(bench.segmentation, "Liver")
    inside = thick.ijk[2] >= 2 * factor  # away from the slice of another value
    assert holds[inside].mean() > 0.99


def test_a_piece_is_one_change_however_many_layers_it_has(scene, monkeypatch):
    """The editor copies the whole segment for every change."""
    bench = _bench(scene, "identity", FINER)
    draw = np.zeros_like(_thick(LIVER))
    draw[6 * FINER : 7 * FINER] = LIVER[6]
    fill(bench.editor, bench.segmentation, "Liver", draw)
    run, added = _continued(bench, 6, keep_drawn=False), []
    add = bench.editor.add
    monkeypatch.setattr(bench.editor, "add", lambda *given: (added.append(given), add(*given)))
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array(), _thick(LIVER))
    assert len(added) == 6  # slices 3 to 9 without the accepted one


def test_what_is_drawn_between_slices_is_kept_on_request(scene):
    bench = _bench(scene, "identity", FINER)
    drawn = np.zeros_like(_thick(LIVER))
    drawn[6 * FINER : 7 * FINER] = LIVER[6]
    between = 8 * FINER  # the slice itself shows another layer
    drawn[between] = _thick(SPLEEN)[between]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    run = _continued(bench, 6, keep_drawn=True)
    assert run.accepted == (6,)
    assert propagate(bench, run) is None
    assert np.array_equal(bench.array()[between], drawn[between])
    assert np.array_equal(bench.array()[between + 1], LIVER[8])

    fill(bench.editor, bench.segmentation, "Liver", drawn)
    assert propagate(bench, _continued(bench, 6, keep_drawn=False)) is None
    assert np.array_equal(bench.array(), _thick(LIVER))


def test_another_grid_between_two_runs_makes_no_slice_an_example(scene):
    bench = _bench(scene, "identity", FINER)
    fill(
        bench.editor, bench.segmentation, "Liver", _thick(LIVER) & (np.arange(14 * FINER) // FINER == 6)[:, None, None]
    )
    run = _continued(bench, 6, keep_drawn=False)
    assert propagate(bench, run) is None
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


def _console(bench):
    model = Model()
    model.use(bench.predictor)
    return KPrismLogic(model)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_a_whole_volume_beside_the_grid_is_an_error_and_leaves_no_segments(scene, kind):
    volume = volume_node(scene, body(), geometry(kind))
    beside = geometry(kind)
    beside[:3, 3] += (100, 0, 0)
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, (), grid=beside), "")
    with pytest.raises(GeometryMismatch, match="no voxels where this was found"):
        _console(bench).segmentVolume(volume, bench.segmentation, ["liver", "spleen"])
    assert bench.segmentation.GetSegmentation().GetNumberOfSegments() == 0


def test_propagating_beyond_a_grid_of_one_slice_is_an_error(scene):
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=geometry("identity"), size=(18, 16, 4)))
    drawn = np.zeros((4, *body().shape[1:]), bool)
    drawn[3] = LIVER[3]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    offset = float(bench.ras(3, 0, 0)[2])
    with pytest.raises(GeometryMismatch):
        _console(bench).propagate(volume, bench.segmentation, "Liver", offsets=[offset])
    assert np.array_equal(bench.array(), drawn)


@pytest.mark.parametrize("size", [(18, 16, 7), (18, 7, 14), (7, 16, 14)])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_what_a_grid_does_not_cover_of_a_volume_is_told_at_the_end(scene, kind, size):
    volume = volume_node(scene, body(), geometry(kind))
    bench = Bench.make(
        scene, volume, segmentation_node(scene, volume, ("liver",), grid=geometry(kind), size=size), "liver"
    )
    result = _console(bench).segmentVolume(volume, bench.segmentation, ["liver"])
    assert result.remark.startswith("Part of what was found lies outside the segmentation's geometry")
    assert np.array_equal(bench.array("liver"), LIVER[: size[2], : size[1], : size[0]])


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (4, 0), (0.5, 0), (0.5, 0.3)])
def test_nothing_is_left_out_on_a_grid_that_covers_the_volume(scene, factor, shift):
    bench = _bench(scene, "tilted", factor, shift)
    logic, nodes = _console(bench), (bench.volume, bench.segmentation)
    assert logic.segmentVolume(*nodes, ["liver", "spleen"]).remark == ""
    for plane in ("axial", "sagittal", view_plane("oblique", bench.ras(6, 6, 7))):
        assert logic.segmentSlice(*nodes, "Liver", plane=plane, cls="liver").remark == ""


@pytest.mark.parametrize("plane", ["axial", "sagittal", "oblique"])
def test_what_a_grid_does_not_cover_of_a_slice_is_told(scene, plane):
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume, grid=geometry("identity"), size=(9, 8, 14)))
    where = view_plane(plane, bench.ras(6, 6, 7))
    answer = _console(bench).segmentSlice(volume, bench.segmentation, "Liver", plane=where, cls="liver")
    assert bench.array().any()
    assert answer.remark.startswith("Part of what was found lies outside")
    assert answer.remark.endswith("(Specify geometry in the Segment Editor).")
