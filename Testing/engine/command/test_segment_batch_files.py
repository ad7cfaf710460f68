"""``kprism segment`` on folders: its results beside the files that it reads."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.batch.manifest import read_manifest
from Testing.engine.command.tiny_inputs import blob, save_picture, save_volume, statuses
from Testing.engine.imaging.tiny_dicom import save_slice


def test_results_never_take_the_place_of_images(batch, tmp_path, rng) -> None:
    image = save_volume(tmp_path / "scan.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    result = batch(image, "--format", "nii.gz", output=tmp_path)
    assert result.status == 1
    assert "also an input" in result.sentence


def test_results_never_take_the_place_of_references_and_their_masks(kprism, weights, tmp_path, rng) -> None:
    scans, masks = tmp_path / "scans", tmp_path / "masks"
    for folder in (scans, masks):
        folder.mkdir()
    for name in "ab":
        save_volume(scans / f"{name}.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    mask = save_volume(masks / "b.nii.gz", np.ones((2, 24, 20), np.uint8))
    before = mask.read_bytes()
    arguments = ("--format", "nii.gz", "--reference", scans / "b.nii.gz", mask, "--model", weights)
    for more in (("-o", masks), ("-o", tmp_path / "results", "--probability", masks)):
        result = kprism("segment", scans, *arguments, *more)
        assert result.status == 1
        assert "b.nii.gz: it is also an input" in result.err
    assert mask.read_bytes() == before
    assert [path.name for path in masks.iterdir()] == ["b.nii.gz"]  # refused before the first case


def test_overlays_never_take_the_place_of_images(batch, tmp_path, rng) -> None:
    image = save_picture(tmp_path / "photo.png", blob((24, 30), rng))
    before = image.read_bytes()
    assert "photo.png: it is also an input" in batch(image, "--overlay", tmp_path).sentence
    assert image.read_bytes() == before


def test_overlays_and_probabilities_of_another_run_are_written_again(batch, good, tmp_path) -> None:
    liver = (good, "--json", "--overlay", tmp_path / "overlays", "--probability", tmp_path / "probabilities")
    batch(*liver)
    record = read_manifest(tmp_path / "results")["a"]
    for name, side in (("overlay", "overlays/a.png"), ("probability", "probabilities/a.nii.gz")):
        size = (tmp_path / side).stat().st_size
        assert record[name] == {"output": os.path.join("..", *side.split("/")), "bytes": size}  # noqa: PTH118
    assert statuses(batch(*liver)) == {"a": "skipped", "sub/b": "skipped"}
    before = (tmp_path / "overlays" / "a.png").read_bytes()
    for side in ("overlays/a.png", "probabilities/a.nii.gz"):
        (tmp_path / side).write_bytes(b"of another class")
        assert statuses(batch(*liver)) == {"a": "done", "sub/b": "skipped"}
    assert (tmp_path / "overlays" / "a.png").read_bytes() == before
    batch(good, "--overwrite")  # its records name no overlays, though some lie there
    assert statuses(batch(*liver)) == {"a": "done", "sub/b": "done"}


@pytest.mark.skipif(sys.platform == "win32", reason="says it in other words")
def test_an_image_whose_result_would_have_too_long_a_name_fails_alone(batch, good, tmp_path) -> None:
    (good / "a.png").rename(good / f"{'x' * 250}.png")
    result = batch(good, "--json")
    assert sorted(statuses(result).values()) == ["done", "failed"]
    assert "the name is too long; choose a shorter one, in a folder of results for the image" in result.err


def test_a_damaged_slice_without_ending_fails_its_series_and_nothing_else(batch, good, tmp_path) -> None:
    (good / "series").mkdir()
    for number in range(3):
        slice_ = save_slice(good / "series", number, (0, 0, number), name=f"IM{number}")
    slice_.write_bytes(slice_.read_bytes()[:140])
    result = batch(good, "--json")
    assert result.status == 1
    assert statuses(result) == {"a": "done", "series": "failed", "sub/b": "done"}
    assert "IM2 in the folder series is damaged" in read_manifest(tmp_path / "results")["series"]["sentence"]


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may")
def test_a_folder_that_may_not_be_opened_fails_and_nothing_else(batch, good, tmp_path) -> None:
    (good / "closed").mkdir(mode=0)
    result = batch(good, "--json")
    assert result.status == 1
    assert statuses(result) == {"a": "done", "closed": "failed", "sub/b": "done"}
    assert read_manifest(tmp_path / "results")["closed"]["sentence"].startswith("The folder closed cannot be opened")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_file_name_that_is_no_utf8_is_a_case_like_any_other(batch, tmp_path, rng) -> None:
    images = tmp_path / "images"
    images.mkdir()
    voxels = np.stack([blob((24, 20), rng)] * 2)
    plain = [save_volume(tmp_path / "plain.nii.gz", voxels), save_picture(tmp_path / "plain.png", voxels[0])]
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "plain.nrrd"))
    for path in (*plain, tmp_path / "plain.nrrd"):
        ending = path.name.partition(".")[2]
        shutil.copyfile(path, images / os.fsdecode(b"M\xfcller.\xfc" + f"{ending[:3]}.{ending}".encode()))
    arguments = (images, "--json", "--overlay", tmp_path / "overlays")
    found = statuses(batch(*arguments))
    assert list(found.values()) == ["done"] * 3
    assert dict.fromkeys(found, "skipped") == statuses(batch(*arguments))
    assert set(read_manifest(tmp_path / "results")) == set(found)
    assert os.fsencode(next((tmp_path / "overlays").iterdir())).rpartition(b"/")[2].startswith(b"M\xfcller")
