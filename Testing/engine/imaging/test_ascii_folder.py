"""Temporary folders for ITK where the account of the user, and so the usual folder, has a name that is not ASCII."""

import ctypes
import errno
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.errors import CannotWrite, InvalidImage
from KPrismLib.imaging import ascii_folder
from KPrismLib.imaging.ascii_folder import ascii_temporary_folder
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation

VOXELS = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@pytest.fixture
def account(tmp_path, monkeypatch):
    """The usual folder of Jürgen on Windows, which has no short name; nor is there a folder of everybody."""
    usual = tmp_path / "Jürgen" / "Temp"
    usual.mkdir(parents=True)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    monkeypatch.setattr(ascii_folder, "_short_name", lambda _: "")
    for name in ("PUBLIC", "ProgramData"):
        monkeypatch.delenv(name, raising=False)
    return usual


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "Größe.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    return path


def _made_in(folder):
    folder.mkdir(exist_ok=True)
    return str(folder)


def test_the_usual_folder_is_taken_where_its_name_is_ascii_or_the_system_another(tmp_path, monkeypatch):
    for platform, name in (("win32", "Temp"), ("linux", "Jürgen")):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(tempfile, "tempdir", _made_in(tmp_path / name))
        with ascii_temporary_folder() as folder:
            assert folder.parent == tmp_path / name
            assert folder.is_dir()
        assert not folder.exists()


def test_else_its_short_name_is_taken_and_then_a_folder_of_everybody(account, tmp_path, monkeypatch):
    taken = []
    for name in ("data", "public", "short"):
        if name == "short":
            short = _made_in(tmp_path / name)
            monkeypatch.setattr(ascii_folder, "_short_name", {str(account): short}.__getitem__)
        else:
            monkeypatch.setenv({"data": "ProgramData", "public": "PUBLIC"}[name], _made_in(tmp_path / name))
        with ascii_temporary_folder() as folder:
            taken.append(folder.parent.name)
    assert taken == ["data", "public", "short"]
    monkeypatch.setattr(ascii_folder, "_short_name", lambda _: str(account))  # the code page of old programs has an ü
    monkeypatch.setenv("PUBLIC", str(tmp_path / "nowhere"))
    with ascii_temporary_folder() as folder:
        assert folder.parent.name == "data"


def test_the_short_name_is_that_of_the_system(monkeypatch):
    def short(folder, buffer, size):
        assert size == len(buffer)
        buffer.value = folder.replace("Jürgen", "JRGEN~1")

    kernel = SimpleNamespace(GetShortPathNameW=short)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert ascii_folder._short_name("C:\\Users\\Jürgen\\Temp") == "C:\\Users\\JRGEN~1\\Temp"


def test_images_are_read_and_segmentations_written_through_such_a_folder(account, image, tmp_path, monkeypatch):
    public = Path(_made_in(tmp_path / "Public"))
    monkeypatch.setenv("PUBLIC", str(public))
    with itk_paths([image]) as (alias,):
        assert Path(alias).parent.parent == public
    volume = read_volume(image)
    assert np.array_equal(volume.array, VOXELS)
    written = []
    write = sitk.WriteImage
    monkeypatch.setattr(
        sitk, "WriteImage", lambda image, name, **how: (written.append(name), write(image, name, **how))
    )
    segments = [Segment("Liver", 1, (1, 0, 0))]
    write_segmentation(tmp_path / "a.seg.nrrd", (VOXELS > 9).astype(np.uint8), segments, volume)
    assert [Path(name).parent.parent for name in written] == [public]
    assert list(public.iterdir()) == []


def test_without_any_such_folder_a_sentence_says_what_to_do(account, image, tmp_path):
    way_out = "set TMPDIR to a folder whose name is ASCII"
    with pytest.raises(
        InvalidImage, match=rf"Größe\.nrrd cannot be read: No temporary folder can be made; .*{way_out}"
    ):
        read_volume(image)
    volume = read_volume(image.rename(tmp_path / "size.nrrd"))
    with pytest.raises(CannotWrite, match=way_out):
        write_segmentation(tmp_path / "a.mha", np.zeros_like(VOXELS), [Segment("Liver", 1, (1, 0, 0))], volume)


def test_no_room_for_a_folder_is_a_sentence(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    sentence = r"can be made \(No space left on device\); free some space"
    with pytest.raises(CannotWrite, match=sentence), ascii_temporary_folder():
        pass


def test_a_read_only_image_is_copied_on_windows_where_removing_a_link_would_make_it_writable(image, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with itk_paths([image]) as (alias,):
        assert image.samefile(alias)
    image.chmod(0o444)
    with itk_paths([image]) as (alias,):
        assert not image.samefile(alias)
        assert Path(alias).read_bytes() == image.read_bytes()
    assert not image.stat().st_mode & 0o222
