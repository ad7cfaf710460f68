from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from skimage.color import rgb2lab

from KPrismLib.imaging.distinct_colours import APART, PALETTE, distance, distinct_colours
from KPrismLib.terminology import term_for

ORGANS = ("left kidney", "right kidney", "liver", "stomach", "spleen", "pancreas", "aorta", "gallbladder")


def test_organs_of_one_picture_are_told_apart():
    own = [term_for(name).colour for name in ORGANS]
    assert min(distance(*pair) for pair in combinations(own, 2)) == 0  # the kidneys
    shown = distinct_colours(own)
    assert min(distance(*pair) for pair in combinations(shown, 2)) >= APART
    assert shown == distinct_colours(own)


def test_colours_that_are_told_apart_stay():
    own = [term_for(name).colour for name in ("spleen", "pancreas", "liver", "gallbladder")]
    spleen, pancreas, liver, gallbladder = distinct_colours(own)
    assert [spleen, pancreas, gallbladder] == [own[0], own[1], own[3]]
    assert liver in PALETTE  # too near to the pancreas
    assert distinct_colours([]) == []


def test_a_new_colour_is_the_farthest_also_from_those_that_come_later():
    red = (1.0, 0.0, 0.0)
    first, second, *later = distinct_colours([red, red, *PALETTE[:3]])
    assert (first, later) == (red, list(PALETTE[:3]))
    assert second in PALETTE[3:]
    room = {colour: min(distance(colour, other) for other in (red, *PALETTE[:3])) for colour in PALETTE}
    assert room[second] == max(room.values())


def test_the_palette_is_far_apart_and_not_dark():
    assert min(distance(*pair) for pair in combinations(PALETTE, 2)) >= APART
    assert all(rgb2lab(colour)[0] > 35 for colour in PALETTE)


def test_more_structures_than_colours_are_painted_all_the_same():
    same = [(0.5, 0.4, 0.3)] * 40
    shown = distinct_colours(same)
    assert len(shown) == 40
    assert set(shown[1:]) <= set(PALETTE)
    assert len(set(shown)) > 12


def test_the_distance_is_that_of_cie_lab():
    colours = np.random.default_rng(3).random((20, 3))
    for one, other in pairwise(colours):
        expected = np.linalg.norm(rgb2lab(one) - rgb2lab(other))
        assert distance(tuple(one), tuple(other)) == pytest.approx(expected, abs=0.05)
