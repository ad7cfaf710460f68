"""One segment propagated after another, in the effect and in the panel; and the model unloaded in between."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from KPrismLogic.model import shared_model
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.carrying import find_class
from Testing.slicer.desktop.strict_effect import height_of, settle, show_layer, widget_named, work_in, written, xy_of
from Testing.slicer.scenes import LIVER, draw_layers, fill

pytestmark = pytest.mark.usefixtures("flood_propagation")


def _press():
    widget_named("KPrismPropagate").click()
    settle()


def _correct(bench, layer):
    corrected = bench.array()
    corrected[layer, :5] = False
    fill(bench.editor, bench.segmentation, "Liver", corrected)
    return corrected


def _propagate_both(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    _press()
    draw_layers(desktop.bench, 8, segment_id="Other")
    desktop.parameters.SetSelectedSegmentID("Other")
    show_layer(desktop, effect, 8)
    _press()
    assert written(desktop, "Other")[[6, 7, 9]].any(axis=(1, 2)).all()


def test_the_effect_goes_on_with_a_segment_after_another_one(desktop, effect):
    _propagate_both(desktop, effect)
    desktop.parameters.SetSelectedSegmentID("Liver")
    show_layer(desktop, effect, 4)
    assert widget_named("KPrismConfidence").visible
    corrected = _correct(desktop.bench, 4)
    _press()
    assert effect.self()._propagation._runs.last.accepted == (4, 6)
    assert "Done: 9 slices written." in widget_named("KPrismStatus").text
    assert np.array_equal(written(desktop)[4], corrected[4])


def _find_one_column_less(monkeypatch):
    predictor = shared_model().predictor()
    segment = predictor.segment

    def changed(image, **guide):
        mask = segment(image, **guide).mask
        mask = mask & np.roll(mask, 1, 1)
        return SimpleNamespace(mask=mask, probability=mask * 0.95)

    monkeypatch.setattr(predictor, "segment", changed)


def test_in_the_effect_another_plane_corrects_nothing(desktop, effect, monkeypatch):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismKeepDrawn").checked = False
    _press()
    work_in(desktop, effect, "Yellow")
    with monkeypatch.context() as worse:
        _find_one_column_less(worse)
        _press()
    work_in(desktop, effect, "Red")
    _press()
    assert effect.self()._propagation._runs.last.accepted == (6,)


def test_in_the_panel_another_plane_corrects_nothing(panel, monkeypatch):
    ui = panel.ui
    draw_layers(panel.bench, 7)
    ui.keepDrawnCheckBox.checked = False
    for plane in ("axial", "sagittal", "axial"):
        ui.planeBox.setCurrentText(plane)
        with monkeypatch.context() as worse:
            if plane == "sagittal":
                _find_one_column_less(worse)
            ui.propagateButton.click()
            settle()
    assert panel.widget.panel._runs.last.accepted == (7,)
    panel.widget.cleanup()


def _find_class(effect, bench, target):
    return find_class(bench, target, "liver", effect.self()._propagation._runs)


def test_the_effect_carries_on_what_a_class_found_in_the_panel(desktop, effect):
    bench = desktop.bench
    target = bench.target(SlicePlane.of_volume(bench.volume, "axial"))
    by_class = _find_class(effect, bench, target)
    corrected = _correct(bench, 4)
    show_layer(desktop, effect, 6)
    assert widget_named("KPrismConfidence").visible
    _press()
    run = effect.self()._propagation._runs.last
    assert run is by_class
    assert run.accepted == (4, 6)
    assert np.array_equal(written(desktop)[4], corrected[4])
    assert np.array_equal(written(desktop)[5:], LIVER[5:])


def test_the_effect_shows_what_the_panel_made_of_a_propagation_and_knows_the_class(desktop, effect):
    bench = desktop.bench
    bench.segmentation.GetSegmentation().GetSegment("Liver").SetName("Left part")
    draw_layers(bench, 6)
    show_layer(desktop, effect, 6)
    _press()
    before = widget_named("KPrismConfidence").pixmap
    desktop.deactivate(effect)
    run = _find_class(effect, bench, effect.self()._propagation._runs.last.target)
    desktop.activate(effect)
    assert widget_named("KPrismConfidence").pixmap is not before
    show_layer(desktop, effect, 6)
    _press()
    assert effect.self()._propagation._runs.last is run
    assert run._pieces.engine._run.cls == "liver"


def test_a_click_refines_what_a_class_found_as_the_models_own(desktop, effect):
    bench = desktop.bench
    target = bench.target(SlicePlane.of_volume(bench.volume, "axial"))
    _find_class(effect, bench, target)
    show_layer(desktop, effect, 6)
    desktop.click(effect, xy_of(desktop, 14, 6, 6))
    settle()
    assert shared_model().predictor().began_with == ["found"]


def test_a_click_refines_a_correction_as_the_users_own_also_after_another_segment(desktop, effect):
    bench = desktop.bench
    _find_class(effect, bench, bench.target(SlicePlane.of_volume(bench.volume, "axial")))
    _correct(bench, 4)
    show_layer(desktop, effect, 6)
    _press()
    draw_layers(bench, 8, segment_id="Other")
    desktop.parameters.SetSelectedSegmentID("Other")
    show_layer(desktop, effect, 8)
    _press()
    desktop.parameters.SetSelectedSegmentID("Liver")
    show_layer(desktop, effect, 4)
    began_with = shared_model().predictor().began_with
    began_with.clear()
    desktop.click(effect, xy_of(desktop, 14, 6, 4))
    settle()
    assert began_with == ["drawn"]


def test_a_press_that_starts_nothing_replaces_nothing(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    _press()
    run = effect.self()._propagation._runs.last
    draw_layers(desktop.bench, 8, segment_id="Other")
    desktop.parameters.SetSelectedSegmentID("Other")
    show_layer(desktop, effect, 8)
    widget_named("KPrismRange").setValues(height_of(desktop, 8), height_of(desktop, 8))
    _press()
    assert "Every slice of the range is kept" in widget_named("KPrismStatus").text
    assert effect.self()._propagation._runs.last is run


def test_the_panel_goes_on_with_a_segment_after_another_one(panel):
    bench, ui = panel.bench, panel.ui
    draw_layers(bench, 7)
    draw_layers(bench, 7, segment_id="Other")
    for name in ("Liver", "Other"):
        ui.segmentEdit.setText(name)
        ui.propagateButton.click()
        settle()
    corrected = _correct(bench, 4)
    ui.segmentEdit.setText("Liver")
    ui.propagateButton.click()
    settle()
    assert panel.widget.panel._runs.last.accepted == (4, 7)
    assert np.array_equal(bench.array()[4], corrected[4])
    bench.segmentation.GetSegmentation().RemoveSegment("Liver")
    panel.widget.exit()
    panel.widget.enter()
    assert panel.widget.panel._runs.last.target.segment_id == "Other"
    panel.widget.cleanup()


@pytest.mark.parametrize("how", ["unload", "device", "weights"])
def test_the_panel_gives_the_memory_of_the_model_back_after_a_propagation(panel, how):
    model, ui = shared_model(), panel.ui
    draw_layers(panel.bench, 7)
    ui.propagateButton.click()
    settle()
    gone = weakref.ref(model.predictor())
    name, device = model.name, model.chosen_device
    if how == "unload":
        ui.unloadButton.click()
    elif how == "device":
        ui.deviceBox.setCurrentText("cuda")
        ui.deviceBox.fire("activated(int)", 1)
    else:
        ui.modelEdit.setText("base")
        ui.modelEdit.fire("editingFinished()")
    gc.collect()
    assert gone() is None
    assert ui.confidenceLabel.visible  # what was found is still known
    model.choose(name, device)
    panel.widget.cleanup()
