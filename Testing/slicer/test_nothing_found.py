"""A run that has found nothing says so, whoever asked for it."""

import numpy as np
import pytest

from KPrismLib.batch.manifest import read_manifest
from KPrismLib.command.segment_run import NOTHING_FOUND as COMMAND_LINE
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.reference_files import reference_from_files
from KPrismLogic.run_tally import NOTHING_FOUND
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, Bench, body, draw_layers, geometry, segmentation_node, volume_node
from Testing.slicer.test_batch import write_image

pytestmark = pytest.mark.usefixtures("flood_propagation")


def _with_liver_in(*layers):
    """The body, whose liver is in these layers only."""
    voxels = body()
    voxels[LIVER] = 0
    for k in layers:
        voxels[k][LIVER[k]] = 100
    return voxels


@pytest.fixture
def bench(scene):
    volume = volume_node(scene, _with_liver_in(6), geometry("identity"))
    return Bench.make(scene, volume, segmentation_node(scene, volume))


@pytest.fixture
def logic():
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model)


def test_the_sentence_is_that_of_the_command_line():
    assert NOTHING_FOUND == COMMAND_LINE


def test_a_class_that_is_nowhere_is_told(bench, logic):
    nodes = bench.volume, bench.segmentation
    heights = {"first": float(bench.ras(7, 0, 0)[2]), "last": float(bench.ras(9, 0, 0)[2])}
    assert logic.segmentVolume(*nodes, ["liver"], **heights).remark == NOTHING_FOUND
    assert logic.segmentVolume(*nodes, ["liver"]).remark == ""
    assert logic.segmentVolume(*nodes, ["liver", "spleen"], **heights).remark == ""


def test_a_structure_that_is_in_no_other_slice_is_told(bench, logic):
    draw_layers(bench, 6)
    offset = float(bench.ras(6, 0, 0)[2])
    result = logic.propagate(bench.volume, bench.segmentation, "Liver", offsets=[offset])
    assert result.remark == "Nothing was found beyond the slices that were given."
    assert not any(result.area.values())


def test_of_what_a_run_has_not_seen_nothing_is_said(bench, logic):
    draw_layers(bench, 6)
    nodes, stop = (bench.volume, bench.segmentation), {"progress": lambda *_: False}
    assert logic.segmentVolume(*nodes, ["liver"], **stop).remark == ""
    offset = float(bench.ras(6, 0, 0)[2])
    assert logic.propagate(*nodes, "Liver", offsets=[offset], **stop).remark == ""


@pytest.mark.parametrize("by", ["class", "example"])
def test_the_folder_script_says_in_which_image_there_is_nothing(scene, tmp_path, logic, by):
    images, out, lines = tmp_path / "images", tmp_path / "out", []
    images.mkdir()
    write_image(images / "empty.nrrd", _with_liver_in(), geometry("flipped"))
    write_image(images / "full.nrrd", body(), geometry("flipped"))
    write_image(tmp_path / "mask.nrrd", LIVER.astype(np.uint8), geometry("flipped"))
    what = {"classes": ["liver"]}
    if by == "example":
        what = {"references": [reference_from_files(images / "full.nrrd", tmp_path / "mask.nrrd")], "name": "liver"}
    assert segment_folder(images, out, **what, logic=logic, tell=lines.append) == 0
    assert lines == [f"1/2 empty.nrrd: 0 voxels; {NOTHING_FOUND}", f"2/2 full.nrrd: {LIVER.sum()} voxels"]
    records = read_manifest(out)
    assert (records["empty"]["warning"], records["full"]["warning"]) == (NOTHING_FOUND, None)
