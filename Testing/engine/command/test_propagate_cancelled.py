"""``kprism segment --propagate`` that somebody cancels."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.volumes import Propagation
from Testing.engine.command.tiny_inputs import save_volume


@pytest.fixture
def mask(tmp_path):
    drawn = np.zeros((5, 30, 20), np.uint8)
    drawn[[2, 4], 5:13, 4:12] = 1
    return save_volume(tmp_path / "drawn.nii.gz", drawn)


@pytest.fixture
def cancel(monkeypatch):
    """Presses ^C after so many slices."""
    whole = Propagation.propagate

    def after(slices: int) -> None:
        def cancelled(run, first, last):
            yield from islice(whole(run, first, last), slices)
            raise KeyboardInterrupt

        monkeypatch.setattr(Propagation, "propagate", cancelled if slices >= 0 else whole)

    return after


def test_what_is_done_is_kept_and_gone_on_from(propagate, mask, cancel, tmp_path) -> None:
    arguments = ("--mask", mask, "--slice", 2, "--json")
    _, complete, whole = propagate(*arguments, output="whole.nii.gz")
    order = [slices["slice"] for slices in complete["propagation"]["slices"]]
    assert len(order) > 3
    cancel(2)
    result, facts, labels = propagate(*arguments)
    assert (result.status, facts, labels) == (130, None, None)
    told, end = result.err.splitlines()
    assert end == "Cancelled."
    partial = tmp_path / "out-partial.nii.gz"
    assert f"Slices 1 to 3 of 0 to 4 are done and kept in {partial}: --mask out-partial.nii.gz goes on" in told
    kept = read_label_volume(partial).array
    np.testing.assert_array_equal(kept[1:4], whole[1:4])
    assert not kept[[0, 4]].any()
    cancel(-1)
    result, _, labels = propagate("--mask", partial, "--json")
    assert result.status == 0, result.err
    shown = [index for index in (1, 2, 3) if kept[index].any()]
    np.testing.assert_array_equal(labels[shown], kept[shown])


def test_a_drawn_slice_outside_the_range_is_kept_for_going_on(propagate, mask, cancel, tmp_path) -> None:
    cancel(1)
    assert propagate("--mask", mask, "--to", 3, output="out.seg.nrrd")[0].status == 130
    assert read_label_volume(tmp_path / "out-partial.seg.nrrd").array[4].any()


def test_no_file_is_replaced_by_what_is_kept(propagate, mask, cancel, tmp_path) -> None:
    (tmp_path / "out-partial.nii.gz").write_bytes(b"mine")
    older = save_volume(tmp_path / "out.nii.gz", np.ones((5, 30, 20), np.uint8)).read_bytes()
    cancel(1)
    for name in ("out-partial-2.nii.gz", "out-partial-3.nii.gz"):
        propagate("--mask", mask)
        assert (tmp_path / name).exists()
    assert (tmp_path / "out-partial.nii.gz").read_bytes() == b"mine"
    assert (tmp_path / "out.nii.gz").read_bytes() == older


def test_nothing_is_kept_where_no_slice_was_done(propagate, mask, cancel, tmp_path) -> None:
    before = sorted(tmp_path.iterdir())
    cancel(0)
    result, *_ = propagate("--mask", mask)
    assert result.status == 130
    assert result.err.splitlines()[-1] == "Cancelled."
    assert [path for path in sorted(tmp_path.iterdir()) if path not in before and "partial" in path.name] == []


def test_what_cannot_be_kept_is_told(propagate, mask, cancel, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise CannotWrite("Cannot write it: the disk is full.")

    monkeypatch.setattr("KPrismLib.command.propagation_kept.write_atomically", full)
    cancel(1)
    result, *_ = propagate("--mask", mask)
    assert result.status == 130
    assert result.err.splitlines()[-2:] == ["Cannot write it: the disk is full.", "Cancelled."]
