"""Another segment is selected while the effect is chosen; of that effects are told nothing."""

import numpy as np
import pytest

from Testing.slicer.desktop.strict_effect import settle, timers, widget_named, written, xy_of
from Testing.slicer.scenes import LIVER, draw_layers, segmentation_node

pytestmark = pytest.mark.usefixtures("flood_propagation")


def _dots(effect):
    return sum(actor.GetMapper().GetInput().GetNumberOfPoints() for _, actor in effect._actors)


def _click(desktop, effect):
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()


def test_dots_are_those_of_the_selected_segment(desktop, effect):
    _click(desktop, effect)
    assert _dots(effect) == 1
    for segment_id, dots in (("Other", 0), ("Liver", 1), ("", 0)):
        desktop.parameters.SetSelectedSegmentID(segment_id)
        settle()
        assert _dots(effect) == dots


def test_strip_and_way_to_the_least_certain_slice_are_those_of_the_selected_segment(desktop, effect):
    draw_layers(desktop.bench, 6)
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, 6, 6, 7))
    widget_named("KPrismPropagate").click()
    settle()
    assert np.array_equal(written(desktop), LIVER)
    for segment_id, there in (("Other", False), ("Liver", True), ("", False)):
        desktop.parameters.SetSelectedSegmentID(segment_id)
        settle()
        assert widget_named("KPrismConfidence").visible == there
        assert widget_named("KPrismLeastCertain").enabled == there
    assert not widget_named("KPrismPropagate").enabled


def test_dots_follow_a_segmentation_that_a_script_chooses(desktop, effect):
    _click(desktop, effect)
    desktop.parameters.SetAndObserveSegmentationNode(segmentation_node(desktop.scene, desktop.bench.volume))
    settle()
    assert _dots(effect) == 0


def test_parameters_of_effects_are_no_selection(desktop, effect):
    settle()
    desktop.parameters.SetAttribute("Paint.BrushShape", "sphere")
    desktop.parameters.SetSelectedSegmentID("Liver")  # as before
    assert timers() == []
    desktop.parameters.SetSelectedSegmentID("Other")
    assert len(timers()) == 1


@pytest.mark.parametrize("end", ["deactivate", "cleanup"])
def test_nobody_is_told_of_a_selection_once_the_effect_is_left(desktop, effect, end):
    parameters = desktop.parameters
    _click(desktop, effect)
    parameters.SetSelectedSegmentID("Other")
    assert timers() != []
    desktop.active = None
    getattr(effect.self(), end)()
    assert timers() == []
    parameters.SetSelectedSegmentID("Liver")
    assert timers() == []


def test_an_effect_of_another_editor_is_not_told(desktop, effect):
    other = effect.self().clone()
    other._parameters = desktop.parameters
    other.self().setupOptionsFrame()
    desktop.parameters.SetSelectedSegmentID("Other")
    assert len(timers()) == 1
    settle()
    other.self().cleanup()
    desktop.parameters.SetSelectedSegmentID("Liver")
    assert len(timers()) == 1
    settle()


@pytest.mark.parametrize("end", ["scene closed", "node deleted"])
def test_the_editors_node_goes_while_it_is_watched(desktop, effect, end):
    _click(desktop, effect)
    parameters = desktop.parameters
    if end == "scene closed":
        desktop.scene.Clear(False)
    else:
        desktop.scene.RemoveNode(parameters)
    effect._parameters = None
    parameters.SetSelectedSegmentID("Other")
    settle()
    assert _dots(effect) == 0
    effect.self().sourceVolumeNodeChanged()
    settle()
    parameters.SetSelectedSegmentID("Liver")
    assert timers() == []  # the old node is not watched any more
    desktop.deactivate(effect)
    assert timers() == []


def test_another_node_of_the_editor_is_watched_instead(desktop, effect):
    _click(desktop, effect)
    before, after = desktop.parameters, desktop.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    after.Copy(before)
    after.SetSelectedSegmentID("Other")
    effect._parameters = after
    effect.self().setMRMLDefaults()
    desktop.event(effect, "MouseMoveEvent", (5, 5))
    settle()
    assert _dots(effect) == 0
    before.SetSelectedSegmentID("Other")
    assert timers() == []
    after.SetSelectedSegmentID("Liver")
    settle()
    assert _dots(effect) == 1
