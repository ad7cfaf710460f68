"""What a user does in a panel whose model knows two classes."""

import types

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from Testing.slicer.desktop.strict_effect import settle
from Testing.slicer.scenes import LIVER, fill


def choose(panel, cls, *besides):
    panel.ui.classBox.setCurrentText(cls)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.everyPieceCheckBox.setChecked(False)
    for row in range(panel.ui.besidesList.count):
        item = panel.ui.besidesList.item(row)
        item.setSelected(item.text() in besides)


def press(panel, button):
    getattr(panel.ui, button).click()
    settle()


def show(panel, layer):
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(layer, 6, 7), 0)


def segment(panel, name):
    return panel.bench.segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)


def put(panel, name, voxels):
    fill(panel.bench.editor, panel.bench.segmentation, segment(panel, name), voxels)


def image(panel, place, value):
    """Let the volume have a value in some voxels; -> all of it."""
    scalars = panel.bench.volume.GetImageData().GetPointData().GetScalars()
    voxels = vtk_to_numpy(scalars).reshape(LIVER.shape)
    voxels[place] = value
    scalars.Modified()
    return voxels


def structure(panel, *boxes):
    """Let the volume hold the first class in these boxes, each of slices, and nothing else; -> where."""
    voxels = image(panel, ..., 0)
    for first, last in boxes:
        voxels = image(panel, np.s_[first:last, 3:12, 4:11], 100)
    return voxels == 100


def undoable(panel, monkeypatch):
    """The Segment Editor shows the panel's segmentation; -> its logic, with undo."""
    logic = panel.bench.editor.logic
    editor = types.SimpleNamespace(
        segmentationNode=lambda: panel.bench.segmentation, saveStateForUndo=logic.SaveStateForUndo
    )
    opened = types.SimpleNamespace(SegmentEditorWidget=types.SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer, "modules", opened, raising=False)
    return logic


def correct(panel, layer, name="Liver"):
    """Something else in one layer of a segment; -> all of it."""
    corrected = panel.bench.array(segment(panel, name))
    corrected[layer] = False
    corrected[layer, :2, :2] = True
    put(panel, name, corrected)
    return corrected


def carry_on(panel, layer, name="Liver", *, keep_drawn=False):
    """Press Propagate; -> the slices that are accepted then."""
    panel.ui.keepDrawnCheckBox.setChecked(keep_drawn)
    panel.ui.segmentEdit.setText(name)
    show(panel, layer)
    press(panel, "propagateButton")
    return panel.widget.panel._runs.last.accepted


def at_step(monkeypatch, number, action):
    """Do something when a run has taken so many steps."""
    from KPrismDesktop.module_panel import ModulePanel

    take, taken = ModulePanel._on_progress, []

    def on_progress(self, *step):
        take(self, *step)
        taken.append(step)
        if len(taken) == number:
            action()

    monkeypatch.setattr(ModulePanel, "_on_progress", on_progress)
