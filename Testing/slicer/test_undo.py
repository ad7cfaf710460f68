"""Editor undo and redo bring masks and prompts back together, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from KPrismLogic import slice_store
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.runner import ThreadRunner
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.stroke import Stroke
from Testing.slicer.scenes import LIVER, SPLEEN, Bench, body, fill, geometry, segmentation_node, volume_node


def _bench(scene):
    volume = volume_node(scene, body(), geometry("anisotropic"))
    return Bench.make(scene, volume, segmentation_node(scene, volume))


def _axial(bench, k):
    return SlicePlane.of_volume(bench.volume, "axial").moved_to(bench.ras(k, 7, 8))


def _said(bench, plane, segment_id="Liver"):
    return [prompt for prompt, _ in bench.controller.prompts(bench.target(plane, segment_id))]


def test_undo_takes_the_last_click_back_and_redo_gives_it_again(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    one = bench.array(), _said(bench, plane)
    bench.click(plane, bench.ras(6, 6, 14))
    two = bench.array(), _said(bench, plane)
    assert [len(said) for _, said in (one, two)] == [1, 2]
    bench.undo()
    assert np.array_equal(bench.array(), one[0])
    assert _said(bench, plane) == one[1]
    bench.redo()
    assert np.array_equal(bench.array(), two[0])
    assert _said(bench, plane) == two[1]
    bench.undo()
    bench.undo()
    assert not bench.array().any()
    assert _said(bench, plane) == []


def test_click_after_undo_builds_on_what_is_left(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    bench.click(plane, bench.ras(6, 6, 14))
    bench.undo()
    bench.click(plane, bench.ras(6, 0, 0))
    assert np.array_equal(bench.array()[6], body()[6] != 200)
    assert len(_said(bench, plane)) == 2


def test_a_click_that_changes_nothing_can_be_undone_too(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    bench.click(plane, bench.ras(6, 6, 8))
    assert len(_said(bench, plane)) == 2
    bench.undo()
    assert len(_said(bench, plane)) == 1
    assert bench.array().any()


def test_prompts_of_another_editing_effect_start_over_from_its_mask(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    bench.editor.save_state()
    painted = bench.array()
    painted[6, 0:3, 0:3] = True
    fill(bench.editor, bench.segmentation, "Liver", painted)
    assert _said(bench, plane) == []
    bench.click(plane, bench.ras(6, 6, 14))
    assert bench.predictor.began_with == ["drawn"]
    assert np.array_equal(bench.array()[6], painted[6] | (body()[6] == 200))
    bench.undo()
    bench.undo()
    assert len(_said(bench, plane)) == 1


def test_what_a_guide_gave_is_not_drawn(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.controller.ask(Request(bench.target(plane), Guide("liver"), anew=True))
    bench.click(plane, bench.ras(6, 6, 14))
    assert bench.predictor.began_with == ["found"]
    # With more clicks, too, for the session stays the same.
    bench.click(plane, bench.ras(6, 6, 7), positive=False)
    assert bench.predictor.began_with == ["found"]


def test_a_slice_is_the_same_wherever_in_its_thickness_a_view_is(scene):
    bench = _bench(scene)
    middle, aside = _axial(bench, 6), _axial(bench, 6).moved_to(bench.ras(6.3, 6, 7))
    bench.click(middle, bench.ras(6, 6, 7))
    assert len(_said(bench, aside)) == 1
    bench.click(aside, bench.ras(6, 6, 14))
    assert len(_said(bench, middle)) == 2
    assert bench.predictor.began_with == []  # what the first click gave is not taken for drawn
    assert len(bench.predictor.encoded) == 1
    assert _said(bench, _axial(bench, 7)) == []


def test_what_was_answered_is_known_without_cutting_the_slices_of_the_volume(scene, monkeypatch):
    bench = _bench(scene)
    plane, aside = _axial(bench, 6), _axial(bench, 4).moved_to(bench.ras(4.3, 6, 7))
    sagittal = SlicePlane.of_volume(bench.volume, "sagittal").moved_to(bench.ras(6, 6, 8))
    for one in (plane, aside, sagittal):
        bench.click(one, bench.ras(6, 6, 8))
    cuts = []
    monkeypatch.setattr(slice_store, "cut", lambda *given: cuts.append(given) or cut(*given))
    assert bench.controller.answered(bench.target(_axial(bench, 9))) == [plane, aside]
    assert cuts == []  # both are known yet
    bench.undo()
    emptied = bench.array()
    emptied[6] = False
    fill(bench.editor, bench.segmentation, "Liver", emptied)
    assert bench.controller.answered(bench.target(_axial(bench, 9))) == [aside]
    bench.volume.SetOrigin(0, 0, 500)
    assert bench.controller.answered(bench.target(_axial(bench, 9))) == []


def test_prompts_of_a_saved_scene_mean_nothing(scene):
    bench, again = _bench(scene), _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    again.segmentation.GetSegmentation().DeepCopy(bench.segmentation.GetSegmentation())
    assert again.controller.prompts(again.target(plane)) == []


def test_contradicting_click_changes_nothing_and_says_so(scene):
    bench = _bench(scene)
    plane = _axial(bench, 6)
    bench.click(plane, bench.ras(6, 6, 7))
    states = bench.editor.logic.CanUndo()
    before = bench.array()
    bench.click(plane, bench.ras(6, 6, 7), positive=False)
    assert len(bench.failures) == 1
    assert np.array_equal(bench.array(), before)
    assert len(_said(bench, plane)) == 1
    assert bench.editor.logic.CanUndo() == states


def test_asking_twice_for_the_same_is_one_state(scene):
    bench = _bench(scene)
    bench.click(_axial(bench, 8), bench.ras(8, 6, 7))
    for _ in range(2):
        bench.controller.ask(Request(bench.target(_axial(bench, 6)), Guide("liver"), anew=True))
    assert len(bench.reports) == 3
    bench.undo()
    assert not bench.array()[6].any()
    bench.undo()
    assert not bench.editor.logic.CanUndo()
    # What clicks changed is replaced again, in a state of its own.
    bench.controller.ask(Request(bench.target(_axial(bench, 6)), Guide("liver"), anew=True))
    bench.click(_axial(bench, 6), bench.ras(6, 6, 14), guide=Guide("liver"))
    bench.controller.ask(Request(bench.target(_axial(bench, 6)), Guide("liver"), anew=True))
    assert np.array_equal(bench.array()[6], body()[6] == 100)
    bench.undo()
    assert len(_said(bench, _axial(bench, 6))) == 1


def test_of_classes_that_are_asked_for_one_after_the_other_the_last_is_answered(scene):
    """As with the mouse's wheel over their list; what another slice or a click waits for stays."""
    runner = ThreadRunner()
    bench = Bench.of_body(scene, "identity")
    bench = Bench.make(scene, bench.volume, bench.segmentation, runner=runner)
    asked = [("liver", 6), ("spleen", 6), ("liver", 6), ("liver", 8), ("liver", 6), ("spleen", 6)]
    for number, (cls, k) in enumerate(asked):
        bench.controller.ask(Request(bench.target(_axial(bench, k)), Guide(cls), anew=True))
        if number == 3:
            bench.click(_axial(bench, 9), bench.ras(9, *np.argwhere(SPLEEN[9])[0]))
    runner.wait()
    assert not bench.failures
    assert len(bench.reports) == 4  # the first, which ran by then, slice 8, the click, and the last
    assert np.array_equal(bench.array()[6], SPLEEN[6])
    assert np.array_equal(bench.array()[8], LIVER[8])
    assert np.array_equal(bench.array()[9], SPLEEN[9])
    states = 0
    while bench.editor.logic.CanUndo():
        bench.undo()
        states += 1
    assert states == 4
    assert not bench.array().any()
    bench.controller.close()


def test_a_class_that_is_not_in_an_empty_slice_leaves_no_state(scene):
    bench = _bench(scene)
    bench.controller.ask(Request(bench.target(_axial(bench, 0)), Guide("liver"), anew=True))
    assert len(bench.reports) == 1
    bench.segmentation.GetSegmentation().GetSegment("Liver").Modified()
    assert not bench.editor.logic.CanUndo()


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("click"),
            st.sampled_from([5, 6, 8]),
            st.sampled_from([(6, 7), (7, 14), (0, 0)]),
            st.booleans(),
            st.sampled_from(["Liver", "Other"]),
        ),
        st.tuples(st.just("scribble"), st.sampled_from([5, 6]), st.sampled_from(["Liver", "Other"])),
        st.tuples(st.just("class"), st.sampled_from([5, 6]), st.sampled_from(["liver", "spleen"])),
        st.tuples(st.just("reference"), st.sampled_from([5, 8])),
        st.tuples(st.just("sagittal"), st.sampled_from([6, 9])),
        st.just(("undo",)),
        st.just(("redo",)),
    ),
    max_size=14,
)


@settings(max_examples=60)
@given(steps=steps)
def test_any_sequence_restores_masks_and_prompts(shared_scene, steps):
    scene, _ = shared_scene
    scene.Clear(False)
    bench = _bench(scene)
    bench.editor.logic.SetMaximumNumberOfUndoStates(100)
    known = body() == 100
    reference_node = segmentation_node(scene, bench.volume, ("Known",))
    fill(bench.editor, reference_node, "Known", known)
    reference = ReferenceSlice.of_segment(bench.volume, reference_node, "Known", _axial(bench, 4))
    planes = [_axial(bench, k) for k in (5, 6, 8)]
    planes += [SlicePlane.of_volume(bench.volume, "sagittal").moved_to(bench.ras(6, 7, i)) for i in (6, 9)]

    def everything():
        return (
            {name: bench.array(name) for name in ("Liver", "Other")},
            [_said(bench, plane, name) for plane in planes for name in ("Liver", "Other")],
        )

    saved = []
    save_state, bench.editor.save_state = bench.editor.save_state, lambda: (save_state(), saved.append(True))
    past, future = [everything()], []
    for step in steps:
        saved.clear()
        match step:
            case ("click", k, (j, i), positive, name):
                bench.click(_axial(bench, k), bench.ras(k, j, i), segment_id=name, positive=positive)
            case ("scribble", k, name):
                points = tuple(tuple(map(float, bench.ras(k, 6, i))) for i in range(3, 8))
                bench.controller.ask(Request(bench.target(_axial(bench, k), name), strokes=(Stroke(points),)))
            case ("class", k, cls):
                bench.controller.ask(Request(bench.target(_axial(bench, k)), Guide(cls), anew=True))
            case ("reference", k):
                bench.controller.ask(Request(bench.target(_axial(bench, k)), Guide(references=(reference,)), anew=True))
            case ("sagittal", i):
                plane = SlicePlane.of_volume(bench.volume, "sagittal").moved_to(bench.ras(6, 7, i))
                bench.click(plane, bench.ras(6, 6, i))
            case ("undo",) if len(past) > 1:
                bench.undo()
                future.append(past.pop())
            case ("redo",) if future:
                bench.redo()
                past.append(future.pop())
        if saved:
            past.append(everything())
            future = []
        masks, said = everything()
        assert all(np.array_equal(masks[name], past[-1][0][name]) for name in masks)
        assert said == past[-1][1]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_prompts_are_where_they_were_clicked(scene, plane):
    bench = _bench(scene)
    where = SlicePlane.of_volume(bench.volume, plane).moved_to(bench.ras(6, 6, 7))
    bench.click(where, bench.ras(6, 6, 7))
    ((_, (place,)),) = bench.controller.prompts(bench.target(where))
    assert np.allclose(place, bench.ras(6, 6, 7), atol=1e-6)
