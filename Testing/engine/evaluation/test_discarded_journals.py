"""Journals are deleted once the results are elsewhere; one that stays would be in the way, so that is told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from KPrismLib.errors import CannotWrite
from KPrismLib.evaluation.journal import discard
from Testing.engine.imaging.held_files import hold


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    for rank in range(2):
        (tmp_path / f"out.json.journal-{rank}.jsonl").write_bytes(b"\n")
    return tmp_path / "out.json"


def test_a_journal_that_another_program_has_open_is_waited_for(stem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(monkeypatch, "*.jsonl", "unlink", times=3)
    discard(stem)
    assert list(stem.parent.iterdir()) == []


def test_a_journal_that_stays_is_told(stem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(monkeypatch, "*-1.jsonl", "unlink")
    with pytest.raises(CannotWrite, match=r"out\.json\.journal-1\.jsonl cannot be deleted .* and delete it"):
        discard(stem)


def test_a_journal_that_another_process_deletes_meanwhile_is_gone(stem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slower(path: Path, **_: object) -> None:
        path.rename(path.with_name("deleted"))
        raise OSError(errno.ESTALE, "Stale file handle")  # as a networked disk may say it

    monkeypatch.setattr(Path, "unlink", slower)
    discard(stem)
