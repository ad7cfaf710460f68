"""A dataset folder on slice stores gives the slices that it gives on NIfTI files, and reads only the asked ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder, index_slices
from KPrismLib.errors import InvalidDataset
from KPrismLib.imaging import slice_store
from KPrismLib.imaging.slice_store import StoredWindow, store_bytes
from KPrismLib.intensity import IntensityWindow
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder

LPS = np.diag([-1.0, -1.0, 3.0, 1.0])


def columns_first() -> tuple[np.ndarray, np.ndarray]:
    """An image and a mask of 6 columns, 5 rows and 4 slices."""
    image = np.random.default_rng(0).integers(-900, 900, (6, 5, 4)).astype(np.int16)
    mask = np.zeros((6, 5, 4), dtype=np.uint8)
    mask[1:4, 2:4, 1:3] = 1
    return image, mask


def folders(tmp_path: Path, *, recorded: StoredWindow | None = None, **changes: Any) -> tuple[DatasetFolder, ...]:
    """The same volume as NIfTI and as slice stores, the second with a recorded window."""
    image, mask = columns_first()
    description = describe([listed("v", suffix=".nii.gz")], **changes)
    nifti = write_folder(tmp_path / "nifti", description, image_v=image, mask_v=mask)
    affine = nib.load(nifti / "images/v.nii.gz").affine
    stored = tmp_path / "stored"
    for kind, array, window in (("images", image, recorded), ("masks", mask, None)):
        (stored / kind).mkdir(parents=True)
        (stored / kind / "v.h5").write_bytes(store_bytes(array.T, affine, window=window))
    write_text = (nifti / "dataset.json").read_text(encoding="utf-8").replace(".nii.gz", ".h5")
    (stored / "dataset.json").write_text(write_text, encoding="utf-8")
    return DatasetFolder.open(nifti), DatasetFolder.open(stored)


@pytest.mark.parametrize("changes", [{}, {"window": "percentile-2-98"}, {"modality": "MRI"}, {"window": [-100, 240]}])
def test_slices_are_those_of_the_nifti_file(tmp_path: Path, changes: dict[str, Any]) -> None:
    nifti, stored = folders(tmp_path, **changes)
    ours, theirs = (folder.load(folder.items()[0]) for folder in (stored, nifti))
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs, strict=True):
        assert (one.dataset, one.item, one.patient, one.index) == (
            other.dataset,
            other.item,
            other.patient,
            other.index,
        )
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.labels, other.labels)
        assert (one.pixels.dtype, one.labels.dtype) == (np.uint8, np.int32)
    assert [r.present for r in index_slices(stored, "test")] == [r.present for r in index_slices(nifti, "test")]


def read_slabs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    read: list[tuple[int, int]] = []
    real = slice_store.StoredVolume.slab

    def slab(self: slice_store.StoredVolume, start: int, stop: int) -> Any:
        read.append((start, stop))
        return real(self, start, stop)

    monkeypatch.setattr(slice_store.StoredVolume, "slab", slab)
    return read


def test_a_recorded_window_saves_looking_at_the_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = StoredWindow(("auto", "CT"), IntensityWindow(0.0, 2550.0, "0,2550"))
    _, stored = folders(tmp_path, recorded=recorded)
    read = read_slabs(monkeypatch)
    third, first = stored.slices(stored.items()[0], [2, 0])
    assert (third.index, first.index) == (2, 0)
    assert set(read) == {(2, 3), (0, 1)}
    image, mask = columns_first()
    assert np.array_equal(third.pixels, np.rint(image[..., 2].T.clip(0, 2550) / 10).astype(np.uint8))
    assert np.array_equal(third.labels, mask[..., 2].T)


def test_a_window_that_was_recorded_for_another_rule_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = StoredWindow(("auto", "CT"), IntensityWindow(0.0, 2550.0, "0,2550"))
    nifti, stored = folders(tmp_path, recorded=recorded, modality="MRI")
    read = read_slabs(monkeypatch)
    (piece,) = stored.slices(stored.items()[0], [1])
    assert (0, 4) in read
    assert np.array_equal(piece.pixels, nifti.load(nifti.items()[0])[1].pixels)


def test_what_is_wrong_with_a_store_is_told(tmp_path: Path) -> None:
    _, stored = folders(tmp_path)
    (item,) = stored.items()
    image, mask = (stored.path / name for name in (item.image, item.mask))
    good = mask.read_bytes()
    mask.write_bytes(store_bytes(np.zeros((3, 5, 6), np.uint8), LPS))
    with pytest.raises(InvalidDataset, match="differ in size: 4x5x6 against 3x5x6"):
        stored.load(item)
    mask.write_bytes(store_bytes(np.full((4, 5, 6), 7, np.uint8), LPS))
    with pytest.raises(InvalidDataset, match="holds 7, which labels do not name"):
        stored.load(item)
    mask.write_bytes(store_bytes(np.full((4, 5, 6), 0.5, np.float32), LPS))
    with pytest.raises(InvalidDataset, match=r"mask of item v: .* not integers"):
        stored.load(item)
    mask.write_bytes(good)
    image.write_bytes(b"nothing")
    with pytest.raises(InvalidDataset, match=r"image of item v: .* not a readable slice store"):
        stored.load(item)


def test_stores_of_different_orientations_are_refused(tmp_path: Path) -> None:
    _, stored = folders(tmp_path)
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    (stored.path / "masks/v.h5").write_bytes(store_bytes(mask, np.diag([1.0, -1.0, 3.0, 1.0])))
    with pytest.raises(InvalidDataset, match="stored in different orientations"):
        stored.load(stored.items()[0])
