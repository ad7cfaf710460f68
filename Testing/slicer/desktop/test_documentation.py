"""The examples of the user's guide run, in their order, on real nodes."""

import re
import sys
from pathlib import Path

import numpy as np
import slicer

from KPrismLogic.model import shared_model
from KPrismLogic.slice_engine import shared_engine
from Testing.slicer.desktop import strict_module
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import Bench, fill, segmentation_node, volume_node

GUIDE = Path(__file__).resolve().parents[3] / "Documentation" / "Slicer.md"


def test_console_examples_run(scene, monkeypatch, capsys, flood_propagation, flood_library):
    strict_module.install(monkeypatch, strict_module.App())
    monkeypatch.delitem(sys.modules, "KPrism", raising=False)
    voxels = np.zeros((30, 40, 40), np.uint8)
    voxels[3:28, 10:25, 12:30], voxels[5:20, 30:36, 30:36] = 100, 200
    matrix = np.diag([-4.0, -4.0, 3.0, 1.0])
    matrix[:3, 3] = (50.0, 80.0, -150.0)
    ct = volume_node(scene, voxels, matrix, name="CT")
    organs = segmentation_node(scene, ct, ())
    organs.SetName("Organs")
    known = volume_node(scene, voxels, matrix, name="Known")
    other = Bench.make(scene, known, segmentation_node(scene, known, ["Liver"]))
    fill(other.editor, other.segmentation, "Liver", voxels == 100)
    red = slicer.vtkMRMLSliceNode()
    red.SetLayoutName("Red")
    red.SetName("Red")
    red = scene.AddNode(red)
    red.SetSliceToRASByNTP(0.1, 0, 1, -1, 0, 0, -50, 10, -120, 0)
    shared_model().use(FloodPredictor())
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 3
    names = {"slicer": slicer}
    capacity = shared_engine().capacity
    try:
        for example in examples:
            exec(compile(example, str(GUIDE), "exec"), names)
        names["logic"].engine.capacity = 8
        assert "liver" in names["logic"].classes()
    finally:
        shared_engine().capacity = capacity
        shared_model().unload()
    bench = Bench.make(scene, ct, organs, "")
    content = organs.GetSegmentation()
    liver = bench.array(content.GetSegmentIdBySegmentName("Liver"))
    assert liver[10].sum() == (voxels[10] == 100).sum()
    assert bench.array(content.GetSegmentIdBySegmentName("Spleen")).any()
    assert [one.title for one in names["best"]] == ["Liver in Known"] * 5
    assert names["result"].leastCertain in names["result"].confidence
    assert "of at most 17" in capsys.readouterr().out


def test_guide_names_only_files_that_exist():
    root = GUIDE.parents[1]
    for name in re.findall(r"KPrism/[\w/]+\.py", GUIDE.read_text(encoding="utf-8")):
        assert (root / name).exists(), name
