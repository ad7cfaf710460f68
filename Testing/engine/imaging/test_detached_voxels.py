"""Headers that keep their voxels in other files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import detached_header, voxel_files
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.reading import read_volume

VOXELS = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
META = "ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\n# data file: none.raw\ntype: uint8\ndimension: 3\nsizes: 5 4 3\nencoding: raw\n"
SLICES = ["s01.raw", "s02.raw", "s03.raw"]

FORMS = {
    "one.mhd": (META + "ElementDataFile = sub/a b.raw\n", ["a b.raw"]),
    "windows.mhd": (META.replace("\n", "\r\n") + "ElementDataFile = all.raw\r\n", ["all.raw"]),
    "colon.mha": (META + "  ElementDataFile:all.raw", ["all.raw"]),
    "compressed.mhd": (META + "ElementDataFile = packed.raw\n", ["packed.raw.gz"]),
    "list.mhd": (META + "ElementDataFile = LIST\ns01.raw\ns02.raw \ns03.raw\n", SLICES),
    "numbers.mhd": (META + "ElementDataFile = s%02d.raw 1 3 1\n", SLICES),
    "first.mhd": (META + "ElementDataFile = s%02d.raw 1\n", SLICES),
    "none.mhd": (META + "ElementDataFile = s%02d.raw\n", SLICES),
    "spaces.mhd": (META + "ElementDataFile = sub/a slice %d.raw 2 6 2\n", [f"a slice {n}.raw" for n in (2, 4, 6)]),
    "one.nhdr": (NRRD + "Data File:  sub/a b.raw\nmeaning:=data file: no.raw\n", ["a b.raw"]),
    "before.nrrd": (NRRD.replace("type", "datafile: all.raw\ntype"), ["all.raw"]),
    "list.nhdr": (NRRD + "data file: LIST\ns01.raw\ns02.raw\ns03.raw\n", SLICES),
    "pieces.nhdr": (NRRD + "data file: LIST 3\nall.raw\n", ["all.raw"]),
    "numbers.nhdr": (NRRD + "data file: s%02d.raw 1 3 1\n", SLICES),
    "numbers-of-slices.nhdr": (NRRD + "data file: s%02d.raw 1 3 1 2\n", SLICES),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The voxels in one file, in slices, and in a subfolder."""
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "all.raw", tmp_path / "sub" / "a b.raw"):
        path.write_bytes(VOXELS.tobytes())
    for number, plane in enumerate(VOXELS, start=1):
        (tmp_path / f"s{number:02d}.raw").write_bytes(plane.tobytes())
        (tmp_path / "sub" / f"a slice {2 * number}.raw").write_bytes(plane.tobytes())
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "packed.mhd"), useCompression=True)
    return tmp_path


def _save(folder: Path, name: str) -> Path:
    text, _ = FORMS[name]
    if name == "compressed.mhd":
        text = text.replace("ElementType", "CompressedData = True\nElementType")
        (folder / "packed.zraw").rename(folder / "packed.raw.gz")
    (folder / name).write_bytes(text.encode())
    return folder / name


@pytest.mark.parametrize("name", FORMS)
def test_the_files_of_the_voxels_are_those_that_itk_reads(folder: Path, name: str) -> None:
    path = _save(folder, name)
    assert [file.name for file in voxel_files(path)] == FORMS[name][1]
    assert np.array_equal(read_volume(path).array, VOXELS)


@pytest.mark.parametrize("name", FORMS)
def test_on_windows_the_files_of_the_voxels_get_ascii_names_with_their_header(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _save(folder, name)
    path = path.rename(folder / f"Größe{path.suffix}")
    monkeypatch.setattr(sys, "platform", "win32")
    assert np.array_equal(read_volume(path).array, VOXELS)
    header = detached_header(path)
    assert header is not None
    with itk_paths([path]) as (alias,):
        assert alias.isascii()
        assert {file.parent for file in voxel_files(Path(alias))} == {Path(alias).parent}
    assert [file.name for file in voxel_files(path)] == FORMS[name][1]


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_on_windows_only_the_name_of_the_voxels_may_have_other_letters(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = META + "ElementDataFile = Größe.raw\n" if suffix == ".mhd" else NRRD + "data file: Größe.raw\n"
    (tmp_path / f"scan{suffix}").write_text(header, encoding="utf-8")
    (tmp_path / "Größe.raw").write_bytes(VOXELS.tobytes())
    monkeypatch.setattr(sys, "platform", "win32")
    with itk_paths([tmp_path / f"scan{suffix}"]) as (alias,):
        assert [file.name for file in voxel_files(Path(alias))] == ["000000-000000.raw"]
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(alias)), VOXELS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_headers_in_a_folder_whose_name_is_no_utf8_are_read(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / os.fsdecode(b"J\xfcrgen")
    folder.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / f"scan{suffix}"))
    for path in tmp_path.glob("scan.*"):
        path.rename(folder / path.name)
    assert np.array_equal(read_volume(folder / f"scan{suffix}").array, VOXELS)


def test_headers_with_their_voxels_inside_have_no_other_files(tmp_path: Path) -> None:
    for name in ("scan.nrrd", "scan.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / name))
        assert voxel_files(tmp_path / name) == ()
    for name, content in {"noise.nrrd": b"data file: noise.nrrd\n", "zero.mhd": b"\0" * 200, "scan.png": b"x"}.items():
        (tmp_path / name).write_bytes(content)
        assert voxel_files(tmp_path / name) == ()
    assert voxel_files(tmp_path / "nowhere.mhd") == ()


@pytest.mark.parametrize(
    "field",
    ["missing.raw", "s%02d.raw 1 2000000000 1", "s%s.raw", "s%9999d.raw", "a%d%d.raw", "LIST\nmissing.raw", "x\0y"],
)
def test_voxels_that_are_not_there_are_a_sentence(folder: Path, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "Größe.nhdr").write_text(f"{NRRD}data file: {field}\n", encoding="utf-8")
    for system in (sys.platform, "win32"):
        monkeypatch.setattr(sys, "platform", system)
        with pytest.raises(InvalidImage, match="cannot be read"):
            read_volume(folder / "Größe.nhdr")
