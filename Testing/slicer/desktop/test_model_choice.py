"""Choosing model, device and memory in the panel: it shows what is chosen, and chooses only what the user changes."""

import types

import pytest
import slicer

from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_qt import strict_class
from Testing.slicer.flood_predictor import FloodPredictor


@pytest.fixture
def used(module, scene, monkeypatch):
    """The panel, opened for the first time when the effect has loaded the model already."""
    monkeypatch.setattr(slicer, "SegmentEditorKPrism", object(), raising=False)
    model = shared_model()
    model.choose("small", "auto")
    model.use(FloodPredictor())
    widget = module.KPrism.KPrismWidget()
    capacity = widget.logic.engine.capacity
    yield types.SimpleNamespace(widget=widget, ui=types.SimpleNamespace(**module.interfaces[0].by_name), model=model)
    widget.cleanup()
    widget.logic.engine.capacity = capacity
    model.choose("small", "auto")


def _settings():
    return strict_class("QSettings").stored


def test_the_panel_shows_the_chosen_device_and_not_the_one_in_use(used):
    assert used.model.device == "cpu"
    assert used.ui.deviceBox.currentText == "auto"
    used.model.choose("small", "cuda")  # in the console
    used.widget.exit()
    used.widget.enter()
    assert used.ui.deviceBox.currentText == "cuda"


def test_leaving_the_weights_field_unchanged_chooses_nothing(used):
    generation = used.model.generation
    used.ui.modelEdit.fire("editingFinished()")
    assert used.model.loaded
    assert used.model.generation == generation
    assert _settings() == {}


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_memory_and_weights_leave_the_device_as_it_was_chosen(used, device):
    used.model.choose("small", device)  # as the console does, and as the engine does when a GPU is full
    used.model.use(FloodPredictor())
    capacity = used.widget.logic.engine.capacity
    used.ui.keptBox.setValue(capacity + 1)
    used.ui.keptBox.fire("valueChanged(int)", capacity + 1)
    assert used.widget.logic.engine.capacity == capacity + 1
    assert used.model.loaded
    assert used.model.chosen_device == device
    assert _settings() == {"KPrism/KeptSlices": capacity + 1}
    used.ui.modelEdit.setText("base")
    used.ui.modelEdit.fire("editingFinished()")
    assert (used.model.name, used.model.chosen_device) == ("base", device)
    assert not used.model.loaded
    assert _settings() == {"KPrism/KeptSlices": capacity + 1, "KPrism/Model": "base"}


def test_a_device_that_is_chosen_is_used_and_remembered(used):
    used.ui.deviceBox.setCurrentText("cpu")
    used.ui.deviceBox.fire("activated(int)", 1)
    assert used.model.chosen_device == "cpu"
    assert _settings() == {"KPrism/Device": "cpu"}
