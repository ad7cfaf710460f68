"""The effect through the calls that a desktop Slicer was recorded to make."""

import threading

import numpy as np
import pytest
import slicer

from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import ThreeDWidget, settle, timers, widget_named, written, xy_of
from Testing.slicer.desktop.strict_qt import Strict
from Testing.slicer.scenes import SIZE, body, fill, geometry, rotation, segmentation_node, under_transform


def test_click_in_red_writes_the_structure_and_undo_takes_it_back(desktop, effect):
    assert desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    expected = np.zeros(body().shape, bool)
    expected[6] = body()[6] == 100
    assert np.array_equal(written(desktop), expected)
    assert "ms" in widget_named("KPrismStatus").text
    desktop.logic.Undo()
    settle()
    assert not written(desktop).any()
    desktop.logic.Redo()
    assert np.array_equal(written(desktop), expected)


def test_click_in_yellow_writes_a_sagittal_slice(desktop, effect):
    desktop.click(effect, xy_of(desktop, 6, 6, 7, "Yellow"), view="Yellow")
    settle()
    assert np.array_equal(written(desktop)[:, :, 7], (body() == 100)[:, :, 7])
    assert written(desktop).sum() == (body() == 100)[:, :, 7].sum()


@pytest.mark.parametrize("moved", ["volume and segmentation", "segmentation"])
def test_click_in_a_view_turned_to_the_volume_under_a_transform(desktop, effect, moved):
    bench, node = desktop.bench, desktop.views["Red"].mrmlSliceNode()
    turn = rotation(10, -15, 25)
    turn[:3, 3] = (3, -4, 5)
    bench.volume.SetIJKToRASMatrix(matrix_from_array(geometry("tilted")))
    grid = bench.segmentation.GetSegmentation()
    if moved == "segmentation":
        # Its own coordinates are turned back, so that it lies on the volume as before.
        image = slicer.vtkOrientedImageData()
        image.SetImageToWorldMatrix(matrix_from_array(np.linalg.inv(turn) @ geometry("tilted")))
        image.SetExtent(0, SIZE[0] - 1, 0, SIZE[1] - 1, 0, SIZE[2] - 1)
        text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
        grid.SetConversionParameter("Reference image geometry", text)
    else:
        bench.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
        under_transform(desktop.scene, bench.volume, turn)
    under_transform(desktop.scene, bench.segmentation, turn)
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(6, 6, 7), 0)
    node.RotateToVolumePlane(bench.volume)
    node.JumpSliceByOffsetting(*bench.ras(6, 6, 7))
    assert desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    expected = np.zeros(body().shape, bool)
    expected[6] = body()[6] == 100
    assert np.array_equal(written(desktop), expected), widget_named("KPrismStatus").text
    assert effect.self().prompts_in(desktop.views["Red"]) == 1
    desktop.logic.Undo()
    settle()
    assert effect.self().prompts_in(desktop.views["Red"]) == 0
    desktop.logic.Redo()
    assert effect.self().prompts_in(desktop.views["Red"]) == 1


def test_ctrl_click_removes_and_the_toggle_turns_it_round(desktop, effect):
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    desktop.click(effect, xy_of(desktop, 6, 6, 14))
    # The control key's own press carries another value than the click's.
    desktop.event(effect, "KeyPressEvent", xy_of(desktop, 6, 7, 14), ctrl=67108864)
    desktop.click(effect, xy_of(desktop, 6, 7, 14), ctrl=1)
    settle()
    assert np.array_equal(written(desktop)[6], body()[6] == 100)
    widget_named("KPrismErasing").setChecked(True)
    desktop.click(effect, xy_of(desktop, 6, 7, 7))
    settle()
    assert not written(desktop).any()


def test_drag_is_one_scribble_and_one_undo_state(desktop, effect):
    start, end = xy_of(desktop, 6, 6, 7), xy_of(desktop, 6, 6, 14)
    assert desktop.event(effect, "LeftButtonPressEvent", start)
    for share in np.linspace(0, 1, 8):
        place = tuple(int(a + (b - a) * share) for a, b in zip(start, end, strict=True))
        assert desktop.event(effect, "MouseMoveEvent", place)
        assert desktop.event(effect, "MouseMoveEvent", place)
    assert desktop.event(effect, "LeftButtonReleaseEvent", end)
    settle()
    assert (written(desktop)[6] >= (body()[6] > 0)).all()
    desktop.logic.Undo()
    assert not desktop.logic.CanUndo()


def test_events_that_are_not_for_the_effect_are_left(desktop, effect):
    xy = xy_of(desktop, 6, 6, 7)
    assert not desktop.event(effect, "MouseMoveEvent", xy)
    assert not desktop.event(effect, "MouseWheelForwardEvent", xy)
    assert not desktop.event(effect, "LeftButtonPressEvent", xy, shift=1)
    assert not desktop.event(effect, "LeftButtonReleaseEvent", xy, shift=1)
    assert not desktop.event(effect, "RightButtonPressEvent", xy)
    assert effect.self().processInteractionEvents(desktop.interactor, 12, ThreeDWidget()) is False
    settle()
    assert not written(desktop).any()


def test_double_click_is_answered_and_counts_as_one_click(desktop, effect):
    xy = xy_of(desktop, 6, 6, 7)
    desktop.click(effect, xy)
    assert desktop.event(effect, "LeftButtonDoubleClickEvent", xy)
    assert desktop.event(effect, "LeftButtonReleaseEvent", xy)
    settle()
    desktop.logic.Undo()
    assert not desktop.logic.CanUndo()


def test_markers_follow_clicks_slices_and_undo(desktop, effect):
    node = desktop.views["Red"].mrmlSliceNode()
    xy = xy_of(desktop, 6, 6, 7)
    desktop.click(effect, xy)
    settle()

    def shown():
        return sum(actor.GetMapper().GetInput().GetNumberOfPoints() for _, actor in effect._actors)

    assert shown() == 1
    place = next(a for _, a in effect._actors if a.GetMapper().GetInput().GetNumberOfPoints()).GetMapper().GetInput()
    assert np.allclose(place.GetPoint(0)[:2], xy, atol=6)  # the middle of the clicked pixel
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *desktop.bench.ras(8, 6, 7), 0)
    effect.self().processViewNodeEvents(node, 33, desktop.views["Red"])
    assert shown() == 0
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *desktop.bench.ras(6, 6, 7), 0)
    effect.self().processViewNodeEvents(node, 33, desktop.views["Red"])
    assert shown() == 1
    desktop.logic.Undo()
    settle()
    assert shown() == 0
    desktop.logic.Redo()
    settle()
    assert shown() == 1
    effect.self().layoutChanged()
    assert effect._actors == []


def test_class_segments_at_once_and_names_the_segment(desktop, effect, monkeypatch):
    box = widget_named("KPrismClass")
    box.clear()
    box.addItems(["liver", "spleen"])
    effect.self().onGuideChosen("class")
    assert widget_named("KPrismSegmentSlice").visible
    box.fire("activated(int)", 1)
    settle()
    assert np.array_equal(written(desktop)[6], body()[6] == 200)
    widget_named("KPrismNameSegment").click()
    segment = desktop.bench.segmentation.GetSegmentation().GetSegment("Liver")
    assert segment.GetName() == "Spleen"
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert np.array_equal(written(desktop)[6], body()[6] > 0)


def test_reference_is_added_used_and_removed(desktop, effect):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", body() == 200)
    desktop.event(effect, "MouseMoveEvent", (5, 5))
    effect.self().onGuideChosen("reference")
    widget_named("KPrismSegmentSlice").click()
    assert "reference" in widget_named("KPrismStatus").text
    widget_named("KPrismAddReference").click()
    references = widget_named("KPrismReferences")
    assert references.count == 1
    assert references.item(0)._values["toolTip"] == "Liver in CT"
    assert references.item(0)._values["icon"]._given
    desktop.parameters.SetSelectedSegmentID("Other")
    node = desktop.views["Red"].mrmlSliceNode()
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *desktop.bench.ras(8, 6, 7), 0)
    widget_named("KPrismSegmentSlice").click()
    settle()
    assert np.array_equal(written(desktop, "Other")[8], body()[8] == 200)
    references.setCurrentRow(0)
    widget_named("KPrismRemoveReference").click()
    assert references.count == 0


def test_what_is_wrong_stands_in_the_status_line(desktop, effect, monkeypatch):
    effect.self().onAddReference()
    assert "nothing of Liver" in widget_named("KPrismStatus").text
    desktop.parameters.SetSelectedSegmentID("")
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    assert "segment" in widget_named("KPrismStatus").text
    shared_model().unload()
    monkeypatch.setattr("KPrismLogic.readiness.find_spec", lambda name: None)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    assert "press Install" in widget_named("KPrismStatus").text
    assert widget_named("KPrismInstall").visible
    settle()
    assert not written(desktop).any()


def test_hidden_segment_that_is_not_confirmed_is_left_alone(desktop, effect):
    desktop.confirmation = 0
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert desktop.confirmations == 1
    assert not written(desktop).any()


def test_result_for_a_slice_that_is_no_longer_shown_is_dropped(desktop, effect):
    gate = threading.Event()
    shared_model().predictor().before_prediction = lambda: gate.wait(20)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    node = desktop.views["Red"].mrmlSliceNode()
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *desktop.bench.ras(8, 6, 7), 0)
    gate.set()
    settle()
    assert not written(desktop).any()
    assert "nothing was changed" in widget_named("KPrismStatus").text


@pytest.mark.parametrize("when", ["running", "idle"])
def test_leaving_leaves_nothing_behind(desktop, effect, when):
    segmentation = desktop.bench.segmentation.GetSegmentation()
    nodes = desktop.scene.GetNumberOfNodes()
    gate = threading.Event()
    shared_model().predictor().before_prediction = lambda: gate.wait(20)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    if when == "idle":
        gate.set()
        settle()
    before = written(desktop)
    desktop.deactivate(effect)
    assert effect._actors == []
    gate.set()
    settle()  # as long as the thread needs to end, and no longer
    assert timers() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("K-Prism")]
    segmentation.GetSegment("Other").Modified()
    segmentation.InvokeEvent(slicer.vtkSegmentation.SegmentModified)
    assert timers() == []  # nobody of ours was told
    assert desktop.scene.GetNumberOfNodes() <= nodes + 1  # Slicer's subject hierarchy
    assert np.array_equal(written(desktop), before)
    desktop.activate(effect)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert written(desktop).any()


def test_clicks_are_remembered_while_another_effect_is_used(desktop, effect):
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    desktop.click(effect, xy_of(desktop, 6, 6, 14))
    settle()
    desktop.deactivate(effect)
    desktop.activate(effect)
    assert effect.self().prompts_in(desktop.views["Red"]) == 2
    desktop.logic.Undo()
    assert effect.self().prompts_in(desktop.views["Red"]) == 1


def test_scene_closed_and_second_editor(desktop, effect):
    gate = threading.Event()
    shared_model().predictor().before_prediction = lambda: gate.wait(20)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    other = effect.self().clone()
    other.self().icon()
    other.self().setupOptionsFrame()
    desktop.scene.Clear(False)
    nodes = desktop.scene.GetNumberOfNodes()
    effect._parameters = None
    effect.self().setMRMLDefaults()
    gate.set()
    settle()
    assert desktop.scene.GetNumberOfNodes() == nodes  # the late answer went nowhere
    desktop.deactivate(effect)
    assert timers() == []
    assert effect._actors == []


def test_without_a_pointer_the_first_visible_view_counts(desktop, effect):
    red, yellow = (desktop.views[name].mrmlSliceNode() for name in ("Red", "Yellow"))
    assert effect.self().options.propagation.propagate.text == "Propagate (axial)"
    red.SetMappedInLayout(False)
    effect.self().layoutChanged()
    assert effect.self().options.propagation.propagate.text == "Propagate (sagittal)"
    yellow.SetVisibility(False)
    effect.self().onGuideChosen("class")
    effect.self().onClassChosen("liver")
    settle()
    assert not written(desktop).any()
    assert widget_named("KPrismStatus").text.endswith("Show a slice view first.")


def test_views_that_are_gone_are_not_touched(desktop, effect):
    """As at the end of Slicer, when the main window may go before the editor."""
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    desktop.event(effect, "MouseMoveEvent", (5, 5), view="Yellow")
    for view in desktop.views.values():
        view._alive = False
    desktop.logic.Undo()
    settle()
    effect.self().cleanup()
    desktop.active = None
    assert timers() == []
    assert [one for one in Strict.made if one._slots] == []


def test_pausing_over_a_slice_makes_its_first_click_cheap(desktop, effect):
    predictor = shared_model().predictor()
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, 6, 6, 7))
    settle()
    encoded = len(predictor.encoded)
    assert encoded == 3  # the slice and its neighbours
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    assert len(predictor.encoded) == encoded
    settle()
    assert written(desktop).any()


def test_click_while_the_model_loads_is_kept(desktop, effect, monkeypatch):
    model, gate = shared_model(), threading.Event()
    flood = model.predictor()
    model.unload()
    monkeypatch.setattr("KPrismLib.predictor.Predictor.load", lambda *_, **__: gate.wait(20) and flood)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    assert "loading the model" in widget_named("KPrismStatus").text
    desktop.click(effect, xy_of(desktop, 6, 6, 14))
    assert not written(desktop).any()
    gate.set()
    settle()
    assert np.array_equal(written(desktop)[6], body()[6] > 0)
    assert effect.self().prompts_in(desktop.views["Red"]) == 2


def test_enter_asks_for_the_guide_again_and_other_keys_are_left(desktop, effect, monkeypatch):
    xy = xy_of(desktop, 6, 6, 7)
    desktop.interactor.SetKeySym("Return")
    assert not desktop.event(effect, "KeyPressEvent", xy)
    effect.self().onGuideChosen("class")
    effect.self().scriptedEffect.setParameter("Class", "liver")
    assert desktop.event(effect, "KeyPressEvent", xy)
    settle()
    assert np.array_equal(written(desktop)[6], body()[6] == 100)
    desktop.interactor.SetKeySym("s")
    assert not desktop.event(effect, "KeyPressEvent", xy)
    desktop.deactivate(effect)
    desktop.interactor.SetKeySym("Return")
    assert not desktop.event(effect, "KeyPressEvent", xy)


def test_markers_follow_a_segmentation_that_a_script_chooses(desktop, effect):
    bench = desktop.bench
    desktop.event(effect, "MouseMoveEvent", (5, 5))
    other = segmentation_node(desktop.scene, bench.volume)
    desktop.parameters.SetAndObserveSegmentationNode(other)
    desktop.logic.SetSegmentationNode(other)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert effect.self().prompts_in(desktop.views["Red"]) == 1
    bench.segmentation.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.SegmentModified)
    assert timers() == []  # the old one is not watched any more
    desktop.logic.Undo()
    assert timers() != []
    settle()
    assert not any(actor.GetMapper().GetInput().GetNumberOfPoints() for _, actor in effect._actors)


def test_cleaning_up_lets_go_of_every_widget(desktop, effect):
    effect.self().cleanup()
    assert [one for one in Strict.made if one._slots] == []


def test_strict_widgets_are_strict(desktop):
    import qt

    with pytest.raises(AttributeError, match="no member"):
        qt.QLabel().setTitle("x")
    with pytest.raises(AttributeError):
        _ = qt.QNothing
    with pytest.raises(AttributeError):
        _ = qt.QComboBox.NoSuchPolicy
    with pytest.raises(AssertionError):
        qt.QPushButton().connect("pushed()", print)
