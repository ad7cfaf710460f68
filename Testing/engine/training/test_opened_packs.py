"""Packs as they are found: what their sets hold, which are damaged, and which sets would be mixed up."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidDataset
from KPrismLib.training import packing
from KPrismLib.training.packing import PackedDataset, content_digest, open_pack
from Testing.engine.dataset.tiny_dataset import describe, listed, save, write_folder
from Testing.engine.training.tiny_training import labels, pixels, write_dataset


def test_the_content_of_a_set_is_that_of_its_files_whatever_their_times(tmp_path: Path) -> None:
    """Uncompressed, so that a corrected mask is as large as before."""
    content = describe([listed("m", suffix=".tif", split="train")])
    folder = write_folder(tmp_path / "d", content, image_m=pixels(0), mask_m=(labels(0) == 1).astype(np.uint8))
    path = folder / "masks" / "m.tif"
    before, size = path.read_bytes(), path.stat().st_size

    def told() -> str:
        return open_pack([folder], tmp_path / "packed", split="train", long_side=48)[0].content

    first = told()
    assert len(first) == 32
    assert first == told()
    os.utime(path, (1e9, 1e9))
    assert told() == first
    save(path, (labels(5) == 1).astype(np.uint8))
    assert path.stat().st_size == size
    assert told() != first
    assert told()[:16] == content_digest(DatasetFolder.open(folder), "train") == first[:16]
    path.write_bytes(before)
    assert told() == first


def test_voxels_that_lie_beside_their_header_are_content_too(tmp_path: Path) -> None:
    content = describe([listed("m", suffix=".mhd", split="train")])
    folder = tmp_path / "d"
    for kind, array in (("images", pixels(0)), ("masks", (labels(0) == 1).astype(np.uint8))):
        (folder / kind).mkdir(parents=True)
        sitk.WriteImage(sitk.GetImageFromArray(array[None]), folder / kind / "m.mhd")

    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")

    def told() -> PackedDataset:
        return open_pack([folder], tmp_path / "packed", split="train", long_side=48)[0]

    first = told()
    raw = folder / "masks" / "m.raw"
    raw.write_bytes((labels(5) == 1).astype(np.uint8).tobytes())
    again = told()
    assert again.content != first.content
    assert np.array_equal(again.load(again.slices[0])[1], labels(5) == 1)


def test_two_runs_that_find_a_damaged_pack_at_once_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    (whole,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    for quicker in (False, True):  # the other run has not begun to mend it, or is done
        _cut(whole.path)
        pack, calls = packing.pack_folder, [0]

        def meanwhile(*arguments: Any, pack=pack, calls=calls, quicker=quicker, **more: Any) -> None:
            calls[0] += 1
            if calls[0] == 1 and quicker:
                open_pack([folder], tmp_path / "packed", split="train", long_side=48)
            pack(*arguments, **more)
            if calls[0] == 1 and not quicker:
                shutil.rmtree(whole.path.parent)

        with monkeypatch.context() as patch:
            patch.setattr(packing, "pack_folder", meanwhile)
            assert open_pack([folder], tmp_path / "packed", split="train", long_side=48) == [whole]
        assert list((tmp_path / "packed").iterdir()) == [whole.path.parent]


def test_a_pack_that_cannot_be_opened_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    (whole,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    real = Path.read_text

    def refused(path: Path, *arguments: Any, **more: Any) -> str:
        if path.name == "index.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refused)
        with pytest.raises(InvalidDataset, match=r"cannot be read: .* delete that folder, and they are packed again"):
            open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert open_pack([folder], tmp_path / "packed", split="train", long_side=48) == [whole]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _alter(path: Path) -> None:
    index = json.loads(path.read_text(encoding="utf-8"))
    index["slices"][1][6] -= 1  # where its pixels begin
    path.write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("slices.bytes", _cut),
        ("slices.bytes", Path.unlink),
        ("index.json", _cut),
        ("index.json", Path.unlink),
        ("index.json", _alter),
        ("index.json", lambda path: path.write_text("{}")),
        ("index.json", lambda path: path.write_bytes(b"\xff")),
    ],
)
def test_a_damaged_pack_is_made_again(tmp_path: Path, name: str, damage: Callable[[Path], Any]) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    (whole,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    damage(whole.path.with_name(name))
    (again,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert again == whole
    assert all(np.array_equal(again.load(entry)[1], labels(n)) for n, entry in enumerate(again.slices))
    assert list((tmp_path / "packed").iterdir()) == [whole.path.parent]


def test_a_set_that_is_there_twice_is_refused_before_anything_is_packed(tmp_path: Path) -> None:
    folder, other = (write_dataset(tmp_path / name, patients=2) for name in "de")
    for both in ([folder, folder], [folder, other]):
        with pytest.raises(InvalidDataset, match=r"2 sets of the run are called Tiny: .* list each folder once"):
            open_pack(both, tmp_path / "packed", split="train", long_side=48)
    assert not (tmp_path / "packed").exists()
