"""Images and DICOM series found in folders."""

from __future__ import annotations

import errno
import os
import pkgutil
import re
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from KPrismLib.batch.cases import find_cases
from KPrismLib.batch.manifest import Manifest
from KPrismLib.batch.results import announce
from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.nifti import nifti_bytes
from KPrismLib.imaging.overlay import render_overlay, write_overlay
from KPrismLib.imaging.reading import read_volume
from Testing.engine.command.tiny_inputs import save_picture, save_volume
from Testing.engine.imaging.tiny_dicom import UID, save_slice


def _names(*inputs: Path, **options) -> list[str]:
    return [case.name for case in find_cases(inputs, **options)]


def _picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_picture(path, np.eye(8, dtype=np.uint8))


def _series(folder: Path, *, uid: str = UID, slices: int = 2, **fields: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def edit(data) -> None:
        for name, value in fields.items():
            setattr(data, name, value)

    for number in range(slices):
        save_slice(folder, number, (0, 0, number), uid=uid, name=f"{uid[-3:]}-{number}", edit=edit)


def test_images_are_found_in_all_subfolders_in_order(tmp_path) -> None:
    _picture(tmp_path / "b.PNG")
    _picture(tmp_path / "sub" / "deep" / "c.jpeg")
    save_volume(tmp_path / "sub" / "a.nii.gz", np.ones((2, 3, 4), np.uint8))
    for name in ("notes.txt", ".hidden.png", "old.seg.nrrd", "DICOMDIR"):
        (tmp_path / name).write_bytes(b"no image")
    _picture(tmp_path / ".hidden" / "d.png")
    assert _names(tmp_path) == ["b", "sub/a", "sub/deep/c"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_what_is_no_file_is_passed_over_and_links_to_files_are_not(tmp_path) -> None:
    folder = tmp_path / "images"
    save_volume(tmp_path / "scan.nii.gz", np.ones((2, 3, 4), np.uint8))
    _picture(folder / "a.png")
    for name in ("pipe.nii.gz", "pipe.nrrd", "pipe.dcm", "pipe"):
        os.mkfifo(folder / name)
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "linked.nii.gz").symlink_to(tmp_path / "scan.nii.gz")
    (folder / "nowhere.png").symlink_to(tmp_path / "nowhere")
    assert _names(folder) == ["a", "linked", "nowhere"]  # who reads the last one says that it is missing
    with pytest.raises(InvalidImage, match=r"^pipe\.nrrd is no file but a pipe, .* save the image as a file\.$"):
        find_cases([folder / "pipe.nrrd"])


def test_series_of_one_tree_are_cases_of_their_own(tmp_path) -> None:
    _series(tmp_path / "p1" / "CT")
    _series(tmp_path / "p2", uid=f"{UID}.7", SeriesNumber=3, SeriesDescription="Arterial: 1/2")
    _series(tmp_path / "p2", uid=f"{UID}.8", SeriesNumber=4, slices=3)
    found = {case.name: case for case in find_cases([tmp_path])}
    assert list(found) == ["p1/CT", "p2/3_Arterial_1_2", "p2/4_Leber"]
    assert found["p2/4_Leber"].series_uid == f"{UID}.8"
    assert found["p2/4_Leber"].read().shape == (3, 128, 128)
    assert found["p1/CT"].source == tmp_path / "p1" / "CT"
    assert _names(tmp_path / "p1" / "CT") == ["CT"]


def test_series_of_one_title_keep_their_names_whatever_comes_later(tmp_path) -> None:
    """A result is known by its name: with numbers, a new series took the place of one that was done."""
    for number in ("7", "8"):
        _series(tmp_path, uid=f"{UID}.{number}")
    before = {case.series_uid: case.name for case in find_cases([tmp_path])}
    assert all(re.fullmatch(r"1_Leber-[0-9a-f]{6}", name) for name in before.values())
    assert len(set(before.values())) == 2
    _series(tmp_path, uid=f"{UID}.6")  # its files come first
    after = {case.series_uid: case.name for case in find_cases([tmp_path])}
    assert after.keys() - before.keys() == {f"{UID}.6"}
    assert {uid: after[uid] for uid in before} == before


def test_a_series_in_several_folders_is_one_case_and_a_copy_is_another(tmp_path) -> None:
    for number in range(6):
        save_slice(_made(tmp_path / "p1" / f"part{number // 3}"), number, (0, 0, 2 * number), uid=f"{UID}.1")
        for copy in ("a", "b"):
            save_slice(_made(tmp_path / "p2" / copy), number, (0, 0, 2 * number), uid=f"{UID}.2")
        # Two patients to whom an anonymiser gave one UID.
        save_slice(_made(tmp_path / "p3" / str(number // 3)), number, (0, 0, 2 * number + number // 3), uid=f"{UID}.3")
    cases = find_cases([tmp_path])
    found = {case.name: len(case.files) for case in cases}
    assert found == {"p1": 6, "p2/a": 6, "p2/b": 6, "p3/0": 3, "p3/1": 3}
    assert cases[0].read().shape[0] == 6


def test_one_file_is_called_by_its_name(tmp_path) -> None:
    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "ct.dcm")
    shutil.copy(get_testdata_file("MR_small.dcm"), tmp_path / "IM7")
    assert _names(tmp_path) == ["IM7", "ct"]
    assert _names(tmp_path / "ct.dcm") == ["ct"]


def test_films_without_geometry_are_one_case_each(tmp_path) -> None:
    def flat(data) -> None:
        del data.ImagePositionPatient, data.ImageOrientationPatient

    for number in range(2):
        save_slice(tmp_path, number, (0, 0, 0), edit=flat)
    assert _names(tmp_path) == ["slice000", "slice001"]


def test_segmentations_and_reports_are_no_images_but_damaged_files_are_told(tmp_path) -> None:
    shutil.copy(get_testdata_file("liver_1frame.dcm"), tmp_path / "seg.dcm")
    shutil.copy(get_testdata_file("test-SR.dcm"), tmp_path / "report.dcm")
    (tmp_path / "damaged.dcm").write_bytes(b"something")
    (case,) = find_cases([tmp_path])
    assert case.name == "damaged"
    with pytest.raises(InvalidImage, match=r"damaged\.dcm in the folder .* is damaged"):
        case.read()


@pytest.mark.parametrize("name", ["slice002", "slice002.dcm"])
def test_a_series_with_a_damaged_slice_is_told_instead_of_read_without_it(tmp_path, name) -> None:
    for folder, uid in (("a", f"{UID}.1"), ("b", f"{UID}.2")):
        for number in range(3):
            save_slice(_made(tmp_path / folder), number, (0, 0, number), uid=uid, name=name.replace("2", str(number)))
    damaged = tmp_path / "b" / name
    damaged.write_bytes(damaged.read_bytes()[:200].replace(b"DICM", b"DICM\xff\xff"))
    whole, broken = find_cases([tmp_path])
    assert whole.read().shape[0] == 3
    assert broken.name == "b"
    with pytest.raises(InvalidImage, match=rf"{name} in the folder b is damaged; copy it again, or move it elsewhere"):
        broken.read()


def test_a_series_of_parts_is_told_where_one_part_has_a_damaged_slice(tmp_path) -> None:
    for number in range(4):
        save_slice(_made(tmp_path / f"part{number // 2}"), number, (0, 0, number))
    (tmp_path / "part1" / "slice004").write_bytes(b"\0" * 128 + b"DICM")
    (case,) = find_cases([tmp_path])
    assert "slice004 in the folder part1 is damaged" in str(case.problem)


def test_a_series_with_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch) -> None:
    for number in range(3):
        save_slice(tmp_path, number, (0, 0, number), name=f"IM{number}")
    refuse(monkeypatch, "KPrismLib.imaging.dicom_headers.pydicom.dcmread", tmp_path / "IM2")
    (case,) = find_cases([tmp_path])
    expected = f"IM2 in the folder {tmp_path.name} cannot be opened (Permission denied); get permission to read it"
    assert expected in str(case.problem)
    with pytest.raises(InvalidImage, match="IM2 in the folder"):
        read_volume(tmp_path)


def test_a_folder_that_may_not_be_opened_is_a_case_with_a_problem(tmp_path, monkeypatch) -> None:
    for name in ("a.png", "closed/b.png", "open/c.png"):
        _picture(tmp_path / name)
    refuse(monkeypatch, "os.scandir", tmp_path / "closed")
    cases = find_cases([tmp_path])
    assert [case.name for case in cases] == ["a", "open/c", "closed"]
    with pytest.raises(InvalidImage, match=r"The folder closed cannot be opened: Permission denied"):
        cases[-1].read()


def test_results_of_earlier_runs_are_no_images(tmp_path) -> None:
    for name in ("a.png", "overlays/a.png", "overlays/photo.png", "results/a.png", "results/new.png"):
        _picture(tmp_path / name)
    side = {"output": "../overlays/a.png", "bytes": 1}
    with Manifest(tmp_path / "results" / "manifest.jsonl") as manifest:
        manifest.append({"case": "a", "status": "done", "output": "a.png", "overlay": side, "probability": None})
    _picture(tmp_path / "foreign" / "b.png")
    (tmp_path / "foreign" / "manifest.jsonl").write_text('{"image": "b.png"}\n')
    images = ["a", "foreign/b", "overlays/photo", "results/new"]
    passed_over: list[Path] = []
    assert _names(tmp_path, on_result=passed_over.append) == images
    assert passed_over == [tmp_path / name for name in ("overlays/a.png", "results/a.png")]
    # Where the folder of the results is the one in hand, too, and where a result is itself what is asked for.
    assert _names(tmp_path, results=[tmp_path / "results"]) == images
    assert _names(tmp_path / "overlays", results=[tmp_path / "results"]) == ["photo"]
    assert _names(tmp_path / "results") == ["new"]
    assert _names(tmp_path / "overlays" / "a.png", tmp_path / "results") == ["a", "new"]


def test_what_a_killed_run_announced_is_no_image(tmp_path) -> None:
    for name in ("a.png", "results/a.png", "overlays/a.png"):
        _picture(tmp_path / name)
    side = {"output": "../overlays/a.png", "bytes": 1, "sha256": "0"}
    announce(tmp_path / "results", {"case": "a", "status": "done", "output": "a.png", "overlay": side})
    assert _names(tmp_path) == ["a"]


def test_files_that_say_that_they_are_results_are_no_images(tmp_path) -> None:
    grid = np.zeros((2, 3, 4))
    for name in ("overlay.png", "overlay.jpg"):
        write_overlay(tmp_path / name, render_overlay(np.zeros((9, 9), np.uint8), []))
    for values in ("label", "probability"):
        content = nifti_bytes(grid.astype(np.uint8), np.eye(4), compress=True, values=values)
        (tmp_path / f"{values}.nii.gz").write_bytes(content)
    nibabel.save(nibabel.Nifti1Image(grid.astype(np.int16), np.eye(4)), tmp_path / "image.nii.gz")
    for name in ("photo.png", "photo.jpg"):
        _picture(tmp_path / name)
    for name in ("broken.nii.gz", "broken.png", "a.seg.nrrd"):
        (tmp_path / name).write_bytes(b"neither")
    found = _names(tmp_path)
    assert found == ["broken.nii.gz", "broken.png", "image", "photo.jpg", "photo.png"]
    assert _names(tmp_path / "label.nii.gz", tmp_path / "overlay.png") == ["label", "overlay"]  # who names it means it


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_linked_folders_are_searched_once_and_circles_end(tmp_path) -> None:
    for name in ("images/z/a.png", "elsewhere/b.png", "elsewhere/deep/c.png"):
        _picture(tmp_path / name)
    links = {"a-link": "images/z", "link": "elsewhere", "again": "elsewhere", "z/up": "images"}
    for name, target in links.items():
        (tmp_path / "images" / name).symlink_to(tmp_path / target)
    assert _names(tmp_path / "images") == ["z/a", "again/b", "again/deep/c"]


def test_names_differ_even_without_capital_letters(tmp_path) -> None:
    for name in ("a.png", "a.jpg", "B.png", "b.bmp"):
        _picture(tmp_path / "one" / name)
    _picture(tmp_path / "two" / "one" / "B.png")
    assert _names(tmp_path / "one") == ["B.png", "a.jpg", "a.png", "b.bmp"]
    assert _names(tmp_path / "one", tmp_path / "two" / "one") == [
        "one/B.png", "one/a.jpg", "one/a.png", "one/b.bmp", "one/B.png-2",
    ]  # fmt: skip


def test_a_header_depends_on_the_file_of_its_voxels(tmp_path) -> None:
    (tmp_path / "a.mhd").write_text("ElementDataFile = voxels.bin\n")
    for name in ("a.raw", "voxels.bin"):
        (tmp_path / name).write_bytes(b"1")
    (case,) = find_cases([tmp_path])
    assert [path.name for path in case.all_files()] == ["a.mhd", "voxels.bin"]


def test_nothing_to_find_is_a_sentence(tmp_path) -> None:
    with pytest.raises(InvalidImage, match="There is no image in"):
        find_cases([tmp_path])
    write_overlay(tmp_path / "overlay.png", render_overlay(np.zeros((9, 9), np.uint8), []))
    with pytest.raises(InvalidImage, match="only 1 that say that they are results"):
        find_cases([tmp_path])
    with pytest.raises(InvalidImage, match="no file or folder"):
        find_cases([tmp_path / "nowhere"])


def test_looking_is_told(tmp_path) -> None:
    _picture(tmp_path / "a.png")
    _picture(tmp_path / "b.png")
    looked = []
    find_cases([tmp_path], after_file=lambda: looked.append(1))
    assert len(looked) == 2


def refuse(monkeypatch: pytest.MonkeyPatch, function: str, refused: Path) -> None:
    """Let ``function`` have no permission for one path; root may read everything, so the refusal is staged."""
    module, _, name = function.rpartition(".")
    real = getattr(pkgutil.resolve_name(module), name)

    def staged(path, *arguments, **options):
        if Path(path) == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(function, staged)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
