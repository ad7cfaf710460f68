"""Processes side by side, and what is said about them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from KPrismLib.errors import CannotWrite
from Training.report.fleet import Fleet, cuda_devices


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_one_that_fails_does_not_keep_the_others_from_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    commands = {
        "bad": _python("import sys; print('before'); sys.exit('There is no such data.')"),
        "good": _python("import os; print(os.environ['OMP_NUM_THREADS'])"),
        "last": _python("pass"),
    }
    assert Fleet(1, 3, tmp_path / "logs").run(commands) == ["bad"]
    assert (tmp_path / "logs" / "good.log").read_text(encoding="utf-8").strip() == "3"
    said = capfd.readouterr().err
    assert "bad: FAILED" in said
    assert "There is no such data." in said
    assert "2 to go" in said
    assert said.index("bad: started") < said.index("good: started") < said.index("last: done")


def test_two_at_the_same_time(tmp_path: Path) -> None:
    # Each waits for what the other one writes: alone neither would come to an end.
    code = (
        "import pathlib, time\n"
        "ours, theirs = pathlib.Path({0!r}), pathlib.Path({1!r})\n"
        "ours.touch()\n"
        "end = time.monotonic() + 60\n"
        "while not theirs.exists():\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.02)\n"
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    commands = {"a": _python(code.format(a, b)), "b": _python(code.format(b, a))}
    assert Fleet(2, 1, tmp_path).run(commands) == []


def test_runs_share_the_devices_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Three at once on two devices, so that the third goes back to the first; the fourth takes the place that is free.
    code = (
        "import os, pathlib, sys, time\n"
        "folder, name = pathlib.Path({0!r}), {1!r}\n"
        "(folder / name).write_text(os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "end = time.monotonic() + 60\n"
        "while name != 'b' and not (folder / 'd').exists():\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.02)\n"
    )
    commands = {name: _python(code.format(str(tmp_path), name)) for name in "abcd"}
    assert Fleet(3, 1, tmp_path / "logs", ("4", "7")).run(commands) == []
    assert [(tmp_path / name).read_text() for name in "abcd"] == ["4", "7", "4", "7"]
    assert "d: started on CUDA device 7, log in" in capfd.readouterr().err


def test_devices_are_those_that_the_user_left_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda_devices("auto", {"CUDA_VISIBLE_DEVICES": "0,1"}) == ()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert cuda_devices("cuda", {}) == ("0", "1", "2")
    assert cuda_devices("auto", {"CUDA_VISIBLE_DEVICES": "5, 6"}) == ("5", "6")
    assert cuda_devices("cpu", {}) == ()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        Fleet(1, 1, tmp_path / "file").run({})
