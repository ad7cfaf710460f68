"""What the Segment Editor's masking and overwriting make of a click, and of one that corrects it."""

import numpy as np
import pytest
import slicer

from Testing.slicer.desktop.strict_effect import settle, show_layer, widget_named, written, xy_of
from Testing.slicer.scenes import LIVER, SPLEEN, fill


def _dots(effect):
    return sum(actor.GetMapper().GetInput().GetNumberOfPoints() for _, actor in effect._actors)


def test_a_correction_leaves_no_hole_in_a_neighbour_that_the_editor_lets_be_overwritten(desktop, effect):
    desktop.parameters.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode().GetOverwriteMode())  # as a new editor has it
    fill(desktop.bench.editor, desktop.bench.segmentation, "Other", SPLEEN)
    show_layer(desktop, effect, 6)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    desktop.click(effect, xy_of(desktop, 6, 6, 14))
    settle()
    assert not written(desktop, "Other")[6].any()
    desktop.deactivate(effect)  # what was taken is known as long as the clicks are
    desktop.activate(effect)
    desktop.click(effect, xy_of(desktop, 6, 7, 14), ctrl=1)
    settle()
    assert np.array_equal(written(desktop)[6], LIVER[6])
    assert np.array_equal(written(desktop, "Other"), SPLEEN)
    for _ in range(3):
        desktop.logic.Undo()
    assert not desktop.logic.CanUndo()
    assert not written(desktop).any()
    assert np.array_equal(written(desktop, "Other"), SPLEEN)


@pytest.mark.parametrize("rule", ["editable area", "intensity range"])
def test_a_click_that_masks_forbid_says_so_and_leaves_nothing(desktop, effect, rule):
    if rule == "editable area":
        desktop.parameters.SetMaskMode(desktop.bench.segmentation.EditAllowedInsideSingleSegment)
        desktop.parameters.SetMaskSegmentID("Other")
    else:
        desktop.parameters.SetSourceVolumeIntensityMask(True)
        desktop.parameters.SetSourceVolumeIntensityMaskRange(150, 250)
    show_layer(desktop, effect, 6)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()
    assert widget_named("KPrismStatus").text.endswith("lets nothing be written here; nothing was changed.")
    assert not written(desktop).any()
    assert _dots(effect) == 0
    assert not desktop.logic.CanUndo()
    desktop.parameters.SetMaskMode(desktop.bench.segmentation.EditAllowedEverywhere)
    desktop.parameters.SetSourceVolumeIntensityMask(False)
    desktop.click(effect, xy_of(desktop, 6, 6, 8))
    settle()
    assert np.array_equal(written(desktop)[6], LIVER[6])
    assert _dots(effect) == 1


@pytest.mark.parametrize("guide", ["class", "reference"])
def test_one_undo_takes_back_what_was_asked_for_twice(desktop, effect, guide):
    show_layer(desktop, effect, 6)
    if guide == "reference":
        fill(desktop.bench.editor, desktop.bench.segmentation, "Other", LIVER)
        desktop.parameters.SetSelectedSegmentID("Other")
        effect.self().onAddReference()
        desktop.parameters.SetSelectedSegmentID("Liver")
        settle()
    effect.self().onGuideChosen(guide)
    effect.self().scriptedEffect.setParameter("Class", "liver")
    for _ in range(2):
        widget_named("KPrismSegmentSlice").click()
        settle()
        assert "ms" in widget_named("KPrismStatus").text
    assert np.array_equal(written(desktop)[6], LIVER[6])
    desktop.logic.Undo()
    assert not written(desktop).any()
    assert not desktop.logic.CanUndo()
