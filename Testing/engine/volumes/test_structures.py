"""Structures: claims that mean the same thing, through the slices and across classes."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.volumes.claims import Claim
from KPrismLib.volumes.structures import structures_of, touching


def claim(index: int, cls: int, rows: tuple[int, int], columns: tuple[int, int], promise: float = 0.95) -> Claim:
    """A claim to a whole rectangle."""
    box = slice(*rows), slice(*columns)
    known = np.full((rows[1] - rows[0], columns[1] - columns[0]), 240, np.uint8)
    return Claim(index, cls, box, known, known.size, promise)


def _as_sets(claims: list[Claim]) -> set[frozenset[int]]:
    place = {id(one): number for number, one in enumerate(claims)}
    return {frozenset(place[id(one)] for one in structure) for structure in structures_of(claims)}


def test_a_structure_goes_through_the_slices_whichever_class_claims_it() -> None:
    claims = [
        claim(0, 0, (0, 10), (0, 10)),
        claim(1, 0, (1, 11), (0, 10)),
        claim(1, 1, (1, 11), (1, 11)),  # another class, the same place
        claim(2, 1, (1, 11), (2, 12)),
        claim(2, 0, (20, 30), (20, 30)),  # elsewhere
        claim(6, 0, (0, 10), (0, 10)),  # the same place, slices away
    ]
    assert _as_sets(claims) == {frozenset({0, 1, 2, 3}), frozenset({4}), frozenset({5})}


def test_three_fifths_are_not_enough_and_a_little_more_is() -> None:
    apart = [claim(0, 0, (0, 10), (0, 10)), claim(1, 0, (0, 10), (4, 14))]
    assert len(structures_of(apart)) == 2
    together = [claim(0, 0, (0, 10), (0, 10)), claim(1, 0, (0, 10), (3, 13))]
    assert len(structures_of(together)) == 1
    # From slice to slice another class must overlap more: 0.9 x 0.65.
    of_two = [claim(0, 0, (0, 10), (0, 20)), claim(1, 1, (0, 10), (7, 27))]
    assert len(structures_of(of_two)) == 2


def test_a_slice_that_misses_the_structure_does_not_end_it() -> None:
    claims = [claim(index, 0, (0, 10), (0, 10)) for index in (0, 1, 3, 4)]
    assert len(structures_of(claims)) == 1
    # Over a gap claims must overlap more: 0.8 x 0.7.
    assert len(structures_of([claims[0], claim(2, 0, (0, 10), (3, 13))])) == 2
    assert len(structures_of([claims[0], claim(3, 0, (0, 10), (0, 10))])) == 2


def test_two_pieces_of_a_class_in_a_slice_are_two_structures() -> None:
    trunk = claim(0, 0, (0, 10), (0, 20))
    left, right = claim(1, 0, (0, 10), (0, 9)), claim(1, 0, (0, 10), (10, 20))
    structures = structures_of([trunk, left, right])
    assert sorted(len(structure) for structure in structures) == [1, 2]
    assert not any(left in structure and right in structure for structure in structures)


def test_organs_that_touch_in_a_slice_stay_two() -> None:
    """A class that runs on from one organ into the other would make one of both."""
    one = [claim(0, 0, (0, 10), (0, 10)), claim(1, 0, (0, 10), (0, 10))]
    other = [claim(1, 1, (0, 10), (7, 17)), claim(2, 1, (0, 10), (7, 17))]
    bridge = [claim(2, 0, (0, 10), (2, 15))]  # overlaps .70 with what is before it, .70 with what is beside it
    assert all(two.overlap(bridge[0]) > 0.6 for two in (one[1], other[1]))
    sets = _as_sets(one + other + bridge)
    assert len(sets) == 2
    assert not any(0 in together and 2 in together for together in sets)


_RECTANGLES = st.builds(
    lambda index, cls, row, column, height, width: claim(
        index, cls, (row, row + height), (column, column + width), 0.9
    ),
    # Large beside their offsets, so that most of them overlap.
    *(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(3, 8), st.integers(3, 8)),
)


@given(st.lists(_RECTANGLES, max_size=12))
def test_every_claim_is_in_one_structure_with_one_piece_of_a_class_in_a_slice(claims: list[Claim]) -> None:
    structures = structures_of(claims)
    assert sorted(id(one) for structure in structures for one in structure) == sorted(map(id, claims))
    for structure in structures:
        for one, two in itertools.combinations(structure, 2):
            assert one.index != two.index or (one.cls != two.cls and one.overlap(two) >= 0.4)


@given(st.lists(_RECTANGLES, max_size=6), st.lists(_RECTANGLES, max_size=6))
def test_boxes_touch_where_claims_share_pixels(claims: list[Claim], others: list[Claim]) -> None:
    pairs = itertools.product(range(len(claims)), range(len(others)))
    assert touching(claims, others) == [(one, two) for one, two in pairs if claims[one].shared(others[two])]
