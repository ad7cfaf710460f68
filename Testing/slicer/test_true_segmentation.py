"""Dice of a folder's results with segmentations that somebody drew."""

import csv

import numpy as np
import pytest
from PIL import Image

from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import LIVER, SPLEEN, body, geometry
from Testing.slicer.test_batch import write_image

HALF = LIVER & (np.arange(LIVER.shape[0])[:, None, None] >= 6)
DICE = f"{2 * HALF.sum() / (HALF.sum() + LIVER.sum()):.4f}"


@pytest.fixture
def folder(scene, tmp_path):
    """Segments ``images`` and compares with ``truth``; -> rows of the table by class, lines that were told."""
    images, truth, out = tmp_path / "images", tmp_path / "truth", tmp_path / "out"
    images.mkdir()
    truth.mkdir()
    model = Model()
    model.use(FloodPredictor())

    def run(*classes):
        lines = []
        segment_folder(images, out, classes, truth=truth, logic=KPrismLogic(model), tell=lines.append)
        return {row["class"]: row for row in csv.DictReader((out / "metrics.csv").open())}, lines

    run.images, run.truth, run.out = images, truth, out
    return run


def _stored_otherwise(voxels, matrix, order, flipped):
    """The same places with axes (i, j, k) exchanged and some turned round."""
    turned = matrix.copy()
    turned[:3, :3] = matrix[:3, order]
    voxels = voxels.transpose(*(2 - order[axis] for axis in (2, 1, 0)))
    for axis in flipped:
        turned[:3, 3] += turned[:3, axis] * (voxels.shape[2 - axis] - 1)
        turned[:3, axis] *= -1
        voxels = np.flip(voxels, 2 - axis)
    return np.ascontiguousarray(voxels), turned


@pytest.mark.parametrize("kind", ["flipped", "tilted"])
@pytest.mark.parametrize(
    ("order", "flipped"), [((0, 1, 2), (0,)), ((0, 1, 2), (0, 2)), ((2, 0, 1), ()), ((1, 2, 0), (1,))]
)
def test_places_are_compared_however_they_are_stored(folder, kind, order, flipped):
    write_image(folder.images / "a.nrrd", body(), geometry(kind))
    known, matrix = _stored_otherwise(HALF.astype(np.uint8), geometry(kind), order, flipped)
    write_segmentation(folder.truth / "a.seg.nrrd", known, [Segment("liver", 1, (1, 0, 0))], Volume(known, matrix))
    rows, _ = folder("liver")
    assert rows["liver"]["dice"] == DICE


def test_the_box_around_the_labels_is_enough(folder):
    write_image(folder.images / "a.nrrd", body(), geometry("tilted"))
    k, j, i = (slice(indices.min(), indices.max() + 1) for indices in np.nonzero(HALF))
    matrix = geometry("tilted")
    matrix[:3, 3] += matrix[:3, :3] @ (i.start, j.start, k.start)
    known, matrix = _stored_otherwise(HALF[k, j, i].astype(np.uint8), matrix, (0, 1, 2), (1,))
    write_segmentation(folder.truth / "a.seg.nrrd", known, [Segment("liver", 1, (1, 0, 0))], Volume(known, matrix))
    rows, _ = folder("liver")
    assert rows["liver"]["dice"] == DICE


def test_labels_outside_the_image_are_refused(folder):
    write_image(folder.images / "a.nrrd", body()[:9], geometry("flipped"))
    known = LIVER.astype(np.uint8)
    volume = Volume(known, geometry("flipped"))
    write_segmentation(folder.truth / "a.seg.nrrd", known, [Segment("liver", 1, (1, 0, 0))], volume)
    rows, _ = folder("liver")
    assert "differ in size" in rows[""]["status"]


def test_an_empty_true_segmentation_is_said(folder):
    write_image(folder.images / "a.nrrd", body(), geometry("flipped"))
    nothing = np.zeros((1, 1, 1), np.uint8)  # as Slicer writes it
    volume = Volume(nothing, geometry("flipped"))
    write_segmentation(folder.truth / "a.seg.nrrd", nothing, [Segment("liver", 1, (1, 0, 0))], volume)
    rows, (line,) = folder("liver")
    assert rows["liver"]["status"] == "done"
    assert "a.seg.nrrd is empty" in line


def test_a_true_segmentation_of_other_places_is_said_and_costs_no_result(folder):
    write_image(folder.images / "a.nrrd", body(), geometry("identity"))
    elsewhere = geometry("identity")
    elsewhere[0, 3] += 1
    known = LIVER.astype(np.uint8)
    write_segmentation(folder.truth / "a.seg.nrrd", known, [Segment("liver", 1, (1, 0, 0))], Volume(known, elsewhere))
    rows, lines = folder("liver")
    assert "a.nrrd and a.seg.nrrd differ in origin" in rows[""]["status"]
    assert "differ in origin" in lines[0]
    assert binary_mask(read_label_volume(folder.out / "a.seg.nrrd"), "liver").sum() == LIVER.sum()


def test_the_only_label_of_a_file_without_names_is_the_only_structure(folder):
    write_image(folder.images / "a.nii.gz", body(), geometry("flipped"))
    write_image(folder.truth / "a.nii.gz", HALF.astype(np.uint8) * 3, geometry("flipped"))
    rows, lines = folder("liver")
    assert rows["liver"]["dice"] == DICE
    assert lines == [f"1/1 a.nii.gz: {LIVER.sum()} voxels"]


@pytest.mark.parametrize(
    ("classes", "labels"), [(["liver"], HALF + 2 * SPLEEN.astype(np.uint8)), (["liver", "spleen"], HALF * np.uint8(1))]
)
def test_what_labels_without_names_mean_is_not_guessed(folder, classes, labels):
    write_image(folder.images / "a.nii.gz", body(), geometry("flipped"))
    write_image(folder.truth / "a.nii.gz", labels.astype(np.uint8), geometry("flipped"))
    rows, (line,) = folder(*classes)
    assert all(row["dice"] == "" and row["status"] == "done" for row in rows.values())
    assert line.count("does not say which of its labels") == len(classes)
    assert ".seg.nrrd" in line


def test_a_structure_or_case_without_truth_is_said(folder):
    for name in ("a", "b"):
        write_image(folder.images / f"{name}.nrrd", body(), geometry("flipped"))
    known = HALF.astype(np.uint8)
    volume = Volume(known, geometry("flipped"))
    write_segmentation(folder.truth / "a.seg.nrrd", known, [Segment("liver", 1, (1, 0, 0))], volume)
    _, lines = folder("liver", "spleen")
    assert "no label 'spleen'; it has 1 (liver)" in lines[0]
    assert lines[0].count("no Dice") == 1
    assert "has no b.seg.nrrd or b.nrrd" in lines[1]


def test_pictures_are_compared_by_size(folder):
    Image.fromarray(body()[6]).save(folder.images / "a.png")
    Image.fromarray(LIVER[6].astype(np.uint8) * 255).save(folder.truth / "a.png")
    rows, _ = folder("liver")
    assert rows["liver"]["dice"] == "1.0000"


def test_true_segmentations_are_neither_missing_nor_replaced(folder, scene):
    write_image(folder.images / "a.nrrd", body(), geometry("flipped"))
    with pytest.raises(InvalidImage, match="no folder"):
        segment_folder(folder.images, folder.out, ["liver"], truth=folder.out / "nowhere")
    with pytest.raises(InvalidConfig, match="replace"):
        segment_folder(folder.images, folder.truth, ["liver"], truth=folder.truth)
    assert not list(folder.truth.iterdir())
