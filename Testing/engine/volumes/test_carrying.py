"""One slice beside a known one: equal to asking the predictor by hand, and the formulas behind the confidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from KPrismLib.deepest_pixel import deepest_pixel
from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLib.evaluation.dice import dice, soft_dice
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import Propagation
from KPrismLib.volumes.carrying import Guide, carry
from KPrismLib.volumes.class_guidance import SemanticGuide
from KPrismLib.volumes.confidence import confidence_from, evidence, expected_dice
from KPrismLib.volumes.descriptor import describe, similarity
from KPrismLib.volumes.encoded_stack import EncodedStack
from KPrismLib.volumes.neighbour_prior import location_prior
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor
from Testing.engine.volumes.arrays import WINDOW, ArrayStack, blank, wavy_stack


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def logit(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability.astype(np.float64), 1e-5, 1 - 1e-5)
    return np.log(p / (1 - p))


@pytest.mark.parametrize("shares", [{}, {"spleen": 1.0}, {"liver": 1.0, "spleen": 1.5}])
def test_the_mean_of_the_opinions_and_the_prior_decide(predictor: Predictor, shares: dict[str, float]) -> None:
    image = predictor.encode(picture(phase=0.3), window=WINDOW)
    reference = predictor.reference([(picture(), disk())], window=WINDOW)
    semantic = [SemanticGuide(predictor, cls, share) for cls, share in shares.items()]
    carried = carry(predictor, image, reference, [Guide(disk())], semantic=semantic)
    opinions = [
        predictor.segment(image, reference=reference).probability,
        predictor.session(image, reference=reference, mask=disk(), honour=False)
        .click(*deepest_pixel(disk()))
        .probability,
    ]
    agreement = soft_dice(opinions[0], opinions[1])
    opinions += [predictor.segment(image, cls=cls).probability for cls in shares]
    weights = [1.0, 1.0, *shares.values()]
    mean = sum(weight * logit(o) for weight, o in zip(weights, opinions, strict=True)) / sum(weights)
    expected = 1 / (1 + np.exp(-mean - location_prior([disk()], [1.0], image.canvas)))
    np.testing.assert_allclose(carried.probability, expected, atol=1e-6)
    promise = expected_dice((1 / (1 + np.exp(-mean))).astype(np.float32))
    assert carried.evidence == pytest.approx(
        evidence(expected >= 0.5, overlap=dice(expected >= 0.5, disk()), promise=promise, agreement=agreement),
        abs=1e-6,
    )


def test_the_nearer_of_two_guides_has_more_of_the_say(predictor: Predictor) -> None:
    image, other = predictor.encode(picture(phase=0.3), window=WINDOW), np.roll(disk(), 6, axis=1)
    reference = predictor.reference([(picture(), disk())], window=WINDOW)
    seen = predictor.segment(image, reference=reference).probability
    followed = 0.0
    for mask, share in ((disk(), 0.75), (other, 0.25)):
        session = predictor.session(image, reference=reference, mask=mask, honour=False)
        followed = followed + share * logit(session.click(*deepest_pixel(mask)).probability)
    mean = (logit(seen) + followed) / 2
    expected = 1 / (1 + np.exp(-mean - location_prior([disk(), other], [0.75, 0.25], image.canvas)))
    overlap = 0.75 * dice(expected >= 0.5, disk()) + 0.25 * dice(expected >= 0.5, other)
    carried = carry(predictor, image, reference, [Guide(disk(), 0.75), Guide(other, 0.25)])
    np.testing.assert_allclose(carried.probability, expected, atol=1e-6)
    promise = expected_dice((1 / (1 + np.exp(-mean))).astype(np.float32))
    agreement = soft_dice(seen, (1 / (1 + np.exp(-followed))).astype(np.float32))
    assert carried.evidence == pytest.approx(
        evidence(expected >= 0.5, overlap=overlap, promise=promise, agreement=agreement), abs=1e-6
    )


def test_between_two_accepted_slices_both_guide_by_their_distance(predictor: Predictor) -> None:
    stack, other = wavy_stack(9), np.roll(disk(), 4, axis=1)
    run = Propagation(predictor, stack, window=WINDOW, doubt=0.0)
    run.accept(0, disk())
    run.accept(3, other)
    found = {result.index: result for result in run.propagate(0, 3)}
    image = predictor.encode(stack.slices[1], window=WINDOW)
    references = predictor.reference([(stack.slices[0], disk()), (stack.slices[3], other)], window=WINDOW)
    by_hand = carry(predictor, image, references, [Guide(disk(), 2 / 3), Guide(other, 1 / 3)])
    np.testing.assert_array_equal(found[1].mask, by_hand.probability >= 0.5)
    assert found[1].confidence == pytest.approx(by_hand.evidence)  # both guides are certain


def test_a_guide_that_is_far_away_has_no_say(predictor: Predictor) -> None:
    """Slice 1 lies beside slice 0; whether slice 8 is accepted with another mask changes its references alone."""
    stack = wavy_stack(9)
    run = Propagation(predictor, stack, window=WINDOW, doubt=0.0, references=1)
    run.accept(0, disk())
    alone = {result.index: result for result in run.propagate(0, 1)}
    run.accept(8, np.roll(disk(), 4, axis=1))
    list(run.propagate(0, 8))
    assert run.results[1] is alone[1]


def test_a_propagated_slice_is_exactly_what_the_predictor_gives_by_hand(predictor: Predictor) -> None:
    stack = wavy_stack(4)
    run = Propagation(predictor, stack, window=WINDOW, doubt=0.0)
    run.accept(0, disk())
    found = {result.index: result for result in run.propagate(0, 2)}
    images = [predictor.encode(pixels, window=WINDOW) for pixels in stack.slices]
    first = carry(
        predictor, images[1], predictor.reference([(stack.slices[0], disk())], window=WINDOW), [Guide(disk())]
    )
    mask = first.probability >= 0.5
    np.testing.assert_array_equal(found[1].mask, mask)
    assert found[1].confidence == confidence_from(first.evidence, 1.0)
    references = predictor.reference([(stack.slices[0], disk()), (stack.slices[1], mask)], window=WINDOW)
    second = carry(predictor, images[2], references, [Guide(mask)])
    np.testing.assert_array_equal(found[2].mask, second.probability >= 0.5)
    assert found[2].confidence == confidence_from(second.evidence, found[1].confidence)


def test_expected_dice_is_the_dice_of_the_mask_with_its_probabilities() -> None:
    probability = np.array([[0.9, 0.7, 0.3, 0.1]], np.float32)
    assert expected_dice(probability) == pytest.approx(2 * 1.6 / (2 + 2.0))
    assert expected_dice(np.ones((2, 2), np.float32)) == 1.0
    assert expected_dice(np.array([[0.2, 0.4]], np.float32)) == pytest.approx(0.6)


def test_soft_dice_of_masks_is_their_dice() -> None:
    first, second = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    assert soft_dice(first, second) == 1.0
    first[0], second[0, :2] = 1, 1
    assert soft_dice(first, second) == pytest.approx(2 * 2 / 6)
    assert soft_dice(first / 2, first) == pytest.approx(2 * 2 / (1 + 4))


def test_evidence_multiplies_promise_overlap_and_agreement() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert evidence(mask, overlap=0.5, promise=0.8, agreement=0.25) == pytest.approx(0.8 * 0.5 * 0.5)
    assert evidence(mask & False, overlap=0.0, promise=0.8, agreement=0.25) == 0.8


def test_confidence_settles_where_evidence_stays_the_same() -> None:
    """However many slices there are: c = e * c^0.7 has one solution, e^(1 / 0.3)."""
    confidence = 1.0
    for _ in range(60):
        confidence = confidence_from(0.9, confidence)
    assert confidence == pytest.approx(0.9 ** (1 / 0.3))
    assert confidence_from(0.5, 0.25) == pytest.approx(0.5 * math.exp(0.7 * math.log(0.25)))


def test_a_slice_is_described_by_its_features_without_the_padding(predictor: Predictor) -> None:
    image = predictor.encode(picture(64, 33), window=WINDOW)  # canvas 64 x 48, of which 33 columns are image
    pooled = image.features.maps.s16[0, :, :, :3].mean(dim=(1, 2))
    np.testing.assert_allclose(describe(image), (pooled / torch.linalg.norm(pooled)).numpy(), rtol=1e-5)
    assert similarity(describe(image), describe(image)) == pytest.approx(1.0)


def test_an_encoded_stack_encodes_once_and_keeps_a_bounded_number(predictor: Predictor) -> None:
    slices = EncodedStack(predictor, ArrayStack([picture(), blank(), picture(phase=1.0)]), window=WINDOW, memory=2)
    assert slices.image(0) is slices.image(0)
    assert slices.image(1) is None
    assert slices.descriptor(1) is None
    slices.descriptor(2)
    assert (slices.encoded, slices.kept) == (3, 2)
    slices.descriptor(2)
    assert slices.encoded == 3
    slices.image(0)
    assert slices.encoded == 4  # forgotten meanwhile


def test_a_reference_of_an_encoded_slice_is_the_one_of_its_pixels(predictor: Predictor) -> None:
    slices = EncodedStack(predictor, wavy_stack(2), window=WINDOW, memory=2)
    part = slices.reference(1, disk())
    (expected,) = predictor.reference([(picture(phase=0.2), disk())], window=WINDOW).parts
    for name in ("keys", "values", "pooled", "fraction"):
        assert torch.equal(getattr(part, name), getattr(expected, name))
    assert slices.encoded == 1
    with pytest.raises(InvalidMask, match="reference mask is empty"):
        slices.reference(0, disk() & False)
    with pytest.raises(InvalidImage, match=r"Slice [0-9]+ has a mask, but every pixel of it is .* nothing to see"):
        EncodedStack(predictor, ArrayStack([blank()]), window=WINDOW, memory=1).reference(0, disk())
