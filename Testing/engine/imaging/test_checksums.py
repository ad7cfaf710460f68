"""Compressed voxels of which a bit has changed: they are never taken for those that were saved."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging import checksums
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.pictures import read_picture, read_picture_labels
from KPrismLib.imaging.reading import read_volume

#: Image and the file that holds its voxels.
FILES = {
    "a.nii.gz": "a.nii.gz",
    "a.nrrd": "a.nrrd",
    "a.nhdr": "a.raw.gz",
    "a.mha": "a.mha",
    "a.mhd": "a.zraw",
}
_NHDR = """NRRD0004
type: short
dimension: 3
sizes: 12 10 6
endian: {endian}
encoding: gzip
{more}data file: {names}
"""


@pytest.fixture(autouse=True)
def _quiet_itk() -> Iterator[None]:
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    yield
    sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _labels() -> np.ndarray[Any, np.dtype[np.int16]]:
    labels = np.zeros((6, 10, 12), np.int16)
    labels[1:4, 2:7, 3:9] = 1
    labels[::2, ::3, ::5] = 2
    return labels


@pytest.mark.parametrize("read", [lambda path: read_volume(path).array, lambda path: read_label_volume(path).array])
@pytest.mark.parametrize("name", FILES)
def test_changed_bits_are_refused_or_change_no_voxel(tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    labels, path, voxels = _labels(), tmp_path / name, tmp_path / FILES[name]
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path), useCompression=True)
    assert np.array_equal(read(path), labels)
    content, refused = voxels.read_bytes(), 0
    for place in range(max(0, len(content) - 100), len(content), 2):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        voxels.write_bytes(changed)
        try:
            assert np.array_equal(read(path), labels), place
        except InvalidImage:
            refused += 1
    assert refused > 40


def test_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(_labels()), str(path), useCompression=True)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InvalidImage, match=r"^a\.mha is damaged: its voxels are not those that were saved; copy it"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_what_is_not_compressed_has_no_checksum(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(_labels()), str(path))
    assert np.array_equal(read_volume(path).array, _labels())


def test_swapped_bytes_and_several_files_are_compared_as_they_were_compressed(tmp_path: Path) -> None:
    labels = _labels()
    (tmp_path / "big.gz").write_bytes(gzip.compress(labels.astype(">i2").tobytes()))
    (tmp_path / "big.nhdr").write_text(_NHDR.format(endian="big", more="", names="big.gz"))
    for number, half in enumerate((labels[:3], labels[3:])):
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(half.astype("<i2").tobytes()))
    (tmp_path / "two.nhdr").write_text(_NHDR.format(endian="little", more="", names="LIST 3\n0.gz\n1.gz"))
    for name, victim in (("big.nhdr", "big.gz"), ("two.nhdr", "1.gz")):
        assert np.array_equal(read_volume(tmp_path / name).array, labels)
        content = (tmp_path / victim).read_bytes()
        (tmp_path / victim).write_bytes(content[:-6] + bytes([content[-6] ^ 1]) + content[-5:])
        with pytest.raises(InvalidImage, match="damaged"):
            read_volume(tmp_path / name)


def test_what_is_compressed_after_something_else_is_left_to_itk(tmp_path: Path) -> None:
    content = b"a line before\n" + gzip.compress(_labels().astype(">i2").tobytes())
    (tmp_path / "late.gz").write_bytes(content)
    (tmp_path / "late.nhdr").write_text(_NHDR.format(endian="big", more="line skip: 1\n", names="late.gz"))
    assert np.array_equal(read_volume(tmp_path / "late.nhdr").array, _labels())


def test_a_whole_stream_is_known_by_its_end_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes are large: decompressing them twice would double the time of reading them."""

    def never(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(checksums, "_is_whole", never)
    for name in ("a.nrrd", "a.nhdr", "a.mha", "a.mhd"):
        sitk.WriteImage(sitk.GetImageFromArray(_labels()), str(tmp_path / name), useCompression=True)
        assert np.array_equal(read_volume(tmp_path / name).array, _labels())


@pytest.mark.parametrize("read", [read_picture, read_picture_labels])
def test_every_changed_bit_of_the_pixels_of_a_png_is_noticed(
    read: Callable[[Path], object], tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "flat.png"
    pixels = np.zeros((40, 40), np.uint8)
    pixels[10:20, 5:30] = 1
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    read(path)
    start = whole.index(b"IDAT") + 4
    length = int.from_bytes(whole[start - 8 : start - 4], "big")
    for bit in rng.choice(8 * length, min(60, 8 * length), replace=False):
        changed = bytearray(whole)
        changed[start + bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        with pytest.raises(InvalidImage, match=r"^flat\.png is damaged: its pixels"):
            read(path)
    path.write_bytes(whole + b"\0\0\0\1IDATx\0\0\0\0")  # behind its end a file may hold anything
    read(path)
