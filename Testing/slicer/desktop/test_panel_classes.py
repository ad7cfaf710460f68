"""Classes through a volume from the panel: several in one go, and corrected and carried on afterwards."""

import types

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLib.errors import InvalidImage
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN, fill


def _choose(panel, cls, *besides):
    panel.ui.classBox.setCurrentText(cls)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.everyPieceCheckBox.setChecked(False)
    for row in range(panel.ui.besidesList.count):
        item = panel.ui.besidesList.item(row)
        item.setSelected(item.text() in besides)


def _run(panel, button):
    getattr(panel.ui, button).click()
    settle()


def _show(panel, layer):
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(layer, 6, 7), 0)


@pytest.fixture
def two(panel):
    """A panel whose model knows two classes."""
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver", "spleen"])
    panel.ui.besidesList.clear()
    for name in ("liver", "spleen"):
        panel.ui.besidesList.addItem(name)
    yield panel
    panel.widget.cleanup()


def test_classes_chosen_besides_get_the_segments_of_their_names(two):
    _choose(two, "liver", "liver", "spleen")
    _run(two, "classVolumeButton")
    content = two.bench.segmentation.GetSegmentation()
    spleen = content.GetSegmentIdBySegmentName("spleen")
    assert np.array_equal(two.bench.array(), LIVER)
    assert np.array_equal(two.bench.array(spleen), SPLEEN)
    assert two.ui.statusLabel.text == "Done: 14 slices written."
    # The same again goes to the same segments.
    count = content.GetNumberOfSegments()
    _run(two, "classVolumeButton")
    assert content.GetNumberOfSegments() == count


def test_two_classes_for_one_segment_are_refused_before_anything_is_made(two):
    before = two.bench.segmentation.GetSegmentation().GetNumberOfSegments()
    _choose(two, "spleen", "liver")  # the named segment is "Liver"
    _run(two, "classVolumeButton")
    assert two.ui.statusLabel.text.startswith("Two classes cannot go to the segment Liver; name another segment")
    assert two.bench.segmentation.GetSegmentation().GetNumberOfSegments() == before
    assert not two.bench.array().any()


def test_segments_made_for_a_run_that_fails_are_taken_away(two, monkeypatch):
    before = two.bench.segmentation.GetSegmentation().GetNumberOfSegments()
    _choose(two, "liver", "spleen")
    two.ui.segmentEdit.text = "Left part"
    monkeypatch.setattr("KPrismLib.volumes.segment_classes", _fail)
    _run(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "The disk is full."
    assert two.bench.segmentation.GetSegmentation().GetNumberOfSegments() == before


def _fail(*_, **__):
    raise InvalidImage("The disk is full.")


def test_what_a_class_found_is_corrected_and_carried_on(two):
    """Its slices are no examples, but for those that the user changed and the one that is shown."""
    _choose(two, "liver")
    scalars = vtk_to_numpy(two.bench.volume.GetImageData().GetPointData().GetScalars()).reshape(LIVER.shape)
    scalars[LIVER] = 100
    _run(two, "classVolumeButton")
    assert two.ui.confidenceLabel.visible
    assert two.ui.leastCertainButton.enabled
    run = two.widget.panel._runs.last
    assert sorted(run.confidence) == [k for k in range(14) if LIVER[k].any()]
    wrong = two.bench.array()
    wrong[5, :2, :2] = True
    wrong[8] = False
    fill(two.bench.editor, two.bench.segmentation, "Liver", wrong)
    _show(two, 4)
    _run(two, "propagateButton")
    assert two.widget.panel._runs.last.accepted == (4, 5, 8)
    found = two.bench.array()
    assert np.array_equal(found[5], wrong[5])
    assert not found[8].any()
    assert np.array_equal(found[[3, 4, 6, 7]], LIVER[[3, 4, 6, 7]])


def test_what_a_class_found_elsewhere_stays_when_a_correction_is_carried_on(two):
    """A second part of the structure, which a propagation that stops at the end of the first does not reach."""
    scalars = vtk_to_numpy(two.bench.volume.GetImageData().GetPointData().GetScalars()).reshape(LIVER.shape)
    scalars[:] = 0
    scalars[0:4, 3:12, 4:11] = scalars[10:14, 3:12, 4:11] = 100
    two.bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    both = scalars == 100
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), both)
    _show(two, 2)
    _run(two, "propagateButton")
    assert np.array_equal(two.bench.array(), both)
    # Of a propagation alone, what it does not reach any more is taken away.
    assert two.widget.panel._runs.last.accepted == (2,)


def test_a_class_run_that_is_undone_leaves_nothing_to_vouch_for(two, monkeypatch):
    editor = types.SimpleNamespace(
        segmentationNode=lambda: two.bench.segmentation, saveStateForUndo=two.bench.editor.logic.SaveStateForUndo
    )
    opened = types.SimpleNamespace(SegmentEditorWidget=types.SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer, "modules", opened, raising=False)
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    two.bench.undo()
    assert not two.bench.array().any()
    _show(two, 6)
    _run(two, "propagateButton")
    assert "holds nothing of Liver" in two.ui.statusLabel.text


def _segment(panel, name):
    return panel.bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)


def _correct(panel, layer, name="Liver"):
    """Something else in one layer of a segment; -> all of it."""
    corrected = panel.bench.array(_segment(panel, name))
    corrected[layer] = False
    corrected[layer, :2, :2] = True
    fill(panel.bench.editor, panel.bench.segmentation, _segment(panel, name), corrected)
    return corrected


def _carry_on(panel, layer, name="Liver", *, keep_drawn=False):
    """Press Propagate; -> the slices that are accepted then."""
    panel.ui.keepDrawnCheckBox.setChecked(keep_drawn)
    panel.ui.segmentEdit.setText(name)
    _show(panel, layer)
    _run(panel, "propagateButton")
    return panel.widget.panel._runs.last.accepted


def _at_step(monkeypatch, number, action):
    """Do something when a run has taken so many steps."""
    from KPrismDesktop.module_panel import ModulePanel

    take, taken = ModulePanel._on_progress, []

    def on_progress(self, *step):
        take(self, *step)
        taken.append(step)
        if len(taken) == number:
            action()

    monkeypatch.setattr(ModulePanel, "_on_progress", on_progress)


@pytest.mark.parametrize("end", ["cancelled", "failed"])
@pytest.mark.parametrize("keep_drawn", [True, False])
def test_a_class_run_that_does_nothing_forgets_no_correction(two, monkeypatch, end, keep_drawn):
    fill(two.bench.editor, two.bench.segmentation, "Liver", np.where(np.arange(14)[:, None, None] == 7, LIVER, False))
    assert _carry_on(two, 7) == (7,)
    corrected = _correct(two, 5)
    _choose(two, "liver")
    if end == "failed":
        monkeypatch.setattr("KPrismLib.volumes.segment_classes", _fail)
    two.ui.classVolumeButton.click()
    if end == "cancelled":
        two.ui.cancelButton.click()
    settle()
    assert _carry_on(two, 7, keep_drawn=keep_drawn) == (5, 7)
    assert np.array_equal(two.bench.array()[5], corrected[5])


@pytest.mark.parametrize("name", ["Liver", "spleen"])
def test_what_is_corrected_while_several_classes_run_is_a_correction_of_each(two, monkeypatch, name):
    _choose(two, "liver", "spleen")
    _run(two, "classVolumeButton")  # and once more, when both are known
    corrected = []
    _at_step(monkeypatch, 9, lambda: corrected.append(_correct(two, 6, name)))
    _run(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(_segment(two, name))[6], corrected[0][6])
    assert _carry_on(two, 8, name) == (6, 8)
    assert np.array_equal(two.bench.array(_segment(two, name))[6], corrected[0][6])


def test_what_was_taken_away_at_the_end_is_not_shown_as_found(two):
    scalars = vtk_to_numpy(two.bench.volume.GetImageData().GetPointData().GetScalars()).reshape(LIVER.shape)
    scalars[12, 14, 2] = 100  # a stray piece
    two.bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), LIVER)
    assert sorted(two.widget.panel._runs.last.confidence) == [k for k in range(14) if LIVER[k].any()]


def test_what_was_propagated_since_a_class_ends_where_the_structure_does_by_now(two):
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    _correct(two, 9)  # or all slices would be left to the class
    assert _carry_on(two, 6) == (6, 9)
    ended = two.bench.array()
    ended[4] = False
    fill(two.bench.editor, two.bench.segmentation, "Liver", ended)
    shared_model().unload()
    shared_model().use(FloodPredictor())
    assert _carry_on(two, 6) == (4, 6, 9)
    assert not two.bench.array()[:5].any()


def test_every_class_of_a_run_is_carried_on_by_its_own_name(two):
    """The class is known, though "Left part" is not its name."""
    two.ui.segmentEdit.setText("Left part")
    _choose(two, "liver", "spleen")
    _run(two, "classVolumeButton")
    for name, cls in (("Left part", "liver"), ("spleen", "spleen")):
        assert _carry_on(two, 8, name) == (8,)
        assert two.widget.panel._runs.last._pieces.engine._run.cls == cls


def test_a_class_in_another_range_leaves_what_is_known_of_the_first(two):
    _choose(two, "liver")
    for first, last in ((3, 6), (7, 9)):
        two.ui.rangeWidget.setValues(*(float(two.bench.ras(k, 0, 0)[2]) for k in (first, last)))
        _run(two, "classVolumeButton")
        if first == 3:
            corrected = _correct(two, 4)
    two.ui.rangeWidget.setValues(two.ui.rangeWidget.minimum, two.ui.rangeWidget.maximum)
    assert _carry_on(two, 8, keep_drawn=True) == (4, 8)
    assert np.array_equal(two.bench.array()[4], corrected[4])
    assert np.array_equal(two.bench.array()[7:], LIVER[7:])


def test_a_class_once_more_leaves_what_was_corrected(two):
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    corrected = _correct(two, 5)
    _run(two, "classVolumeButton")
    assert np.array_equal(two.bench.array(), corrected)
    assert _carry_on(two, 8) == (5, 8)


def test_what_is_drawn_where_a_class_found_nothing_is_an_example(two):
    _choose(two, "liver")
    _run(two, "classVolumeButton")
    assert not two.bench.array()[2].any()
    _correct(two, 2)
    assert _carry_on(two, 6) == (2, 6)


def test_the_strip_follows_the_named_segment(two):
    _choose(two, "liver", "spleen")
    _run(two, "classVolumeButton")
    assert two.widget.panel._confidence.shown.target.segment_id == "Liver"
    two.ui.segmentEdit.setText("spleen")
    assert two.widget.panel._confidence.shown.target.segment_id == _segment(two, "spleen")
    assert set(two.widget.panel._confidence.shown.confidence) == {k for k in range(14) if SPLEEN[k].any()}
    two.ui.segmentEdit.setText("nothing of this name")
    assert not two.ui.confidenceLabel.visible


def test_a_segment_of_another_class_that_is_deleted_is_said_to_be(two, monkeypatch):
    _choose(two, "liver", "spleen")
    content = two.bench.segmentation.GetSegmentation()
    # The last slice that was written holds nothing but the spleen.
    _at_step(monkeypatch, 12, lambda: content.RemoveSegment(_segment(two, "spleen")))
    _run(two, "classVolumeButton")
    assert two.ui.statusLabel.text == "The segment was deleted; the rest was not segmented."
