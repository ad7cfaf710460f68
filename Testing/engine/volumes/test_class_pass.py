"""Classes through a stack: equal to asking slice by slice and class by class, with less work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidPrompt, UnknownClass
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LabelledSlice, segment_classes
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
    found = list(segment_classes(predictor, stack, CLASSES, window=WINDOW, batch=batch, every_piece=True))
    assert [piece.index for piece in found] == list(range(6))
    for piece in found:
        assert piece.probability is not None
        image = predictor.encode(stack.slices[piece.index], window=WINDOW)
        alone = [predictor.segment(image, cls=name).probability for name in CLASSES]
        np.testing.assert_allclose(piece.probability, alone, atol=1e-5)
        np.testing.assert_array_equal(piece.labels, merge(piece.probability))
    assert len({int(piece.labels.max()) for piece in found} | {0}) > 1  # something is found, so there is a comparison


def test_more_structures_than_a_label_map_holds_are_refused() -> None:
    certain = np.zeros((256, 1, 1), np.float32)
    certain[254] = 0.9
    assert merge(certain[:255]).tolist() == [[255]]
    with pytest.raises(InvalidConfig, match="holds 255 structures, and 256 are asked for"):
        merge(certain)


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
    assert [np.any(piece.probability) for piece in found[:4]] == [False, True, False, False]
    assert encoder_batches == [1]
    assert found[0].labels.shape == (40, 56)


def test_a_part_of_the_stack_is_the_same_part_of_the_whole(predictor: Predictor) -> None:
    whole = list(segment_classes(predictor, wavy_stack(), CLASSES, window=WINDOW, batch=2))
    part = list(segment_classes(predictor, wavy_stack(), CLASSES, window=WINDOW, batch=2, first=2, last=4))
    assert [piece.index for piece in part[:3]] == [2, 3, 4]
    for piece in part[:3]:
        np.testing.assert_array_equal(piece.probability, whole[piece.index].probability)


def test_colour_and_anisotropic_slices_are_seen_as_the_predictor_sees_them(predictor: Predictor) -> None:
    colour = np.stack([picture(phase=phase) for phase in (0.0, 1.0, 2.0)], axis=-1)
    (piece,) = segment_classes(predictor, ArrayStack([colour], spacing=(2.0, 1.0)), ["liver"], window=WINDOW)
    image = predictor.encode(colour, window=WINDOW, spacing=(2.0, 1.0))
    assert piece.probability is not None
    np.testing.assert_allclose(piece.probability[0], predictor.segment(image, cls="liver").probability, atol=1e-6)


def test_names_are_read_as_people_type_them(predictor: Predictor) -> None:
    (piece,) = segment_classes(predictor, wavy_stack(1), [" Spleen "], window=WINDOW)
    assert np.shape(piece.probability) == (1, 40, 56)
    (alone,) = segment_classes(predictor, wavy_stack(1), "spleen", window=WINDOW)
    assert np.array_equal(alone.labels, piece.labels)


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
    stack = ArrayStack([picture(), picture(), picture(48, 56)])
    with pytest.raises(InvalidImage, match="one size, but slice 0 is 40 x 56 and slice 2 is 48 x 56"):
        list(segment_classes(predictor, stack, ["liver"], window=WINDOW, batch=1))


def test_encoded_images_of_different_sizes_are_not_segmented_together(predictor: Predictor) -> None:
    images = [predictor.encode(picture()), predictor.encode(picture(48, 56))]
    with pytest.raises(InvalidImage, match="segment them one by one"):
        predictor.class_probabilities(images, CLASSES)


class Certain:
    """In the place of a predictor: each class as probable everywhere as the slices are told."""

    classes = CLASSES

    def __init__(self, probability: NDArray[np.float32]) -> None:
        self._probability = probability  # (slices, classes, rows, columns)
        self._next = 0

    def encode_batch(self, pixels: list[NDArray[Any]], **_: object) -> list[int]:
        self._next += len(pixels)
        return list(range(self._next - len(pixels), self._next))

    def class_probabilities(self, images: list[int], names: Sequence[str]) -> NDArray[np.float32]:
        return self._probability[np.ix_(images, [CLASSES.index(name) for name in names])]


def _run(probability: NDArray[np.float32], **options: Any) -> list[LabelledSlice]:
    stack = ArrayStack([picture(8, 8, phase=0.1 * index) for index in range(len(probability))])
    return list(segment_classes(Certain(probability), stack, CLASSES, window=WINDOW, **options))  # type: ignore[arg-type]


def _told() -> NDArray[np.float32]:
    """A liver of 4 x 4 pixels in slices 0 to 3, and of one pixel in slice 5, far from it."""
    probability = np.zeros((6, 2, 8, 8), np.float32)
    probability[:4, 0, 1:5, 1:5] = 0.99
    probability[5, 0, 7, 7] = 0.99
    return probability


def test_a_small_piece_apart_is_taken_away_when_all_slices_are_known() -> None:
    found = _run(_told())
    assert [piece.index for piece in found] == [0, 1, 2, 3, 4, 5, 5]
    first, again = found[-2:]
    assert first.labels[7, 7] == 1
    assert first.probability is not None
    assert not again.labels.any()
    assert again.probability is None
    assert first.confidence == again.confidence == (pytest.approx(0.995, abs=1e-3), 1.0)
    assert all(not piece.labels.flags.writeable for piece in found)
    assert [int(piece.labels.sum()) for piece in found[:4]] == [16] * 4


def test_where_the_model_is_hardly_certain_a_class_has_no_claim() -> None:
    probability = _told()
    probability[5] = 0
    probability[2, 0, 1:5, 1:5] = 0.5  # promises 2 x 0.5 / (1 + 0.5) = 0.67
    probability[3, 0, 1:5, 1:5] = 0.6  # 0.75, but another class holds it
    probability[3, 1, 1:5, 1:5] = 0.95
    probability[3, 1, 1:5, 1] = 0.58  # less probable than the liver there, which has no claim
    found = {piece.index: piece.labels for piece in _run(probability)}
    assert not found[2].any()
    np.testing.assert_array_equal(found[3], np.where(probability[3, 1] > 0, 2, 0))
    assert found[1].sum() == 16


def test_a_slice_of_less_certainty_is_filled_where_it_continues_the_structure() -> None:
    probability = _told()[:5]
    probability[2, 0, 1:5, 1:5] = probability[4, 0, 4:8, 4:8] = 0.6  # promises 0.75
    first, *_, again = _run(probability)
    assert (first.index, again.index) == (0, 2)
    np.testing.assert_array_equal(again.labels, probability[2, 0] > 0)


def test_an_organ_that_a_surer_class_takes_for_its_own_is_given_back_at_the_end() -> None:
    probability = np.zeros((6, 2, 8, 8), np.float32)
    probability[:3, 0, :4, :4] = 0.96
    probability[:3, 1, :4, :4] = 0.98  # a second place of the other class
    probability[2:, 1, 5:, 5:] = 0.98
    found = _run(probability)
    assert [piece.index for piece in found] == [*range(6), 0, 1, 2]
    assert set(np.unique(found[0].labels)) == {0, 2}
    last = {piece.index: piece.labels for piece in found}
    for index in range(6):
        expected = np.where(probability[index, 0] > 0, 1, 0)
        np.testing.assert_array_equal(
            last[index], np.where(probability[index, 1] > 0, 2, 0) * (expected == 0) + expected
        )


@pytest.mark.parametrize("options", [{"every_piece": True}, {"first": 5, "last": 5}])
def test_every_piece_and_a_single_slice_stay_as_the_network_sees_them(options: dict[str, Any]) -> None:
    probability = _told()
    probability[[0, 5], 0, 7, 7] = 0.51
    assert _run(probability, **options)[-1].labels[7, 7] == 1
