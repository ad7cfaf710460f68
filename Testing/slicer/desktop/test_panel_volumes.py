"""The panel through whole volumes: propagation over a range, classes, the strip of confidence."""

import threading

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLib.errors import InvalidImage, InvalidWeights
from KPrismLib.volumes.walk import End, EndReason
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle
from Testing.slicer.desktop.two_classes import image, undoable
from Testing.slicer.flood_propagation import FloodPropagation
from Testing.slicer.scenes import LIVER, SPLEEN, body, draw_layers, fill, volume_node


def _known(panel, *layers):
    """Draw the structure in some layers, and let a view show the first of them."""
    known = draw_layers(panel.bench, *layers)
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(layers[0], 6, 7), 0)
    panel.ui.planeBox.setCurrentIndex(0)
    return known


def test_panel_propagates_both_ways_over_a_range(panel):
    _known(panel, 7)
    heights = [float(panel.bench.ras(k, 0, 0)[2]) for k in (6, 9)]
    panel.ui.rangeWidget.setValues(*heights)
    nodes = panel.bench.volume.GetScene().GetNumberOfNodes()
    panel.ui.propagateButton.click()
    assert panel.ui.cancelButton.visible
    settle()
    found = panel.bench.array()
    assert np.array_equal(found[6:10], LIVER[6:10])
    assert found.sum() == found[6:10].sum()
    assert panel.ui.statusLabel.text == "Done: 3 slices written."
    assert not panel.ui.cancelButton.visible
    assert panel.bench.volume.GetScene().GetNumberOfNodes() <= nodes + 1
    panel.widget.cleanup()


def test_console_goes_on_from_what_the_panel_found(panel):
    from KPrismLogic.logic import KPrismLogic

    _known(panel, 7)
    panel.ui.propagateButton.click()
    settle()
    found, predictor = panel.bench.array(), shared_model().predictor()
    before = predictor.predictions
    offset = float(panel.bench.ras(7, 0, 0)[2])
    assert KPrismLogic().propagate(panel.bench.volume, panel.bench.segmentation, "Liver", offsets=offset).confidence
    assert predictor.predictions == before
    assert np.array_equal(panel.bench.array(), found)
    panel.widget.cleanup()


def test_panel_says_that_nothing_was_found(panel):
    image(panel, LIVER, 0)
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.classVolumeButton.click()
    settle()
    assert panel.ui.statusLabel.text == "Done: 14 slices written. Nothing was found in any slice."
    image(panel, np.s_[6, 3:12, 4:11], 100)
    _known(panel, 6)
    panel.ui.propagateButton.click()
    settle()
    told = "Done: 4 slices written. Nothing was found beyond the slices that were given."
    assert panel.ui.statusLabel.text == told
    panel.widget.cleanup()


def test_panel_says_where_the_model_lost_its_way(panel, monkeypatch):
    lost = End(9, 1, EndReason.CONFIDENCE_COLLAPSED), End(5, -1, EndReason.STRUCTURE_ENDED)
    monkeypatch.setattr(FloodPropagation, "ends", lost)
    _known(panel, 7)
    panel.ui.propagateButton.click()
    settle()
    done, _, told = panel.ui.statusLabel.text.partition(". ")
    assert done.startswith("Done: ")
    assert (
        told
        == "The model lost its way at S = 6 mm; if the structure goes on there, segment it there and propagate again."
    )
    panel.widget.cleanup()


def test_panel_says_what_the_grid_did_not_cover(panel):
    content = panel.bench.segmentation.GetSegmentation()
    whole = content.GetConversionParameter("Reference image geometry")
    columns, rest = whole.rstrip(";").rsplit(";", 1)
    assert rest == "13"
    content.SetConversionParameter("Reference image geometry", f"{columns};7;")
    drawn = np.zeros_like(LIVER[:8])
    drawn[6] = LIVER[6]
    fill(panel.bench.editor, panel.bench.segmentation, "Liver", drawn)
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(6, 6, 7), 0)
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER[:8])
    assert " slices written. Part of what was found lies outside" in panel.ui.statusLabel.text
    panel.widget.cleanup()


def test_panel_cancels_a_propagation_and_takes_it_up_again(panel):
    _known(panel, 7)
    gate, reached = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert gate.wait(20)

    shared_model().predictor().before_prediction = hold
    panel.ui.propagateButton.click()
    assert reached.wait(20)
    panel.ui.cancelButton.click()
    assert panel.ui.statusLabel.text == "Stopped: 0 slices written."
    shared_model().predictor().before_prediction = None
    gate.set()
    settle()
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER)
    panel.widget.cleanup()


def test_panel_leads_to_the_least_certain_slice_and_takes_its_correction(panel):
    _known(panel, 7)
    shared_model().predictor().doubtful = lambda image: (image.pixels == 100).any() and (image.pixels != 200).all()
    assert not panel.ui.leastCertainButton.enabled
    assert not panel.ui.confidenceLabel.visible
    panel.ui.propagateButton.click()
    settle()
    assert panel.ui.confidenceLabel.visible
    panel.ui.leastCertainButton.click()
    shown = panel.red.GetSliceToRAS().GetElement(2, 3)
    doubtful = [k for k in range(14) if LIVER[k].any() and not (body()[k] == 200).any()]
    assert shown == pytest.approx(min(float(panel.bench.ras(k, 0, 0)[2]) for k in doubtful))
    layer = min(doubtful, key=lambda k: abs(float(panel.bench.ras(k, 0, 0)[2]) - shown))
    corrected = panel.bench.array()
    corrected[layer, :2, :2] = True
    fill(panel.bench.editor, panel.bench.segmentation, "Liver", corrected)
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array()[layer], corrected[layer])
    assert panel.widget.panel._runs.last.accepted == (layer, 7)
    panel.widget.cleanup()


@pytest.mark.parametrize("keep", [True, False])
def test_panel_keeps_drawn_slices_unless_they_are_to_be_found_again(panel, keep):
    drawn = _known(panel, 6)
    drawn[8] = SPLEEN[8]
    fill(panel.bench.editor, panel.bench.segmentation, "Liver", drawn)
    assert panel.ui.keepDrawnCheckBox.checked
    panel.ui.keepDrawnCheckBox.setChecked(keep)
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array()[8], (SPLEEN if keep else LIVER)[8])
    if keep:
        panel.ui.propagateButton.click()
        settle()
        assert np.array_equal(panel.bench.array()[8], SPLEEN[8])
    panel.widget.cleanup()


def test_panel_segments_a_class_in_all_slices(panel):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver", "spleen"])
    panel.ui.classBox.setCurrentIndex(0)
    panel.ui.planeBox.setCurrentIndex(2)
    panel.ui.classVolumeButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER)
    panel.widget.cleanup()


@pytest.mark.parametrize("every_piece", [False, True])
def test_panel_keeps_every_piece_of_a_class_on_request(panel, every_piece):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.planeBox.setCurrentIndex(2)
    scalars = panel.bench.volume.GetImageData().GetPointData().GetScalars()
    vtk_to_numpy(scalars).reshape(LIVER.shape)[1, 13, 2] = 100
    scalars.Modified()
    stray = np.zeros_like(LIVER)
    stray[1, 13, 2] = every_piece
    panel.ui.everyPieceCheckBox.setChecked(every_piece)
    panel.ui.classVolumeButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER | stray)
    panel.widget.cleanup()


def test_strip_has_a_colour_for_every_slice():
    from KPrismDesktop.confidence_strip import strip

    colours = strip(5, {1: 1.0, 2: 0.5, 3: 0.1}, (4,))[0]
    assert colours.shape == (5, 3)
    red, green, blue = colours.T.astype(int)
    assert red[0] == green[0] == blue[0]
    assert green[1] > red[1]
    assert red[3] > 2 * green[3]
    assert blue[4] > max(red[4], green[4])


@pytest.mark.parametrize("sure", [(0.03, 0.3, 0.6, 0.9), (0.7, 0.8, 0.9, 1.0)], ids=["carried", "class"])
def test_strip_tells_slices_apart_whatever_kind_of_run_was_sure_of_them(sure):
    from KPrismDesktop.confidence_strip import strip

    colours = strip(len(sure), dict(enumerate(sure)), ())[0].astype(int)
    apart = np.abs(np.diff(colours, axis=0)).sum(axis=1)
    assert apart.min() > 30
    # Less red and more green, the surer.
    assert (np.diff(colours[:, 1] - colours[:, 0]) > 0).all()


def test_panel_run_is_one_state_of_the_segment_editors_undo(panel, monkeypatch):
    logic = undoable(panel, monkeypatch)
    known = _known(panel, 7)
    panel.ui.propagateButton.click()
    settle()
    assert panel.bench.array().sum() > known.sum()
    logic.Undo()
    assert np.array_equal(panel.bench.array(), known)
    assert not logic.CanUndo()
    panel.widget.cleanup()


def test_range_of_two_thin_slices_fits_its_widget(panel, scene):
    matrix = np.diag([1.0, 1.0, 0.33444, 1.0])
    volume = volume_node(scene, body()[:2], matrix, name="Thin")
    object.__setattr__(panel.ui.volumeSelector, "_node", volume)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", volume)
    widget = panel.ui.rangeWidget
    assert widget.maximum - widget.minimum == pytest.approx(0.334)
    assert 0 < widget.singleStep <= widget.maximum - widget.minimum
    object.__setattr__(panel.ui.volumeSelector, "_node", volume_node(scene, body()[:1], matrix, name="Single"))
    panel.ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", None)
    assert widget.maximum == widget.minimum
    panel.widget.cleanup()


@pytest.mark.parametrize("button", ["segmentButton", "classVolumeButton", "propagateButton"])
def test_panel_leaves_no_segment_behind_while_packages_are_missing(panel, monkeypatch, button):
    shared_model().unload()
    monkeypatch.setattr("KPrismLogic.readiness.find_spec", lambda name: None)
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.segmentEdit.setText("Brand new")
    getattr(panel.ui, button).click()
    assert "press Install" in panel.ui.statusLabel.text
    assert panel.bench.segmentation.GetSegmentation().GetNumberOfSegments() == 2
    panel.widget.cleanup()


def test_panel_goes_by_names_and_leaves_a_segment_alone_whose_id_is_typed(panel):
    """A segment keeps its ID when it is renamed; what the panel offers at first, Segment_1, may be one."""
    content = panel.bench.segmentation.GetSegmentation()
    content.GetSegment("Other").SetName("Kidney")
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.segmentEdit.setText("Other")
    panel.ui.classVolumeButton.click()
    settle()
    assert not panel.bench.array("Other").any()
    made = content.GetSegmentIdBySegmentName("Other")
    assert made not in ("", "Other")
    assert np.array_equal(panel.bench.array(made), LIVER)
    panel.widget.cleanup()


def test_panel_leaves_no_segment_behind_in_a_segmentation_of_surfaces(panel):
    panel.bench.segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.segmentEdit.setText("New")
    panel.ui.classVolumeButton.click()
    settle()
    assert "stored as Closed surface" in panel.ui.statusLabel.text
    assert not panel.bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("New")
    panel.widget.cleanup()


@pytest.mark.parametrize("button", ["segmentButton", "classVolumeButton"])
@pytest.mark.parametrize("end", ["failed", "cancelled", "failed, but drawn in meanwhile", "nothing found"])
def test_panel_leaves_a_new_segment_behind_only_if_something_came_of_it(panel, button, end):
    content = panel.bench.segmentation.GetSegmentation()
    gate, reached = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert gate.wait(20)
        if end.startswith("failed"):
            raise InvalidWeights("damaged")

    shared_model().predictor().before_prediction = hold
    shared_model().predictor().class_probabilities = lambda images, classes: (
        hold() or np.zeros((len(images), len(classes), *images[0].pixels.shape), np.float32)
    )
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(1, 6, 7), 0)  # beside the structure
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.segmentEdit.setText("Brand new")
    getattr(panel.ui, button).click()
    assert reached.wait(20)
    made = content.GetSegmentIdBySegmentName("Brand new")
    assert made
    if "drawn" in end:
        draw_layers(panel.bench, 8, segment_id=made)
    if end == "cancelled":
        panel.ui.cancelButton.click()
    gate.set()
    settle()
    assert bool(content.GetSegmentIdBySegmentName("Brand new")) == (end not in ("failed", "cancelled"))
    panel.widget.cleanup()


def test_panel_leaves_no_new_segment_behind_for_a_range_without_slices(panel, monkeypatch):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.segmentEdit.setText("Brand new")

    def chosen(_):
        raise InvalidImage("There is no slice.")

    monkeypatch.setattr(panel.widget.panel._slices, "chosen", chosen)
    panel.ui.classVolumeButton.click()
    assert panel.ui.statusLabel.text == "There is no slice."
    assert not panel.bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName("Brand new")
    panel.widget.cleanup()


def test_panel_says_that_the_segment_was_deleted_during_a_run(panel):
    _known(panel, 7)
    content = panel.bench.segmentation.GetSegmentation()
    run_on = panel.widget.panel._progress.step

    def step(done, count):
        run_on(done, count)
        if done == 2:
            content.RemoveSegment("Liver")

    panel.widget.panel._progress.step = step
    panel.ui.propagateButton.click()
    settle()
    assert panel.ui.statusLabel.text == "The segment was deleted; the rest was not segmented."
    assert not panel.widget.panel.busy
    panel.widget.cleanup()
