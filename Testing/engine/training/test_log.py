"""What a run tells: CSV rows, TensorBoard, and the time that is left."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import pytest

from KPrismLib.errors import CannotWrite, TrainingDiverged
from KPrismLib.training.log import STEP_FIELDS, TrainingLog
from Testing.engine.training.tiny_training import rows


def record(step: int) -> dict[str, Any]:
    return {"mode": "semantic", "size": 32, "loss": 1 / 3, "dice": 0.5, "gradient_norm": 1.0, "learning_rate": 1e-4,
            "seconds": 0.25}  # fmt: skip


def test_rows_are_appended_under_one_header(tmp_path: Path) -> None:
    for first in (1, 3):
        with TrainingLog(tmp_path / "run", total=4, done=first - 1) as log:
            for step in (first, first + 1):
                log.step(step, record(step))
            log.validation(first + 1, {"semantic": 0.75, "semantic/Tiny": 0.75})
    text = (tmp_path / "run" / "steps.csv").read_text().splitlines()
    assert text[0] == ",".join(STEP_FIELDS)
    assert text[1] == "1,semantic,32,0.333333,0.5,1,0.0001,0.25"
    assert [line.split(",")[0] for line in text[1:]] == ["1", "2", "3", "4"]
    validations = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert validations == ["step,name,dice"] + [
        f"{s},{n},0.7500" for s in (2, 4) for n in ("semantic", "semantic/Tiny")
    ]


def test_rows_of_steps_that_will_be_done_again_are_dropped(tmp_path: Path) -> None:
    with TrainingLog(tmp_path, total=9) as log:
        for step in range(1, 6):
            log.step(step, record(step))
        log.validation(2, {"semantic": 0.5})
        log.validation(4, {"semantic": 0.75})
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("6,sem")  # the power failed
    with TrainingLog(tmp_path, total=9, done=3) as log:
        log.step(4, record(4))
    assert [r["step"] for r in rows(tmp_path / "steps.csv")] == ["1", "2", "3", "4"]
    assert [r["step"] for r in rows(tmp_path / "validation.csv")] == ["2"]


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with TrainingLog(tmp_path, total=4) as log:
        log.step(1, record(1))
        log.validation(1, {"semantic": 0.75})
    board = EventAccumulator(str(tmp_path))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {
        "loss/semantic", "dice/semantic", "gradient_norm", "learning_rate", "validation/semantic",
    }  # fmt: skip
    assert board.Scalars("loss/semantic")[0].value == pytest.approx(1 / 3)


def test_every_fifty_steps_the_time_that_is_left_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingLog(tmp_path, total=290) as log:
        log.step(49, record(49))
        assert "step" not in capsys.readouterr().out
        log.step(50, record(50))
        log.validation(50, {"semantic": 0.75, "semantic/Tiny": 0.7})
        assert len((tmp_path / "steps.csv").read_text().splitlines()) == 3  # on the disk, should the power fail
    told = capsys.readouterr().out
    assert "step 50/290" in told
    assert "about 1 min left" in told
    assert "semantic 0.750" in told
    assert "Tiny" not in told


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    with TrainingLog(tmp_path / "run", total=4, active=False):
        pass
    assert not (tmp_path / "run").exists()


class _FullDisk(io.StringIO):
    def flush(self) -> None:
        if not self.closed:
            raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        super().close()
        raise OSError(errno.ENOSPC, "No space left on device")

    def __del__(self) -> None:
        """Told once is enough."""


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, total=1)
    log._files.append(_FullDisk())
    with pytest.raises(CannotWrite, match="cannot be written: No space left on device; free some disk space"):
        log.flush()


def test_what_ended_a_run_is_told_although_the_disk_is_full(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, total=1)
    log._files.append(_FullDisk())
    with pytest.raises(TrainingDiverged, match="exploded"), log:
        raise TrainingDiverged("The loss has exploded.")
