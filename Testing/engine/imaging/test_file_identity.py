"""Two names of one file: a hard link stands for a disk that takes CT.nrrd and ct.nrrd for the same."""

from pathlib import Path

import pytest

from KPrismLib.imaging.file_identity import identities, same_file


def test_one_file_under_two_names(tmp_path):
    file, other = tmp_path / "ct.nrrd", tmp_path / "mr.nrrd"
    for path in (file, other):
        path.write_bytes(b"x")
    (tmp_path / "CT.nrrd").hardlink_to(file)
    assert same_file(file, tmp_path / "CT.nrrd")
    assert same_file(tmp_path / "folder" / ".." / "ct.nrrd", file)
    assert not same_file(file, other)
    assert same_file(tmp_path, tmp_path / "folder" / "..")


def test_files_that_do_not_exist_yet_are_known_by_their_paths(tmp_path):
    assert same_file(tmp_path / "new", tmp_path / "folder" / ".." / "new")
    assert not same_file(tmp_path / "new", tmp_path / "newer")


@pytest.mark.parametrize("numbers", [True, False])
def test_a_disk_that_numbers_no_files_has_not_one_file_only(tmp_path, monkeypatch, numbers):
    class Unnumbered:
        st_dev, st_ino = 1, 0

    for name in "ab":
        (tmp_path / name).write_bytes(b"x")
    if not numbers:
        monkeypatch.setattr(Path, "stat", lambda *_, **__: Unnumbered())
    assert not same_file(tmp_path / "a", tmp_path / "b")
    assert len(identities(tmp_path / "a")) == 1 + numbers
