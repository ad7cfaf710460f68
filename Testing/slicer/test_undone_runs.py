"""Undo after and during runs through a volume: what comes back, what is written again, and what stays an example."""

import functools

import numpy as np
import pytest

from KPrismLib.errors import InvalidReference
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.target import NoLongerWanted
from Testing.slicer.carrying import Session
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, draw_layers, fill, view_plane

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def bench(scene):
    return Bench.of_body(scene, "flipped")


def _continued(bench, session, k, **more):
    place = bench.target(session.plane(k)), bench.editor.geometry()
    return SegmentPropagation.continued(session.propagation, *place, **{"keep_drawn": False, **more})


def test_undone_slices_are_written_again_and_nothing_is_computed_again(bench, session):
    session.start().wait()
    computed = bench.predictor.predictions
    bench.undo()
    assert bench.array().any(axis=(1, 2)).sum() == 1
    session.start().wait()
    assert np.array_equal(bench.array(), LIVER)
    assert bench.predictor.predictions == computed
    assert session.ends == [None, None]


def test_a_later_run_that_is_undone_makes_no_empty_examples(bench, session):
    """The first run stands all the while, and only what the second one changed is empty again."""
    session.start(4, 7).wait()
    session.start().wait()
    bench.undo()
    assert not bench.array()[8].any()
    SegmentPropagation.continued(
        session.propagation, bench.target(session.plane(6)), bench.editor.geometry(), keep_drawn=False
    )
    assert session.propagation.accepted == (6,)
    session.start().wait()
    assert np.array_equal(bench.array(), LIVER)


def test_a_later_run_that_is_undone_makes_none_where_it_changed_what_an_earlier_one_wrote(bench, session):
    session.start(4, 7).wait()
    corrected = bench.array()
    corrected[5] = SPLEEN[5]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    bench.editor.save_state()
    again = functools.partial(
        SegmentPropagation.continued,
        session.propagation,
        bench.target(session.plane(6)),
        bench.editor.geometry(),
        keep_drawn=False,
    )
    assert again().accepted == (5, 6)
    session.start().wait()
    second = bench.array()
    assert not np.array_equal(second[4], corrected[4])
    assert second[8].any()
    bench.undo()
    assert np.array_equal(bench.array(), corrected)
    assert again().accepted == (5, 6)
    session.start().wait()
    assert np.array_equal(bench.array(), second)


def test_after_the_second_run_is_undone_its_slices_are_written_again(bench, session):
    session.start().wait()
    corrected = bench.array()
    corrected[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    bench.editor.save_state()
    session.propagation.accept(session.plane(8))
    session.start().wait()
    second = bench.array()
    assert not np.array_equal(second, corrected)
    bench.undo()
    assert np.array_equal(bench.array(), corrected)
    SegmentPropagation.continued(
        session.propagation, bench.target(session.plane(8)), bench.editor.geometry(), keep_drawn=False
    )
    assert session.propagation.accepted == (6, 8)
    session.start().wait()
    assert np.array_equal(bench.array(), second)


def test_undo_during_a_run_ends_it(bench, session):
    before = bench.array()

    def undo_at_the_third():
        if len(session.written) == 3:
            bench.undo()

    session.start(progress=undo_at_the_third).wait()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert "undone meanwhile" in str(session.ends[0])
    assert np.array_equal(bench.array(), before)


def test_undo_after_a_slice_in_which_nothing_changed_ends_the_run_too(bench):
    """From the lowest slice of the structure those below it are empty, and were."""
    draw_layers(bench, 3)
    before, session = bench.array(), Session(bench, k=3)

    def undo_at_the_empty_one():
        if session.written == [2, 4, 1]:
            bench.undo()

    session.start(progress=undo_at_the_empty_one).wait()
    session.runner.close()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert np.array_equal(bench.array(), before)


def test_undo_during_an_oblique_run_ends_it(bench):
    draw_layers(bench, *range(3, 10))
    plane = view_plane("oblique", bench.ras(6, 6, 7))
    before, session = bench.array(), Session(bench)
    session.propagation = SegmentPropagation(bench.target(plane))
    fill(bench.editor, bench.segmentation, "Liver", np.zeros_like(before))
    before = bench.array()

    def undo_at_the_fourth():
        if len(session.written) == 4:
            bench.undo()

    here = session.propagation.accepted[0]
    session.start(here - 5, here + 5, progress=undo_at_the_fourth).wait()
    session.runner.close()
    assert isinstance(session.ends[0], NoLongerWanted)
    assert len(session.written) == 4
    assert np.array_equal(bench.array(), before)


def test_a_run_that_changes_nothing_leaves_nothing_to_undo(bench, session):
    session.start().wait()
    found = bench.array()
    session.start().wait()
    bench.undo()
    assert not np.array_equal(bench.array(), found)  # the first run went; the second has no state of its own


@pytest.mark.parametrize("undone", [False, True])
def test_an_empty_slice_that_no_run_has_reached_is_no_example(bench, session, undone):
    session.start(5, 13 if undone else 7).wait()
    if undone:
        bench.undo()
    assert not bench.array()[8].any()
    with pytest.raises(InvalidReference, match="holds nothing of Liver; show a slice"):
        _continued(bench, session, 8)
    assert _continued(bench, session, 6).accepted == (6,)
    session.start().wait()
    assert np.array_equal(bench.array(), LIVER)


@pytest.mark.parametrize("keep", [True, False])
def test_a_slice_whose_drawing_was_undone_is_no_example_any_more(bench, session, keep):
    session.start().wait()
    bench.undo()
    draw_layers(bench, 8)  # instead of slice 6
    other = bench.array()
    other[8, 0, 0] = True
    fill(bench.editor, bench.segmentation, "Liver", other)
    assert _continued(bench, session, 8, keep_drawn=keep).accepted == (8,)
    assert not session.propagation.confidence.keys() & set(range(3, 10))
    session.start().wait()
    assert np.array_equal(bench.array()[:8], LIVER[:8])


def test_a_drawing_that_is_back_since_a_run_was_undone_is_kept_on_request(bench, session):
    drawn = bench.array()
    drawn[8] = SPLEEN[8]
    fill(bench.editor, bench.segmentation, "Liver", drawn)
    session.start().wait()
    bench.undo()
    assert _continued(bench, session, 6, keep_drawn=True).accepted == (6, 8)


def test_what_the_user_emptied_stays_empty_when_a_later_run_changes_all_the_rest(bench, session):
    session.start(4, 8).wait()
    corrected = bench.array()
    corrected[8], corrected[6] = False, SPLEEN[6]
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    assert _continued(bench, session, 6).accepted == (6, 8)
    session.start(4, 8).wait()
    assert np.array_equal(bench.array()[[5, 7]], SPLEEN[[5, 7]])
    assert _continued(bench, session, 8).accepted == (6, 8)
    assert not bench.array()[8].any()


def test_an_oblique_slice_whose_drawing_was_undone_is_no_example_any_more(bench, session):
    first, second = (bench.target(view_plane("oblique", bench.ras(k, 6, 7))) for k in (6, 9))
    drawn = np.zeros((2, *LIVER.shape), bool)
    drawn[[0, 1], [6, 9], 5:8, 6:9] = True
    fill(bench.editor, bench.segmentation, "Liver", drawn[0])
    run = SegmentPropagation(first)
    fill(bench.editor, bench.segmentation, "Liver", drawn[1])
    SegmentPropagation.continued(run, second, bench.editor.geometry(), keep_drawn=False)
    assert run.accepted == (run.stack.index_of(second.plane),)
