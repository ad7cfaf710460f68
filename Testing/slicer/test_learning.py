"""Runs that learn the structure from the accepted slices before their first slice, when there is something new in them.

What is learned is tested with the engine; here it is when, and what of the scene it leaves alone.
"""

import functools
import threading

import numpy as np
import pytest
import slicer

from KPrismLib.errors import InvalidMask, OutOfMemory
from KPrismLib.specialist import STEPS
from KPrismLogic.held_voxels import HeldVoxels
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.model import Model
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.target import NoLongerWanted
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, draw_layers, fill, geometry

pytestmark = pytest.mark.usefixtures("flood_propagation")

#: What is learned from slice 6, in which the liver is drawn, and slice 8, in which the spleen is.
BOTH = {6: int(LIVER[6].sum()), 8: int(SPLEEN[8].sum())}


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


@pytest.fixture
def both(bench, session):
    """Slices 6 and 8 are accepted; -> what is drawn."""
    drawn = bench.array()
    drawn[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    session.propagation.accept(session.plane(8))
    return drawn


def _continue(bench, session, *, keep_drawn=False):
    """As the effect and the panel do before each run."""
    again = SegmentPropagation.continued(
        session.propagation, bench.target(session.plane(6)), bench.editor.geometry(), keep_drawn=keep_drawn
    )
    assert again is session.propagation


def _at(session, lesson, act):
    """Something to do after a lesson of a number, once."""

    def progress():
        if len(session.lessons) == lesson and not session.written:
            act()

    return progress


def test_it_learns_before_the_first_slice_and_all_slices_come_from_what_it_learned(bench, session, both):
    session.start(learn=True).wait()
    assert session.ends == [None]
    assert bench.predictor.lessons == [BOTH]
    assert session.lessons == [(number, STEPS, 0) for number in range(1, STEPS + 1)]
    assert session.run.done == len(session.written) > 0
    found = bench.array()
    assert np.array_equal(found[[6, 8]], both[[6, 8]])
    assert np.array_equal(found[[4, 5, 7, 9, 10]], (LIVER | SPLEEN)[[4, 5, 7, 9, 10]])
    bench.undo()
    assert np.array_equal(bench.array(), both)
    assert not bench.editor.logic.CanUndo()


def test_it_does_not_learn_again_what_did_not_change(bench, session, both):
    session.start(learn=True).wait()
    found, computed = bench.array(), bench.predictor.predictions
    _continue(bench, session)
    session.start(learn=True).wait()
    assert bench.predictor.lessons == [BOTH]
    assert session.lessons == []
    bench.undo()
    _continue(bench, session)
    session.start(learn=True).wait()
    assert np.array_equal(bench.array(), found)
    assert len(bench.predictor.lessons) == 1
    assert bench.predictor.predictions == computed


def test_it_learns_again_after_a_correction_also_where_that_is_an_empty_slice(bench, session):
    session.start(learn=True).wait()
    corrected = bench.array()
    corrected[8], corrected[9] = SPLEEN[8], False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    _continue(bench, session)
    session.start(learn=True).wait()
    assert bench.predictor.lessons == [{6: BOTH[6]}, {**BOTH, 9: 0}]
    assert np.array_equal(bench.array()[5], (LIVER | SPLEEN)[5])
    corrected = bench.array()
    corrected[8] = LIVER[8]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    _continue(bench, session)
    session.start(learn=True).wait()
    assert bench.predictor.lessons[2:] == [{6: BOTH[6], 8: int(LIVER[8].sum()), 9: 0}]
    assert np.array_equal(bench.array()[5], LIVER[5])


def test_it_learns_again_when_a_slice_is_kept_no_longer(bench, session):
    drawn = bench.array()
    drawn[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    _continue(bench, session, keep_drawn=True)
    session.start(learn=True).wait()
    _continue(bench, session, keep_drawn=False)
    session.start(learn=True).wait()
    assert bench.predictor.lessons == [BOTH, {6: BOTH[6]}]
    assert np.array_equal(bench.array(), LIVER)


def test_another_model_and_another_class_learn_for_themselves(bench, session):
    session.start(learn=True).wait()
    other = FloodPredictor()
    bench.engine.model.use(other)
    session.start(learn=True).wait()
    assert len(bench.predictor.lessons) == len(other.lessons) == 1
    session.propagation.target.segment().SetName("Cyst")
    session.propagation.accept(session.plane(6))
    session.start(learn=True).wait()
    assert len(other.lessons) == 2


def test_without_learning_slices_are_what_they_were_and_with_it_again_it_learns_again(bench, session, both):
    session.start().wait()
    before = bench.array()
    session.start(learn=True).wait()
    learned = bench.array()
    assert not np.array_equal(learned, before)
    session.start().wait()
    assert np.array_equal(bench.array(), before)
    assert bench.predictor.lessons == [BOTH]
    session.start(learn=True).wait()
    assert np.array_equal(bench.array(), learned)
    assert bench.predictor.lessons == [BOTH, BOTH]


def _cancel_in_lesson(bench, session, number):
    """Start, and cancel while the model is at a lesson."""
    gate, reached = threading.Event(), threading.Event()

    def hold(lesson):
        if lesson == number:
            reached.set()
            assert gate.wait(20)

    bench.predictor.before_lesson = hold
    session.start(learn=True)
    while not reached.is_set():
        session.runner.deliver()
    session.run.cancel()
    bench.predictor.before_lesson = None
    gate.set()
    _wait_for_threads()


def test_cancel_while_it_learns_leaves_segment_and_undo_as_they_are(bench, session, both):
    _cancel_in_lesson(bench, session, 2)
    assert session.ends == [None]
    assert (len(session.lessons), session.written, session.run.done) == (2, [], 0)
    assert np.array_equal(bench.array(), both)
    assert not bench.editor.logic.CanUndo()
    assert bench.predictor.lessons_given_up == 1  # nothing half learned stays in memory
    session.start(learn=True).wait()
    assert len(session.lessons) == STEPS
    assert bench.predictor.lessons == [BOTH, BOTH]


def test_what_was_learned_before_outlives_lessons_that_were_cancelled(bench, session):
    session.start(learn=True).wait()
    found = bench.array()
    corrected = found.copy()
    corrected[6] = SPLEEN[6]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    _continue(bench, session)
    _cancel_in_lesson(bench, session, 2)
    fill(bench.editor, bench.segmentation, "Liver", found)
    _continue(bench, session)
    session.start(learn=True).wait()
    assert session.lessons == []
    assert np.array_equal(bench.array(), found)


def test_what_is_cancelled_before_the_model_is_free_learns_nothing(bench, session):
    with bench.engine.model.in_use:
        session.start(learn=True)
        session.run.cancel()
    _wait_for_threads()
    assert bench.predictor.lessons == []


def test_what_is_cancelled_while_the_model_is_not_free_learns_nothing_more(bench, session):
    steps, in_use = [], bench.engine.model.in_use
    bench.predictor.before_lesson = steps.append
    session.start(learn=True, progress=_at(session, 2, in_use.acquire))
    while len(session.lessons) < 2:
        session.runner.deliver()
    session.run.cancel()
    in_use.release()
    _wait_for_threads()
    assert steps == [0, 1]
    assert bench.predictor.lessons_given_up == 1


def test_progress_ends_it_between_lessons(bench, session, both):
    session.start(learn=True, progress=lambda: len(session.lessons) < 3).wait()
    assert session.ends == [None]
    assert len(session.lessons) == 3
    assert bench.predictor.lessons_given_up == 1
    assert np.array_equal(bench.array(), both)
    assert not bench.editor.logic.CanUndo()


def test_what_goes_wrong_while_it_learns_is_told_and_nothing_is_written(bench, session, both):
    def fill_the_memory(lesson):
        if lesson == 2:
            raise OutOfMemory("The device cuda is out of memory.")

    bench.predictor.before_lesson = fill_the_memory
    session.start(learn=True).wait()
    assert isinstance(session.ends[0], OutOfMemory)
    assert np.array_equal(bench.array(), both)
    assert not bench.editor.logic.CanUndo()
    bench.predictor.before_lesson = None
    session.start(learn=True).wait()
    assert len(session.lessons) == STEPS


def test_a_range_without_a_known_slice_is_refused_before_anything_is_learned(bench, session):
    session.start(9, 12, learn=True).wait()
    assert isinstance(session.ends[0], InvalidMask)
    assert bench.predictor.lessons == []


def test_the_model_learns_beside_the_main_thread(bench, session):
    threads = set()
    bench.predictor.before_lesson = lambda _: threads.add(threading.current_thread())
    session.start(learn=True).wait()
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("what", ["correction", "run"])
def test_undo_while_it_learns_ends_it(bench, session, what):
    session.start().wait()
    if what == "correction":
        bench.editor.save_state()
        corrected = bench.array()
        corrected[8] = SPLEEN[8]
        fill(bench.editor, bench.segmentation, "Liver", corrected)
        _continue(bench, session)
    session.start(learn=True, progress=_at(session, 5, bench.undo)).wait()
    assert isinstance(session.ends[1], NoLongerWanted)
    assert "undone or changed" in str(session.ends[1])
    assert len(session.lessons) == 5
    assert np.array_equal(bench.array(), LIVER & _only(6) if what == "run" else LIVER)


def test_work_on_another_segment_while_it_learns_disturbs_nothing(bench, session, both):
    """Though the labelmap becomes another one, which both segments share."""

    def draw_another():
        fill(bench.editor, bench.segmentation, "Other", ~(LIVER | SPLEEN))
        bench.segmentation.GetSegmentation().CollapseBinaryLabelmaps(True)

    session.start(learn=True, progress=_at(session, 5, draw_another)).wait()
    assert session.ends == [None]
    assert bench.array("Other").any()
    assert np.array_equal(bench.array()[5], (LIVER | SPLEEN)[5])


@pytest.mark.parametrize(
    ("mischief", "sentence"),
    [
        pytest.param(lambda b: fill(b.editor, b.segmentation, "Liver", LIVER), "changed", id="painted"),
        pytest.param(lambda b: b.segmentation.GetSegmentation().RemoveSegment("Liver"), "changed", id="deleted"),
        pytest.param(lambda b: b.volume.GetScene().RemoveNode(b.volume), "volume was closed", id="volume closed"),
        pytest.param(lambda b: b.segmentation.GetScene().RemoveNode(b.segmentation), "closed", id="segmentation"),
        pytest.param(lambda b: b.volume.GetScene().Clear(False), "closed", id="scene closed"),
        pytest.param(lambda b: b.volume.SetSpacing(3, 3, 3), "changed", id="volume changed"),
        pytest.param(lambda b: _coarser(b.segmentation), "geometry was changed", id="geometry"),
    ],
)
def test_what_is_gone_or_changed_ends_it_at_the_next_lesson(bench, session, mischief, sentence):
    session.start(learn=True, progress=_at(session, 5, functools.partial(mischief, bench))).wait()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert sentence in str(session.ends[0])
    assert (len(session.lessons), session.written) == (5, [])


def test_what_a_segment_holds_is_known_by_its_voxels_and_their_place(bench):
    held = functools.partial(HeldVoxels, bench.segmentation, "Liver")
    empty = held()
    draw_layers(bench, 6)
    with pytest.raises(NoLongerWanted):
        empty.check()
    one = held()
    draw_layers(bench, 6)  # the same once more
    one.check()
    draw_layers(bench, 5)  # the same form elsewhere
    with pytest.raises(NoLongerWanted):
        one.check()
    fill(bench.editor, bench.segmentation, "Liver", np.zeros_like(LIVER))
    empty.check()


class TestFromTheConsole:
    @pytest.fixture
    def logic(self, bench):
        model = Model()
        model.use(bench.predictor)
        return KPrismLogic(model, saveState=lambda _: bench.editor.save_state())

    @pytest.fixture
    def propagate(self, bench, logic, both):
        return functools.partial(
            logic.propagate,
            bench.volume,
            bench.segmentation,
            "Liver",
            offsets=[float(bench.ras(k, 0, 0)[2]) for k in (6, 8)],
        )

    def test_it_learns_on_request_and_tells_of_lessons_as_of_no_slice_yet(self, bench, propagate, both):
        propagate()
        assert bench.predictor.lessons == []
        bench.undo()
        calls = []
        result = propagate(learn=True, progress=lambda *now: calls.append(now))
        assert bench.predictor.lessons == [BOTH]
        assert calls == [(0, 14)] * STEPS + [(number, 14) for number in range(1, len(result.confidence) + 1)]
        assert np.array_equal(bench.array()[5], (LIVER | SPLEEN)[5])
        assert result.leastCertain in result.confidence

    def test_progress_stops_it_while_it_learns(self, bench, propagate, both):
        calls = []
        result = propagate(learn=True, progress=lambda *now: calls.append(now) or len(calls) < 3)
        assert calls == [(0, 14)] * 3
        assert (dict(result.confidence), dict(result.area), result.leastCertain) == ({}, {}, None)
        assert np.array_equal(bench.array(), both)
        assert not bench.editor.logic.CanUndo()

    def test_a_change_while_it_learns_ends_it(self, bench, propagate, both):
        """What is called on the way may let the application work on."""
        with pytest.raises(NoLongerWanted, match="undone or changed"):
            propagate(learn=True, progress=lambda *_: draw_layers(bench, 6))
        assert np.array_equal(bench.array(), LIVER & _only(6))


def _coarser(segmentation):
    """Another reference geometry, as from *Specify geometry*."""
    grid = slicer.vtkOrientedImageData()
    grid.SetExtent(0, 8, 0, 7, 0, 13)
    grid.SetImageToWorldMatrix(matrix_from_array(geometry("flipped") @ np.diag([2.0, 2.0, 1.0, 1.0])))
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(grid)
    segmentation.GetSegmentation().SetConversionParameter("Reference image geometry", text)


def _only(layer):
    return (np.arange(len(LIVER)) == layer)[:, None, None]


def _wait_for_threads():
    for thread in threading.enumerate():
        if thread.name.startswith("K-Prism"):
            thread.join(20)
