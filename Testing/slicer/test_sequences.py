"""A sequence shows one time after another in one volume: each is known when it comes back, and none is kept whole."""

import functools

import numpy as np
import pytest

from KPrismLogic import volume_content
from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.segment_propagation import SegmentPropagation
from Testing.slicer.carrying import Session, propagate
from Testing.slicer.scenes import LIVER, Bench, body, draw_layers, fill, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "identity")


@pytest.fixture(params=[False, True], ids=["changes are lost", "changes are saved"])
def frames(browser, bench, request):
    """Two times: the liver of the second lies elsewhere."""
    browser.play_volume(bench.volume, body(), np.roll(body(), 1, 1), saves=request.param)
    browser.show(0)
    return browser


def _kept(bench, session, k=6):
    """What is kept of a run that begins with a clicked slice."""
    kept = KeptPropagations(bench.engine.model)
    kept.keep(session.propagation, geometry=bench.editor.geometry())
    bench.click(session.plane(k), bench.ras(k, 6, 7))
    assert session.start().wait().ends == [None]
    kept.ended(session.propagation)
    return kept


@pytest.fixture
def at_first_time(frames, bench):
    """A session that begins when the first time is shown."""
    draw_layers(bench, 6)
    session = Session(bench)
    yield session
    session.runner.close()


def _look_at_the_next_one(frames, kept):
    frames.show(1)
    kept.forget_what_is_gone()
    frames.show(0)


def test_what_was_clicked_counts_again_when_its_time_comes_back(frames, bench):
    plane = view_plane("axial", bench.ras(6, 6, 7))
    bench.click(plane, bench.ras(6, 6, 7))
    target = bench.target(plane)
    for number, prompts in ((1, 0), (0, 1), (1, 0), (0, 1)):
        frames.show(number)
        assert len(bench.controller.prompts(target)) == len(bench.controller.answered(target)) == prompts
    bench.click(plane, bench.ras(6, 6, 14))
    assert len(bench.controller.prompts(target)) == 2
    assert not bench.failures


def test_a_slice_that_is_shown_again_is_not_encoded_again(frames, bench):
    plane = view_plane("axial", bench.ras(6, 6, 7))
    for number in (0, 1, 0, 1):
        frames.show(number)
        bench.click(plane, bench.ras(6, 6, 7))
    assert len(bench.predictor.encoded) == 2


def test_a_run_goes_on_after_a_look_at_another_time(frames, bench, at_first_time):
    kept, target = _kept(bench, at_first_time), bench.target(at_first_time.plane(6))
    run, found = at_first_time.propagation, bench.array()
    _look_at_the_next_one(frames, kept)
    assert kept.of(target) is run
    again = SegmentPropagation.continued(kept.of(target), target, bench.editor.geometry(), keep_drawn=True)
    assert again is run
    assert run.accepted == (6,)
    run.check_open(3, 9)
    kept.keep(run, geometry=bench.editor.geometry())
    corrected = bench.array()
    corrected[4, 5, 5] = False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    run = SegmentPropagation.continued(kept.of(target), target, bench.editor.geometry(), keep_drawn=True)
    assert run.accepted == (4, 6)
    assert propagate(bench, run) is None
    assert np.array_equal(np.delete(bench.array(), 4, 0), np.delete(found, 4, 0))
    assert np.array_equal(found, LIVER)


def test_a_run_belongs_to_its_time(frames, bench, at_first_time):
    kept, target = _kept(bench, at_first_time), bench.target(at_first_time.plane(6))
    frames.show(1)
    assert kept.of(target) is None
    kept.forget_what_is_gone()
    assert kept.of(target) is None
    assert kept.keeps(at_first_time.propagation)


@pytest.mark.parametrize("kind", ["axial", "oblique"])
def test_a_run_whose_time_is_not_shown_keeps_no_volume(browser, bench, in_memory, kind):
    browser.play_volume(bench.volume, body(), np.roll(body(), 1, 1))
    browser.show(0)
    plane = view_plane(kind, bench.ras(6, 6, 7))
    draw_layers(bench, 6)
    kept, target = KeptPropagations(bench.engine.model), bench.target(plane)
    for number in (0, 1) * 3:
        browser.show(number)
        in_memory.watch(bench.volume)
        geometry = bench.editor.geometry()
        run = SegmentPropagation.continued(kept.of(target), target, geometry, keep_drawn=True)
        kept.keep(run, geometry=geometry)
        assert propagate(bench, run) is None
        assert bench.array().any(axis=(1, 2)).sum() > 2
        kept.ended(run)
        bench.controller.look_at(target)
    assert in_memory() == 1


def test_a_segmentation_that_changes_with_its_volume_is_another_one_there(scene, browser, bench):
    browser.play_volume(bench.volume, body(), np.roll(body(), 1, 1))
    copies = [scene.AddNewNodeByClass("vtkMRMLSegmentationNode") for _ in range(2)]
    for copy in copies:
        copy.CopyContent(bench.segmentation, True)
    browser.play(bench.segmentation, copies, saves=True)
    kept, plane = KeptPropagations(bench.engine.model), view_plane("axial", bench.ras(6, 6, 7))
    runs, found = {}, {}
    for number in (0, 1, 0, 1):
        browser.show(number)
        kept.forget_what_is_gone()
        if number in found:
            assert np.array_equal(bench.array(), found[number])
        else:
            draw_layers(bench, 6)
        again = functools.partial(SegmentPropagation.continued, target=bench.target(plane), keep_drawn=True)
        run = again(kept.of(bench.target(plane)), geometry=bench.editor.geometry())
        assert runs.setdefault(number, run) is run
        assert run.accepted == (6,)
        kept.keep(run, geometry=bench.editor.geometry())
        assert propagate(bench, run) is None
        kept.ended(run)
        found[number] = bench.array()
    assert not np.array_equal(found[0], found[1])


def test_all_voxels_are_read_once_for_each_time_and_only_where_a_run_asks(frames, bench, monkeypatch):
    read = []
    digest = volume_content._digest
    monkeypatch.setattr(volume_content, "_digest", lambda scalars: read.append(1) or digest(scalars))
    plane = view_plane("axial", bench.ras(6, 6, 7))
    for number in (0, 1, 0):
        frames.show(number)
        for k in (5, 6, 7):
            bench.click(view_plane("axial", bench.ras(k, 6, 7)), bench.ras(k, 6, 7))
            bench.controller.prompts(bench.target(plane))
    assert read == []
    kept = KeptPropagations(bench.engine.model)
    kept.keep(SegmentPropagation(bench.target(plane)))
    assert read == [1]
    for _ in range(3):
        kept.of(bench.target(plane))
        kept.forget_what_is_gone()
    assert read == [1]
    frames.show(1)
    for _ in range(3):
        kept.of(bench.target(plane))
        kept.forget_what_is_gone()
    assert read == [1, 1]
