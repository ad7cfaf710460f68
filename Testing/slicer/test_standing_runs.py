"""Runs, corrections and what other segments took, undone and done again: what stands is told from what does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_voxels import segment_in_slice
from KPrismLogic.standing_runs import StandingRun, changed_by, standing_runs
from Testing.slicer.carrying import write
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, draw_layers, fill, under_transform, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    bench = Bench.of_body(scene, "flipped")
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteAllSegments)
    return bench


@pytest.fixture
def go(bench):
    """As a press of Propagate in the slice that passes a layer; -> what went on."""
    kept = KeptPropagations(bench.engine.model)

    def press(k, segment_id="Liver", kind="axial", *, keep_drawn=False, first=0, last=13):
        target = bench.target(view_plane(kind, bench.ras(k, 6, 7)), segment_id)
        bench.parameters.SetSelectedSegmentID(segment_id)
        geometry = bench.editor.geometry()
        run = SegmentPropagation.continued(kept.of(target), target, geometry, keep_drawn=keep_drawn)
        kept.keep(run, geometry=geometry)
        last = len(run.stack) - 1 if kind == "oblique" else last
        assert write(bench, run, run.through(first, last), run.note) is None
        kept.ended(run)
        return run

    return press


def _put(bench, layers, segment_id="Liver"):
    """Somebody draws layers of a segment, which can be undone."""
    voxels = bench.array(segment_id)
    for k, content in layers.items():
        voxels[k] = content
    bench.editor.save_state()
    fill(bench.editor, bench.segmentation, segment_id, voxels)


def _wider(bench, patch):
    """The model finds everything several columns wider, and so takes voxels of the neighbour."""
    segment = bench.predictor.segment

    def wider(image, **guide):
        mask = np.logical_or.reduce([np.roll(segment(image, **guide).mask, by, 1) for by in range(-4, 5)])
        return SimpleNamespace(mask=mask, probability=mask * 0.95)

    patch.setattr(bench.predictor, "segment", wider)


def test_the_tag_holds_the_last_step_of_every_run(bench):
    segment = bench.segmentation.GetSegmentation().GetSegment("Liver")
    assert standing_runs(segment) == ()
    for run in (StandingRun("a", 1), StandingRun("a", 2), StandingRun("b", 1), StandingRun("a", 3)):
        changed_by(segment, run)
    assert standing_runs(segment) == (StandingRun("b", 1), StandingRun("a", 3))
    assert StandingRun("a", 2).is_in(standing_runs(segment))
    assert not StandingRun("a", 4).is_in(standing_runs(segment))
    assert not StandingRun("c", 1).is_in(standing_runs(segment))


def test_a_tag_that_somebody_else_wrote_is_no_run(bench):
    segment = bench.segmentation.GetSegmentation().GetSegment("Liver")
    segment.SetTag("KPrism.Runs", "a.1 nonsense b. 7 c.x")
    assert standing_runs(segment) == (StandingRun("a", 1),)


@pytest.mark.parametrize("second", [False, True])
def test_what_another_segment_took_and_gave_back_by_undo_is_no_correction(bench, go, monkeypatch, second):
    draw_layers(bench, 6)
    go(6)
    if second:
        _put(bench, {5: SPLEEN[5]})
        go(6, first=4, last=6)
    before = bench.array()
    _put(bench, {8: SPLEEN[8]}, "Other")
    with monkeypatch.context() as patch:
        _wider(bench, patch)
        go(8, "Other")
    assert (before & ~bench.array()).any()
    bench.undo()
    assert np.array_equal(before, bench.array())
    assert go(6).accepted == ((5, 6) if second else (6,))


def test_an_example_that_another_segment_took_is_one_no_more(bench, go):
    draw_layers(bench, 6)
    go(6, keep_drawn=True)
    _put(bench, {8: SPLEEN[8]})
    assert go(6, keep_drawn=True).accepted == (6, 8)
    _put(bench, {9: SPLEEN[9]}, "Other")
    go(9, "Other", keep_drawn=True)
    other = bench.array("Other")
    run = go(6, keep_drawn=True)
    assert np.array_equal(bench.array("Other"), other)
    for index in run.accepted:
        shown = segment_in_slice(run.stack.image(index), bench.segmentation, "Liver")
        assert np.array_equal(run._accepted.mask(index), shown)


def test_examples_move_with_their_segmentation(bench, go, scene):
    draw_layers(bench, 6)
    go(6)
    _put(bench, {8: SPLEEN[8]})
    run = go(6)
    run.accept_changed(bench.editor.geometry())
    before = run._accepted.masks
    moved = np.eye(4)
    moved[0, 3] = 2
    under_transform(scene, bench.segmentation, moved)
    run.accept_changed(bench.editor.geometry())
    assert run.accepted == (6, 8)
    for index, mask in before.items():
        shown = segment_in_slice(run.stack.image(index), bench.segmentation, "Liver")
        assert np.array_equal(run._accepted.mask(index), shown)
        assert not np.array_equal(shown, mask)


def test_a_correction_that_was_undone_with_the_run_after_it_is_no_example(bench, go):
    draw_layers(bench, 6)
    go(6)
    found = bench.array()
    _put(bench, {8: SPLEEN[8]})
    assert go(6).accepted == (6, 8)
    bench.undo()
    bench.undo()
    assert np.array_equal(bench.array(), found)
    assert go(6).accepted == (6,)


def test_corrections_after_redo_are_examples(bench, go):
    draw_layers(bench, 6)
    run = go(6)
    bench.undo()
    run.accept_changed(bench.editor.geometry())  # somebody looks meanwhile
    bench.redo()
    _put(bench, {8: SPLEEN[8]})
    assert go(6).accepted == (6, 8)


def test_examples_come_back_by_redo(bench, go):
    draw_layers(bench, 6)
    go(6)
    _put(bench, {8: SPLEEN[8]})
    run = go(6)
    end = bench.array()
    for _ in range(3):
        bench.undo()
    run.accept_changed(bench.editor.geometry())
    for _ in range(3):
        bench.redo()
    assert np.array_equal(bench.array(), end)
    assert go(6).accepted == (6, 8)
    assert np.array_equal(bench.array(), end)


def test_an_oblique_slice_that_was_undone_is_no_empty_example(bench, go):
    bench.click(view_plane("oblique", bench.ras(6, 6, 7)), bench.ras(6, 6, 7))
    one = bench.array()
    go(6, kind="oblique")
    whole = bench.array()
    bench.click(view_plane("oblique", bench.ras(9, 6, 7)), bench.ras(9, 6, 14))
    assert len(go(9, kind="oblique").accepted) == 2
    while not np.array_equal(bench.array(), one):
        bench.undo()
    assert len(go(6, kind="oblique").accepted) == 1
    assert np.array_equal(bench.array(), whole)


def test_a_drawing_that_masks_protected_from_a_run_is_still_a_drawing(bench, go):
    drawn = np.zeros_like(LIVER[8])
    drawn[:2, :2] = True
    _put(bench, {6: LIVER[6], 8: drawn})
    bench.parameters.SetSourceVolumeIntensityMask(True)
    bench.parameters.SetSourceVolumeIntensityMaskRange(300, 400)
    go(6)
    bench.parameters.SetSourceVolumeIntensityMask(False)
    assert go(6, keep_drawn=True).accepted == (6, 8)
    assert np.array_equal(bench.array()[8], drawn)
