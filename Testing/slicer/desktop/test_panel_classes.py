"""Classes through a volume from the panel: several in one go, and corrected and carried on afterwards."""

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLib.errors import InvalidImage
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle
from Testing.slicer.desktop.two_classes import (
    at_step,
    carry_on,
    choose,
    correct,
    press,
    segment,
    show,
    structure,
    undoable,
)
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN, fill


def test_classes_chosen_besides_get_the_segments_of_their_names(two):
    choose(two, "liver", "liver", "spleen")
    press(two, "classVolumeButton")
    content = two.bench.segmentation.GetSegmentation()
    spleen = content.GetSegmentIdBySegmentName("spleen")
    assert np.array_equal(two.bench.array(), LIVER)
    assert np.array_equal(two.bench.array(spleen), SPLEEN)
    assert two.ui.statusLabel.text == "Done: 14 slices written."
    # The same again goes to the same segments.
    count = content.GetNumberOfSegments()
    press(two, "classVolumeButton")
    assert content.GetNumberOfSegments() == count


def test_two_classes_for_one_segment_are_refused_before_anything_is_made(two):
    before = two.bench.segmentation.GetSegmentation().GetNumberOfSegments()
    choose(two, "spleen", "liver")  # the named segment is "Liver"
    press(two, "classVolumeButton")
    assert two.ui.statusLabel.text.startswith("Two classes cannot go to the segment Liver; name another segment")
    assert two.bench.segmentation.GetSegmentation().GetNumberOfSegments() == before
    assert not two.bench.array().any()


def test_segments_made_for_a_run_that_fails_are_taken_away(two, monkeypatch):
    before = two.bench.segmentation.GetSegmentation().GetNumberOfSegments()
    choose(two, "liver", "spleen")
    two.ui.segmentEdit.text = "Left part"
    monkeypatch.setattr("KPrismLib.volumes.segment_classes", _fail)
    press(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "The disk is full."
    assert two.bench.segmentation.GetSegmentation().GetNumberOfSegments() == before


def _fail(*_, **__):
    raise InvalidImage("The disk is full.")


def test_what_a_class_found_is_corrected_and_carried_on(two):
    """Its slices are no examples, but for those that the user changed and the one that is shown."""
    choose(two, "liver")
    scalars = vtk_to_numpy(two.bench.volume.GetImageData().GetPointData().GetScalars()).reshape(LIVER.shape)
    scalars[LIVER] = 100
    press(two, "classVolumeButton")
    assert two.ui.confidenceLabel.visible
    assert two.ui.leastCertainButton.enabled
    run = two.widget.panel._runs.last
    assert sorted(run.confidence) == [k for k in range(14) if LIVER[k].any()]
    wrong = two.bench.array()
    wrong[5, :2, :2] = True
    wrong[8] = False
    fill(two.bench.editor, two.bench.segmentation, "Liver", wrong)
    show(two, 4)
    press(two, "propagateButton")
    assert two.widget.panel._runs.last.accepted == (4, 5, 8)
    found = two.bench.array()
    assert np.array_equal(found[5], wrong[5])
    assert not found[8].any()
    assert np.array_equal(found[[3, 4, 6, 7]], LIVER[[3, 4, 6, 7]])


def test_what_a_class_found_elsewhere_stays_when_a_correction_is_carried_on(two):
    """A second part of the structure, which a propagation that stops at the end of the first does not reach."""
    both = structure(two, (0, 4), (10, 14))
    choose(two, "liver")
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), both)
    show(two, 2)
    press(two, "propagateButton")
    assert np.array_equal(two.bench.array(), both)
    # Of a propagation alone, what it does not reach any more is taken away.
    assert two.widget.panel._runs.last.accepted == (2,)


def test_a_class_run_that_is_undone_leaves_nothing_to_vouch_for(two, monkeypatch):
    undoable(two, monkeypatch)
    choose(two, "liver")
    press(two, "classVolumeButton")
    two.bench.undo()
    assert not two.bench.array().any()
    show(two, 6)
    press(two, "propagateButton")
    assert "holds nothing of Liver" in two.ui.statusLabel.text


@pytest.mark.parametrize("end", ["cancelled", "failed"])
@pytest.mark.parametrize("keep_drawn", [True, False])
def test_a_class_run_that_does_nothing_forgets_no_correction(two, monkeypatch, end, keep_drawn):
    fill(two.bench.editor, two.bench.segmentation, "Liver", np.where(np.arange(14)[:, None, None] == 7, LIVER, False))
    assert carry_on(two, 7) == (7,)
    corrected = correct(two, 5)
    choose(two, "liver")
    if end == "failed":
        monkeypatch.setattr("KPrismLib.volumes.segment_classes", _fail)
    two.ui.classVolumeButton.click()
    if end == "cancelled":
        two.ui.cancelButton.click()
    settle()
    assert carry_on(two, 7, keep_drawn=keep_drawn) == (5, 7)
    assert np.array_equal(two.bench.array()[5], corrected[5])


@pytest.mark.parametrize("name", ["Liver", "spleen"])
def test_what_is_corrected_while_several_classes_run_is_a_correction_of_each(two, monkeypatch, name):
    choose(two, "liver", "spleen")
    press(two, "classVolumeButton")  # and once more, when both are known
    corrected = []
    at_step(monkeypatch, 9, lambda: corrected.append(correct(two, 6, name)))
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(segment(two, name))[6], corrected[0][6])
    assert carry_on(two, 8, name) == (6, 8)
    assert np.array_equal(two.bench.array(segment(two, name))[6], corrected[0][6])


def test_what_was_taken_away_at_the_end_is_not_shown_as_found(two):
    scalars = vtk_to_numpy(two.bench.volume.GetImageData().GetPointData().GetScalars()).reshape(LIVER.shape)
    scalars[12, 14, 2] = 100  # a stray piece
    two.bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    choose(two, "liver")
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), LIVER)
    assert sorted(two.widget.panel._runs.last.confidence) == [k for k in range(14) if LIVER[k].any()]


def test_what_was_propagated_since_a_class_ends_where_the_structure_does_by_now(two):
    choose(two, "liver")
    press(two, "classVolumeButton")
    correct(two, 9)  # or all slices would be left to the class
    assert carry_on(two, 6) == (6, 9)
    ended = two.bench.array()
    ended[4] = False
    fill(two.bench.editor, two.bench.segmentation, "Liver", ended)
    shared_model().unload()
    shared_model().use(FloodPredictor())
    assert carry_on(two, 6) == (4, 6, 9)
    assert not two.bench.array()[:5].any()


def test_every_class_of_a_run_is_carried_on_by_its_own_name(two):
    """The class is known, though "Left part" is not its name."""
    two.ui.segmentEdit.setText("Left part")
    choose(two, "liver", "spleen")
    press(two, "classVolumeButton")
    for name, cls in (("Left part", "liver"), ("spleen", "spleen")):
        assert carry_on(two, 8, name) == (8,)
        assert two.widget.panel._runs.last._pieces.engine._run.cls == cls


def test_a_class_in_another_range_leaves_what_is_known_of_the_first(two):
    choose(two, "liver")
    for first, last in ((3, 6), (7, 9)):
        two.ui.rangeWidget.setValues(*(float(two.bench.ras(k, 0, 0)[2]) for k in (first, last)))
        press(two, "classVolumeButton")
        if first == 3:
            corrected = correct(two, 4)
    two.ui.rangeWidget.setValues(two.ui.rangeWidget.minimum, two.ui.rangeWidget.maximum)
    assert carry_on(two, 8, keep_drawn=True) == (4, 8)
    assert np.array_equal(two.bench.array()[4], corrected[4])
    assert np.array_equal(two.bench.array()[7:], LIVER[7:])


def test_a_class_once_more_leaves_what_was_corrected(two):
    choose(two, "liver")
    press(two, "classVolumeButton")
    corrected = correct(two, 5)
    press(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), corrected)
    assert carry_on(two, 8) == (5, 8)


def test_what_is_drawn_where_a_class_found_nothing_is_an_example(two):
    choose(two, "liver")
    press(two, "classVolumeButton")
    assert not two.bench.array()[2].any()
    correct(two, 2)
    assert carry_on(two, 6) == (2, 6)


def test_the_strip_follows_the_named_segment(two):
    choose(two, "liver", "spleen")
    press(two, "classVolumeButton")
    assert two.widget.panel._confidence.shown.target.segment_id == "Liver"
    two.ui.segmentEdit.setText("spleen")
    assert two.widget.panel._confidence.shown.target.segment_id == segment(two, "spleen")
    assert set(two.widget.panel._confidence.shown.confidence) == {k for k in range(14) if SPLEEN[k].any()}
    two.ui.segmentEdit.setText("nothing of this name")
    assert not two.ui.confidenceLabel.visible


def test_a_segment_of_another_class_that_is_deleted_is_said_to_be(two, monkeypatch):
    choose(two, "liver", "spleen")
    content = two.bench.segmentation.GetSegmentation()
    # The last slice that was written holds nothing but the spleen.
    at_step(monkeypatch, 12, lambda: content.RemoveSegment(segment(two, "spleen")))
    press(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "The segment was deleted; the rest was not segmented."
