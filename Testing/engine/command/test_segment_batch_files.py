"""``kprism segment`` on folders: its results beside the files that it reads."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.batch.manifest import read_manifest
from KPrismLib.imaging.atomic_file import write_atomically
from Testing.engine.command.conftest import Outcome
from Testing.engine.command.tiny_inputs import blob, save_picture, save_volume, statuses
from Testing.engine.imaging.tiny_dicom import save_slice


def test_results_never_take_the_place_of_images(batch, tmp_path, rng) -> None:
    image = save_volume(tmp_path / "scan.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    result = batch(image, "--format", "nii.gz", output=tmp_path)
    assert result.status == 1
    assert "also an input" in result.sentence


def test_images_are_not_written_over_by_another_of_their_names(batch, tmp_path, rng) -> None:
    """A hard link stands for Scan.nii.gz on a disk that takes it for scan.nii.gz."""
    images, results = tmp_path / "images", tmp_path / "results"
    for folder in (images, results):
        folder.mkdir()
    image = save_volume(images / "scan.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    before = image.read_bytes()
    (results / "scan.nii.gz").hardlink_to(image)
    assert "it is also an input" in batch(image, "--format", "nii.gz", "--overwrite").sentence
    assert image.read_bytes() == (results / "scan.nii.gz").read_bytes() == before


def test_a_result_is_not_written_over_by_another_of_its_names(batch, good, tmp_path) -> None:
    results, overlays = tmp_path / "results", tmp_path / "overlays"
    for folder in (results, overlays):
        folder.mkdir()
    (results / "a.png").write_bytes(b"earlier")
    (overlays / "a.png").hardlink_to(results / "a.png")
    result = batch(good / "a.png", "--format", "png", "--overwrite", "--overlay", overlays)
    assert "it is also another result" in result.sentence


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


SIDES = ("overlays/a.png", "probabilities/a.nii.gz")


@pytest.fixture
def with_sides(batch, good, tmp_path) -> Callable[..., Outcome]:
    """Runs a batch with overlays and probabilities."""
    sides = ("--overlay", tmp_path / "overlays", "--probability", tmp_path / "probabilities")
    return lambda *more, **where: batch(good, "--json", *sides, *more, **where)


def test_overlays_and_probabilities_are_on_record_and_missing_ones_are_written_again(with_sides, tmp_path) -> None:
    with_sides()
    record = read_manifest(tmp_path / "results")["a"]
    for name, side in zip(("overlay", "probability"), SIDES, strict=True):
        content = (tmp_path / side).read_bytes()
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert record[name] == {"output": f"../{side}", **facts}
    assert statuses(with_sides()) == {"a": "skipped", "sub/b": "skipped"}
    before = (tmp_path / SIDES[0]).read_bytes()
    for side in SIDES:
        (tmp_path / side).unlink()
        assert statuses(with_sides()) == {"a": "done", "sub/b": "skipped"}
    assert (tmp_path / SIDES[0]).read_bytes() == before


def test_overlays_of_the_same_images_by_another_class_are_replaced(with_sides, batch, good) -> None:
    with_sides()
    assert statuses(with_sides("--class", "spleen")) == {"a": "done", "sub/b": "done"}
    assert statuses(with_sides()) == {"a": "done", "sub/b": "done"}
    batch(good, "--overwrite")  # its records name no overlays, though some lie there
    assert statuses(with_sides()) == {"a": "done", "sub/b": "done"}


@pytest.mark.parametrize("side", SIDES)
def test_a_file_of_somebody_else_stays_where_an_overlay_or_a_probability_would_go(with_sides, tmp_path, side) -> None:
    (tmp_path / side).parent.mkdir()
    (tmp_path / side).write_bytes(b"drawn by an expert")
    result = with_sides()
    assert result.status == 1
    assert statuses(result) == {"a": "failed", "sub/b": "done"}
    assert "a file of that name lies there, and no manifest says that K-Prism wrote it; move it away" in result.err
    assert (tmp_path / side).read_bytes() == b"drawn by an expert"
    assert not (tmp_path / "results" / "a.seg.nrrd").exists()
    assert statuses(with_sides("--overwrite")) == {"a": "done", "sub/b": "done"}
    assert (tmp_path / side).read_bytes() != b"drawn by an expert"


@pytest.mark.parametrize("side", SIDES)
def test_a_changed_overlay_or_probability_stays_and_is_told(with_sides, tmp_path, side) -> None:
    with_sides()
    (tmp_path / side).write_bytes(b"with an arrow")
    result = with_sides()
    assert result.status == 0
    assert statuses(result) == {"a": "skipped", "sub/b": "skipped"}
    assert f"{side.split('/')[1]} was changed after K-Prism wrote it and stays" in result.err
    assert statuses(with_sides("--class", "spleen")) == {"a": "failed", "sub/b": "done"}
    assert (tmp_path / side).read_bytes() == b"with an arrow"


def test_results_of_another_folder_keep_their_overlays(with_sides, tmp_path) -> None:
    with_sides()
    before = [(tmp_path / side).read_bytes() for side in SIDES]
    again = with_sides("--class", "spleen", output=tmp_path / "more")
    assert statuses(again) == {"a": "failed", "sub/b": "failed"}
    assert [(tmp_path / side).read_bytes() for side in SIDES] == before


def test_a_run_that_was_killed_between_its_files_goes_on(with_sides, tmp_path, monkeypatch) -> None:
    left = 0

    def killed(path: Path, content: bytes) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        write_atomically(path, content)

    with_sides("--class", "spleen")
    for left in (0, 1, 2):
        other = ("--class", "spleen") if left == 1 else ()
        with monkeypatch.context() as patch:
            patch.setattr("KPrismLib.command.outputs.write_atomically", killed)
            assert with_sides(*other).status == 130
        assert statuses(with_sides(*other)) == {"a": "done", "sub/b": "done"}
        assert not list((tmp_path / "results").glob(".*"))


def test_what_killed_runs_wrote_stays_known_until_it_is_on_record(
    with_sides, batch, good, tmp_path, monkeypatch
) -> None:
    """Two runs are killed after the overlay, then one skips the case; the overlay is still one of ours."""

    def killed(path: Path, content: bytes) -> None:
        write_atomically(path, content)
        raise KeyboardInterrupt

    with_sides()
    for more in (("--class", "spleen"), ("--class", "spleen", "--window", "min-max")):
        with monkeypatch.context() as patch:
            patch.setattr("KPrismLib.command.outputs.write_atomically", killed)
            assert with_sides(*more).status == 130
    assert statuses(batch(good, "--json")) == {"a": "skipped", "sub/b": "skipped"}
    assert statuses(with_sides("--class", "spleen")) == {"a": "done", "sub/b": "done"}
    assert not list((tmp_path / "results").glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_folders_that_are_reached_through_links_are_the_same(batch, good, tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    overlays = ("--json", "--overlay", tmp_path / "overlays")
    batch(good, *overlays, output=tmp_path / "link" / "deep" / "out")
    again = batch(good, *overlays, "--class", "spleen", output=tmp_path / "real" / "deep" / "out")
    assert statuses(again) == {"a": "done", "sub/b": "done"}


def test_images_beside_results_are_segmented_and_results_are_not(batch, good, tmp_path, rng) -> None:
    sides = ("--overlay", good / "sub", "--probability", good / "sub")
    batch(good, "--format", "nii.gz", *sides, output=good / "sub" / "results")
    save_picture(good / "sub" / "results" / "new.png", blob((24, 30), rng))
    again = batch(good, "--json", "--format", "nii.gz", *sides, output=good / "sub" / "results")
    assert statuses(again) == {"a": "skipped", "sub/b": "skipped", "sub/results/new": "done"}
    assert "Passed over 6 files that are results, not images." in again.err
    elsewhere = batch(good, "--json", output=tmp_path / "elsewhere")
    assert sorted(statuses(elsewhere)) == ["a", "sub/b", "sub/results/new"]


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
