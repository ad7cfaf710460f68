"""While the mouse has another tool, as placing a markup or window and level, the effect leaves it to that."""

import pytest
import slicer

from Testing.slicer.desktop.strict_effect import settle, written, xy_of


@pytest.mark.parametrize("tool", ["Place", "AdjustWindowLevel", "Select"])
def test_other_tools_of_the_mouse_get_the_clicks(desktop, effect, tool):
    node = slicer.vtkMRMLInteractionNode()
    node.SetCurrentInteractionMode(getattr(node, tool))
    effect.self().interactionNodeModified(node)
    assert not desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert not written(desktop).any()
    node.SetCurrentInteractionMode(node.ViewTransform)
    effect.self().interactionNodeModified(node)
    assert desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert written(desktop).any()


def test_a_stroke_ends_where_another_tool_begins(desktop, effect):
    node = slicer.vtkMRMLInteractionNode()
    first, last = xy_of(desktop, 6, 6, 7), xy_of(desktop, 6, 6, 14)
    desktop.event(effect, "LeftButtonPressEvent", first)
    node.SetCurrentInteractionMode(node.AdjustWindowLevel)
    effect.self().interactionNodeModified(node)
    node.SetCurrentInteractionMode(node.ViewTransform)
    effect.self().interactionNodeModified(node)
    desktop.event(effect, "MouseMoveEvent", last)
    desktop.event(effect, "LeftButtonReleaseEvent", last)
    settle()
    assert not written(desktop).any()


def test_clicks_arrive_after_the_effect_was_left_during_placement(desktop, effect):
    node = slicer.vtkMRMLInteractionNode()
    node.SetCurrentInteractionMode(node.Place)
    effect.self().interactionNodeModified(node)
    desktop.deactivate(effect)
    # The placement ends now, but only active effects are told of it.
    desktop.activate(effect)
    assert desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert written(desktop).any()
