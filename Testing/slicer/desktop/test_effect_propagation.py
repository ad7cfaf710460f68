"""Propagate in the effect: live, stoppable, one undo state, through the editor's own rules."""

import numpy as np
import pytest
import slicer

from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import (
    height_of,
    press,
    settle,
    show_layer,
    status,
    widget_named,
    work_in,
    written,
    xy_of,
)
from Testing.slicer.scenes import (
    LIVER,
    SPLEEN,
    body,
    draw_layers,
    fill,
    segment_array,
    view_plane,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")


def test_the_shown_slice_goes_through_the_volume_in_one_undo_state(desktop, effect):
    known = draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    assert not widget_named("KPrismConfidence").visible
    assert not widget_named("KPrismCancel").visible
    press("KPrismPropagate")
    assert widget_named("KPrismCancel").visible
    assert widget_named("KPrismProgress").visible
    assert not widget_named("KPrismPropagate").enabled
    settle()
    assert np.array_equal(written(desktop), LIVER)
    assert "slices written" in status()
    assert not widget_named("KPrismCancel").visible
    assert widget_named("KPrismPropagate").enabled
    assert widget_named("KPrismConfidence").visible
    desktop.logic.Undo()
    assert np.array_equal(written(desktop), known)
    assert not desktop.logic.CanUndo()


def test_slices_appear_one_by_one(desktop, effect, monkeypatch):
    from KPrismDesktop.run_progress import RunProgress

    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    seen = []
    monkeypatch.setattr(
        RunProgress,
        "step",
        lambda _, done, count: seen.append((done, count, int(written(desktop).any(axis=(1, 2)).sum()))),
    )
    press("KPrismPropagate")
    settle()
    layers = int(LIVER.any(axis=(1, 2)).sum())
    # The slices beside the structure, where nothing of it was found, count as written too.
    assert [(done, count) for done, count, _ in seen] == [(number, 14) for number in range(1, len(seen) + 1)]
    assert sorted({shown for *_, shown in seen}) == list(range(2, layers + 1))


def test_only_the_range_is_written(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismRange").setValues(height_of(desktop, 5), height_of(desktop, 8))
    press("KPrismPropagate")
    settle()
    expected = np.zeros(body().shape, bool)
    expected[5:9] = LIVER[5:9]
    assert np.array_equal(written(desktop), expected)
    # Scrolling in the plane keeps the range; another plane has one of its own.
    show_layer(desktop, effect, 7)
    assert widget_named("KPrismRange").minimumValue == pytest.approx(height_of(desktop, 5), abs=0.01)
    work_in(desktop, effect, "Yellow")
    assert widget_named("KPrismRange").minimumValue == widget_named("KPrismRange").minimum


@pytest.mark.parametrize("plane", ["sagittal", "oblique"])
def test_any_plane(desktop, effect, plane):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", np.zeros(body().shape, bool))
    node = desktop.views["Yellow"].mrmlSliceNode()
    if plane == "oblique":
        cut = view_plane("oblique", desktop.bench.ras(6, 6, 7))
        node.SetSliceToRASByNTP(*cut.normal, *cut.rightwards, *desktop.bench.ras(6, 6, 7), 0)
    desktop.click(effect, xy_of(desktop, 6, 6, 7, "Yellow"), view="Yellow")
    settle()
    one = written(desktop)
    assert widget_named("KPrismPropagate").text == f"Propagate ({plane})"
    press("KPrismPropagate")
    settle()
    found = written(desktop)
    if plane == "sagittal":
        assert np.array_equal(found, LIVER)
    else:
        assert (found & LIVER).sum() > 0.8 * LIVER.sum()
    desktop.logic.Undo()
    assert np.array_equal(written(desktop), one)


def test_the_least_certain_slice_is_shown_corrected_and_taken_up(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    shared_model().predictor().doubtful = lambda image: not (image.pixels == 200).any()
    assert not widget_named("KPrismLeastCertain").enabled
    press("KPrismPropagate")
    settle()
    assert widget_named("KPrismLeastCertain").enabled
    press("KPrismLeastCertain")
    shown = desktop.views["Red"].mrmlSliceNode().GetSliceToRAS().GetElement(2, 3)
    layer = min(range(14), key=lambda k: abs(height_of(desktop, k) - shown))
    assert not SPLEEN[layer].any()
    show_layer(desktop, effect, layer)
    corrected = written(desktop)
    corrected[layer, :2, :2] = True
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", corrected)
    desktop.deactivate(effect)  # as when another effect corrects
    desktop.activate(effect)
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, layer, 6, 7))
    assert widget_named("KPrismConfidence").visible
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop)[layer], corrected[layer])
    assert effect.self()._propagation._runs.last.accepted == tuple(sorted((layer, 6)))


@pytest.mark.parametrize(("keep", "aside"), [(True, 0), (False, 0), (False, 0.3)])
def test_slices_that_were_clicked_are_examples_and_stay(desktop, effect, keep, aside):
    """Also those that a view showed beside their middle, as after a jump."""
    widget_named("KPrismKeepDrawn").setChecked(keep)
    for k, value in ((4, 7), (8, 14)):
        show_layer(desktop, effect, k + aside)
        desktop.click(effect, xy_of(desktop, k, 6, value))
        settle()
    clicked = written(desktop)
    assert np.array_equal(clicked[8], SPLEEN[8])
    show_layer(desktop, effect, 4)
    press("KPrismPropagate")
    settle()
    found = written(desktop)
    assert np.array_equal(found[[4, 8]], clicked[[4, 8]])
    assert np.array_equal(found[10], SPLEEN[10])
    assert np.array_equal(found[3], LIVER[3])


@pytest.mark.parametrize("keep", [True, False])
def test_slices_that_were_drawn_with_another_effect_stay_unless_they_are_to_be_found_again(desktop, effect, keep):
    drawn = draw_layers(desktop.bench, 6)
    drawn[8] = SPLEEN[8]
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", drawn)
    show_layer(desktop, effect, 6)
    assert widget_named("KPrismKeepDrawn").checked
    widget_named("KPrismKeepDrawn").setChecked(keep)
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop)[8], (SPLEEN if keep else LIVER)[8])
    assert np.array_equal(written(desktop)[5], LIVER[5])


@pytest.mark.parametrize("painted", [True, False])
def test_clicks_keep_what_somebody_drew_and_may_overrule_what_a_run_found(desktop, effect, painted):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    press("KPrismPropagate")
    settle()
    if painted:
        drawn = written(desktop)
        drawn[8, 0:3, 0:3] = True
        fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", drawn)
    show_layer(desktop, effect, 8)
    desktop.click(effect, xy_of(desktop, 8, 6, 14))
    settle()
    assert shared_model().predictor().began_with == ["drawn" if painted else "found"]
    assert np.array_equal(written(desktop)[8, 3:], (LIVER | SPLEEN)[8, 3:])


@pytest.mark.parametrize(("guide", "expected"), [("class", "spleen"), ("clicks", "liver")])
def test_the_class_that_is_chosen_goes_along_otherwise_the_segments_name(desktop, effect, guide, expected):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    effect.self().onGuideChosen(guide)
    effect.self().scriptedEffect.setParameter("Class", "spleen")
    press("KPrismPropagate")
    settle()
    assert effect.self()._propagation._runs.last._pieces.engine._run.cls == expected


def test_editing_waits_for_the_end_of_the_run(desktop, effect, gate):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    gate.close()
    press("KPrismPropagate")
    assert gate.reached.wait(20)
    desktop.click(effect, xy_of(desktop, 6, 6, 14))
    assert "Press Cancel first" in status()
    effect.self().onGuideChosen("class")
    effect.self().scriptedEffect.setParameter("Class", "spleen")
    effect.self().onSegmentShownSlice()
    effect.self().onNameSegment()
    press("KPrismPropagate")
    gate.open()
    settle()
    assert np.array_equal(written(desktop), LIVER)
    desktop.logic.Undo()
    assert not desktop.logic.CanUndo()


def test_the_editors_rules_hold(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    other = np.zeros(body().shape, bool)
    other[8, 4:8, 4:8] = True
    fill(desktop.bench.editor, desktop.bench.segmentation, "Other", other)
    desktop.parameters.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    press("KPrismPropagate")
    settle()
    assert np.array_equal(segment_array(desktop.bench.editor, desktop.bench.segmentation, "Other"), other)
    assert np.array_equal(written(desktop), LIVER & ~other)


@pytest.mark.parametrize("somewhere", [False, True])
def test_it_is_said_where_masking_let_nothing_be_written(desktop, effect, somewhere):
    known = draw_layers(desktop.bench, 6)
    area = np.zeros(body().shape, bool)
    area[:6] = somewhere
    fill(desktop.bench.editor, desktop.bench.segmentation, "Other", area)
    desktop.parameters.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    desktop.parameters.SetMaskSegmentID("Other")
    show_layer(desktop, effect, 6)
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop), known | (LIVER & area))
    masked = "The Segment Editor's masking (editable area or intensity range) lets nothing be written"
    if somewhere:
        # Of ten slices, with those beside the structure, layers 7 to 9 are outside the area.
        assert status().endswith(f"– Done: 7 slices written. {masked} in 3 of the slices.")
        return
    assert status().endswith(f"– {masked} where this was found; nothing was changed.")
    desktop.parameters.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop), LIVER)
    assert status().endswith("Done: 10 slices written.")


def test_what_is_wrong_stands_in_the_status_line(desktop, effect, monkeypatch):
    show_layer(desktop, effect, 6)
    press("KPrismPropagate")
    assert "holds nothing of Liver" in status()
    draw_layers(desktop.bench, 6)
    widget_named("KPrismRange").setValues(height_of(desktop, 9), height_of(desktop, 11))
    monkeypatch.setattr(widget_named("KPrismRange").__class__, "setRange", lambda *_: None)
    press("KPrismPropagate")
    settle()
    assert "widen the range, or show a slice inside it" in status()
    assert not effect.self().propagating
    desktop.confirmation = 0
    press("KPrismPropagate")
    assert not effect.self().propagating
    desktop.parameters.SetSelectedSegmentID("")
    effect.self().updateGUIFromMRML()
    assert not widget_named("KPrismPropagate").enabled
    assert widget_named("KPrismPropagate").text == "Propagate"


def test_a_range_of_one_slice_has_nothing_left_to_segment(desktop, effect):
    known = draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismRange").setValues(height_of(desktop, 6), height_of(desktop, 6))
    press("KPrismPropagate")
    settle()
    assert "Every slice of the range is kept" in status()
    assert widget_named("KPrismPropagate").enabled
    assert np.array_equal(written(desktop), known)
    assert not desktop.logic.CanUndo()


def test_the_strip_is_that_of_the_selected_segment(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    press("KPrismPropagate")
    settle()
    desktop.parameters.SetSelectedSegmentID("Other")
    effect.self().updateGUIFromMRML()
    assert not widget_named("KPrismConfidence").visible
    assert not widget_named("KPrismLeastCertain").enabled
    desktop.parameters.SetSelectedSegmentID("Liver")
    effect.self().updateGUIFromMRML()
    assert widget_named("KPrismConfidence").visible
