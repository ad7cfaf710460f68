"""How runs of Propagate in the effect end before their end: cancelled, left, or with something else chosen."""

import threading

import numpy as np
import pytest

from Testing.slicer.desktop.strict_effect import (
    press,
    settle,
    show_layer,
    status,
    timers,
    written,
)
from Testing.slicer.scenes import (
    LIVER,
    body,
    draw_layers,
    segment_array,
    segmentation_node,
    volume_node,
)

pytestmark = pytest.mark.usefixtures("flood_propagation")


def _begun(desktop, effect, gate):
    """A run from one drawn slice, held before its first result; -> what was drawn."""
    known = draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    gate.close()
    press("KPrismPropagate")
    assert gate.reached.wait(20)
    return known


def test_cancel_keeps_what_is_written_and_propagate_goes_on(desktop, effect, gate):
    known = _begun(desktop, effect, gate)
    press("KPrismCancel")
    assert "Stopped: 0 slices written." in status()
    gate.open()
    settle()
    assert np.array_equal(written(desktop), known)
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop), LIVER)


def test_a_run_that_leaving_the_effect_has_ended_says_so_when_one_comes_back(desktop, effect, gate):
    """As one who looks into another module, which ends the effect."""
    _begun(desktop, effect, gate)
    desktop.deactivate(effect)
    gate.open()
    settle()
    desktop.activate(effect)
    told = "Stopped: 0 slices written. The effect was left before the end; Propagate goes on."
    assert told in status()
    press("KPrismPropagate")
    settle()
    assert np.array_equal(written(desktop), LIVER)
    desktop.deactivate(effect)
    desktop.activate(effect)
    assert "left" not in status()  # told once, and this run had ended


def test_leaving_ends_the_run_and_leaves_nothing_behind(desktop, effect, gate):
    known = _begun(desktop, effect, gate)
    desktop.deactivate(effect)
    assert not effect.self().propagating
    gate.open()
    settle()
    assert np.array_equal(written(desktop), known)
    assert timers() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("K-Prism")]


@pytest.mark.parametrize("what", ["segmentation", "volume", "segment", "scene"])
def test_choosing_something_else_ends_the_run(desktop, effect, gate, what):
    bench, known = desktop.bench, _begun(desktop, effect, gate)
    if what == "segmentation":
        other = segmentation_node(desktop.scene, bench.volume)
        desktop.parameters.SetAndObserveSegmentationNode(other)
    elif what == "volume":
        desktop.parameters.SetAndObserveSourceVolumeNode(volume_node(desktop.scene, body(), np.eye(4), name="Other"))
    elif what == "segment":
        # Masks protect all but the selected segment, so that the run would write over it.
        desktop.parameters.SetSelectedSegmentID("Other")
    else:
        desktop.scene.Clear(False)
        effect._parameters = None
        effect.self().setMRMLDefaults()
    gate.open()
    settle()
    assert not effect.self().propagating
    assert "the rest was not segmented" in status()
    if what == "segmentation":
        assert np.array_equal(segment_array(bench.editor, bench.segmentation, "Liver"), known)
        assert not segment_array(bench.editor, other, "Liver").any()
    desktop.deactivate(effect)
    if what == "scene":
        assert effect.self()._propagation._runs.last is None
