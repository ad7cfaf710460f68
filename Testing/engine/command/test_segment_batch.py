"""``kprism segment`` on folders: what is written, recorded, skipped, and what happens when something goes wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from KPrismLib.batch.manifest import read_manifest
from KPrismLib.command.segment_work import SegmentWork
from KPrismLib.imaging import atomic_file
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.predictor import Predictor
from Testing.engine.command.tiny_inputs import blob, save_picture, save_volume, statuses
from Testing.engine.imaging.tiny_dicom import UID, save_slice


def test_every_image_is_segmented_as_it_would_be_alone(batch, kprism, weights, good, tmp_path) -> None:
    result = batch(good)
    assert result.status == 0, result.err
    assert "2 done" in result.err
    for name, image in (("a", good / "a.png"), ("sub/b", good / "sub" / "b.nii.gz")):
        alone = tmp_path / "alone.seg.nrrd"
        assert kprism("segment", image, "-o", alone, "--class", "liver", "--model", weights).status == 0
        found, expected = (read_label_volume(path) for path in (tmp_path / "results" / f"{name}.seg.nrrd", alone))
        np.testing.assert_array_equal(found.array, expected.array)
        np.testing.assert_allclose(found.ijk_to_ras, expected.ijk_to_ras)


def test_one_failed_case_does_not_stop_the_rest(batch, images, tmp_path) -> None:
    result = batch(images, "--json")
    assert result.status == 1
    assert statuses(result) == {"a": "done", "broken": "failed", "sub/b": "done"}
    record = read_manifest(tmp_path / "results")["broken"]
    assert "broken.png is not a picture" in record["sentence"]
    assert "FAILED. broken.png is not a picture" in result.err
    assert not (tmp_path / "results" / "broken.seg.nrrd").exists()


def test_the_record_of_a_case(batch, good, tmp_path, weights) -> None:
    batch(good)
    record = read_manifest(tmp_path / "results")["sub/b"]
    labels = read_label_volume(tmp_path / "results" / "sub" / "b.seg.nrrd")
    voxels = int((labels.array != 0).sum())
    millilitres = voxels * abs(np.linalg.det(labels.ijk_to_ras)) / 1000
    assert record["segments"] == [
        {"name": "Liver", "label": 1, "voxels": voxels, "millilitres": pytest.approx(millilitres)}
    ]
    assert record["classes"] == ["Liver"]
    assert record["window"] == {"low": 0.0, "high": 255.0, "rule": "identity"}
    assert record["model"] == str(weights)
    assert record["output"] == "sub/b.seg.nrrd"
    assert record["slices"] == 3
    assert record["seconds"] > 0
    assert read_manifest(tmp_path / "results")["a"]["segments"][0]["millilitres"] is None


def test_what_is_done_is_skipped_and_what_failed_is_tried_again(batch, images, tmp_path) -> None:
    batch(images)
    assert statuses(batch(images, "--json")) == {"a": "skipped", "broken": "failed", "sub/b": "skipped"}
    assert statuses(batch(images, "--json", "--overwrite")) == {"a": "done", "broken": "failed", "sub/b": "done"}


def test_only_what_changed_is_segmented_again(batch, good, tmp_path, rng) -> None:
    everything_done = {"a": "skipped", "sub/b": "skipped"}
    batch(good)
    os.utime(good / "a.png", (1, 1))  # touched, not changed
    assert statuses(batch(good, "--json")) == everything_done
    save_picture(good / "a.png", blob((24, 30), rng))
    assert statuses(batch(good, "--json")) == everything_done | {"a": "done"}
    (tmp_path / "results" / "sub" / "b.seg.nrrd").unlink()
    assert statuses(batch(good, "--json")) == everything_done | {"sub/b": "done"}
    assert statuses(batch(good, "--json", "--class", "spleen")) == {"a": "done", "sub/b": "done"}


def test_a_model_is_not_loaded_when_everything_is_done(batch, good, monkeypatch) -> None:
    batch(good)
    monkeypatch.setattr(SegmentWork, "open", None)
    monkeypatch.setattr("KPrismLib.command.segment_work.Predictor", None)
    assert batch(good).status == 0


def test_several_processes_do_the_same(batch, images, tmp_path) -> None:
    alone = batch(images, "--json", output=tmp_path / "alone")
    result = batch(images, "--json", "--workers", 2)
    assert result.status == 1
    assert statuses(result) == statuses(alone)
    for name in ("a.seg.nrrd", "sub/b.seg.nrrd"):
        found, expected = (read_label_volume(tmp_path / folder / name).array for folder in ("results", "alone"))
        np.testing.assert_array_equal(found, expected)


def test_shards_share_the_work_and_are_read_as_one(batch, images, tmp_path) -> None:
    first = statuses(batch(images, "--json", "--shard", "1/2"))
    second = statuses(batch(images, "--json", "--shard", "2/2"))
    assert first == {"a": "done", "sub/b": "done"}
    assert second == {"broken": "failed"}
    assert statuses(batch(images, "--json")) == {"a": "skipped", "broken": "failed", "sub/b": "skipped"}
    names = {path.name for path in (tmp_path / "results").glob("*.jsonl")}
    assert names == {"manifest-1-of-2.jsonl", "manifest-2-of-2.jsonl", "manifest.jsonl"}


def test_formats_overlays_and_probabilities(batch, good, tmp_path) -> None:
    results = tmp_path / "results"
    extra = ("--overlay", tmp_path / "overlays", "--probability", tmp_path / "probabilities")
    assert batch(good, "--format", "nii.gz", *extra).status == 0
    assert (results / "sub" / "b.nii.gz").is_file()
    assert (tmp_path / "overlays" / "sub" / "b.png").is_file()
    assert (tmp_path / "probabilities" / "a.nii.gz").is_file()


def test_references_serve_every_image(kprism, weights, good, picture, picture_mask, tmp_path) -> None:
    arguments = ("--reference", picture, picture_mask, "--slice", "all", "--model", weights, "--json")
    result = kprism("segment", good, "-o", tmp_path / "results", *arguments)
    assert result.status == 0, result.err
    assert statuses(result) == {"a": "done", "sub/b": "done"}
    again = kprism("segment", good, "-o", tmp_path / "results", *arguments)
    assert statuses(again) == {"a": "skipped", "sub/b": "skipped"}
    picture_mask.write_bytes(save_picture(tmp_path / "other.png", 255 * np.eye(40, 50, dtype=np.uint8)).read_bytes())
    changed = kprism("segment", good, "-o", tmp_path / "results", *arguments)
    assert statuses(changed) == {"a": "done", "sub/b": "done"}


def test_that_references_segment_one_slice_of_each_volume_is_said_once(
    kprism, batch, weights, good, picture, picture_mask, tmp_path
) -> None:
    told = "Segmenting the middle slice of each volume; --slice all takes all"
    arguments = ("segment", good, "-o", tmp_path / "r", "--reference", picture, picture_mask, "--model", weights)
    assert kprism(*arguments).err.count(told) == 1
    assert read_manifest(tmp_path / "r")["sub/b"]["slices"] == 1
    assert told not in kprism(*arguments, "--slice", "all").err
    assert told not in batch(good).err


def test_series_of_a_tree_become_dicom_segmentations(batch, tmp_path, rng) -> None:
    def noisy(data) -> None:
        data.PixelData = rng.integers(1000, 1300, (128, 128)).astype(np.int16).tobytes()

    folder = tmp_path / "images"
    folder.mkdir()
    for uid in ("1", "2"):
        for number in range(2):
            name = f"{uid}-{number}.dcm"
            save_slice(folder, number, (0, 0, number), uid=f"{UID}.{uid}", name=name, edit=noisy)
    save_slice(folder, 7, (0, 0, 5), uid=f"{UID}.1", name="1-far.dcm", edit=noisy)
    save_slice(folder, 9, (0, 0, 6), uid=f"{UID}.1", name="1-farther.dcm", edit=noisy)
    save_picture(folder / "photo.png", blob((24, 30), rng))
    result = batch(folder, "--format", "dicom-seg")
    records = read_manifest(tmp_path / "results")
    assert result.status == 1
    first, second = ({record["series_uid"]: name for name, record in records.items()}[f"{UID}.{n}"] for n in "12")
    assert first.startswith("1_Leber-")
    assert "instance 1, at 1.00 mm) and 1-far.dcm (instance 7" in records[first]["sentence"]
    assert records[second]["status"] == "done"
    assert "belongs to a DICOM series" in records["photo"]["sentence"]
    assert [path.name for path in (tmp_path / "results").glob("*.dcm")] == [f"{second}.dcm"]


def test_slices_of_a_series_that_are_given_by_name_are_told(batch, tmp_path, rng) -> None:
    """As by a pattern of the shell; a single one is meant."""

    def noisy(data) -> None:
        data.PixelData = rng.integers(1000, 1300, (128, 128)).astype(np.int16).tobytes()

    for number in range(3):
        save_slice(tmp_path, number, (0, 0, number), name=f"m{number}", edit=noisy)
    save_slice(tmp_path, 0, (0, 0, 0), uid=f"{UID}.5", name="other", edit=noisy)
    told = "files are slices of DICOM series"
    files = [tmp_path / name for name in ("m0", "m1", "m2", "other")]
    assert f"3 {told}, each segmented by itself; give their folder for the volume." in batch(*files).err
    assert set(read_manifest(tmp_path / "results")) == {"m0", "m1", "m2", "other"}
    assert told not in batch(files[0], files[3]).err
    assert told not in batch(tmp_path).err


def test_nothing_found_is_a_warning(batch, tmp_path, rng, monkeypatch) -> None:
    def nothing(self: Predictor, images: Sequence[Any], classes: Sequence[str]) -> Any:
        return np.zeros((len(images), len(classes), 24, 20), np.float32)

    monkeypatch.setattr(Predictor, "class_probabilities", nothing)
    save_volume(tmp_path / "v.nii.gz", np.stack([blob((24, 20), rng) for _ in range(2)]))
    result = batch(tmp_path / "v.nii.gz")
    assert result.status == 0
    assert "Nothing was found in any slice." in result.err
    record = read_manifest(tmp_path / "results")["v"]
    assert (record["status"], record["warning"]) == ("done", "Nothing was found in any slice.")


def test_a_full_disk_stops_the_batch_and_a_rerun_goes_on(batch, good, tmp_path, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (good / "c.png").write_bytes((good / "a.png").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(atomic_file, "os", type("Full", (), {**vars(os), "fsync": staticmethod(full)}))
        result = batch(good, "--json")
    assert result.status == 1
    assert statuses(result) == {"a": "failed"}
    assert json.loads(result.out)["left"] == 2
    assert "no other case could be written" in result.err
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["manifest.jsonl"]
    assert statuses(batch(good, "--json")) == {"a": "done", "c": "done", "sub/b": "done"}


def test_one_interrupt_ends_the_batch_between_two_cases(batch, good, tmp_path, monkeypatch) -> None:
    real = SegmentWork.do

    def do(self, task, worker, progress):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, task, worker, progress)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentWork, "do", do)
        result = batch(good, "--json")
    assert result.status == 130
    assert json.loads(result.out)["cancelled"]
    assert statuses(result) == {"a": "done"}
    assert "press ^C again" in result.err
    assert statuses(batch(good, "--json")) == {"a": "skipped", "sub/b": "done"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_at_any_moment_it_leaves_whole_files_and_goes_on(batch, weights, tmp_path, rng) -> None:
    images, results = tmp_path / "images", tmp_path / "results"
    images.mkdir()
    for number in range(40):
        save_picture(images / f"{number:02d}.png", blob((24, 30), rng))
    command = [sys.executable, "-m", "KPrismLib", "segment", images, "-o", results, "--class", "liver"]
    process = subprocess.Popen([*map(str, command), "--model", str(weights)], stderr=subprocess.DEVNULL)
    manifest = results / "manifest.jsonl"
    while process.poll() is None and not (manifest.exists() and manifest.read_bytes().count(b"\n") >= 3):
        time.sleep(0.005)
    process.kill()
    process.wait()
    done = {name for name, record in read_manifest(results).items() if record["status"] == "done"}
    written = {path.name for path in results.glob("[!.]*")} - {"manifest.jsonl"}
    assert 3 <= len(done) < 40
    assert {f"{name}.seg.nrrd" for name in done} <= written
    assert len(written) <= len(done) + 1
    for path in results.glob("*.seg.nrrd"):
        assert read_label_volume(path).shape == (1, 24, 30)
    after = statuses(batch(images, "--json"))
    assert {name for name, status in after.items() if status == "skipped"} == done
    assert len(after) == len(list(results.glob("*.seg.nrrd"))) == 40
    assert len(list(results.iterdir())) == 41  # the manifest, and no notes


def test_left_overs_of_killed_runs_are_removed_when_they_are_old(batch, good, tmp_path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    old, young = results / ".kprism-0.tmp", results / ".kprism-1.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    batch(good)
    assert not old.exists()
    assert young.exists()


def test_temporary_files_of_another_shard_may_vanish(batch, good, tmp_path, monkeypatch) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for number in range(3):
        (results / f".kprism-{number}.tmp").write_bytes(b"half")
        os.utime(results / f".kprism-{number}.tmp", (1, 1))
    look = Path.stat

    def vanishing(path: Path, **options: Any) -> os.stat_result:
        if path.name == ".kprism-1.tmp":
            path.unlink()
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    assert batch(good).status == 0
    assert not list(results.glob(".*.tmp"))


def test_what_concerns_every_case_is_said_once_before_the_first(batch, kprism, weights, good, tmp_path) -> None:
    assert "did you mean 'spleen'?" in batch(good, "--class", "spleeen").sentence
    assert "--workers must be at least 1" in batch(good, "--workers", 0).sentence
    assert "is no shard" in batch(good, "--shard", "two").sentence
    assert "There is no format 'gif'" in batch(good, "--format", "gif").sentence
    assert "There is no device" in batch(good, "--device", "tpu").sentence
    assert "the images lie there" in batch(good, output=good).sentence
    assert "Clicks and scribbles lie in one image" in batch(good, "--click", "1,1,+").sentence
    assert "no file or folder" in batch(tmp_path / "nowhere").sentence
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert "; choose another folder." in batch(good, output=file / "results").sentence
    assert batch(good, "--series-uid", "1.2").status == 2
    assert not (tmp_path / "results").exists()


def test_a_bad_example_is_said_once(kprism, weights, good, picture, tmp_path) -> None:
    empty = save_picture(tmp_path / "empty.png", np.zeros((40, 50), np.uint8))
    arguments = ("--reference", picture, empty, "--model", weights)
    assert "empty" in kprism("segment", good, "-o", tmp_path / "results", *arguments).sentence


def test_options_of_a_batch_make_no_sense_for_one_image(kprism, weights, good, tmp_path) -> None:
    arguments = ("--class", "liver", "--model", weights)
    for option in (("--workers", 2), ("--format", "nii.gz"), ("--overwrite",), ("--shard", "1/2")):
        result = kprism("segment", good / "a.png", "-o", tmp_path / "x.png", *arguments, *option)
        assert f"{option[0]} is for many images" in result.sentence
    several = kprism("segment", good / "a.png", good / "sub", "-o", tmp_path / "x.png", *arguments)
    assert "Cannot write 2 images into x.png; give a folder" in several.sentence


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may")
def test_a_folder_without_permission_is_a_sentence(batch, good, tmp_path) -> None:
    results = tmp_path / "results"
    results.mkdir(mode=0o500)
    assert "Permission denied" in batch(good).sentence


def test_on_a_terminal_bars_are_drawn_and_results_stand_above_them(batch, images, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("KPrismLib.command.segment_batch._TOLD_AFTER", 1)
    result = batch(images)
    assert "Looking for images: 3 files" in result.err
    assert "[2/3] broken: FAILED." in result.err
    assert "Cases" in result.err
