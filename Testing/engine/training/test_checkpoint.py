"""Checkpoints survive a kill, refuse what is not theirs, and run no code from a file."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from KPrismLib.errors import CannotWrite, InvalidDataset, InvalidWeights
from KPrismLib.training.checkpoint import Checkpoint, check_same_contents
from Testing.engine.imaging.held_files import hold


def checkpoint(step: int = 3) -> Checkpoint:
    weights = {"a": torch.arange(4.0) + step}
    return Checkpoint(step, weights, {"a": torch.ones(4)}, {"state": {0: {"step": torch.tensor(1.0)}}}, {"seed": 1})


def assert_equal(found: Checkpoint, expected: Checkpoint) -> None:
    assert (found.step, found.config) == (expected.step, expected.config)
    assert torch.equal(found.network["a"], expected.network["a"])
    assert torch.equal(found.average["a"], expected.average["a"])
    assert found.optimizer["state"][0]["step"] == 1


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint().save(path)
    assert_equal(Checkpoint.load(path), checkpoint())
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_real_optimizer_state_comes_back_exactly(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    Checkpoint(1, layer.state_dict(), {}, optimizer.state_dict(), {}).save(tmp_path / "c.pt")
    loaded = Checkpoint.load(tmp_path / "c.pt")
    other = torch.optim.AdamW(torch.nn.Linear(3, 2).parameters())
    other.load_state_dict(loaded.optimizer)
    for ours, theirs in zip(
        other.state_dict()["state"].values(), optimizer.state_dict()["state"].values(), strict=True
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def _enforce_fail() -> RuntimeError:
    """As PyTorch says that a disk is full."""
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 960 vs 854")
    error.__context__ = OSError(28, "No space left on device")
    return error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), _enforce_fail()])
def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "c.pt"
    checkpoint(1).save(path)

    def half(_: Any, stream: Any) -> None:
        stream.write(b"half of it")
        raise error

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(CannotWrite, match=r"written \(No space left on device\); free .*previous one is intact"):
        checkpoint(2).save(path)
    assert_equal(Checkpoint.load(path), checkpoint(1))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]
    with pytest.raises(CannotWrite, match=r"free some disk space\.$"):
        checkpoint(1).save(tmp_path / "first.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_checkpoint_that_another_program_has_open_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    checkpoint(1).save(path)
    hold(monkeypatch, "c.pt.partial", "replace", times=3)
    checkpoint(2).save(path)
    assert_equal(Checkpoint.load(path), checkpoint(2))
    for method in ("replace", "unlink"):  # a virus scanner may have the new file open
        hold(monkeypatch, "c.pt.partial", method)
    with pytest.raises(CannotWrite, match=r"cannot access the file\); close the program .*previous one is intact"):
        checkpoint(3).save(path)
    assert_equal(Checkpoint.load(path), checkpoint(2))


def test_a_kill_in_the_middle_of_writing_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    checkpoint(1).save(path)

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint(2).save(path)
    assert_equal(Checkpoint.load(path), checkpoint(1))
    checkpoint(3).save(path)  # what was left behind is in nobody's way
    assert_equal(Checkpoint.load(path), checkpoint(3))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="cannot be written"):
        checkpoint().save(tmp_path / "nowhere" / "c.pt")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidWeights, match="There is no checkpoint"):
        Checkpoint.load(tmp_path / "c.pt")


@pytest.mark.parametrize(
    "values",
    [
        {"weights": torch.zeros(2)},
        {"format": 99},
        {"format": 1},
        {"format": 1, "step": 1, "network": {}, "average": {}, "optimizer": {}, "config": {}, "extra": 0},
        [1, 2, 3],
        torch.zeros(3),
        7,
        None,
    ],
    ids=lambda v: str(v)[:20],
)
def test_files_of_something_else_are_refused(tmp_path: Path, values: Any) -> None:
    torch.save(values, tmp_path / "c.pt")
    with pytest.raises(InvalidWeights, match=r"not a readable K-Prism checkpoint .* train anew with --no-resume"):
        Checkpoint.load(tmp_path / "c.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"text", b"\x80", b"PK\x03\x04", b"\x80\x04\x95", pickle.dumps([1])])
def test_files_that_are_no_archive_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(InvalidWeights):
        Checkpoint.load(tmp_path / "c.pt")


def test_a_checkpoint_with_other_numbers_than_were_written_is_refused(tmp_path: Path) -> None:
    """The archive and its description are whole, so that PyTorch reads it without a word."""
    path, values = tmp_path / "c.pt", torch.arange(4096.0)
    Checkpoint(1, {"a": values}, {}, {}, {}).save(path)
    content = path.read_bytes()
    at = content.index(values.numpy().tobytes())
    path.write_bytes(content[: at + 4096] + bytes(2048) + content[at + 4096 + 2048 :])
    assert torch.load(path, weights_only=True)["step"] == 1
    with pytest.raises(InvalidWeights, match=r"\(BadZipFile\): it is damaged, .* or train anew with --no-resume"):
        Checkpoint.load(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWeights):
        Checkpoint.load(tmp_path)


class Malicious:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("by_torch", [True, False])
def test_code_in_a_file_does_not_run(tmp_path: Path, by_torch: bool) -> None:
    bad, trace = tmp_path / "c.pt", tmp_path / "was here"
    if by_torch:
        torch.save({"format": 1, "step": Malicious(str(trace))}, bad)
    else:
        bad.write_bytes(pickle.dumps(Malicious(str(trace))))
    with pytest.raises(InvalidWeights):
        Checkpoint.load(bad)
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 0.9999), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_never_more_than_invalid_weights(tmp_path: Path, place: float, value: int, cut: bool) -> None:
    path = tmp_path / "c.pt"
    checkpoint().save(path)
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if cut:
        content = content[:at]
    else:
        content[at] = value
    path.write_bytes(bytes(content))
    with contextlib.suppress(InvalidWeights):
        Checkpoint.load(path)


def test_contents_are_compared_as_far_as_they_are_known(tmp_path: Path) -> None:
    """The first digits tell of dataset.json and sizes, the others of bytes; older checkpoints have the first alone."""
    names, now = ["A", "B"], ["a1", "b1"]
    for saved in (["a1", "b1"], ["a", "b"], ["a1", "b"], []):
        check_same_contents(names, now, saved, tmp_path)
        if saved:
            check_same_contents(names, saved, now, tmp_path)
    for saved in (["a1", "b2"], ["a1", "c"], ["a1", "c1"]):
        with pytest.raises(InvalidDataset, match="belongs to a run on B as it was before"):
            check_same_contents(names, now, saved, tmp_path)
