"""Tests that run in real Slicer, with a small network of random weights: places, undo and ends, not quality.

Each function is one CTest entry and raises when something is wrong.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import slicer

_PATIENCE_SECONDS = 60


def is_possible() -> bool:
    """Whether all packages are there; otherwise it says which are not, as on machines that build extensions."""
    from KPrismLogic.readiness import missing_packages

    missing = missing_packages()
    if missing:
        logging.warning(f"Skipped: Python packages are missing ({', '.join(missing)}).")
    return not missing


def run() -> None:
    """Everything that the session allows; the effect needs a main window."""
    console()
    volume()
    batch()
    panel()
    if slicer.util.mainWindow() is not None:
        effect()


def console() -> None:
    """The console's call writes one slice, and a class gives its terminology."""
    volume, segmentation = _scene()
    logic = _logic()
    logic.segmentSlice(volume, segmentation, "Liver", plane="axial", cls="liver", clicks=[(0.0, 0.0, 0.0)])
    content = segmentation.GetSegmentation()
    segment_id = content.GetSegmentIdBySegmentName("Liver")
    _check(bool(segment_id), "the segment was not made")
    _check("10200004" in content.GetSegment(segment_id).GetTerminology(), "the segment has no terminology")
    written = _slices(volume, segmentation, segment_id)
    _check(written <= {volume.GetImageData().GetDimensions()[2] // 2}, f"slices {written} were written")


def volume() -> None:
    """A class goes through all slices, and a slice is carried to its neighbours within a range, also after lessons."""
    volume_node, segmentation = _scene()
    logic = _logic()
    every = logic.segmentVolume(volume_node, segmentation, ["liver"])
    _check(len(every.confidence) == volume_node.GetImageData().GetDimensions()[2], "not every slice was segmented")
    content = segmentation.GetSegmentation()
    segment_id = content.AddEmptySegment("", "Box")
    drawn = slicer.util.arrayFromVolume(volume_node) >= 200
    drawn[np.arange(len(drawn)) != 6] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn.astype(np.uint8), segmentation, segment_id, volume_node)
    for learn in (False, True):
        carried = logic.propagate(volume_node, segmentation, "Box", offsets=[0.0], first=-3.0, last=6.0, learn=learn)
        _check(set(carried.confidence) <= {-3.0, 3.0, 6.0}, f"slices at {sorted(carried.confidence)} were written")
    _check(_slices(volume_node, segmentation, segment_id) <= {5, 6, 7, 8}, "slices outside the range were written")


def panel() -> None:
    """The module's panel is built, segments a slice beside the main thread, and is built again on reload."""
    from KPrismLogic.model import shared_model

    volume_node, segmentation = _scene()
    shared_model().use(_predictor())
    for reloaded in (False, True):
        if reloaded:
            slicer.util.reloadScriptedModule("KPrism")
        slicer.modules.kprism.widgetRepresentation()
        ui = slicer.modules.KPrismWidget.panel.ui
        ui.volumeSelector.setCurrentNode(volume_node)
        ui.segmentationSelector.setCurrentNode(segmentation)
        ui.segmentEdit.setText(f"Panel{int(reloaded)}")
        ui.planeBox.setCurrentIndex(0)
        ui.classBox.clear()
        ui.classBox.addItems(["liver"])
        ui.segmentButton.click()
        _wait(lambda: not slicer.modules.KPrismWidget.panel.busy)
        _check(ui.statusLabel.text.startswith("Done"), f"the panel says: {ui.statusLabel.text}")
    names = [segmentation.GetSegmentation().GetNthSegment(number).GetName() for number in range(2)]
    _check(names == ["Panel0", "Panel1"], f"the segments are {names}")


def batch() -> None:
    """A folder with a good and a bad image gives one result, one failure and a table."""
    from KPrismLogic.batch import segment_folder

    volume, _ = _scene()
    with tempfile.TemporaryDirectory(prefix="kprism-") as name:
        images, output = Path(name) / "images", Path(name) / "output"
        images.mkdir()
        slicer.util.saveNode(volume, str(images / "good.nrrd"))
        (images / "bad.nrrd").write_bytes(b"bad")
        failed = segment_folder(images, output, ["liver"], logic=_logic())
        _check(failed == 1, f"{failed} cases failed instead of one")
        _check((output / "good.seg.nrrd").exists(), "the good case has no result")
        _check(len((output / "metrics.csv").read_text().splitlines()) == 3, "the table has not two rows")


def effect() -> None:
    """Clicks in two views are written, and undo takes them back."""
    from KPrismLogic.model import shared_model

    volume, segmentation = _scene()
    shared_model().use(_predictor())
    segment_id = segmentation.GetSegmentation().AddEmptySegment("", "Test")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.setMRMLSegmentEditorNode(node)
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    editor.setCurrentSegmentID(segment_id)
    editor.setMaximumNumberOfUndoStates(10)
    editor.setActiveEffectByName("K-Prism")
    _check(editor.activeEffect() is not None, "the effect is not registered")
    python = editor.activeEffect().self()
    names = ("Red", "Yellow")
    for name in names:
        widget = slicer.app.layoutManager().sliceWidget(name)
        size = widget.mrmlSliceNode().GetDimensions()
        middle = (size[0] // 2, size[1] // 2)
        slicer.util.clickAndDrag(widget, start=middle, end=middle, steps=1)
        _wait(lambda: not python.busy)
        _check(python.prompts_in(widget) == 1, f"the click in {name} left no prompt")
    for _ in names:
        editor.undo()
    for name in names:
        widget = slicer.app.layoutManager().sliceWidget(name)
        _check(python.prompts_in(widget) == 0, f"undo left the prompt in {name}")
    _check(not _slices(volume, segmentation, segment_id), "undo did not restore the empty segment")
    _propagate(editor, volume, segmentation, segment_id)
    _find_references(editor.activeEffect().self())
    editor.setActiveEffectByName("")


def _propagate(editor: Any, volume: Any, segmentation: Any, segment_id: str) -> None:
    """A slice that is drawn goes through a range, in one undo state."""
    drawn = slicer.util.arrayFromVolume(volume) >= 200
    drawn[np.arange(len(drawn)) != 6] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn.astype(np.uint8), segmentation, segment_id, volume)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().JumpSliceByOffsetting(0.0, 0.0, 0.0)
    # Chosen anew, the effect takes the first view that is shown, whichever the pointer was in before.
    editor.setActiveEffectByName("")
    editor.setActiveEffectByName("K-Prism")
    python = editor.activeEffect().self()
    options = python.options.propagation
    _check(options.propagate.text == "Propagate (axial)", f"the button says: {options.propagate.text}")
    options.range.setValues(-3.0, 6.0)
    options.propagate.click()
    _wait(lambda: not python.propagating)
    said = python.options.status.text
    _check("slices written" in said, f"the effect says: {said}")
    _check(_slices(volume, segmentation, segment_id) <= {5, 6, 7, 8}, "slices outside the range were written")
    editor.undo()
    _check(_slices(volume, segmentation, segment_id) == {6}, "one undo did not take the run back")


def _find_references(python: Any) -> None:
    """Those of another volume come, in which a segment of the same name is drawn."""
    volume, segmentation = _box("Known")
    segment_id = segmentation.GetSegmentation().AddEmptySegment("", "Test")
    drawn = (slicer.util.arrayFromVolume(volume) >= 200).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, segment_id, volume)
    python.onGuideChosen("reference")
    python.options.find_references.click()
    _wait(lambda: "comparing" not in python.options.status.text)
    said, found = python.options.status.text, python.options.references.count
    _check(found == 5, f"{found} references were found, and the effect says: {said}")


def _scene() -> tuple[Any, Any]:
    """An empty scene with a volume of one bright box, and an empty segmentation."""
    slicer.mrmlScene.Clear(0)
    return _box("Box")


def _box(name: str) -> tuple[Any, Any]:
    voxels = np.zeros((12, 40, 48), np.int16)
    voxels[3:9, 10:30, 12:36] = 200
    voxels += np.random.default_rng(0).integers(0, 40, voxels.shape).astype(np.int16)
    volume = slicer.util.addVolumeFromArray(voxels, name=name)
    volume.SetSpacing(1.0, 1.0, 3.0)
    volume.SetOrigin(-24.0, -20.0, -18.0)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return volume, segmentation


def _logic() -> Any:
    from KPrismLogic.logic import KPrismLogic
    from KPrismLogic.model import Model

    model = Model()
    model.use(_predictor())
    return KPrismLogic(model)


def _predictor() -> Any:
    from KPrismLib.network import KPrism, named_config
    from KPrismLib.predictor import Predictor

    tiny = named_config(
        "small",
        image_size=64,
        dim=16,
        heads=2,
        encoder_channels=(16, 16, 32),
        encoder_blocks=(1, 1, 1, 1),
        detail_channels=8,
        prompt_channels=8,
        ffn_dim=16,
        pixel_ffn_dim=16,
        mask_head_dim=8,
    )
    return Predictor(KPrism(tiny.replace(classes=("liver", "spleen"))))


def _slices(volume: Any, segmentation: Any, segment_id: str) -> set[int]:
    """Which axial slices hold something of a segment."""
    from KPrismLogic.labelmaps import labelmap_of

    if labelmap_of(segmentation, segment_id)[0] is None:
        return set()  # There is nothing to export.
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    return set(np.nonzero(voxels.any(axis=(1, 2)))[0].tolist())


def _wait(done: Any) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        _check(time.monotonic() < deadline, "the model did not answer in time")
        slicer.app.processEvents()


def _check(right: bool, otherwise: str) -> None:
    if not right:
        raise AssertionError(otherwise)
