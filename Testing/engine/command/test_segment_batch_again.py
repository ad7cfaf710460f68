"""``kprism segment`` into a folder that has results already: of the same images, of others, corrected by hand."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from KPrismLib.batch.manifest import Manifest, read_manifest
from KPrismLib.batch.results import KnownFiles
from KPrismLib.errors import CannotWrite
from Testing.engine.command.tiny_inputs import blob, save_picture, statuses

WAY_OUT = "move it away, give another folder for it, or add --overwrite."


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def _correct(path: Path, *, same_size: bool = False) -> bytes:
    """Stands for a correction in 3D Slicer."""
    content = path.read_bytes()
    corrected = content[:-1] + bytes([content[-1] ^ 1]) if same_size else content + b"corrected"
    path.write_bytes(corrected)
    return corrected


def test_a_corrected_result_stays_and_is_told(batch, good, results, rng) -> None:
    batch(good)
    corrected = _correct(results / "a.seg.nrrd")
    save_picture(good / "new.png", blob((24, 30), rng))
    result = batch(good, "--json")
    assert result.status == 0
    assert statuses(result) == {"a": "skipped", "new": "done", "sub/b": "skipped"}
    assert (
        "a: skipped. a.seg.nrrd was changed after K-Prism wrote it and stays; for a new one move it away" in result.err
    )
    assert (results / "a.seg.nrrd").read_bytes() == corrected
    assert statuses(batch(good, "--json", "--overwrite")) == dict.fromkeys(("a", "new", "sub/b"), "done")
    assert (results / "a.seg.nrrd").read_bytes() != corrected


@pytest.mark.parametrize("same_size", [False, True])
def test_a_corrected_result_is_not_replaced_by_that_of_another_class(batch, good, results, same_size) -> None:
    batch(good)
    corrected = _correct(results / "a.seg.nrrd", same_size=same_size)
    result = batch(good, "--json", "--class", "spleen")
    assert result.status == 1
    assert statuses(result) == {"a": "failed", "sub/b": "done"}
    sentence = read_manifest(results)["a"]["sentence"]
    assert sentence == f"Cannot write a.seg.nrrd: it was changed after K-Prism wrote it; {WAY_OUT}"
    assert (results / "a.seg.nrrd").read_bytes() == corrected
    assert statuses(batch(good, "--json", "--class", "spleen"))["a"] == "failed"  # also the next time
    assert statuses(batch(good, "--json"))["a"] == "skipped"
    (results / "a.seg.nrrd").rename(results.with_name("mine.seg.nrrd"))
    assert statuses(batch(good, "--json", "--class", "spleen"))["a"] == "done"


def _days(folder: Path, rng) -> tuple[Path, Path]:
    """Two folders, each with an image ``scan.bmp``, alike in size and time."""
    for name in ("day1", "day2"):
        (folder / name).mkdir(parents=True)
        save_picture(folder / name / "scan.bmp", blob((24, 30), rng))
        os.utime(folder / name / "scan.bmp", (1, 1))
    return folder / "day1", folder / "day2"


def test_the_result_of_another_image_with_the_same_name_is_not_replaced(batch, tmp_path, results, rng) -> None:
    day1, day2 = _days(tmp_path, rng)
    batch(day1)
    before = (results / "scan.seg.nrrd").read_bytes()
    result = batch(day2, "--json")
    assert result.status == 1
    sentence = read_manifest(results)["scan"]["sentence"]
    other = f"it is the result of another image ({day1 / 'scan.bmp'})"
    assert sentence == f"Cannot write scan.seg.nrrd: {other}; {WAY_OUT}"
    assert (results / "scan.seg.nrrd").read_bytes() == before
    assert statuses(batch(day1, "--json")) == {"scan": "skipped"}
    assert statuses(batch(day2, "--json", "--overwrite")) == {"scan": "done"}
    assert (results / "scan.seg.nrrd").read_bytes() != before


def test_equal_relative_names_in_different_places_are_different_images(batch, tmp_path, rng, monkeypatch) -> None:
    for name in ("p1", "p2"):
        save_picture(_made(tmp_path / name / "images") / "scan.png", blob((24, 30), rng))
        monkeypatch.chdir(tmp_path / name)
        last = batch("images", "--json")
    assert statuses(last) == {"scan": "failed"}
    monkeypatch.chdir(tmp_path)
    assert statuses(batch(Path("p1") / "images", "--json")) == {"scan": "skipped"}


def test_images_that_moved_are_the_same_images(batch, good, tmp_path) -> None:
    batch(good)
    good.rename(tmp_path / "moved")
    assert statuses(batch(tmp_path / "moved", "--json")) == {"a": "skipped", "sub/b": "skipped"}
    assert statuses(batch(tmp_path / "moved", "--json", "--class", "spleen")) == {"a": "done", "sub/b": "done"}


def test_a_file_that_no_manifest_tells_of_is_not_replaced(batch, good, results) -> None:
    (_made(results) / "a.seg.nrrd").write_bytes(b"drawn by an expert")
    result = batch(good, "--json")
    assert statuses(result) == {"a": "failed", "sub/b": "done"}
    assert "a file of that name lies there, and no manifest says that K-Prism wrote it; move it away" in result.err
    assert (results / "a.seg.nrrd").read_bytes() == b"drawn by an expert"


def test_what_another_run_has_written_since_is_done(batch, good, results, monkeypatch) -> None:
    batch(good)
    # As two equal commands that start at once: neither knows yet what the other will have written.
    with monkeypatch.context() as patch:
        patch.setattr("KPrismLib.command.segment_batch.known_files", lambda _: KnownFiles())
        result = batch(good, "--json")
        assert result.status == 0, result.err
        assert statuses(result) == {"a": "skipped", "sub/b": "skipped"}
        corrected = _correct(results / "a.seg.nrrd", same_size=True)
        assert statuses(batch(good, "--json", "--class", "spleen")) == {"a": "failed", "sub/b": "done"}
        assert (results / "a.seg.nrrd").read_bytes() == corrected
    assert statuses(batch(good, "--json", "--class", "spleen")) == {"a": "failed", "sub/b": "skipped"}


def test_records_of_older_releases_know_results_by_their_size(batch, good, results, monkeypatch) -> None:
    monkeypatch.chdir(good.parent)
    batch("images")
    manifest = results / "manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    old = [{name: value for name, value in one.items() if name not in ("sha256", "source")} for one in records]
    manifest.write_text("".join(f"{json.dumps(one)}\n" for one in old))
    assert statuses(batch("images", "--json")) == {"a": "skipped", "sub/b": "skipped"}
    _correct(results / "a.seg.nrrd")
    assert statuses(batch("images", "--json", "--class", "spleen")) == {"a": "failed", "sub/b": "done"}


def test_results_that_an_older_release_wrote_on_windows_are_known_on_every_system(
    batch, good, results, tmp_path
) -> None:
    beside = ("--json", "--overlay", tmp_path / "overlays")
    batch(good, *beside)
    manifest = results / "manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    for record in records:
        record["source"] = record["source"].replace("/", "\\")
        for file in (record, record["overlay"]):
            file["output"] = file["output"].replace("/", "\\")
    manifest.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert statuses(batch(good, *beside)) == {"a": "skipped", "sub/b": "skipped"}
    assert statuses(batch(good, *beside, "--class", "spleen")) == {"a": "done", "sub/b": "done"}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _killed_before_the_record(batch, good, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "append", _interrupt)
        assert batch(good).status == 130


def test_a_result_whose_record_a_kill_prevented_is_replaced(batch, good, results, monkeypatch) -> None:
    _killed_before_the_record(batch, good, monkeypatch)
    assert (results / "a.seg.nrrd").is_file()
    assert not read_manifest(results)
    assert statuses(batch(good, "--json", "--class", "spleen")) == {"a": "done", "sub/b": "done"}
    assert not list(results.glob(".*"))


def test_such_a_result_is_not_taken_for_a_correction_of_the_one_before(batch, good, results, monkeypatch) -> None:
    batch(good)
    before = (results / "a.seg.nrrd").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "append", _interrupt)
        batch(good, "--class", "spleen")
    assert (results / "a.seg.nrrd").read_bytes() != before
    assert statuses(batch(good, "--json")) == {"a": "done", "sub/b": "skipped"}
    assert (results / "a.seg.nrrd").read_bytes() == before
    assert not list(results.glob(".*"))


def test_a_note_that_outlived_a_kill_goes_with_the_next_run(batch, good, results, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("KPrismLib.command.segment_batch.withdraw", _interrupt)
        batch(good)
    assert set(read_manifest(results)) == {"a"}
    assert len(list(results.glob(".*"))) == 1
    assert statuses(batch(good, "--json")) == {"a": "skipped", "sub/b": "done"}
    assert not list(results.glob(".*"))


def test_a_note_that_another_program_has_open_goes_with_the_next_run(batch, good, results, monkeypatch) -> None:
    def held(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("KPrismLib.batch.results.remove_file", held)
        assert statuses(batch(good, "--json")) == {"a": "done", "sub/b": "done"}
    assert len(list(results.glob(".*"))) == 2
    assert statuses(batch(good, "--json")) == {"a": "skipped", "sub/b": "skipped"}
    assert not list(results.glob(".*"))


def test_such_a_result_is_not_replaced_once_it_was_corrected(batch, good, results, monkeypatch) -> None:
    _killed_before_the_record(batch, good, monkeypatch)
    corrected = _correct(results / "a.seg.nrrd", same_size=True)
    assert statuses(batch(good, "--json")) == {"a": "failed", "sub/b": "done"}
    assert (results / "a.seg.nrrd").read_bytes() == corrected


def test_an_overlay_that_cannot_be_written_leaves_the_result_as_it_was(batch, good, results, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise CannotWrite("Cannot write a.png: the disk is full.")

    batch(good)
    before = (results / "a.seg.nrrd").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("KPrismLib.command.outputs.write_atomically", full)
        failed = batch(good, "--json", "--class", "spleen", "--overlay", results / "overlays")
    assert statuses(failed) == {"a": "failed", "sub/b": "failed"}
    assert (results / "a.seg.nrrd").read_bytes() == before
    assert statuses(batch(good, "--json", "--class", "spleen")) == {"a": "done", "sub/b": "done"}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
