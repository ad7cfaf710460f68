"""Inputs and outputs that are there and still cannot be used: closed folders, pipes, folders of something else."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from Testing.engine.command.tiny_inputs import save_picture
from Testing.engine.imaging.tiny_dicom import save_slice

LIVER = ("--class", "liver")


@pytest.fixture
def closed(tmp_path, monkeypatch) -> Path:
    """A folder that nobody may enter, also where tests run as somebody who may enter all."""
    folder = tmp_path / "closed"
    folder.mkdir()

    def guarded(real):
        def look(path, *arguments, **options):
            if folder in path.parents:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *arguments, **options)

        return look

    for name in ("stat", "lstat", "is_dir"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))
    return folder


def test_a_folder_that_may_not_be_entered(kprism, picture, closed, tmp_path) -> None:
    expected = "the folder closed may not be opened; choose another folder, or get permission to open it."
    for output in ("results", "out.nii.gz"):
        result = kprism("segment", picture, "-o", closed / output, *LIVER)
        assert result.status == 1
        assert result.sentence == f"Cannot write {output}: {expected}".replace("folder closed", f"folder {closed}")
    overlay = kprism("segment", picture, "-o", tmp_path / "o.png", "--overlay", closed / "o.png", *LIVER)
    assert "may not be opened" in overlay.sentence
    exported = kprism("export", tmp_path / "no.pt", "-o", closed / "w.safetensors")
    assert exported.status == 1
    assert "did not expect" not in exported.sentence


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("name", ["pipe.nii.gz", "pipe.nrrd", "pipe.mhd", "pipe.png"])
def test_a_pipe_is_no_image(kprism, weights, picture, tmp_path, name) -> None:
    os.mkfifo(tmp_path / name)
    for arguments in (
        (tmp_path / name, "-o", tmp_path / "out.nii.gz", *LIVER),
        (tmp_path / name, "-o", tmp_path / "results", *LIVER),
        (picture, "-o", tmp_path / "out.nii.gz", "--reference", tmp_path / name, picture),
    ):
        result = kprism("segment", *arguments, "--model", weights)
        assert result.status == 1
        assert f"{name} is no file but a pipe, a socket or a device; save the image as a file." in result.sentence


def test_a_folder_of_pictures_needs_a_folder_for_its_results(kprism, images, tmp_path) -> None:
    for arguments in ((), ("--propagate",)):
        result = kprism("segment", images, "-o", tmp_path / "all.nii.gz", *LIVER, *arguments)
        assert result.status == 1
        assert result.sentence == (
            "Cannot write the images in images into all.nii.gz; give a folder (a name without ending) as -o."
        )


def test_a_folder_with_dicom_files_is_a_series_whatever_lies_beside_them(kprism, weights, tmp_path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    save_picture(series / "preview.png", np.eye(9, dtype=np.uint8))
    for number in range(3):
        save_slice(series, number, (0, 0, number))
    arguments = ("segment", series, "-o", tmp_path / "out.nii.gz", *LIVER, "--model", weights, "--device", "cpu")
    assert kprism(*arguments).status == 0
    (tmp_path / "empty").mkdir()
    assert "holds no DICOM images" in kprism("segment", tmp_path / "empty", *arguments[2:]).sentence


@pytest.mark.skipif(sys.platform == "win32", reason="says it in other words")
def test_a_name_that_is_too_long_is_repeated_in_part(kprism, picture, tmp_path) -> None:
    name = "x" * 300
    for arguments in (
        ("segment", picture, "-o", tmp_path / "out.png", *LIVER, "--model", name),
        ("segment", picture, "-o", tmp_path / "out.png", "--reference", name, name),
        ("evaluate", name),
        ("classes", "--model", name),
    ):
        result = kprism(*arguments)
        assert result.status == 1
        assert f"{name[:40]}... is longer than the system allows" in result.sentence or "too long" in result.sentence
        assert "did not expect" not in result.err
