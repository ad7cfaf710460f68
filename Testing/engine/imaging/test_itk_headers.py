"""Headers that ITK may not see, because the process would not survive it, and those that it may."""

from __future__ import annotations

import bz2
import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.itk_headers import check_itk_header
from KPrismLib.imaging.reading import read_volume

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
META = "ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nencoding: raw\nendian: little\n\n"
LONG = "x" * 3000


def _save(folder: Path, name: str, header: str, voxels: bytes = VOXELS.tobytes()) -> Path:
    (folder / name).write_bytes(header.encode() + voxels)
    return folder / name


@pytest.fixture
def itk_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked, it would end the process that runs the tests."""
    monkeypatch.setattr(sitk, "ReadImage", lambda *_: pytest.fail("ITK reads it"))


@pytest.mark.usefixtures("itk_is_not_asked")
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("endian: little\n\n", "", "no empty line at its end"),
        ("endian: little\n\n", "endian: little\n" + "\0\1" * 900, "no empty line at its end"),
        ("endian: little\n", f"Comment = {LONG}\n", "line 6, or has no empty line"),
        ("endian: little", "endian: little" * 100, "damaged in line 6"),
        ("endian: little", f"endian: {LONG}:=x", "damaged in line 6"),
        ("endian: little", f"endian: little\nNote: a:={LONG}", "damaged in line 7"),
        ("endian: little", "dimension: 2", "damaged in line 6"),
        ("NRRD0004", "NRRD0009", "damaged, or no NRRD file"),
        ("dimension: 3", "dimension: 17", "dimension is 17"),
        ("dimension: 3", "dimension: 3e9", "dimension is 3e9"),
        ("dimension: 3\n", "", "dimension is missing"),
        ("dimension: 3", "dimension: 4", "sizes has not 4 numbers"),
        ("5 4 3", "5 -4 3", "sizes is -4"),
        ("5 4 3", "5 0 3", "sizes is 0"),
        ("5 4 3", "5 4 100000000", "more voxels than there are"),
        ("short", "block", "type is block"),
        ("short", "double", "more voxels than there are"),
        ("raw", "zip", "encoding is zip"),
        ("5 4 3\nencoding: raw", "5 4 100000000\nencoding: gzip", "more voxels than there are"),
        ("5 4 3\nencoding: raw", "5 4 100000000\nencoding: ascii", "more voxels than there are"),
        ("endian: little\n\n", "endian: little\ndata file: a%s.raw 1 3 1\n", r"a%s\.raw 1 3 1, which cannot be found"),
        ("endian: little\n\n", "endian: little\ndata file: a%d.raw 1 100000000 1\n", "a1.raw, which cannot be found"),
    ],
)
def test_a_damaged_nrrd_is_kept_from_itk(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in NRRD
    with pytest.raises(InvalidImage, match=rf"^scan\.nrrd cannot be read: .*{expected}.*; copy .*\.$"):
        read_volume(_save(tmp_path, "scan.nrrd", NRRD.replace(old, new)))


@pytest.mark.usefixtures("itk_is_not_asked")
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("NDims = 3", "NDims = 99", "NDims is 99"),
        ("NDims = 3", "NDims = -1", "NDims is -1"),
        ("NDims = 3", "NDims = 99999999999999999999", "NDims is 9{20}"),
        ("NDims = 3\n", "", "NDims is missing"),
        ("NDims = 3\n", "NDims = 3\nNDims = 5\n", "two fields NDims"),
        ("5 4 3", "5 4", "DimSize has not 3 numbers"),
        ("5 4 3", "5 4 nan", "DimSize is nan"),
        ("5 4 3", "5 4 100000000", "more voxels than there are"),
        ("MET_SHORT", "MET_OTHER", "ElementType is MET_OTHER"),
        ("MET_SHORT", "MET_DOUBLE", "more voxels than there are"),
        ("MET_SHORT", "MET_SHORT\nElementNumberOfChannels = 0", "ElementNumberOfChannels is 0"),
        ("5 4 3", "5 4 100000000\nCompressedData = True", "more voxels than there are"),
        ("5 4 3", "5 4 100000000\nBinaryData = False", "more voxels than there are"),
        ("ElementDataFile = LOCAL\n", "", "without a field ElementDataFile"),
        ("LOCAL", "%s", "damaged where it names the files"),
        ("LOCAL", "s%d 1 3", "damaged where it names the files"),
        ("LOCAL", "s%d 1 x3 1", "damaged where it names the files"),
        ("LOCAL", "other.raw", r"other\.raw, which cannot be found"),
    ],
)
def test_a_damaged_metaimage_is_kept_from_itk(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in META
    with pytest.raises(InvalidImage, match=rf"^scan\.mha cannot be read: .*{expected}.*; copy .*\.$"):
        read_volume(_save(tmp_path, "scan.mha", META.replace(old, new)))


@pytest.mark.usefixtures("itk_is_not_asked")
@pytest.mark.parametrize(("name", "header"), [("scan.mha", META), ("scan.nrrd", NRRD)])
def test_a_file_that_was_cut_off_is_kept_from_itk(tmp_path: Path, name: str, header: str) -> None:
    with pytest.raises(InvalidImage, match="it is cut off, or"):
        read_volume(_save(tmp_path, name, header, VOXELS.tobytes()[:-1]))


@pytest.mark.usefixtures("itk_is_not_asked")
def test_a_list_with_fewer_slices_than_the_header_says_is_kept_from_itk(tmp_path: Path) -> None:
    for number in (1, 2):
        _save(tmp_path, f"s{number}.raw", "", VOXELS[number].tobytes())
    with pytest.raises(InvalidImage, match="more voxels than there are"):
        read_volume(_save(tmp_path, "scan.mhd", META.replace("LOCAL", "LIST\ns1.raw\ns2.raw"), b""))


def test_a_damaged_header_does_not_end_the_process(tmp_path: Path) -> None:
    """Without tricks: this is what happened."""
    damaged = _save(tmp_path, "a.nrrd", NRRD[:-1], b"\xff" * 5000)
    code = f"from KPrismLib.imaging.reading import read_volume; read_volume({str(damaged)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "InvalidImage: a.nrrd cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("endian: little", "endian: little\ncontent: " + LONG),
        ("endian: little", "endian: little\nNote:=with a colon: " + LONG),
        ("endian: little", "endian: little\n# " + LONG),
        ("type: short", "Type: Signed Short Int"),
        ("\n", "\r\n"),
        ("NRRD0004", "NRRD0005"),
        ("endian: little", 'endian: little\nlabels: "x: 1" "y" "z"\nSpace Dimension: 3\nspace units: "mm" "mm" "mm"'),
    ],
)
def test_a_nrrd_that_is_unusual_is_read(tmp_path: Path, old: str, new: str) -> None:
    assert np.array_equal(read_volume(_save(tmp_path, "scan.nrrd", NRRD.replace(old, new))).array, VOXELS)


@pytest.mark.parametrize(
    ("encoding", "voxels"),
    [
        # Without the time: it would be in the names of the tests, which all processes of a run must agree on.
        ("gzip", gzip.compress(VOXELS.tobytes(), mtime=0)),
        ("GZ", gzip.compress(VOXELS.tobytes(), mtime=0)),
        ("ascii", " ".join(map(str, VOXELS.ravel())).encode()),
        ("hex", VOXELS.tobytes().hex().encode()),
    ],
)
def test_a_nrrd_of_every_encoding_is_read(tmp_path: Path, encoding: str, voxels: bytes) -> None:
    path = _save(tmp_path, "scan.nrrd", NRRD.replace("raw", encoding), voxels)
    assert np.array_equal(read_volume(path).array, VOXELS)


@pytest.mark.parametrize(("encoding", "press"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
def test_an_image_of_nothing_may_be_pressed_as_far_as_it_goes(tmp_path: Path, encoding: str, press) -> None:
    header = NRRD.replace("5 4 3", "500 400 100").replace("raw", encoding)
    check_itk_header(_save(tmp_path, "scan.nrrd", header, press(bytes(2 * 500 * 400 * 100))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NDims = 3", "Comment = x\nNDims : 3 of them"),
        ("5 4 3", "5 4 3 voxels"),
        ("\n", "\r\n"),
        ("MET_SHORT", "MET_SHORT\nBinaryData = True\nCompressedData = False\nHeaderSize = -1"),
    ],
)
def test_a_metaimage_that_is_unusual_is_read(tmp_path: Path, old: str, new: str) -> None:
    assert np.array_equal(read_volume(_save(tmp_path, "scan.mha", META.replace(old, new))).array, VOXELS)


def test_a_metaimage_in_text_or_compressed_is_read(tmp_path: Path) -> None:
    text = META.replace("MET_SHORT", "MET_SHORT\nBinaryData = False")
    path = _save(tmp_path, "text.mha", text, "".join(f"{value} " for value in VOXELS.ravel()).encode())
    assert np.array_equal(read_volume(path).array, VOXELS)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((100, 100, 100))), str(tmp_path / "zero.mha"), useCompression=True)
    assert read_volume(tmp_path / "zero.mha").shape == (100, 100, 100)


def test_every_type_of_voxels_that_itk_writes_is_read(tmp_path: Path) -> None:
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, float):
        for name in ("scan.nrrd", "scan.nhdr", "scan.mha", "scan.mhd"):
            sitk.WriteImage(sitk.GetImageFromArray(VOXELS.astype(kind)), str(tmp_path / name))
            assert np.array_equal(read_volume(tmp_path / name).array, VOXELS)
