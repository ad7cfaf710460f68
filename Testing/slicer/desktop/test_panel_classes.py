"""Classes through a volume from the panel: several in one go, and corrected and carried on afterwards."""

import types

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLib.errors import InvalidImage
from Testing.slicer.desktop.strict_effect import settle
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
