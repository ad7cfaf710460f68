"""What is undone, erased and done again around classes and propagations: nothing is taken for something else."""

import numpy as np
import pytest

from KPrismLogic.model import shared_model
from Testing.slicer.desktop.two_classes import at_step, carry_on, choose, image, press, put, undoable
from Testing.slicer.scenes import LIVER, SPLEEN


@pytest.fixture
def stray(two):
    """Something of the class in a slice by itself: a run writes it, and takes it away at its end."""
    image(two, np.s_[12, 13:15, 1:4], 100)
    return two


def _layers(panel):
    return panel.bench.array().any(axis=(1, 2)).nonzero()[0].tolist()


def _accepted(panel):
    return panel.widget.panel._runs.last.accepted


def _drawn(**layers):
    drawn = np.zeros_like(LIVER)
    for name, content in layers.items():
        drawn[int(name.removeprefix("k"))] = content
    return drawn


def test_a_class_run_that_was_undone_may_be_run_again(stray, monkeypatch):
    logic = undoable(stray, monkeypatch)
    choose(stray, "liver")
    press(stray, "classVolumeButton")
    assert np.array_equal(stray.bench.array(), LIVER)
    logic.Undo()
    assert _layers(stray) == []
    press(stray, "classVolumeButton")
    assert np.array_equal(stray.bench.array(), LIVER)
    assert _accepted(stray) == ()


def test_after_an_undone_class_run_a_drawing_is_carried_on_everywhere(stray, monkeypatch):
    logic = undoable(stray, monkeypatch)
    choose(stray, "liver")
    press(stray, "classVolumeButton")
    logic.Undo()
    put(stray, "Liver", _drawn(k6=LIVER[6]))
    assert carry_on(stray, 6) == (6,)
    assert _layers(stray) == [3, 4, 5, 6, 7, 8, 9]


def test_a_narrower_run_between_leaves_no_holes(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    choose(two, "liver")
    press(two, "classVolumeButton")
    logic.Undo()
    everywhere = two.ui.rangeWidget.minimumValue, two.ui.rangeWidget.maximumValue
    two.ui.rangeWidget.setValues(*(float(two.bench.ras(k, 0, 0)[2]) for k in (5, 7)))
    press(two, "classVolumeButton")
    assert _layers(two) == [5, 6, 7]
    two.ui.rangeWidget.setValues(*everywhere)
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), LIVER)


def test_a_drawing_that_was_undone_with_the_run_over_it_is_no_example(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    drawn = np.zeros_like(LIVER)
    drawn[6, 4:6, 4:6] = True
    logic.SaveStateForUndo()
    put(two, "Liver", drawn)
    choose(two, "liver")
    press(two, "classVolumeButton")
    while two.bench.array().any():
        logic.Undo()
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), LIVER)


def test_redo_brings_a_run_back_as_a_run(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    put(two, "Liver", _drawn(k6=LIVER[6]))
    carry_on(two, 6)
    found = two.bench.array()
    logic.Undo()
    run = two.widget.panel._runs.last
    run.accept_changed(two.bench.editor.geometry())  # somebody looks meanwhile
    logic.Redo()
    assert np.array_equal(two.bench.array(), found)
    assert carry_on(two, 6, keep_drawn=True) == (6,)


def test_what_was_erased_stays_so_where_an_earlier_run_had_found_nothing(two):
    put(two, "Liver", _drawn(k6=LIVER[6]))
    carry_on(two, 6)
    corrected = two.bench.array()
    corrected[9] = SPLEEN[9]
    put(two, "Liver", corrected)
    carry_on(two, 6)
    corrected = two.bench.array()
    assert corrected[10].any()
    corrected[10] = False
    put(two, "Liver", corrected)
    assert carry_on(two, 6) == (6, 9, 10)
    assert not two.bench.array()[10].any()


def test_what_was_erased_stays_so_where_it_was_all_that_a_run_changed(stray):
    choose(stray, "liver")
    press(stray, "classVolumeButton")
    stray.ui.everyPieceCheckBox.setChecked(True)
    press(stray, "classVolumeButton")
    corrected = stray.bench.array()
    assert corrected[12].any()
    corrected[12] = False
    put(stray, "Liver", corrected)
    press(stray, "classVolumeButton")
    assert _accepted(stray) == (12,)
    assert not stray.bench.array()[12].any()


def test_a_run_that_takes_back_what_it_had_changed_was_not_undone(stray):
    image(stray, np.s_[9, 0, 0], 30)
    shared_model().predictor().doubtful = lambda image: bool((image.pixels == 30).any())
    choose(stray, "liver")
    stray.ui.everyPieceCheckBox.setChecked(True)
    press(stray, "classVolumeButton")
    assert _layers(stray) == [3, 4, 5, 6, 7, 8, 9, 12]
    stray.ui.everyPieceCheckBox.setChecked(False)
    press(stray, "classVolumeButton")
    assert stray.ui.statusLabel.text == "Done: 14 slices written."
    assert np.array_equal(stray.bench.array(), LIVER)


def _paint_another(panel, logic):
    logic.SaveStateForUndo()
    other = panel.bench.array("Other")
    other[0, 0, 0] = True
    put(panel, "Other", other)


def _run(panel, kind):
    if kind == "class":
        choose(panel, "liver")
        press(panel, "classVolumeButton")
    else:
        carry_on(panel, 6)


@pytest.mark.parametrize(("kind", "painted", "undone"), [("class", 6, 8), ("propagation", 2, 4)])
def test_undo_of_something_else_ends_a_run_that_loses_slices_by_it(two, monkeypatch, kind, painted, undone):
    logic = undoable(two, monkeypatch)
    put(two, "Liver", _drawn(k6=LIVER[6]))
    with monkeypatch.context() as patch:
        at_step(patch, painted, lambda: _paint_another(two, logic))
        at_step(patch, undone, logic.Undo)
        _run(two, kind)
    assert "undone meanwhile" in two.ui.statusLabel.text
    _run(two, kind)
    assert np.array_equal(two.bench.array(), LIVER)


@pytest.mark.parametrize(("kind", "painted"), [("class", 6), ("propagation", 3)])
def test_what_a_run_loses_by_undo_of_something_else_after_its_end_is_found_again(two, monkeypatch, kind, painted):
    logic = undoable(two, monkeypatch)
    put(two, "Liver", _drawn(k6=LIVER[6]))
    with monkeypatch.context() as patch:
        at_step(patch, painted, lambda: _paint_another(two, logic))
        _run(two, kind)
    assert np.array_equal(two.bench.array(), LIVER)
    logic.Undo()
    assert not np.array_equal(two.bench.array(), LIVER)
    _run(two, kind)
    assert np.array_equal(two.bench.array(), LIVER)
