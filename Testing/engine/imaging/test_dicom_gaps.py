"""Slices that are missing from a DICOM series, as their instance numbers tell."""

from itertools import pairwise

import pytest

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.reading import read_volume
from Testing.engine.imaging.tiny_dicom import save_slice

#: Complete up to slice 4, then every second one is missing.
HALF = (0, 1, 2, 3, 4, 6, 8, 10, 12, 14)


def _unplaced(data):
    del data.ImagePositionPatient


def _save(folder, numbers, step, edit=lambda _: None):
    for index, number in enumerate(numbers):
        save_slice(folder, number, (0, 0, step(index, number)), name=f"{index:03d}.dcm", edit=edit)
    return folder


@pytest.mark.parametrize("turn", [1, -1])
def test_gaps_that_are_more_than_the_whole_steps_are_named(tmp_path, turn):
    folder = _save(tmp_path, HALF, lambda _, number: 2.5 * turn * number)
    with pytest.raises(InvalidImage, match=r"Slices are missing between .*copy the whole series") as caught:
        read_volume(folder)
    first, last = ("004.dcm (instance 4", "005.dcm (instance 6") if turn > 0 else ("009.dcm (instance 14", "008.dcm")
    assert first in str(caught.value).split(";")[0]
    assert last in str(caught.value).split(";")[0]
    assert "and in 2 more places: the step is 5.00 mm there and 2.50 mm elsewhere" in str(caught.value)


def test_numbers_that_do_not_go_with_the_positions_are_not_asked(tmp_path):
    _save(tmp_path, HALF, lambda index, _: 2.0 * index)
    assert read_volume(tmp_path).shape[0] == len(HALF)


def test_uneven_spacing_is_told_where_all_numbers_are_there(tmp_path):
    _save(tmp_path, range(5), lambda index, _: (0.0, 2.0, 4.9, 6.5, 9.0)[index])
    with pytest.raises(InvalidImage, match="not evenly spaced"):
        read_volume(tmp_path)


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4, 5, 6, 7, 9, 10), (2, 4, 6, 10, 12), (1, 2, 3, 5, 7, 9, 11)])
def test_without_positions_a_missing_number_is_a_missing_slice(tmp_path, numbers):
    _save(tmp_path, numbers, lambda *_: 0, _unplaced)
    with pytest.raises(InvalidImage, match=r"missing between .*by their numbers, for they have no positions") as caught:
        read_volume(tmp_path)
    step = numbers[1] - numbers[0]
    before, after = next(pair for pair in pairwise(numbers) if pair[1] - pair[0] > step)
    assert f"(instance {before}) and" in str(caught.value)
    assert f"(instance {after})" in str(caught.value)


@pytest.mark.parametrize(
    "numbers",
    [
        (2, 4, 6, 8),  # every second number
        (5, 6, 7),
        (0, 0, 0, 0),  # none
        (1, 2, 4, 1, 2, 4),  # of two echoes
        (1, 2, 301, 302),  # of another count
        (1, 40),
    ],
)
def test_numbers_that_say_nothing_of_missing_slices_are_passed_over(tmp_path, numbers):
    _save(tmp_path, numbers, lambda *_: 0, _unplaced)
    assert read_volume(tmp_path).shape[0] == len(numbers)
