"""Records of what became of each case."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from KPrismLib.batch.manifest import Manifest, is_name, name_from, read_manifest, read_results
from KPrismLib.batch.results import recorded_files
from KPrismLib.errors import CannotWrite


def _append(path: Path, *records: dict[str, object]) -> None:
    with Manifest(path) as manifest:
        for record in records:
            manifest.append(record)


def test_the_latest_record_counts_and_skipping_is_not_news(tmp_path) -> None:
    path = tmp_path / "manifest.jsonl"
    _append(path, {"case": "a", "status": "failed"}, {"case": "a", "status": "done", "n": 1})
    _append(path, {"case": "a", "status": "skipped"}, {"case": "ü/b", "status": "done", "n": 2})
    found = read_manifest(tmp_path)
    assert {name: (record["status"], record["n"]) for name, record in found.items()} == {
        "a": ("done", 1),
        "ü/b": ("done", 2),
    }
    assert len(path.read_bytes().splitlines()) == 4


def test_a_segmentation_stays_known_when_its_case_failed_later(tmp_path) -> None:
    path = tmp_path / "manifest.jsonl"
    side = {"output": "a.png", "bytes": 1}
    named = "a.nii", "a.mha", "a.png"
    _append(path, {"case": "a", "status": "done", "output": "a.nii", "n": 1})
    _append(path, {"case": "a", "status": "done", "output": "a.nii", "n": 2, "overlay": side})
    _append(path, {"case": "a", "status": "done", "output": "a.mha", "n": 3}, {"case": "a", "status": "failed"})
    assert read_manifest(tmp_path)["a"]["status"] == "failed"
    assert [read_results(tmp_path)[name]["n"] for name in named] == [2, 3, 2]
    assert recorded_files(tmp_path) == {tmp_path.resolve() / name for name in named}


def test_manifests_of_shards_are_one(tmp_path) -> None:
    _append(tmp_path / "manifest-2-of-2.jsonl", {"case": "a", "status": "failed", "n": 1})
    _append(tmp_path / "manifest-1-of-2.jsonl", {"case": "b", "status": "done", "n": 2})
    _append(tmp_path / "manifest.jsonl", {"case": "a", "status": "done", "n": 3})
    assert {name: record["n"] for name, record in read_manifest(tmp_path).items()} == {"a": 3, "b": 2}


def test_what_finished_last_counts_in_whichever_manifest_it_stands(tmp_path) -> None:
    manifests = ("manifest", 9, "failed"), ("manifest-1-of-2", 11, "done"), ("manifest-2-of-2", 10, "failed")
    for name, hour, status in manifests:
        record = {"case": "a", "status": status, "finished": f"2026-01-02T{hour:02}:00:00.000000+00:00"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record) + "\n")
    assert read_manifest(tmp_path)["a"]["status"] == "done"


@settings(max_examples=30)
@given(st.integers(min_value=0, max_value=300))
def test_a_run_killed_at_any_byte_costs_the_record_in_hand(tmp_path_factory, cut) -> None:
    path = tmp_path_factory.mktemp("killed") / "manifest.jsonl"
    _append(path, {"case": "a", "status": "done"}, {"case": "é", "status": "done"})
    whole = path.read_bytes()
    first = whole.index(b"\n")
    kept = cut % (len(whole) + 1)
    path.write_bytes(whole[:kept])
    _append(path, {"case": "c", "status": "done"})
    expected = {"c"} | ({"a"} if kept >= first else set()) | ({"é"} if kept >= len(whole) - 1 else set())
    assert set(read_manifest(path.parent)) == expected


@pytest.mark.parametrize(
    "line", [b"[]", b"3", b'{"case": "a"}', b'{"case": 3, "status": "done", "finished": ""}', b"\xff"]
)
def test_lines_that_are_no_records_are_passed_over(tmp_path, line) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(line + b"\n")
    _append(path, {"case": "b", "status": "done"})
    assert set(read_manifest(tmp_path)) == {"b"}


def test_records_are_json_with_their_time(tmp_path) -> None:
    _append(tmp_path / "manifest.jsonl", {"case": "a", "status": "done", "window": {"low": -125.0}})
    record = json.loads((tmp_path / "manifest.jsonl").read_text())
    assert record["window"] == {"low": -125.0}
    assert record["finished"].endswith("+00:00")


def test_names_have_slashes_on_every_system(tmp_path, monkeypatch) -> None:
    assert name_from(tmp_path / "results", tmp_path / "images" / "a.png") == "../images/a.png"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os.path, "relpath", lambda *_: "..\\images\\a.png")
    assert name_from(tmp_path / "results", tmp_path / "images" / "a.png") == "../images/a.png"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
def test_a_backslash_may_be_part_of_a_name(tmp_path) -> None:
    assert name_from(tmp_path, tmp_path / "a\\b.nii") == "a\\b.nii"
    _append(tmp_path / "manifest.jsonl", {"case": "a/b", "status": "done", "output": "a/b.nii", "n": 1})
    _append(tmp_path / "manifest.jsonl", {"case": "a\\b", "status": "done", "output": "a\\b.nii", "n": 2})
    assert {name: record["n"] for name, record in read_results(tmp_path).items()} == {"a/b.nii": 1, "a\\b.nii": 2}


def test_records_of_older_releases_on_windows_are_known_by_names_with_slashes(tmp_path) -> None:
    side = {"output": "..\\overlays\\a.png", "bytes": 1}
    old = {"case": "sub/a", "status": "done", "output": "sub\\a.nii", "overlay": side}
    _append(tmp_path / "manifest.jsonl", old)
    assert {"sub/a.nii", "../overlays/a.png"} <= set(read_results(tmp_path))
    assert {(tmp_path / "sub" / "a.nii").resolve(), tmp_path.parent / "overlays" / "a.png"} <= recorded_files(tmp_path)
    assert is_name("sub\\a.nii", "sub/a.nii")
    assert not is_name(None, "sub/a.nii")
    assert not is_name("sub/a.nii", "sub\\a.nii")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(CannotWrite, match="choose another folder"):
        Manifest(tmp_path / "manifest.jsonl")
    with pytest.raises(CannotWrite, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Manifest(tmp_path / "manifest.jsonl") as manifest:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(CannotWrite, match=r"No space left.*goes on where it stopped"):
            manifest.append({"case": "a", "status": "done"})
