"""Awards: which class a structure belongs to, decided for all classes together."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.volumes.awards import _company, award, paint
from KPrismLib.volumes.claims import Claim
from Testing.engine.volumes.test_structures import claim

SPLEEN, KIDNEY = 0, 1


def _held(claims: list[Claim], classes: int = 2) -> set[int]:
    place = {id(one): number for number, one in enumerate(claims)}
    return {place[id(one)] for one in award(claims, classes, least=0.8)}


def test_an_organ_that_another_class_marks_more_surely_goes_to_the_class_that_has_nothing_better() -> None:
    spleen = [claim(index, SPLEEN, (0, 10), (0, 10), 0.95) for index in (5, 6)]
    mistaken = [claim(index, KIDNEY, (0, 10), (0, 10), 0.97) for index in (5, 6)]
    kidney = [claim(index, KIDNEY, (20, 30), (0, 10), 0.97) for index in (0, 1, 2)]
    assert _held(spleen + mistaken + kidney) == {0, 1, 4, 5, 6}
    # Without a kidney, the surer class has the organ.
    assert _held(mistaken + spleen) == {0, 1}
    assert _held(spleen + mistaken) == {2, 3}


def test_shares_are_of_what_a_class_claims_in_all() -> None:
    """A large class does not win from a small one by its size."""
    small = [claim(0, SPLEEN, (0, 4), (0, 4))]
    large = [claim(0, KIDNEY, (0, 4), (0, 5)), claim(3, KIDNEY, (0, 40), (0, 40))]
    assert _held(small + large) == {0, 2}


def test_what_a_class_is_less_sure_of_is_not_it_and_what_it_is_half_as_sure_of_is() -> None:
    first = claim(0, SPLEEN, (0, 10), (0, 10), 1.0)
    for promise, held in ((0.5 ** (0.9 / 40), {0, 1}), (0.5 ** (1.1 / 40), {0})):
        assert _held([first, claim(5, SPLEEN, (20, 30), (20, 30), promise)]) == held


def test_where_the_other_classes_are_a_class_is_trusted_more() -> None:
    """Kidneys in slices 4 to 7; of two places that the spleen is as sure of, or a little surer, the one beside them."""
    kidney = [claim(index, KIDNEY, (0, 10), (0, 10), 1.0) for index in range(4, 8)]
    beside, apart = claim(8, SPLEEN, (20, 30), (0, 10), 0.99), claim(60, SPLEEN, (20, 30), (20, 30), 1.0)
    assert _held([*kidney, beside, apart]) == {0, 1, 2, 3, 4}
    assert _held([beside, apart], classes=1) == {0, 1}
    # Apart it still counts a quarter: what it is far surer of, or finds nowhere else, it keeps.
    large = [claim(index, SPLEEN, (20, 40), (20, 40), 1.0) for index in (60, 61)]
    assert _held([*kidney, beside, *large]) == {0, 1, 2, 3, 5, 6}
    assert _held([*kidney, apart]) == {0, 1, 2, 3, 4}


def test_company_is_by_gaps_in_half_extents_whatever_the_thickness_of_slices() -> None:
    def company(scale: int) -> list[float]:
        structures = [
            [claim(index, SPLEEN, (0, 9), (0, 9)) for index in range(2 * scale)],
            [claim(index, KIDNEY, (0, 9), (0, 9)) for index in range(5 * scale, 9 * scale)],
            [claim(index, KIDNEY, (20, 29), (0, 9)) for index in range(scale)],
        ]
        return _company(structures, np.array([[1, 0], [0, 0.75], [0, 0.25]])).ravel().tolist()

    # The spleen, of half extent 1: a gap of 3 to the kidney of half extent 2, and none to the other.
    expected = 0.75 * np.exp(-2 * 3 / (1 + 2)) + 0.25
    once, thinner = company(1), company(4)
    assert once[0] == pytest.approx(expected)
    assert once[3] == pytest.approx(np.exp(-2))
    assert once[5] == pytest.approx(1)
    assert thinner == pytest.approx(once)


def test_what_continues_a_structure_is_held_from_slice_to_slice_even_if_it_promises_less() -> None:
    claims = [
        claim(3, SPLEEN, (0, 10), (0, 10), 0.98),
        claim(4, SPLEEN, (0, 4), (0, 4), 0.75),  # all of it lies on the piece before
        claim(5, SPLEEN, (0, 4), (2, 6), 0.75),  # half of it does
        claim(6, SPLEEN, (0, 4), (5, 9), 0.75),  # a quarter
        claim(2, SPLEEN, (20, 24), (20, 24), 0.75),  # hangs on nothing
    ]
    assert _held(claims) == {0, 1, 2}


def test_a_structure_is_not_continued_into_what_another_class_holds() -> None:
    kidney = [claim(index, KIDNEY, (0, 10), (0, 10), 0.98) for index in (4, 5)]
    spleen = claim(3, SPLEEN, (0, 10), (5, 16), 0.98)
    assert _held([*kidney, spleen, claim(4, SPLEEN, (0, 10), (7, 16), 0.75)]) == {0, 1, 2, 3}  # a third is the kidney's
    assert _held([*kidney, spleen, claim(4, SPLEEN, (0, 10), (5, 12), 0.75)]) == {0, 1, 2}


def test_a_vessel_that_forks_keeps_both_branches() -> None:
    arch = claim(2, SPLEEN, (0, 30), (0, 10), 0.97)
    ascending = [claim(index, SPLEEN, (0, 10), (0, 10), 0.95) for index in (3, 4)]
    descending = [claim(index, SPLEEN, (20, 30), (0, 10), 0.95) for index in (3, 4)]
    assert _held([arch, *ascending, *descending], classes=1) == {0, 1, 2, 3, 4}


def test_nothing_is_awarded_where_nothing_is_claimed() -> None:
    assert award([], 3, least=0.8) == []
    assert _held([claim(0, SPLEEN, (0, 2), (0, 2), 0.75)]) == set()


def test_a_structure_is_continued_both_ways_and_the_surest_first() -> None:
    """Two claims to one place: the surer one is held, which closes the place to the other."""
    claims = [
        claim(3, SPLEEN, (0, 10), (0, 13), 0.98),
        claim(3, KIDNEY, (0, 10), (10, 23), 0.98),
        claim(4, SPLEEN, (0, 6), (6, 15), 0.74),
        claim(4, KIDNEY, (0, 6), (7, 16), 0.79),
        claim(2, SPLEEN, (0, 6), (6, 15), 0.79),
        claim(2, KIDNEY, (0, 6), (7, 16), 0.74),
    ]
    assert _held(claims) == {0, 1, 3, 4}
    assert _held(claims[:2] + claims[3:1:-1] + claims[4:]) == {0, 1, 2, 4}  # the same, in another order


def test_a_pixel_stays_with_the_class_that_had_it_if_that_still_claims_it() -> None:
    """Probabilities that claims round alike do not matter."""
    one, two = claim(0, SPLEEN, (0, 2), (0, 4)), claim(0, KIDNEY, (0, 2), (0, 4))
    one.probability[:] = two.probability[:] = 255
    first = np.array([[2, 2, 1, 0], [2, 1, 1, 3]], np.uint8)
    np.testing.assert_array_equal(paint([one, two], first), [[2, 2, 1, 1], [2, 1, 1, 1]])
    np.testing.assert_array_equal(paint([two], first), np.full((2, 4), 2))


def test_a_pixel_goes_to_the_most_probable_claim() -> None:
    one, two = claim(0, KIDNEY, (0, 4), (0, 4)), claim(0, SPLEEN, (2, 6), (2, 6))
    two.probability[:1] = 250  # surer than the kidney in its first row only
    two.probability[1:] = 200
    two.probability[3, 3] = 0
    expected = np.zeros((6, 6), np.uint8)
    expected[2:6, 2:6] = 1
    expected[5, 5] = 0
    expected[0:4, 0:4] = 2
    expected[2, 2:4] = 1
    before = np.zeros((6, 6), np.uint8)
    np.testing.assert_array_equal(paint([one, two], before), expected)
    np.testing.assert_array_equal(paint([two, one], before), expected)
    assert not paint([], np.ones((3, 5), np.uint8)).any()
