"""Runs through a volume beside the main thread: live, stoppable, and what the user changed is never written over."""

import functools
import threading

import numpy as np
import pytest

from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.target import NoLongerWanted
from KPrismLogic.volume_result import most_in_doubt
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import (
    GEOMETRIES,
    LIVER,
    SPLEEN,
    Bench,
    fill,
    view_plane,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


def test_what_the_user_changed_since_is_not_written_over(bench, session):
    session.start().wait()
    corrected = bench.array()
    corrected[8, 0:2, 0:2] = True
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    session.start().wait()
    assert np.array_equal(bench.array(), corrected)


def test_corrected_slice_is_accepted_and_others_follow_it(bench, session):
    session.start().wait()
    corrected = bench.array()
    corrected[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert session.propagation.accept(session.plane(8)) == 8
    computed = bench.predictor.predictions
    session.start().wait()
    assert session.propagation.accepted == (6, 8)
    assert 8 not in session.propagation.confidence
    assert np.array_equal(bench.array()[8], SPLEEN[8])
    assert bench.array()[10][SPLEEN[10]].all()
    assert bench.predictor.predictions > computed


def test_slices_that_were_changed_since_are_examples_though_another_is_shown(bench, session):
    session.start().wait()
    corrected = bench.array()
    corrected[8] = SPLEEN[8]
    corrected[4, :2, :2] = True
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    run = SegmentPropagation.continued(
        session.propagation, bench.target(session.plane(6)), bench.editor.geometry(), keep_drawn=False
    )
    assert run is session.propagation
    assert run.accepted == (4, 6, 8)
    session.start().wait()
    found = bench.array()
    assert np.array_equal(found[[4, 8]], corrected[[4, 8]])
    assert found[10][SPLEEN[10]].all()  # from the slice that was corrected, not from the one that is shown


def test_an_accepted_slice_counts_as_it_is_drawn_now(bench, session):
    session.start().wait()
    again = bench.array()
    again[6] = SPLEEN[6]
    fill(bench.editor, bench.segmentation, "Liver", again)
    SegmentPropagation.continued(
        session.propagation, bench.target(session.plane(7)), bench.editor.geometry(), keep_drawn=False
    )
    session.start().wait()
    assert bench.array()[3][SPLEEN[3]].all()


def test_slices_that_were_drawn_before_any_run_are_kept_on_request(bench, session):
    """What the run itself wrote is no drawing, also after it was undone and written again."""
    drawn = bench.array()
    drawn[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    bench.editor.save_state()
    keep = functools.partial(
        SegmentPropagation.continued, target=bench.target(session.plane(6)), geometry=bench.editor.geometry()
    )
    session.propagation = keep(session.propagation, keep_drawn=True)
    assert session.propagation.accepted == (6, 8)
    session.start(last=11).wait()
    first = bench.array()
    assert np.array_equal(first[[6, 8]], drawn[[6, 8]])
    assert first[10][SPLEEN[10]].all()
    assert keep(session.propagation, keep_drawn=True).accepted == (6, 8)
    late = bench.array()
    late[13, :3, :3] = True  # drawn since, beyond the range
    assert not bench.array()[13].any()
    fill(bench.editor, bench.segmentation, "Liver", late)
    assert keep(session.propagation, keep_drawn=True).accepted == (6, 8, 13)
    assert keep(session.propagation, keep_drawn=False).accepted == (6,)
    session.start().wait()
    expected = LIVER.copy()
    expected[13] = late[13]  # beyond where the structure ends
    assert np.array_equal(bench.array(), expected)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_oblique_slices_are_never_taken_as_drawn(scene, kind):
    bench = Bench.of_body(scene, kind)
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    target = bench.target(view_plane("oblique", bench.ras(6, 6, 7)))
    run = SegmentPropagation.continued(None, target, bench.editor.geometry(), keep_drawn=True)
    assert len(run.accepted) == 1


def test_slices_that_the_user_emptied_stay_empty(bench, session):
    """The most natural correction of all; undo leaves slices empty, too, but all of them."""
    session.start().wait()
    corrected = bench.array()
    corrected[8:] = False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    again = functools.partial(
        SegmentPropagation.continued,
        session.propagation,
        bench.target(session.plane(6)),
        bench.editor.geometry(),
        keep_drawn=False,
    )
    assert again().accepted == (6, 8, 9)
    session.start().wait()
    assert np.array_equal(bench.array(), corrected)


def test_another_segment_or_stack_begins_anew(bench, session):
    geometry_, mine = bench.editor.geometry(), session.propagation
    assert SegmentPropagation.continued(None, bench.target(session.plane(6)), geometry_, keep_drawn=False) is not mine
    sagittal = SlicePlane.of_volume(bench.volume, "sagittal").moved_to(bench.ras(6, 6, 7))
    assert SegmentPropagation.continued(mine, bench.target(sagittal), geometry_, keep_drawn=False) is not mine


def test_the_slice_to_look_at_next_is_where_most_pixels_are_in_doubt():
    confidence, area = {0: 0.5, 1: 0.9, 2: 0.9, 3: None}, {0: 3, 1: 900, 2: 900, 3: 10**6}
    assert most_in_doubt(confidence, area) == 1
    assert most_in_doubt({3: None}, area) is None


@pytest.mark.parametrize(
    "mischief",
    [
        pytest.param(lambda b: b.segmentation.GetSegmentation().RemoveSegment("Liver"), id="segment deleted"),
        pytest.param(lambda b: b.volume.GetScene().RemoveNode(b.volume), id="volume closed"),
        pytest.param(lambda b: b.segmentation.GetScene().RemoveNode(b.segmentation), id="segmentation removed"),
        pytest.param(lambda b: b.volume.GetScene().Clear(False), id="scene closed"),
        pytest.param(lambda b: b.volume.SetSpacing(3, 3, 3), id="geometry changed"),
    ],
)
def test_what_is_gone_ends_the_run_with_a_sentence(bench, session, mischief):
    gate, reached = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert gate.wait(20)

    bench.predictor.before_prediction = hold
    session.start()
    assert reached.wait(20)
    mischief(bench)
    gate.set()
    session.wait()
    assert len(session.ends) == 1
    assert isinstance(session.ends[0], NoLongerWanted)
    assert session.written == []


def test_cancel_during_a_slice_writes_it_later(bench, session):
    gate, reached = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert gate.wait(20)

    bench.predictor.before_prediction = hold
    session.start()
    assert reached.wait(20)
    session.run.cancel()
    assert session.ends == [None]
    bench.predictor.before_prediction = None
    gate.set()
    session.start().wait()
    assert np.array_equal(bench.array(), LIVER)


def test_model_works_beside_the_main_thread_and_masks_are_written_on_it(bench, session):
    threads = set()
    bench.predictor.before_prediction = lambda: threads.add(threading.current_thread())
    add = bench.editor.add
    writers = set()
    bench.editor.add = lambda *given: (writers.add(threading.current_thread()), add(*given))
    session.start().wait()
    assert threading.main_thread() not in threads
    assert writers == {threading.main_thread()}


def test_another_model_begins_again_from_the_accepted_slices(bench, session):
    session.start().wait()
    bench.undo()
    other = FloodPredictor()
    bench.engine.model.use(other)
    session.start().wait()
    assert other.predictions > 0
    assert np.array_equal(bench.array(), LIVER)


def test_a_segment_that_is_called_like_a_class_is_carried_with_what_the_model_knows_of_it(bench, session):
    session.start().wait()
    assert session.propagation._pieces.engine._run.cls == "liver"
    session.propagation.target.segment().SetName("Cyst")
    session.propagation.accept(session.plane(6))
    session.start().wait()
    assert session.propagation._pieces.engine._run.cls is None
    assert np.array_equal(bench.array(), LIVER)
