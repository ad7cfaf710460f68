"""Slice stores: what goes in comes out, a slice costs a slice, and what is no store is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.slice_store import StoredWindow, open_store, store_bytes
from KPrismLib.intensity import IntensityWindow

MATRIX = np.array([[-1.5, 0, 0, 7], [0, -2, 0.25, -3], [0, 0.25, 5, 1], [0, 0, 0, 1.0]])


def volume(dtype: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, (5, 40, 30)).astype(dtype)


def written(path: Path, array: np.ndarray, **how: Any) -> Path:
    path.write_bytes(store_bytes(array, MATRIX, **how))
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_voxels_and_geometry_survive(tmp_path: Path, dtype: Any) -> None:
    array = volume(dtype)
    found = read_volume(written(tmp_path / "a.h5", array))
    assert found.array.dtype == dtype
    assert np.array_equal(found.array, array)
    assert np.array_equal(found.ijk_to_ras, MATRIX)
    assert not found.is_picture


def test_colours_survive(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3), dtype=np.uint8)
    assert np.array_equal(read_volume(written(tmp_path / "a.h5", array)).array, array)


def test_equal_volumes_give_equal_files() -> None:
    assert store_bytes(volume(), MATRIX) == store_bytes(volume(), MATRIX)


def test_a_slice_needs_no_other_slice(tmp_path: Path) -> None:
    """The chunks of all other slices are destroyed, and it can still be read."""
    path = written(tmp_path / "a.h5", volume())
    with h5py.File(path) as file:
        places = [file["voxels"].id.get_chunk_info(number) for number in range(5)]
    content = bytearray(path.read_bytes())
    for place in places:
        if place.chunk_offset[0] != 3:
            content[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
    path.write_bytes(content)
    with open_store(path) as stored:
        assert stored.shape == (5, 40, 30)
        assert np.array_equal(stored.slab(3, 4).array, volume()[3:4])
        with pytest.raises(InvalidImage, match="damaged"):
            stored.slab(2, 3)


def test_a_window_is_kept(tmp_path: Path) -> None:
    window = StoredWindow(("percentile-2-98", "MRI"), IntensityWindow(-3.25, 990.5, "percentile-2-98"))
    with open_store(written(tmp_path / "a.h5", volume(), window=window)) as stored:
        assert stored.window == window
    with open_store(written(tmp_path / "b.h5", volume())) as stored:
        assert stored.window is None


def other(path: Path, content: str) -> Path:
    if content == "text":
        path.write_text("no HDF5")
    elif content == "half":
        path.write_bytes(store_bytes(volume(), MATRIX)[:900])
    else:
        with h5py.File(path, "w") as file:
            if content != "foreign":
                file.attrs["format"] = 1 if content != "newer" else 99
                file["voxels"] = np.zeros((2, 3, 4))
                file["voxels"].attrs["ijk_to_ras"] = np.eye(4)
                file["voxels"].attrs["window"] = {"text": "{", "empty": "{}"}.get(content, "[]")
    return path


@pytest.mark.parametrize("content", ["text", "half", "foreign", "newer", "empty", "list"])
def test_what_is_no_store_is_told(tmp_path: Path, content: str) -> None:
    with pytest.raises(InvalidImage, match=r"a\.h5 .* slice store"):
        read_volume(other(tmp_path / "a.h5", content))


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.h5", volume())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InvalidImage, match=r"kprism\[train\]"):
        read_volume(path)
