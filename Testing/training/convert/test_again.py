"""A conversion that is run again: what has changed since is converted, and nothing else, and little is read."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder
from Testing.training.convert.smallest import DOWNLOADS
from Testing.training.convert.trees import anatomy, blob, partial_download, save_nifti, save_picture, stored
from Training.convert import stamps
from Training.convert.conversion import Outcome, convert
from Training.convert.findings import Kind
from Training.convert.ledger import NAME
from Training.convert.sets.bus import BUS
from Training.convert.sets.lits import LITS

_SHAPE = (96, 96, 32)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """LiTS with two scans, whose files are longer than both ends that a mark looks at."""
    image, labels = anatomy((1, 2))
    wide, mask = np.resize(image, _SHAPE), np.zeros(_SHAPE, np.uint8)
    mask[30:50, 30:50, 10:20] = 1
    mask[: labels.shape[0], : labels.shape[1], 5:10] = labels
    for number in (0, 1):
        save_nifti(tmp_path / f"download/volume-{number}.nii", wide + number)
        save_nifti(tmp_path / f"download/segmentation-{number}.nii", mask)
    return tmp_path / "download"


def _run(download: Path, target: Path) -> Outcome:
    return convert(partial_download(LITS), download, target)


def _with_a_hole(content: bytes) -> bytes:
    """As an interrupted download leaves a file whose place on the disk was taken beforehand."""
    edge = 80_000
    return content[:edge] + bytes(len(content) - 2 * edge) + content[-edge:]


@pytest.mark.parametrize(
    "same_time",
    [
        False,
        pytest.param(True, marks=pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of the change")),
    ],
)
def test_a_mended_file_is_converted_again(download: Path, tmp_path: Path, same_time: bool) -> None:
    path = download / "segmentation-0.nii"
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(_with_a_hole(whole))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    _run(download, tmp_path / "out")
    assert not (stored(DatasetFolder.open(tmp_path / "out"), "volume-0")[1][30:50, 30:50, 10:20] == 1).all()
    path.write_bytes(whole)
    if same_time:  # unpacked again: archives bring the times of their files
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    outcome = _run(download, tmp_path / "out")
    assert (outcome.converted, outcome.kept) == (1, 1)
    assert (stored(DatasetFolder.open(tmp_path / "out"), "volume-0")[1][30:50, 30:50, 10:20] == 1).all()


def test_a_written_file_that_changed_in_its_middle_is_written_again(tmp_path: Path) -> None:
    DOWNLOADS["bus"](tmp_path / "download")
    noise = np.random.default_rng(0).integers(0, 255, (400, 500), dtype=np.uint8)
    save_picture(tmp_path / "download/BUS/original/000001.png", noise)
    save_picture(tmp_path / "download/BUS/GT/000001.png", blob((400, 500)))
    converter = partial_download(BUS)
    convert(converter, tmp_path / "download", tmp_path / "out")
    path = tmp_path / "out/images/000001.png"
    whole = path.read_bytes()
    path.write_bytes(_with_a_hole(whole))
    assert convert(converter, tmp_path / "download", tmp_path / "out").converted == 1
    assert path.read_bytes() == whole


def test_a_download_that_was_copied_again_is_read_once_more_and_not_converted(
    download: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    digest = stamps.sha256_of
    monkeypatch.setattr(stamps, "sha256_of", lambda path: [read.append(path.name), digest(path)][1])
    _run(download, tmp_path / "out")
    assert len(read) == 4 + 4
    read.clear()
    assert _run(download, tmp_path / "out").kept == 2
    assert read == []
    shutil.copytree(download, tmp_path / "copied")
    assert _run(tmp_path / "copied", tmp_path / "out").kept == 2
    assert sorted(read) == ["segmentation-0.nii", "segmentation-1.nii", "volume-0.nii", "volume-1.nii"]
    read.clear()
    assert _run(tmp_path / "copied", tmp_path / "out").kept == 2
    assert read == []


def test_a_ledger_of_before_is_not_believed(download: Path, tmp_path: Path) -> None:
    """It holds the size and both ends of every file, which a hole does not change."""
    _run(download, tmp_path / "out")
    ledger = tmp_path / "out" / NAME
    entries = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines() if line]
    for entry in entries[1:]:
        entry["inputs"] = {name: stamps.mark(download / name) for name in entry["inputs"]}
        entry["outputs"] = {name: stamps.mark(tmp_path / "out" / name) for name in entry["outputs"]}
    ledger.write_text("".join("\n" + json.dumps(entry) for entry in entries[1:]), encoding="utf-8")
    assert _run(download, tmp_path / "out").converted == 2
    assert _run(download, tmp_path / "out").kept == 2


def test_a_mask_without_anything_is_told_in_every_run(download: Path, tmp_path: Path) -> None:
    save_nifti(download / "segmentation-1.nii", np.zeros(_SHAPE, np.uint8))
    for kept in (0, 2):
        outcome = _run(download, tmp_path / "out")
        assert outcome.kept == kept
        assert [(f.kind, f.subject, f.detail) for f in outcome.findings] == [
            (Kind.REMARK, "segmentation-1.nii", "nothing is outlined; if that is not so, fetch the file again")
        ]


def test_who_converts_again_learns_what_moved_and_nothing_is_read_again(tmp_path: Path) -> None:
    DOWNLOADS["bus"](tmp_path / "download")
    new = partial_download(BUS)
    earlier = replace(
        new, cases=lambda source: [replace(case, split="train", patient="x") for case in BUS.cases(source)]
    )
    convert(earlier, tmp_path / "download", tmp_path / "out")
    outcome = convert(new, tmp_path / "download", tmp_path / "out")
    assert (outcome.converted, outcome.kept) == (0, 2)
    assert all(finding.kind is Kind.REMARK for finding in outcome.findings)
    assert [str(finding) for finding in outcome.findings] == [
        "2 items: now test, train before this run; weights trained on them must not be tested on them",
        "2 items: of another patient than before this run; intervals over patients are not those of before",
    ]
    assert outcome.description is not None
    written = json.loads(outcome.description.read_text(encoding="utf-8"))
    assert {item["split"] for item in written["items"]} == {"test"}
    assert not convert(new, tmp_path / "download", tmp_path / "out").findings
