"""Claims: the connected pieces of what classes mark in a slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from KPrismLib.volumes.claims import Claim, claims_in
from KPrismLib.volumes.confidence import expected_dice


def _claims(index: int, probability: NDArray[np.float32], least: float) -> list[Claim]:
    return claims_in(index, probability, [expected_dice(layer) for layer in probability], least)


def _plane(claim: Claim, shape: tuple[int, int]) -> NDArray[np.bool_]:
    plane = np.zeros(shape, bool)
    plane[claim.box] = claim.probability > 0
    return plane


def test_each_class_has_a_claim_for_every_piece_of_its_mask() -> None:
    probability = np.zeros((2, 8, 10), np.float32)
    probability[0, 1:4, 2:6] = 0.9
    probability[0, 4, 6] = 1.0  # hangs on by a corner
    probability[0, 7, 0] = 0.8
    probability[1, 2:5, 1:3] = 0.96
    probability[1, 6, 6:9] = 0.4  # less probable than not
    large, small, other = _claims(3, probability, least=0.5)
    assert [(claim.index, claim.cls, claim.area) for claim in (large, small, other)] == [
        (3, 0, 13),
        (3, 0, 1),
        (3, 1, 6),
    ]
    assert large.box == (slice(1, 5), slice(2, 7))
    assert (large.probability[0, 0], large.probability[3, 4], large.probability[3, 0]) == (230, 255, 0)
    assert large.promise == small.promise == pytest.approx(2 * 12.6 / (14 + 12.6))
    assert other.promise == pytest.approx(2 * 5.76 / (6 + 5.76 + 1.2))


def test_specks_and_masks_that_promise_too_little_claim_nothing() -> None:
    probability = np.zeros((2, 16, 16), np.float32)
    probability[0, :11, :10] = 0.9
    probability[0, 14, 14] = 0.9  # 1 of 111 pixels
    probability[1, 3:6, 3:6] = 0.6  # promises 0.75
    assert [claim.area for claim in _claims(0, probability, least=0.8)] == [110]
    assert [claim.area for claim in _claims(0, probability, least=0.7)] == [110, 9]
    probability[0, 15, 14] = 0.9  # 2 of 112
    assert [claim.area for claim in _claims(0, probability, least=0.8)] == [110, 2]


def test_trust_is_twice_as_much_at_a_promise_of_1_as_at_one_of_983() -> None:
    sure, unsure = (
        Claim(0, 0, (slice(0, 1), slice(0, 1)), np.full((1, 1), 255, np.uint8), 50, promise)
        for promise in (1.0, 0.5 ** (1 / 40))
    )
    assert sure.trust == 50
    assert unsure.trust == pytest.approx(25)


@given(*[arrays(np.float32, (1, 6, 7), elements=st.sampled_from([0.0, 0.0, 0.75, 1.0])) for _ in range(2)])
def test_what_two_claims_share_is_what_their_masks_share(one: NDArray[np.float32], two: NDArray[np.float32]) -> None:
    for claim in _claims(0, one, least=0.0):
        for other in _claims(1, two, least=0.0):
            mask, another = _plane(claim, (6, 7)), _plane(other, (6, 7))
            assert claim.area == mask.sum()
            assert claim.shared(other) == other.shared(claim) == (mask & another).sum()
            assert claim.overlap(other) == pytest.approx(2 * (mask & another).sum() / (mask.sum() + another.sum()))
