"""What the user made of a class's findings, or of a propagation's, whatever runs come after it."""

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLib.errors import GeometryMismatch
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.two_classes import (
    at_step,
    carry_on,
    choose,
    correct,
    press,
    put,
    structure,
    undoable,
)
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN


def _class(two, name, cls):
    two.ui.segmentEdit.setText(name)
    choose(two, cls)
    press(two, "classVolumeButton")


def _layers(*layers, of=LIVER):
    return np.where(np.isin(np.arange(14), layers)[:, None, None], of, False)


@pytest.mark.parametrize("between", ["class", "propagation"])
def test_a_correction_outlives_a_run_of_another_segment_and_the_class_once_more(two, between):
    _class(two, "Liver", "liver")
    corrected = correct(two, 5)
    if between == "class":
        _class(two, "spleen", "spleen")
    else:
        put(two, "Other", _layers(8, of=SPLEEN))
        carry_on(two, 8, "Other")
    _class(two, "Liver", "liver")
    assert np.array_equal(two.bench.array()[5], corrected[5])
    assert carry_on(two, 8) == (5, 8)


@pytest.mark.parametrize("run", ["class", "propagation"])
def test_a_correction_while_another_segment_is_written_is_one(two, monkeypatch, run):
    _class(two, "Liver", "liver")
    put(two, "Other", _layers(7, of=SPLEEN))
    corrected = []
    at_step(monkeypatch, 3, lambda: corrected.append(correct(two, 5)))
    if run == "class":
        _class(two, "spleen", "spleen")
    else:
        carry_on(two, 7, "Other")
    assert carry_on(two, 8) == (5, 8)
    assert np.array_equal(two.bench.array()[5], corrected[0][5])


def test_an_accepted_slice_stays_though_the_class_would_have_it_otherwise(two):
    scalars = two.bench.volume.GetImageData().GetPointData().GetScalars()
    vtk_to_numpy(scalars).reshape(LIVER.shape)[6, 14, 2] = 100  # which is a stray piece, unless all are to stay
    scalars.Modified()
    _class(two, "Liver", "liver")
    assert carry_on(two, 6) == (6,)
    two.ui.everyPieceCheckBox.setChecked(True)
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), LIVER)


def test_when_all_is_undone_a_class_leaves_no_hole(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    logic.SaveStateForUndo()
    put(two, "Liver", _layers(7))
    assert carry_on(two, 7) == (7,)
    _class(two, "Liver", "liver")
    while two.bench.array().any():
        logic.Undo()
    _class(two, "Liver", "liver")
    assert np.array_equal(two.bench.array(), LIVER)


def test_drawn_slices_are_found_again_on_request_also_after_a_class(two):
    drawn = _layers(6, 7)
    drawn[7, 8:] = False
    put(two, "Liver", drawn)
    assert carry_on(two, 6, keep_drawn=True) == (6, 7)
    _class(two, "Liver", "liver")
    assert carry_on(two, 6, keep_drawn=False) == (6,)
    assert np.array_equal(two.bench.array()[7], LIVER[7])


def test_a_class_that_is_undone_and_redone_is_no_drawing(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    _class(two, "Liver", "liver")
    logic.Undo()
    carry_on(two, 6)
    assert "holds nothing of Liver" in two.ui.statusLabel.text
    logic.Redo()
    assert carry_on(two, 6, keep_drawn=True) == (6,)


def test_what_a_class_found_elsewhere_stays_when_a_propagation_was_undone(two, monkeypatch):
    logic = undoable(two, monkeypatch)
    both = structure(two, (0, 4), (10, 14))
    _class(two, "Liver", "liver")
    bridged = two.bench.array()
    bridged[9] = bridged[2]
    logic.SaveStateForUndo()
    put(two, "Liver", bridged)
    carry_on(two, 2)
    while not np.array_equal(two.bench.array(), both):
        logic.Undo()
    shared_model().unload()
    shared_model().use(FloodPredictor())
    carry_on(two, 2)
    assert np.array_equal(two.bench.array(), both)


def test_a_range_of_accepted_slices_leaves_a_class_nothing_to_write(two):
    _class(two, "Liver", "liver")
    carry_on(two, 6)
    height = float(two.bench.ras(6, 0, 0)[2])
    two.ui.rangeWidget.setValues(height, height)
    press(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "Done: in this range there was nothing left to segment."


def test_a_volume_that_cannot_be_cut_has_no_strip_and_no_errors(two, monkeypatch):
    _class(two, "Liver", "liver")

    def fail():
        raise GeometryMismatch("The volume is under a non-linear transform.")

    monkeypatch.setattr(two.widget.panel._targets, "_plane", fail)
    two.ui.segmentEdit.setText("Live")
    two.ui.segmentEdit.setText("Liver")
    assert not two.ui.confidenceLabel.visible
    press(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "The volume is under a non-linear transform."
