"""``kprism segment --propagate`` from a result in which slices were corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from KPrismLib.command.slices import ranges_text
from KPrismLib.volumes import Propagation
from Testing.engine.command.tiny_inputs import save_volume

LIVER = ("--class", "liver")


def _drawn(path: Path, *slices: int, size: int = 6) -> Path:
    labels = np.zeros((5, 30, 20), np.uint8)
    for index in slices:
        labels[index, 4 + index : 4 + index + size, 4 : 4 + size] = 1
    return save_volume(path, labels)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return _drawn(tmp_path / "drawn.nii.gz", 1, 2, 4)


@pytest.mark.parametrize("named", [("--slice", 1, "--slice", 4), ("--slice", "4,1"), ("--slice", "1, 4,1")])
def test_only_the_slices_that_are_named_are_taken_from_a_drawing(propagate, mask, tmp_path, named) -> None:
    result, facts, labels = propagate("--mask", mask, *named, "--json")
    assert result.status == 0, result.err
    assert facts["propagation"]["from"] == [1, 4]
    assert "Starting from" not in result.err
    _, _, expected = propagate("--mask", _drawn(tmp_path / "two.nii.gz", 1, 4), "--json", output="o.nii.gz")
    np.testing.assert_array_equal(labels, expected)
    assert not np.array_equal(labels, propagate("--mask", mask, "--slice", 1, "--json", output="one.nii.gz")[2])


def test_how_a_corrected_slice_changes_the_others_is_told_and_works(propagate, mask, tmp_path) -> None:
    first, _, labels = propagate("--mask", mask, "--slice", "1", output="first.nii.gz")
    (line,) = [line for line in first.err.splitlines() if "go on with" in line]
    *_, option, file, also, slices = line.rstrip(".").split()
    assert (option, file, also) == ("--mask", "first.nii.gz", "--slice")
    (told,) = [line for line in first.err.splitlines() if "Most pixels in doubt" in line]
    doubtful = int(told.split(";")[0].split()[-1])
    assert slices == ",".join(map(str, sorted({1, doubtful})))
    result, facts, again = propagate(option, tmp_path / file, also, slices, "--json", output="again.nii.gz")
    assert result.status == 0, result.err
    assert facts["propagation"]["from"] == sorted({1, doubtful})
    np.testing.assert_array_equal(again[[1, doubtful]], labels[[1, doubtful]])


def test_without_names_it_is_told_how_many_drawn_slices_are_taken(propagate, mask) -> None:
    result, facts, _ = propagate("--mask", mask, "--json")
    assert facts["propagation"]["from"] == [1, 2, 4]
    assert "Starting from the 3 axial slices drawn in drawn.nii.gz, 1 to 2, 4; --slice N,M takes only" in result.err


def test_a_named_slice_in_which_nothing_is_drawn_says_that_nothing_is_there(propagate, mask) -> None:
    result, facts, labels = propagate("--mask", mask, "--slice", "2,3", "--json")
    assert "shows nothing in axial slice 3, so the structure is taken not to be there" in result.err
    assert facts["propagation"]["from"] == [2, 3]
    assert labels[2].any()
    assert not labels[3:].any()
    assert "shows nothing in axial slice 0, 3" in propagate("--mask", mask, "--slice", "3,0")[0].err


@pytest.mark.parametrize("named", [(), ("--slice", "1,2,3")])
def test_where_every_slice_is_drawn_it_is_told_what_to_do(propagate, tmp_path, named, monkeypatch) -> None:
    monkeypatch.setattr(Propagation, "learn", lambda _: pytest.fail("there is nothing to learn it for"))
    every = _drawn(tmp_path / "every.nii.gz", 1, 2, 3)
    arguments = ("--mask", every, "--from", 1, "--to", 3, *named, "--learn")
    result, _, labels = propagate(*arguments)
    told = "Every slice from 1 to 3 is one to start from, so nothing was carried on; name those that are right by --sl"
    assert told in result.err
    assert labels is not None
    _, facts, _ = propagate(*arguments, "--json")
    assert told in facts["warning"]
    assert facts["propagation"]["learned"] is False


def test_a_single_slice_is_not_learned_from(propagate, mask, monkeypatch) -> None:
    monkeypatch.setattr(Propagation, "learn", lambda _: pytest.fail("there is nothing to learn it for"))
    result, facts, _ = propagate("--mask", mask, "--slice", 2, "--from", 2, "--to", 2, "--learn", "--json")
    assert result.status == 0, result.err
    assert facts["warning"] == "Slice 2 is all that was asked for, so nothing was carried on."
    assert facts["propagation"]["learned"] is False


@pytest.mark.parametrize("slices", [("--slice", 1, "--slice", 3), ("--slice", "1,3")])
@pytest.mark.parametrize("to_carry", [(), ("--propagate",)])
def test_elsewhere_a_second_slice_is_refused(kprism, volume, weights, tmp_path, slices, to_carry) -> None:
    for output in ("out.nii.gz", *(() if to_carry else ("folder",))):
        result = kprism("segment", volume, "-o", tmp_path / output, *LIVER, *slices, *to_carry, "--model", weights)
        assert result.status == 1
        assert "Only --propagate with --mask takes several slices" in result.sentence
        assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ("1,x", "'x' is no slice; give a number from 0"),
        ("1,", "'' is no slice"),
        ("1,-2", "'-2' is no slice"),
        ("1,all", "'all' is no number of a slice; give it alone"),
        ("1,9", "choose one from 0 to 4"),
    ],
)
def test_a_wrong_one_among_several_slices_is_named(propagate, mask, slices, expected) -> None:
    result, _, labels = propagate("--mask", mask, "--slice", slices)
    assert result.status == 1
    assert expected in result.sentence
    assert labels is None


def test_slices_are_told_as_ranges() -> None:
    assert ranges_text([5, 3, 4, 9, 0, 1]) == "0 to 1, 3 to 5, 9"
    assert ranges_text(range(0, 20, 2)) == "0, 2, 4, 6, 8 ..."
