"""The slice that the panel's buttons mean: that of the view in which the user clicked, scrolled or typed last."""

import numpy as np
import pytest
import slicer

from Testing.slicer.desktop.strict_effect import ThreeDWidget, scrolled, settle, widget_named, work_in, written, xy_of
from Testing.slicer.scenes import LIVER


def _plane():
    return widget_named("KPrismPropagate").text.removeprefix("Propagate ")


def _cross(desktop, effect, *views):
    for view in views:
        desktop.event(effect, "EnterEvent", (5, 5), view=view)
        desktop.event(effect, "MouseMoveEvent", (5, 5), view=view)
        desktop.event(effect, "LeaveEvent", (0, 0), view=view)


@pytest.mark.parametrize("event", ["LeftButtonPressEvent", "RightButtonPressEvent", "KeyPressEvent"])
def test_crossing_a_view_on_the_way_to_the_panel_changes_nothing(desktop, effect, event):
    desktop.interactor.SetKeySym("s")
    _cross(desktop, effect, "Red")
    desktop.event(effect, event, (5, 5), view="Yellow", shift=1)
    _cross(desktop, effect, "Red")
    assert _plane() == "(sagittal)"
    effect.self().onGuideChosen("class")
    effect.self().onClassChosen("liver")
    settle()
    assert np.array_equal(written(desktop)[:, :, 7], LIVER[:, :, 7])
    assert written(desktop).sum() == LIVER[:, :, 7].sum()
    widget_named("KPrismAddReference").click()
    assert widget_named("KPrismReferences").count == 1  # the sagittal slice holds the segment everywhere


def test_the_first_view_that_is_pointed_at_counts_until_one_is_worked_in(desktop, effect):
    assert _plane() == "(axial)"  # of the first view of the layout
    _cross(desktop, effect, "Yellow", "Red")
    assert _plane() == "(sagittal)"
    work_in(desktop, effect, "Red")
    assert _plane() == "(axial)"
    effect.self().layoutChanged()
    _cross(desktop, effect, "Yellow")
    assert _plane() == "(sagittal)"


def test_scrolling_a_view_by_its_slider_counts_and_following_another_one_does_not(desktop, effect):
    work_in(desktop, effect, "Yellow")
    scrolled(desktop, effect, "Red", by_user=False)
    assert _plane() == "(sagittal)"
    scrolled(desktop, effect, "Red")
    assert _plane() == "(axial)"
    three_d = ThreeDWidget()
    effect.self().processViewNodeEvents(_turning(desktop), 33, three_d)
    assert _plane() == "(axial)"


def test_a_jump_of_a_view_whose_slider_was_dragged_away_and_back_does_not_count(desktop, effect):
    node = desktop.views["Red"].mrmlSliceNode()
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(desktop.scene)
    logic.SetSliceNode(node)
    work_in(desktop, effect, "Yellow")
    desktop.point_at("Red")
    start = logic.GetSliceOffset()
    for offset in (start + 5, start):
        # As while a slider is dragged; it ends the interaction only where it is let go at another place.
        logic.StartSliceOffsetInteraction()
        logic.SetSliceOffset(offset)
        effect.self().processViewNodeEvents(node, 33, desktop.views["Red"])
    assert _plane() == "(axial)"
    work_in(desktop, effect, "Yellow")
    node.JumpSliceByOffsetting(*desktop.bench.ras(4, 6, 7))  # the pointer moves with the Shift key in the other view
    effect.self().processViewNodeEvents(node, 33, desktop.views["Red"])
    assert _plane() == "(sagittal)"


def _turning(desktop):
    node = slicer.vtkMRMLViewNode()
    node.SetInteractionFlags(slicer.vtkMRMLSliceNode.SliceToRASFlag)
    return node


def test_enter_means_the_view_under_the_pointer(desktop, effect):
    work_in(desktop, effect, "Yellow")
    effect.self().onGuideChosen("class")
    effect.self().scriptedEffect.setParameter("Class", "liver")
    desktop.interactor.SetKeySym("Return")
    desktop.event(effect, "KeyPressEvent", (5, 5), view="Red")
    settle()
    assert np.array_equal(written(desktop)[6], LIVER[6])


def test_the_slice_under_the_pointer_is_prepared_wherever_the_user_works(desktop, effect):
    work_in(desktop, effect, "Yellow")
    settle()
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, 6, 6, 7), view="Red")
    shown = []
    effect.self()._active.session.prefetch = shown.append
    settle()
    assert [node.GetName() for node in shown] == ["Red"]
