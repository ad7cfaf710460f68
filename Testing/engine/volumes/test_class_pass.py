"""Classes through a stack: equal to asking slice by slice and class by class, with less work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidPrompt, UnknownClass
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import segment_classes
from KPrismLib.volumes.merging import merge
from Testing.engine.predictor.tiny_predictor import picture, tiny_predictor
from Testing.engine.volumes.arrays import WINDOW, ArrayStack, blank, wavy_stack

CLASSES = ("liver", "spleen")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture
def encoder_batches(predictor: Predictor) -> Iterator[list[int]]:
    """How many slices each pass of the encoder takes."""
    sizes: list[int] = []
    handle = predictor.network.image_encoder.register_forward_hook(lambda _, images, __: sizes.append(len(images[0])))
    yield sizes
    handle.remove()


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_every_batch_gives_what_one_slice_and_one_class_at_a_time_give(predictor: Predictor, batch: int) -> None:
    stack = wavy_stack()
    found = list(segment_classes(predictor, stack, CLASSES, window=WINDOW, batch=batch))
    assert [piece.index for piece in found] == list(range(6))
    for piece in found:
        image = predictor.encode(stack.slices[piece.index], window=WINDOW)
        alone = [predictor.segment(image, cls=name).probability for name in CLASSES]
        np.testing.assert_allclose(piece.probability, alone, atol=1e-5)
        np.testing.assert_array_equal(piece.labels, merge(piece.probability))
    assert len({int(piece.labels.max()) for piece in found} | {0}) > 1  # something is found, so there is a comparison


def test_each_slice_is_encoded_once_whatever_the_number_of_classes(
    predictor: Predictor, encoder_batches: list[int]
) -> None:
    list(segment_classes(predictor, wavy_stack(7), CLASSES, window=WINDOW, batch=6))
    assert encoder_batches == [3, 3, 1]


def test_it_streams_and_stops_when_the_caller_does(predictor: Predictor, encoder_batches: list[int]) -> None:
    stack = wavy_stack()
    pieces = segment_classes(predictor, stack, CLASSES, window=WINDOW, batch=2)
    assert not stack.read
    next(pieces)
    next(pieces)
    assert stack.read == [0, 1]
    assert encoder_batches == [1, 1]


def test_padding_costs_nothing_and_stays_empty(predictor: Predictor, encoder_batches: list[int]) -> None:
    stack = ArrayStack([blank(), picture(), blank(), blank()])
    found = list(segment_classes(predictor, stack, CLASSES, window=WINDOW, batch=4))
    assert [bool(piece.probability.any()) for piece in found] == [False, True, False, False]
    assert encoder_batches == [1]
    assert found[0].labels.shape == (40, 56)


def test_a_part_of_the_stack_is_the_same_part_of_the_whole(predictor: Predictor) -> None:
    whole = list(segment_classes(predictor, wavy_stack(), CLASSES, window=WINDOW, batch=2))
    part = list(segment_classes(predictor, wavy_stack(), CLASSES, window=WINDOW, batch=2, first=2, last=4))
    assert [piece.index for piece in part] == [2, 3, 4]
    for piece in part:
        np.testing.assert_array_equal(piece.probability, whole[piece.index].probability)


def test_colour_and_anisotropic_slices_are_seen_as_the_predictor_sees_them(predictor: Predictor) -> None:
    colour = np.stack([picture(phase=phase) for phase in (0.0, 1.0, 2.0)], axis=-1)
    (piece,) = segment_classes(predictor, ArrayStack([colour], spacing=(2.0, 1.0)), ["liver"], window=WINDOW)
    image = predictor.encode(colour, window=WINDOW, spacing=(2.0, 1.0))
    np.testing.assert_allclose(piece.probability[0], predictor.segment(image, cls="liver").probability, atol=1e-6)


def test_names_are_read_as_people_type_them(predictor: Predictor) -> None:
    (piece,) = segment_classes(predictor, wavy_stack(1), [" Spleen "], window=WINDOW)
    assert piece.probability.shape == (1, 40, 56)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"classes": []}, InvalidPrompt, "give at least one class"),
        ({"classes": ["liver", "Liver"]}, InvalidPrompt, "twice"),
        ({"classes": ["livr"]}, UnknownClass, "did you mean 'liver'"),
        ({"batch": 0}, InvalidConfig, "at least 1 mask"),
        ({"first": 3, "last": 2}, InvalidImage, "no slices 3 to 2; choose from 0 to 5"),
        ({"last": 6}, InvalidImage, "no slices 0 to 6"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(
    predictor: Predictor, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    stack = wavy_stack()
    with pytest.raises(error, match=words):
        segment_classes(predictor, stack, **{"classes": CLASSES, "window": WINDOW, **arguments})  # type: ignore[arg-type]
    assert not stack.read


def test_slices_of_different_sizes_are_refused_with_a_sentence(predictor: Predictor) -> None:
    stack = ArrayStack([picture(), picture(48, 56)])
    with pytest.raises(InvalidImage, match="must have one size"):
        list(segment_classes(predictor, stack, ["liver"], window=WINDOW))


def test_encoded_images_of_different_sizes_are_not_segmented_together(predictor: Predictor) -> None:
    images = [predictor.encode(picture()), predictor.encode(picture(48, 56))]
    with pytest.raises(InvalidImage, match="segment them one by one"):
        predictor.class_probabilities(images, CLASSES)
