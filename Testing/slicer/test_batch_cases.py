"""Which images of a folder are cases: those that the command line finds."""

import csv

import numpy as np
import pytest

from KPrismLib.batch.cases import find_cases
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from Testing.engine.imaging.tiny_dicom import UID, save_slice
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, body, geometry
from Testing.slicer.test_batch import write_image


@pytest.fixture
def logic():
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model)


def _liver(data):
    """Columns of 100 HU in 0."""
    pixels = np.full((128, 128), 1024, np.int16)
    pixels[:, 40:60] += 100
    data.PixelData = pixels.tobytes()


def test_dicom_subfolders_and_equal_names_are_the_cases_of_the_command_line(scene, tmp_path, logic):
    images, out = tmp_path / "images", tmp_path / "out"
    (images / "p1" / "CT").mkdir(parents=True)
    for number in range(3):
        save_slice(images / "p1" / "CT", number, (0, 0, number), edit=_liver)
    save_slice(images, 7, (0, 0, 0), uid=f"{UID}.7", name="single.dcm", edit=_liver)
    for name in ("a.nii.gz", "A.nrrd", "p1/CT.nrrd"):
        write_image(images / name, body(), geometry("flipped"))
    lines = []
    assert segment_folder(images, out, ["liver"], logic=logic, tell=lines.append) == 0
    names = ["A.nrrd", "a.nii.gz", "single", "p1/CT.nrrd", "p1/CT"]
    assert sorted(case.name for case in find_cases([images])) == sorted(names)
    rows = {row["case"]: row for row in csv.DictReader((out / "metrics.csv").open())}
    assert set(rows) == {"A.nrrd", "a.nii.gz", "single.dcm", "p1/CT.nrrd", "p1/CT"}
    assert (rows["p1/CT"]["voxels"], rows["p1/CT"]["slices"]) == (str(3 * 128 * 20), "3")
    assert float(rows["single.dcm"]["voxels"]) == 128 * 20
    assert binary_mask(read_label_volume(out / "p1" / "CT.seg.nrrd"), "liver").sum() == 3 * 128 * 20
    for name in names:
        assert (out / f"{name}.seg.nrrd").exists()


def test_true_segmentations_inside_the_images_are_no_images(scene, tmp_path, logic):
    images = tmp_path / "images"
    truth = images / "masks"
    (truth / "p1").mkdir(parents=True)
    (images / "p1").mkdir()
    write_image(images / "p1" / "a.nrrd", body(), geometry("flipped"))
    write_image(truth / "p1" / "a.nrrd", LIVER.astype(np.uint8), geometry("flipped"))
    write_image(images / "b.nrrd", body(), geometry("flipped"))
    known = Volume(body(), geometry("flipped"))
    write_segmentation(truth / "b.seg.nrrd", LIVER.astype(np.uint8), [Segment("liver", 1, (1, 0, 0))], known)
    assert segment_folder(images, tmp_path / "out", ["liver"], truth=truth, logic=logic) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "metrics.csv").open()))
    assert [(row["case"], row["dice"]) for row in rows] == [("b.nrrd", "1.0000"), ("p1/a.nrrd", "1.0000")]
