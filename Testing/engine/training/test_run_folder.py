"""The folder of a run: what is moved out of the way, and that two trainings do not share it."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from KPrismLib.errors import CannotWrite
from KPrismLib.training import run_folder
from KPrismLib.training.run_folder import claimed, set_aside
from Testing.engine.imaging.held_files import hold


def test_an_earlier_run_is_moved_not_lost(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "checkpoint.pt").write_bytes(b"x")
        set_aside(tmp_path)
        assert (tmp_path / f"earlier-{number}" / "checkpoint.pt").exists()
    set_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier-1", "earlier-2"]


def test_what_no_run_wrote_stays_where_it_is(tmp_path: Path) -> None:
    written = ["checkpoint.pt", "checkpoint.pt.partial", "steps.csv", "validation.csv", "events.out.tfevents.1.host.0"]
    others = ["notes.txt", "config.toml", "weights.safetensors"]
    for name in (*written, *others):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "packed").mkdir()
    set_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "packed", "earlier-1"])
    assert sorted(path.name for path in (tmp_path / "earlier-1").iterdir()) == sorted(written)


def test_an_earlier_run_that_was_deleted_leaves_its_number_free(tmp_path: Path) -> None:
    for name in ("earlier-2", "earlier-9", "earlier-mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint.pt").write_bytes(b"x")
    assert set_aside(tmp_path) == tmp_path / "earlier-10"


def test_a_run_that_another_program_has_open_is_moved_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ["checkpoint.pt", "events.out.tfevents.1.host.0", "steps.csv", "validation.csv"]
    for name in written:
        (tmp_path / name).write_bytes(b"x")
    with monkeypatch.context() as patch:
        hold(patch, "events.*", "replace")  # by TensorBoard
        with pytest.raises(CannotWrite, match="close the program that has its files open, as TensorBoard may"):
            set_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    hold(monkeypatch, "events.*", "replace", times=3)
    set_aside(tmp_path)
    assert sorted(path.name for path in (tmp_path / "earlier-1").iterdir()) == written


@contextmanager
def claimed_elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that has claimed the folder, with a child that lives longer."""
    code = """
import os, sys, time
from pathlib import Path
from KPrismLib.training.run_folder import claimed
with claimed(Path(sys.argv[1])):
    if hasattr(os, "fork") and os.fork() == 0:
        time.sleep(5)
    print(flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        try:
            yield process
        finally:
            process.kill()


def test_another_training_does_not_write_into_the_same_folder(tmp_path: Path) -> None:
    with claimed_elsewhere(tmp_path) as process:
        with pytest.raises(CannotWrite, match=r"Another training writes into .*; wait until"), claimed(tmp_path):
            pass
        process.kill()  # nobody gets to tidy up
        process.wait()
        with claimed(tmp_path):
            pass


def test_on_a_disk_without_locks_a_training_runs_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_folder, "_lock", refuse)
    with claimed(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotWrite, match=r"Nothing can be written into .*: No such file .*; choose another output"),
        claimed(tmp_path / "nowhere"),
    ):
        pass
