"""No result takes the place of a file that is read, by whatever name it is called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from KPrismLib.command.input_files import InputFiles
from Testing.engine.imaging.tiny_dicom import save_slice

LIVER = ("--class", "liver")


@pytest.fixture
def refused(kprism, weights):
    """Runs ``kprism segment`` and returns its sentence, after making sure that no file has changed."""

    def run(image: Path, output: Path, *arguments: object) -> str:
        before = _contents(output.parent)
        result = kprism("segment", image, "-o", output, *arguments, "--model", weights)
        assert result.status == 1
        assert _contents(output.parent) == before
        return result.sentence

    return run


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def series(tmp_path) -> Path:
    """A folder with three slices."""
    folder = tmp_path / "ct"
    folder.mkdir()
    for number in range(3):
        save_slice(folder, number, (0, 0, number), name=f"{number}.dcm")
    return folder


def test_an_input_is_not_written_over_by_another_of_its_names(refused, picture, volume, volume_mask, tmp_path) -> None:
    """A hard link stands for CT.nrrd on a disk that takes it for ct.nrrd."""
    for name, file in (("OTHER.nii.gz", volume), ("MASK.nii.gz", volume_mask), ("OTHER.png", picture)):
        (tmp_path / name).hardlink_to(file)
    other, mask, overlay = (tmp_path / name for name in ("OTHER.nii.gz", "MASK.nii.gz", "OTHER.png"))
    new, twice = tmp_path / "new.png", tmp_path / "NEW.png"
    assert "OTHER.nii.gz: it is also an input" in refused(volume, other, *LIVER)
    assert "MASK.nii.gz: it is also an input" in refused(picture, mask, "--reference", volume, volume_mask)
    assert "OTHER.png: it is also an input" in refused(picture, new, *LIVER, "--overlay", overlay)
    assert "both as image and as mask" in refused(picture, new, "--reference", volume, other)
    new.touch()
    twice.hardlink_to(new)
    assert "NEW.png: it is also another output" in refused(picture, new, *LIVER, "--overlay", twice)


def test_a_slice_of_a_series_is_not_written_over(refused, series, picture, picture_mask) -> None:
    examples = ("--reference", series, picture_mask)
    for image, *arguments in (
        (series, *LIVER),
        (series, *LIVER, "--propagate"),
        (picture, *examples),
        (picture, *examples, "--propagate"),
    ):
        assert "it is also an input" in refused(image, series / "1.dcm", *arguments)
    assert series / "liver.dcm" not in InputFiles([series])


def test_a_slice_of_a_series_is_not_written_over_by_another_of_its_names(series, tmp_path) -> None:
    (tmp_path / "CT.dcm").hardlink_to(series / "0.dcm")
    assert tmp_path / "CT.dcm" in InputFiles([series])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_a_slice_of_a_series_of_links_is_not_written_over(refused, series, tmp_path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a.dcm").symlink_to(series / "0.dcm")
    assert "it is also an input" in refused(tmp_path / "linked", series / "0.dcm", *LIVER)
    assert series / "0.dcm" in InputFiles([tmp_path / "linked"])


def test_a_segmentation_beside_its_series_may_be_written_again(tmp_path) -> None:
    save_slice(tmp_path, 0, (0, 0, 0))
    save_slice(tmp_path, 1, (0, 0, 1), name="liver.dcm", edit=lambda data: setattr(data, "Modality", "SEG"))
    assert tmp_path / "liver.dcm" not in InputFiles([tmp_path])


def test_the_voxels_of_a_header_are_inputs_like_the_header(tmp_path) -> None:
    (tmp_path / "scan.mhd").write_text("ElementDataFile = voxels.nrrd\n")
    (tmp_path / "voxels.nrrd").write_bytes(b"1")
    assert tmp_path / "voxels.nrrd" in InputFiles([tmp_path / "scan.mhd"])
