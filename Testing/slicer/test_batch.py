"""The folder script in plain Python: results, table, exit status."""

import csv
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from KPrismLib.errors import GeometryMismatch, InvalidImage, InvalidMask, InvalidPrompt, InvalidReference
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.reference_files import reference_from_files
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import body, geometry

SCRIPT = Path(__file__).resolve().parents[2] / "KPrism" / "Scripts" / "segment_folder.py"


@pytest.fixture
def logic():
    model = Model()
    model.use(FloodPredictor())
    return KPrismLogic(model)


def write_image(path, voxels, matrix):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(voxels)
    flip = np.diag([-1.0, -1, 1, 1]) @ matrix
    spacing = np.linalg.norm(flip[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((flip[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(flip[:3, 3].tolist())
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_one_bad_case_does_not_stop_the_others(scene, tmp_path, logic, plane):
    images, truth, out = tmp_path / "images", tmp_path / "truth", tmp_path / "out"
    images.mkdir()
    truth.mkdir()
    for kind in ("flipped", "tilted"):
        write_image(images / f"{kind}.nrrd", body(), geometry(kind))
    (images / "broken.nii.gz").write_bytes(b"nothing")
    half = (body() == 100).astype(np.uint8)
    half[:6] = 0
    write_segmentation(
        truth / "flipped.seg.nrrd", half, [Segment("liver", 1, (1, 0, 0))], Volume(body(), geometry("flipped"))
    )
    before = scene.GetNumberOfNodes()
    lines = []
    failed = segment_folder(images, out, ["liver", "spleen"], plane=plane, truth=truth, logic=logic, tell=lines.append)
    assert failed == 1
    assert len(lines) == 3
    assert scene.GetNumberOfNodes() <= before + 1  # the subject hierarchy comes with the first need
    rows = {(row["case"], row["class"]): row for row in csv.DictReader((out / "metrics.csv").open())}
    assert rows["broken.nii.gz", ""]["status"] != "done"
    assert rows["flipped.nrrd", "liver"]["voxels"] == str((body() == 100).sum())
    assert rows["tilted.nrrd", "spleen"]["millilitres"] == f"{(body() == 200).sum() * 0.8 * 1.1 * 2.3 / 1000:.3f}"
    both = (body()[6:] == 100).sum()
    assert rows["flipped.nrrd", "liver"]["dice"] == f"{2 * both / (both + (body() == 100).sum()):.4f}"
    assert rows["tilted.nrrd", "liver"]["dice"] == ""
    for kind in ("flipped", "tilted"):
        written = read_label_volume(out / f"{kind}.seg.nrrd")
        assert np.allclose(written.ijk_to_ras[:3, :3], geometry(kind)[:3, :3], atol=1e-6)
        assert binary_mask(written, "liver").sum() == (body() == 100).sum()


def test_a_folder_is_segmented_by_example(scene, tmp_path, logic):
    images, known, out = tmp_path / "images", tmp_path / "known.nrrd", tmp_path / "out"
    images.mkdir()
    write_image(images / "one.nrrd", body(), geometry("anisotropic"))
    write_image(known, body(), geometry("flipped"))
    mask = (body() == 200).astype(np.uint8)
    write_image(tmp_path / "mask.nrrd", mask, geometry("flipped"))
    reference = reference_from_files(known, tmp_path / "mask.nrrd")
    assert reference.mask.sum() == mask.sum(axis=(1, 2)).max()
    assert segment_folder(images, out, references=[reference], name="Spleen", logic=logic) == 0
    (row,) = csv.DictReader((out / "metrics.csv").open())
    assert (row["class"], row["voxels"], row["slices"]) == ("Spleen", str(mask.sum()), "7")
    assert binary_mask(read_label_volume(out / "one.seg.nrrd"), "Spleen").sum() == mask.sum()
    with pytest.raises(InvalidPrompt):
        segment_folder(images, out, ["liver"], references=[reference], logic=logic)
    with pytest.raises(InvalidPrompt):
        segment_folder(images, out, logic=logic)


def test_reference_that_does_not_fit_is_a_sentence(tmp_path):
    write_image(tmp_path / "image.nrrd", body(), geometry("identity"))
    for name, voxels, matrix, error in (
        ("small", np.ones((2, 3, 4), np.uint8), geometry("identity"), InvalidReference),
        ("elsewhere", body() // 100, geometry("anisotropic"), GeometryMismatch),
        ("nothing", body() * 0, geometry("identity"), InvalidMask),
    ):
        write_image(tmp_path / f"{name}.nrrd", voxels, matrix)
        with pytest.raises(error):
            reference_from_files(tmp_path / "image.nrrd", tmp_path / f"{name}.nrrd")


def test_empty_folder_is_an_error(tmp_path, logic, scene):
    with pytest.raises(InvalidImage, match="no image"):
        segment_folder(tmp_path, tmp_path / "out", ["liver"], logic=logic)
    with pytest.raises(InvalidImage, match="no folder"):
        segment_folder(tmp_path / "nowhere", tmp_path / "out", ["liver"], logic=logic)


def test_bytes_in_the_order_of_other_computers_are_the_same_numbers(scene, tmp_path, logic):
    voxels, matrix = body().astype(">i2"), geometry("flipped")
    image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), matrix, nibabel.Nifti1Header(endianness=">"))
    image.header.set_data_dtype(">i2")
    images = tmp_path / "images"
    images.mkdir()
    image.to_filename(str(images / "one.nii.gz"))
    assert segment_folder(images, tmp_path / "out", ["liver"], logic=logic) == 0
    assert binary_mask(read_label_volume(tmp_path / "out" / "one.seg.nrrd"), "liver").sum() == (body() == 100).sum()


def test_results_beside_the_images_are_no_images_and_are_replaced_by_the_next_run(scene, tmp_path, logic):
    write_image(tmp_path / "a.nrrd", body(), geometry("flipped"))
    for passed_over in ([], ["Passed over one result."]):
        lines = []
        assert segment_folder(tmp_path, tmp_path, ["liver"], logic=logic, tell=lines.append) == 0
        assert lines == [*passed_over, f"1/1 a.nrrd: {(body() == 100).sum()} voxels"]
        written = ["a.seg.nrrd", "manifest.jsonl", "metrics.csv"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nrrd", *written]


def test_a_class_that_is_asked_for_twice_has_one_row(scene, tmp_path, logic):
    write_image(tmp_path / "a.nrrd", body(), geometry("flipped"))
    segment_folder(tmp_path, tmp_path / "out", ["liver", "liver"], logic=logic)
    (row,) = csv.DictReader((tmp_path / "out" / "metrics.csv").open())
    assert row["voxels"] == str((body() == 100).sum())


def test_script_ends_with_a_status_and_a_sentence(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(tmp_path / "out"), "--class", "liver"]
    run = subprocess.run(
        [*command, "--model", str(tmp_path / "none.safetensors")], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 2
    assert run.stderr.strip().splitlines()[-1].endswith(".")
    run = subprocess.run(command[:-2], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 2


@pytest.mark.parametrize(("options", "status"), [(["--help"], 0), (["--class", "liver"], 2)])
def test_script_ends_with_a_status_and_a_sentence_without_slicer_core(tmp_path, options, status):
    without = (
        "import runpy, sys\n"
        "sys.modules['slicer'] = None\n"  # its import fails
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, "-c", without, str(SCRIPT), str(tmp_path), str(tmp_path / "out"), *options]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == status
    assert "Traceback" not in run.stderr
    assert (run.stderr.strip() == "") == (status == 0)


def write_picture(path):
    """Pixels like those of layer 6, as a photograph."""
    from PIL import Image

    Image.fromarray(body()[6]).save(path)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_a_picture_has_no_other_plane_than_its_own(scene, tmp_path, logic, plane):
    write_picture(tmp_path / "a.png")
    write_image(tmp_path / "b.nrrd", body(), geometry("flipped"))
    assert segment_folder(tmp_path, tmp_path / "out", ["liver"], plane=plane, logic=logic) == 1
    picture, volume = csv.DictReader((tmp_path / "out" / "metrics.csv").open())
    assert f"no {plane} slices" in picture["status"]
    assert volume["status"] == "done"


def test_a_defect_in_one_case_does_not_stop_the_others(scene, tmp_path, logic, monkeypatch, capfd):
    for name in ("a", "b", "c"):
        write_image(tmp_path / f"{name}.nrrd", body(), geometry("flipped"))
    segment = logic.segmentVolume

    def fail_at_the_second(volume, *given, **more):
        if volume.GetName() == "b":
            raise ValueError("no such thing")
        return segment(volume, *given, **more)

    monkeypatch.setattr(logic, "segmentVolume", fail_at_the_second)
    before, lines = scene.GetNumberOfNodes(), []
    assert segment_folder(tmp_path, tmp_path / "out", ["liver"], logic=logic, tell=lines.append) == 1
    assert scene.GetNumberOfNodes() <= before + 1  # the subject hierarchy comes with the first need
    rows = list(csv.DictReader((tmp_path / "out" / "metrics.csv").open()))
    assert [row["case"] for row in rows] == ["a.nrrd", "b.nrrd", "c.nrrd"]
    assert [row["status"] for row in rows[::2]] == ["done", "done"]
    assert rows[1]["status"] == "K-Prism did not expect this (ValueError: no such thing)."
    assert lines[1].endswith(rows[1]["status"])
    assert "fail_at_the_second" in capfd.readouterr().err  # for whoever mends it


def test_a_picture_has_no_millilitres(scene, tmp_path, logic):
    write_picture(tmp_path / "a.png")
    write_image(tmp_path / "b.nrrd", body(), geometry("flipped"))
    assert segment_folder(tmp_path, tmp_path / "out", ["liver"], logic=logic) == 0
    picture, volume = csv.DictReader((tmp_path / "out" / "metrics.csv").open())
    assert (picture["voxels"], picture["millilitres"]) == (str((body()[6] == 100).sum()), "")
    assert float(volume["millilitres"]) == pytest.approx((body() == 100).sum() / 1000)
