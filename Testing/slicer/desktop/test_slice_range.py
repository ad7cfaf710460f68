"""The range of slices that was chosen for a plane, in the effect and in the panel."""

import numpy as np
import pytest

from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.slice_stack import SliceStack
from Testing.slicer.desktop.strict_effect import (
    height_of,
    scrolled,
    settle,
    show_layer,
    widget_named,
    work_in,
    written,
)
from Testing.slicer.scenes import body, draw_layers, geometry, volume_node

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.mark.parametrize("way", ["another view", "no segment", "another effect"])
def test_the_range_is_still_there_when_its_plane_is(desktop, effect, way):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismRange").setValues(height_of(desktop, 5), height_of(desktop, 8))
    if way == "another view":
        work_in(desktop, effect, "Yellow")
        assert widget_named("KPrismRange").minimumValue == widget_named("KPrismRange").minimum
    elif way == "no segment":
        desktop.parameters.SetSelectedSegmentID("")
        effect.self().updateGUIFromMRML()
        assert not widget_named("KPrismRange").enabled
        desktop.parameters.SetSelectedSegmentID("Liver")
        effect.self().updateGUIFromMRML()
    else:
        desktop.deactivate(effect)
        desktop.activate(effect)
    work_in(desktop, effect, "Red")
    widget_named("KPrismPropagate").click()
    settle()
    assert np.flatnonzero(written(desktop).any(axis=(1, 2))).tolist() == [5, 6, 7, 8]


def test_while_a_view_is_turned_no_slices_are_looked_for(desktop, effect, monkeypatch):
    found, through = [], SliceStack.through
    monkeypatch.setattr(SliceStack, "through", lambda *of: found.append(of) or through(*of))
    show_layer(desktop, effect, 6)
    found.clear()
    node, middle = desktop.views["Red"].mrmlSliceNode(), desktop.bench.ras(6, 6, 7)
    for step in range(1, 20):
        node.SetSliceToRASByNTP(0, 0.05 * step, 1, -1, 0, 0, *middle, 0)
        scrolled(desktop, effect, "Red")
    assert found == []
    assert widget_named("KPrismPropagate").text == "Propagate (axial)"
    settle()
    assert len(found) == 1
    assert widget_named("KPrismPropagate").text == "Propagate (oblique)"


@pytest.mark.parametrize("change", ["voxels", "volume"])
def test_the_range_is_that_of_the_volume_again_when_the_volume_changes(desktop, effect, change):
    bench, widget = desktop.bench, widget_named("KPrismRange")
    show_layer(desktop, effect, 6)
    widget.setValues(height_of(desktop, 5), height_of(desktop, 8))
    work_in(desktop, effect, "Yellow")
    if change == "voxels":
        bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    else:
        desktop.parameters.SetAndObserveSourceVolumeNode(volume_node(desktop.scene, body(), np.eye(4), name="Other CT"))
    effect.self().sourceVolumeNodeChanged()
    work_in(desktop, effect, "Red")
    assert widget_named("KPrismPropagate").text == "Propagate (axial)"
    assert (widget.minimumValue, widget.maximumValue) == (widget.minimum, widget.maximum)


def test_panel_remembers_the_range_of_a_plane_until_the_volume_changes(panel):
    low, high = (float(panel.bench.ras(k, 0, 0)[2]) for k in (6, 9))
    ui = panel.ui
    ui.planeBox.setCurrentIndex(0)
    ui.rangeWidget.setValues(low, high)

    def shown():
        return pytest.approx((ui.rangeWidget.minimumValue, ui.rangeWidget.maximumValue), abs=0.01)

    ui.planeBox.setCurrentIndex(2)
    assert (ui.rangeWidget.minimum, ui.rangeWidget.maximum) == shown()
    ui.planeBox.setCurrentIndex(0)
    assert (low, high) == shown()
    panel.widget.exit()
    panel.widget.enter()
    assert (low, high) == shown()
    panel.bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    ui.planeBox.setCurrentIndex(2)
    ui.planeBox.setCurrentIndex(0)
    assert (ui.rangeWidget.minimum, ui.rangeWidget.maximum) == shown()
    panel.widget.cleanup()


@pytest.mark.parametrize("spacing", [1e-3, 1e-5])
def test_the_range_of_a_microscopes_volume_has_all_its_slices(desktop, effect, spacing):
    bench = desktop.bench
    bench.volume.SetIJKToRASMatrix(matrix_from_array(geometry("identity") @ np.diag([1, 1, 1, 1 / spacing]) * spacing))
    bench.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(bench.volume)
    effect.self().sourceVolumeNodeChanged()
    draw_layers(bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismPropagate").click()
    settle()
    assert np.flatnonzero(written(desktop).any(axis=(1, 2))).tolist() == list(range(3, 10))
