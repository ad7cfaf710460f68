"""Class names as people type them."""

from __future__ import annotations

import pytest

from KPrismLib.class_names import class_called, row_of_class
from KPrismLib.errors import UnknownClass

KNOWN = ("spleen", "right kidney", "left kidney", "Optic Disc")


@pytest.mark.parametrize(
    ("typed", "row"),
    [("spleen", 0), (" Left   KIDNEY ", 2), ("Optic Disc", 3), ("optic disc", 3), ("right\tkidney", 1),
     ("left_kidney", 2), ("spleen (whole)", 0)],
)  # fmt: skip
def test_case_blanks_underscores_and_remarks_do_not_matter(typed: str, row: int) -> None:
    assert row_of_class(typed, KNOWN) == row


def test_names_that_differ_in_case_alone_are_told_apart_when_typed_exactly() -> None:
    assert row_of_class("Liver", ("liver", "Liver")) == 1


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("spleeen", "spleen"),
        ("kidney left", "left kidney"),
        ("disc", "Optic Disc"),
        ("kidney", "left kidney"),
        ("optic cupp", "Optic Disc"),
    ],
)
def test_the_nearest_name_is_suggested(typed: str, nearest: str) -> None:
    with pytest.raises(UnknownClass) as caught:
        row_of_class(typed, KNOWN)
    assert f"did you mean {nearest!r}?" in str(caught.value)
    assert str(caught.value).startswith("The model")  # a sentence, not a quoted key


def test_without_a_near_name_a_short_list_is_told_and_a_long_one_pointed_at() -> None:
    few = ("liver", "lung")
    with pytest.raises(UnknownClass, match=r"it knows liver, lung\."):
        row_of_class("xyzzy", few)
    many = [f"{letter}{letter}{letter}" for letter in "abcdefghi"]
    with pytest.raises(UnknownClass, match="`kprism classes` lists those it knows, with --model"):
        row_of_class("xyzzy", many)


def test_a_name_that_is_no_class_is_none() -> None:
    assert class_called("Lung (both)", ("liver", "lung")) == "lung"
    assert class_called("Segment_1", ("liver", "lung")) is None
    assert class_called("live", ("liver", "lung")) is None  # no guessing
