"""What is read in pieces is read to its end: voxels, files, compressed streams."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from KPrismLib.batch.fingerprint import content_fingerprint
from KPrismLib.imaging import checksums, voxel_values


def test_labels_and_percentiles_are_of_all_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voxel_values, "_PIECE", 7)
    values = np.arange(40, dtype=np.uint8).reshape(4, 10)
    assert voxel_values.labels_in(values) == list(range(1, 40))
    assert voxel_values.percentiles(values, [10, 50]) == np.percentile(values, [10, 50]).tolist()


def test_a_fingerprint_is_of_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("KPrismLib.batch.fingerprint._PIECE", 4)
    path = tmp_path / "one"
    path.write_bytes(b"12345678")
    before = content_fingerprint([path])
    path.write_bytes(b"12345679")
    assert content_fingerprint([path]) != before


def test_a_stream_is_whole_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "_PIECE", 16)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(10_000)))
    assert checksums._is_whole(path, 0)
    path.write_bytes(path.read_bytes()[:-9])
    assert not checksums._is_whole(path, 0)
