"""The predictor: numpy in, numpy out, each image encoded once, every wrong input told in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import KPrismLib
from KPrismLib.errors import (
    InvalidImage,
    InvalidMask,
    InvalidPrompt,
    InvalidReference,
    KPrismError,
    OutOfMemory,
    UnknownClass,
)
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.trial import run_trial
from KPrismLib.intensity import IntensityWindow
from KPrismLib.network import KPrism
from KPrismLib.predictor import MAXIMUM_REFERENCES, Predictor
from KPrismLib.session import Session
from Testing.engine.network.tiny_network import filled, tiny_config
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def probability(predictor: Predictor, pixels: Any, **how: Any) -> np.ndarray[Any, Any]:
    return predictor.segment(predictor.encode(pixels, **how), cls="liver").probability


class TestEncode:
    @pytest.mark.parametrize("shape", [(40, 56), (3, 3), (1, 40), (40, 1), (200, 30), (2, 1)], ids=str)
    def test_any_size_gives_a_mask_of_that_size(self, predictor: Predictor, shape: tuple[int, int]) -> None:
        found = predictor.segment(predictor.encode(picture(*shape)), cls="liver")
        assert found.mask.shape == found.probability.shape == shape
        assert found.mask.dtype == np.bool_
        assert found.probability.dtype == np.float32
        assert np.array_equal(found.mask, found.probability >= 0.5)
        assert (found.probability >= 0).all()
        assert (found.probability <= 1).all()
        assert found.milliseconds > 0

    def test_grey_and_equal_colours_are_one_image(self, predictor: Predictor) -> None:
        grey = picture()
        assert np.array_equal(probability(predictor, grey), probability(predictor, np.stack([grey] * 3, axis=-1)))

    def test_colours_matter_and_so_does_their_order(self, predictor: Predictor) -> None:
        colour = np.stack([picture(), picture(phase=1.0), picture(phase=2.0)], axis=-1)
        assert not np.allclose(probability(predictor, colour), probability(predictor, colour[..., ::-1]), atol=1e-4)

    @pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
    def test_equal_values_of_any_type_are_one_image(self, predictor: Predictor, dtype: Any) -> None:
        window = IntensityWindow(0, 255, "min-max")
        expected = probability(predictor, picture(), window=window)
        assert np.array_equal(probability(predictor, picture().astype(dtype), window=window), expected)

    def test_bool_pixels_are_black_and_white(self, predictor: Predictor) -> None:
        expected = probability(predictor, disk().astype(np.uint8) * 255)
        assert np.array_equal(probability(predictor, disk()), expected)

    def test_views_of_any_memory_layout_are_one_image(self, predictor: Predictor) -> None:
        pixels = picture()
        expected = probability(predictor, pixels)
        assert np.array_equal(probability(predictor, np.asfortranarray(pixels)), expected)
        mirrored = pixels[:, ::-1].copy()
        assert np.array_equal(probability(predictor, mirrored[:, ::-1]), expected)
        double = np.repeat(pixels, 2, axis=0)
        assert np.array_equal(probability(predictor, double[::2]), expected)
        frozen = pixels.copy()
        frozen.flags.writeable = False
        assert np.array_equal(probability(predictor, frozen), expected)

    def test_the_window_is_recorded_with_image_and_mask(self, predictor: Predictor) -> None:
        pixels = picture().astype(np.int16) * 8 - 1024
        image = predictor.encode(pixels, window="ct-abdomen")
        assert image.window == IntensityWindow(-125.0, 275.0, "ct-abdomen")
        assert predictor.segment(image, cls="liver").window is image.window
        assert predictor.session(image).result.window is image.window
        by_hand = image.window.apply(pixels)
        assert np.array_equal(predictor.segment(image, cls="liver").probability, probability(predictor, by_hand))
        assert predictor.encode(pixels).window.rule != "auto"
        assert predictor.encode(picture()).window.rule == "identity"

    def test_a_given_window_is_taken_as_it_is(self, predictor: Predictor) -> None:
        window = IntensityWindow(-50.0, 150.0, "-50,150")
        assert predictor.encode(picture().astype(np.float32), window=window).window is window

    def test_spacing_gives_anatomy_its_shape(self, predictor: Predictor) -> None:
        image = predictor.encode(picture(20, 56), spacing=(3.0, 1.0))
        assert image.canvas.content == (64, 60)
        assert image.shape == (20, 56)
        assert predictor.segment(image, cls="liver").mask.shape == (20, 56)
        with pytest.raises(InvalidImage, match="spacing"):
            predictor.encode(picture(), spacing=(0.0, 1.0))

    @pytest.mark.parametrize(
        ("pixels", "words"),
        [
            (np.zeros((4, 5, 2), np.uint8), "4 x 5 x 2"),
            (np.zeros((2, 4, 5, 3), np.uint8), "rows x columns"),
            (np.zeros(7, np.uint8), "rows x columns"),
            (np.uint8(3), "rows x columns"),
            (np.zeros((0, 5), np.uint8), "no pixels"),
            (np.array([[1.0, np.nan]]), "NaN"),
            (np.array([[1.0, np.inf]]), "infinite"),
            (np.full((4, 4), 7, np.uint8), "Every pixel of the image is 7"),
            (np.ones((4, 4), bool), "Every pixel"),
            (np.array([[1j, 2]]), "complex"),
            (np.array([["a", "b"]]), "real numbers"),
            (np.array([[None, 1]]), "object"),
        ],
    )
    def test_what_is_no_image_is_refused_in_a_sentence(self, predictor: Predictor, pixels: Any, words: str) -> None:
        with pytest.raises(InvalidImage, match=words) as caught:
            predictor.encode(pixels)
        assert str(caught.value).endswith(".")
        with pytest.raises(KPrismError):
            predictor.reference([(pixels, np.ones((4, 4), bool))])

    def test_the_same_input_gives_the_same_bits_twice(self, predictor: Predictor) -> None:
        other = tiny_predictor()
        first, second = (p.encode(picture()) for p in (predictor, other))
        for a, b in zip(first.features.maps, second.features.maps, strict=True):
            assert torch.equal(a, b)
        assert np.array_equal(probability(predictor, picture()), probability(other, picture()))
        clicked = [p.session(i).click(10, 20).probability for p, i in ((predictor, first), (other, second))]
        assert np.array_equal(*clicked)

    def test_the_pixels_given_are_left_alone(self, predictor: Predictor) -> None:
        pixels, mask = picture(), disk()
        kept = pixels.copy(), mask.copy()
        image = predictor.encode(pixels)
        predictor.reference([(pixels, mask)])
        predictor.session(image, mask=mask).click(3, 3)
        assert np.array_equal(pixels, kept[0])
        assert np.array_equal(mask, kept[1])

    def test_nothing_to_encode_gives_nothing(self, predictor: Predictor) -> None:
        assert predictor.encode_batch([]) == []

    def test_a_volume_is_as_good_as_a_list_of_its_slices(self, predictor: Predictor) -> None:
        volume = np.stack([picture(phase=phase) for phase in (0.0, 1.0)])
        whole, parts = predictor.encode_batch(volume), predictor.encode_batch(list(volume))  # type: ignore[arg-type]
        for one, other in zip(whole, parts, strict=True):
            assert np.array_equal(predictor.segment(one, cls="liver").mask, predictor.segment(other, cls="liver").mask)

    def test_pairs_may_come_one_by_one(self, predictor: Predictor) -> None:
        image, pair = predictor.encode(picture(phase=1.0)), (picture(), disk())
        ways = (predictor.reference(zip([pair[0]], [pair[1]], strict=True)), predictor.reference([pair]))
        first, second = (predictor.segment(image, reference=reference).probability for reference in ways)
        assert np.array_equal(first, second)


class TestSegment:
    def test_an_unknown_class_is_told_with_the_nearest(self, predictor: Predictor) -> None:
        image = predictor.encode(picture())
        for ask in (predictor.segment, predictor.session):
            with pytest.raises(UnknownClass, match="did you mean 'liver'"):
                ask(image, cls="livr")
        with pytest.raises(UnknownClass):
            predictor.session(image, cls="livr", mask=disk())

    def test_classes_differ_and_case_does_not_matter(self, predictor: Predictor) -> None:
        image = predictor.encode(picture())
        assert predictor.classes == ("liver", "spleen")
        liver, spleen, typed = (predictor.segment(image, cls=c).probability for c in ("liver", "spleen", " Spleen"))
        assert not np.allclose(liver, spleen, atol=1e-4)
        assert np.array_equal(spleen, typed)

    def test_something_must_say_what_to_segment_and_not_twice(self, predictor: Predictor) -> None:
        image = predictor.encode(picture())
        reference = predictor.reference([(picture(), disk())])
        with pytest.raises(InvalidPrompt, match="Nothing says"):
            predictor.segment(image)
        with pytest.raises(InvalidPrompt, match="not both"):
            predictor.segment(image, cls="liver", reference=reference)
        for mask in (None, disk()):
            with pytest.raises(InvalidPrompt, match="not both"):
                predictor.session(image, cls="liver", reference=reference, mask=mask)

    def test_a_pass_needs_images_and_classes(self, predictor: Predictor) -> None:
        image = predictor.encode(picture())
        with pytest.raises(InvalidPrompt, match="at least one class"):
            predictor.class_probabilities([image], [])
        with pytest.raises(InvalidImage, match="no image"):
            predictor.class_probabilities([], ["liver"])
        alone, listed = (predictor.class_probabilities([image], asked) for asked in ("liver", ["liver"]))
        assert np.array_equal(alone, listed)

    def test_a_full_device_is_told(self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any) -> None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

        image = predictor.encode(picture())
        monkeypatch.setattr(predictor.network.image_encoder, "forward", full)
        monkeypatch.setattr(predictor.network.decoder, "forward", lambda *_, **__: full())
        with pytest.raises(OutOfMemory):
            predictor.encode(picture())
        with pytest.raises(OutOfMemory):
            predictor.segment(image, cls="liver")
        with pytest.raises(OutOfMemory):
            predictor.reference([(picture(), disk())])


class TestReference:
    def test_references_of_any_size_serve_any_image(self, predictor: Predictor) -> None:
        reference = predictor.reference([(picture(30, 30), disk(30, 30)), (picture(20, 70), disk(20, 70))])
        assert len(reference) == 2
        image = predictor.encode(picture())
        both = predictor.segment(image, reference=reference).probability
        assert both.shape == (40, 56)
        one = predictor.segment(image, reference=predictor.combine(reference.parts[:1])).probability
        assert not np.allclose(one, both, atol=1e-5)

    def test_pixels_of_another_image_make_no_reference(self, predictor: Predictor) -> None:
        image = predictor.encode(picture())
        with pytest.raises(InvalidReference, match="give those that it was encoded from"):
            predictor.encode_reference(image, picture(20, 30), disk(20, 30))

    def test_parts_can_be_combined_again_without_encoding(self, predictor: Predictor) -> None:
        pairs = [(picture(phase=p), disk()) for p in (0.0, 1.0)]
        image = predictor.encode(picture(phase=2.0))
        whole = predictor.reference(pairs)
        calls: list[int] = []
        handle = predictor.network.image_encoder.register_forward_hook(lambda *_: calls.append(1))
        again = predictor.combine(whole.parts)
        found = predictor.segment(image, reference=again).probability
        handle.remove()
        assert not calls
        assert np.array_equal(found, predictor.segment(image, reference=whole).probability)

    def test_masks_count_where_they_are_not_zero(self, predictor: Predictor) -> None:
        image = predictor.encode(picture(phase=1.0))
        found = [
            predictor.segment(image, reference=predictor.reference([(picture(), mask)])).probability
            for mask in (disk(), disk().astype(np.uint8), disk() * 255, disk().astype(np.float32) * 0.1)
        ]
        assert all(np.array_equal(found[0], other) for other in found[1:])

    def test_a_given_window_holds_for_references_too(self, predictor: Predictor) -> None:
        pixels = picture().astype(np.int16) * 8 - 1024
        window = IntensityWindow(-125.0, 275.0, "ct-abdomen")
        ways = ((pixels, window), (pixels, "ct-abdomen"), (window.apply(pixels), None), (pixels, "min-max"))
        keys = [predictor.reference([(p, disk())], window=w).memory.keys for p, w in ways]
        assert torch.equal(keys[0], keys[1])
        assert torch.equal(keys[0], keys[2])
        assert not torch.allclose(keys[0], keys[3])

    def test_a_structure_thinner_than_a_canvas_pixel_is_still_seen(self, predictor: Predictor) -> None:
        thin = np.zeros((600, 600), bool)
        thin[300, 100:500] = True
        encoded = predictor.reference([(picture(600, 600), thin)]).parts[0]
        assert encoded.fraction.max() > 0
        elsewhere = np.roll(thin, -200, axis=0)
        other = predictor.reference([(picture(600, 600), elsewhere)]).parts[0]
        assert encoded.fraction.argmax() != other.fraction.argmax()

    @pytest.mark.parametrize(
        ("pairs", "error", "words"),
        [
            ([], InvalidReference, "no reference"),
            ([(picture(), disk(20, 20))], InvalidReference, "40 x 56 but its mask 20 x 20"),
            ([(picture(), disk()[..., None])], InvalidReference, "40 x 56 x 1"),
            ([(picture(), np.zeros((40, 56), bool))], InvalidMask, "empty"),
            ([(np.zeros((40, 56)), disk())], InvalidImage, "Every pixel"),
            ([(picture(), disk())] * (MAXIMUM_REFERENCES + 1), InvalidReference, "1 to 64 references, not 65"),
        ],
    )
    def test_what_is_no_reference_is_refused(
        self, predictor: Predictor, pairs: Any, error: type[KPrismError], words: str
    ) -> None:
        calls: list[int] = []
        handle = predictor.network.image_encoder.register_forward_hook(lambda *_: calls.append(1))
        with pytest.raises(error, match=words):
            predictor.reference(pairs)
        handle.remove()
        assert not calls  # told before any work

    def test_combining_nothing_or_too_much_is_refused(self, predictor: Predictor) -> None:
        part = predictor.reference([(picture(), disk())]).parts
        for parts in ([], part * (MAXIMUM_REFERENCES + 1)):
            with pytest.raises(InvalidReference, match="1 to 64"):
                predictor.combine(parts)


def test_a_network_is_taken_as_it_is_and_no_longer_learns() -> None:
    network = filled(KPrism(tiny_config())).train()
    predictor = Predictor(network, name="mine")
    assert predictor.name == "mine"
    assert predictor.device == torch.device("cpu")
    assert not predictor.network.training
    assert not any(p.requires_grad for p in predictor.network.parameters())
    assert predictor.config.dim == 16


@pytest.mark.parametrize("mode", Mode)
def test_evaluation_can_run_it(predictor: Predictor, mode: Mode) -> None:
    """The evaluation's Protocols, exercised rather than declared."""
    image = predictor.encode(picture())
    reference = predictor.reference([(picture(phase=1.0), disk())])
    trial = run_trial(predictor, image, disk(), mode=mode, cls="liver", reference=reference, clicks=2)
    assert trial.mask.shape == (40, 56)
    assert len(trial.curve) == (3 if mode.uses_clicks else 1)
    assert all(0 <= value <= 1 for value in trial.curve)
    assert trial.milliseconds > 0


def test_the_package_offers_predictor_and_session() -> None:
    assert KPrismLib.Predictor is Predictor
    assert KPrismLib.Session is Session
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        KPrismLib.Oracle  # noqa: B018
