"""A file that another program has open for a moment is waited for, on Windows alone, and not for ever."""

import sys

import pytest

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.sharing_violations import remove_file, replace_file
from Testing.engine.imaging.held_files import hold


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"new")
    return path


def test_a_file_that_is_open_for_a_moment_is_replaced_and_removed(file, tmp_path, monkeypatch):
    waits = hold(monkeypatch, "a", "replace", times=5)
    (tmp_path / "b").write_bytes(b"old")
    replace_file(file, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"
    assert len(waits) == 5
    hold(monkeypatch, "b", "unlink", times=5)
    remove_file(tmp_path / "b")
    remove_file(tmp_path / "b")  # where there is none, there is nothing to do
    assert list(tmp_path.iterdir()) == []


def test_patience_ends_after_two_seconds(file, tmp_path, monkeypatch):
    waits = hold(monkeypatch, "a", "replace")
    with pytest.raises(PermissionError):
        replace_file(file, tmp_path / "b")
    assert 2 <= sum(waits) < 2.5


def test_other_systems_are_not_asked_again(file, tmp_path, monkeypatch):
    waits = hold(monkeypatch, "a", "replace", times=1)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError):
        replace_file(file, tmp_path / "b")
    assert waits == []


def test_other_errors_are_told_at_once(tmp_path, monkeypatch):
    waits = hold(monkeypatch, "nothing", "replace")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing", tmp_path / "b")
    assert waits == []


def test_what_is_written_waits_for_the_file_before_it(file, tmp_path, monkeypatch):
    hold(monkeypatch, "*.tmp", "replace", times=3)
    assert write_atomically(file, b"newer").read_bytes() == b"newer"
    hold(monkeypatch, "*.tmp", "replace")
    with pytest.raises(CannotWrite, match=r"cannot access the file; .*close the program that has it open"):
        write_atomically(file, b"newest")
    assert file.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [file]
