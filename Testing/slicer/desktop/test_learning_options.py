"""Learning before a propagation, as the effect and the panel offer it: chosen, told, and ended like any run."""

import functools
import threading

import numpy as np
import pytest

from KPrismLib.errors import OutOfMemory
from KPrismLib.specialist import STEPS
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle, show_layer, status, timers, widget_named, written
from Testing.slicer.flood_propagation import FloodPropagation
from Testing.slicer.scenes import LIVER, SPLEEN, draw_layers, fill

pytestmark = pytest.mark.usefixtures("flood_propagation")


class Lessons:
    """Watches the lessons, and can hold one of them."""

    def __init__(self):
        self.reached, self._open, self._held = threading.Event(), threading.Event(), None
        self.watch = lambda: None
        self.seen = []
        shared_model().predictor().before_lesson = self._before

    def hold(self, lesson):
        self._held = lesson

    def open(self):
        self._held = None
        self._open.set()

    @property
    def begun(self):
        return shared_model().predictor().lessons

    def _before(self, lesson):
        # The one before is told by now.
        self.seen.append(self.watch())
        if lesson == self._held:
            self.reached.set()
            assert self._open.wait(20)


@pytest.fixture
def both(desktop):
    """Slice 6 holds the liver and slice 8 the spleen; -> what is drawn."""
    drawn = draw_layers(desktop.bench, 6)
    drawn[8] = SPLEEN[8]
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", drawn)
    return drawn


@pytest.fixture
def lessons(desktop, effect, both):
    show_layer(desktop, effect, 6)
    lessons = Lessons()
    yield lessons
    lessons.open()


def _propagate():
    widget_named("KPrismPropagate").click()


def _until(event):
    """Let timers fire until the model has come to something."""
    while not event.is_set():
        for timer in timers():
            timer.fire("timeout()")


def test_nothing_is_learned_unless_it_is_chosen(desktop, lessons):
    assert not widget_named("KPrismLearn").checked
    _propagate()
    settle()
    assert lessons.begun == []
    assert "slices written" in status()


def test_the_effect_learns_tells_how_far_it_is_and_then_writes_in_one_undo_state(desktop, lessons, both):
    bar = widget_named("KPrismProgress")
    lessons.watch = lambda: (status().split(" – ")[-1], bar.maximum, bar._values.get("value"))
    widget_named("KPrismLearn").setChecked(True)
    _propagate()
    assert not widget_named("KPrismLearn").enabled
    settle()
    assert lessons.begun == [{6: LIVER[6].sum(), 8: SPLEEN[8].sum()}]
    assert lessons.seen[0] == ("propagating …", 0, None)
    told = [(f"Learning what was segmented: step {step} of {STEPS} …", STEPS, step) for step in range(1, STEPS)]
    assert lessons.seen[1:] == told
    assert (bar.maximum, "slices written" in status()) == (14, True)
    assert widget_named("KPrismLearn").enabled
    found = written(desktop)
    assert np.array_equal(found[[6, 8]], both[[6, 8]])
    assert np.array_equal(found[[5, 9]], (LIVER | SPLEEN)[[5, 9]])
    desktop.logic.Undo()
    assert np.array_equal(written(desktop), both)
    assert not desktop.logic.CanUndo()


def test_what_slices_alone_told_comes_with_the_advice_to_learn(desktop, lessons, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "guided", False)
    _propagate()
    settle()
    assert "slices written. The model does not know this structure here" in status()
    assert '"Learn from the kept slices first" finds more' in status()
    monkeypatch.setattr(FloodPropagation, "guided", True)
    widget_named("KPrismLearn").setChecked(True)
    _propagate()
    settle()
    assert "slices written" in status()
    assert "does not know" not in status()


def test_a_run_that_was_stopped_is_not_commented_on(desktop, lessons, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "guided", False)
    widget_named("KPrismLearn").setChecked(True)
    lessons.hold(3)
    _propagate()
    _until(lessons.reached)
    widget_named("KPrismCancel").click()
    lessons.open()
    settle()
    assert status().endswith("Stopped: 0 slices written.")


def test_unticking_it_gives_what_there_was_without(desktop, lessons):
    _propagate()
    settle()
    without = written(desktop)
    for learn in (True, False):
        widget_named("KPrismLearn").setChecked(learn)
        _propagate()
        settle()
        assert np.array_equal(written(desktop), without) != learn
    assert len(lessons.begun) == 1


def test_the_effect_learns_again_only_after_a_correction(desktop, lessons):
    widget_named("KPrismLearn").setChecked(True)
    for _ in range(2):
        _propagate()
        settle()
    assert len(lessons.begun) == 1
    corrected = written(desktop)
    corrected[4, :2, :2] = True
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", corrected)
    _propagate()
    settle()
    assert [sorted(one) for one in lessons.begun] == [[6, 8], [4, 6, 8]]


def test_cancel_while_it_learns_changes_nothing(desktop, lessons, both):
    widget_named("KPrismLearn").setChecked(True)
    lessons.hold(3)
    _propagate()
    _until(lessons.reached)
    widget_named("KPrismCancel").click()
    assert "Stopped: 0 slices written." in status()
    assert not widget_named("KPrismCancel").visible
    lessons.open()
    settle()
    assert len(lessons.seen) == 4
    assert np.array_equal(written(desktop), both)
    assert not desktop.logic.CanUndo()
    _propagate()
    settle()
    assert "slices written" in status()
    assert len(lessons.begun) == 2


@pytest.mark.parametrize("what", ["segment", "undo", "scene"])
def test_going_on_elsewhere_while_it_learns_ends_it(desktop, effect, lessons, both, what):
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", np.zeros_like(both))
    desktop.logic.SaveStateForUndo()
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", both)
    widget_named("KPrismLearn").setChecked(True)
    lessons.hold(3)
    _propagate()
    _until(lessons.reached)
    if what == "segment":
        desktop.parameters.SetSelectedSegmentID("Other")
    elif what == "undo":
        desktop.logic.Undo()
    else:
        desktop.scene.Clear(False)
        effect._parameters = None
        effect.self().setMRMLDefaults()
    lessons.open()
    settle()
    assert not effect.self().propagating
    assert "the rest was not segmented" in status()
    assert len(lessons.seen) == 4
    if what == "segment":
        assert np.array_equal(written(desktop), both)


def test_leaving_the_effect_ends_it(desktop, effect, lessons, both):
    widget_named("KPrismLearn").setChecked(True)
    lessons.hold(3)
    _propagate()
    _until(lessons.reached)
    desktop.deactivate(effect)
    lessons.open()
    settle()
    assert np.array_equal(written(desktop), both)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("K-Prism")]


def test_what_goes_wrong_while_it_learns_stands_in_the_status_line(desktop, effect, lessons, both):
    def fill_the_memory(lesson):
        raise OutOfMemory("The device cuda is out of memory.")

    shared_model().predictor().before_lesson = fill_the_memory
    widget_named("KPrismLearn").setChecked(True)
    _propagate()
    settle()
    assert "out of memory" in status()
    assert not effect.self().propagating
    assert widget_named("KPrismLearn").enabled
    assert np.array_equal(written(desktop), both)
    assert not desktop.logic.CanUndo()


@pytest.mark.parametrize("learn", [False, True])
def test_the_panel_learns_on_request(panel, learn, monkeypatch):
    monkeypatch.setattr(FloodPropagation, "guided", learn)
    draw_layers(panel.bench, 7)
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(7, 6, 7), 0)
    panel.ui.planeBox.setCurrentIndex(0)
    lessons = Lessons()
    bar = panel.ui.progressBar
    lessons.watch = lambda: (panel.ui.statusLabel.text, bar.maximum)
    assert not panel.ui.learnCheckBox.checked
    panel.ui.learnCheckBox.setChecked(learn)
    panel.ui.propagateButton.click()
    settle()
    assert lessons.begun == [{7: LIVER[7].sum()}] * learn
    assert lessons.seen[:2][1:] == [(f"Learning what was segmented: step 1 of {STEPS} …", STEPS)] * learn
    assert panel.ui.statusLabel.text.startswith("Done: ")
    assert ("does not know this structure" in panel.ui.statusLabel.text) != learn
    assert np.array_equal(panel.bench.array(), LIVER)
    panel.widget.cleanup()


def test_the_panel_cancels_lessons_and_notices_changes_while_it_learns(panel):
    known = draw_layers(panel.bench, 7)
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(7, 6, 7), 0)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.learnCheckBox.setChecked(True)
    change = functools.partial(draw_layers, panel.bench, 6)
    for act, said in ((panel.ui.cancelButton.click, "Stopped: 0 slices written."), (change, "undone or changed")):
        lessons = Lessons()
        lessons.hold(2)
        panel.ui.propagateButton.click()
        _until(lessons.reached)
        assert np.array_equal(panel.bench.array(), known)
        act()
        lessons.open()
        settle()
        assert said in panel.ui.statusLabel.text
        assert not panel.widget.panel.busy
    assert panel.bench.array().sum() == LIVER[6].sum()  # what was drawn meanwhile, alone
    panel.widget.cleanup()
