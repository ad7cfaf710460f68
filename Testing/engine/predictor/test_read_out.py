"""What an image sees of its references is computed once: by operations counted, with the very same masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from KPrismLib.encoded_image import EncodedImage, ReadReferences, ReferenceSet
from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from KPrismLib.session import Session
from KPrismLib.volumes.carrying import Guide, carry
from Testing.engine.network.tiny_network import filled, tiny_config
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def image(predictor: Predictor) -> EncodedImage:
    return predictor.encode(picture())


def support(predictor: Predictor, count: int, *, phase: float = 1.0) -> ReferenceSet:
    (part,) = predictor.reference([(picture(phase=phase), disk())]).parts
    return predictor.combine([part] * count)


def operations(call: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def clicked(session: Session) -> list[np.ndarray[Any, Any]]:
    return [session.probability, session.click(9, 9).probability, session.click(30, 40, positive=False).probability]


def test_a_click_costs_the_same_with_many_references_as_with_one(predictor: Predictor, image: EncodedImage) -> None:
    def click(count: int) -> int:
        session = predictor.session(image, reference=support(predictor, count))
        return operations(lambda: session.click(9, 9))

    first = [operations(lambda n=n: predictor.session(image, reference=support(predictor, n))) for n in (1, 6)]  # type: ignore[misc]
    assert first[0] < first[1]
    assert 0 < click(1) == click(6)


def test_so_does_a_click_on_many_images_at_once(predictor: Predictor, image: EncodedImage) -> None:
    def click(count: int) -> int:
        sessions = predictor.together(2).sessions([image] * 2, [None] * 2, [support(predictor, count)] * 2)
        return operations(lambda: sessions.click({0: (9, 9, True), 1: (30, 40, True)}))

    assert 0 < click(1) == click(6)


def test_so_does_one_guide_more_of_a_slice_that_is_carried(predictor: Predictor, image: EncodedImage) -> None:
    def another_guide(count: int) -> int:
        references, guides = support(predictor, count), [Guide(disk(), 0.5)] * 2
        one, two = (operations(lambda n=n: carry(predictor, image, references, guides[:n])) for n in (1, 2))  # type: ignore[misc]
        return two - one

    assert 0 < another_guide(1) == another_guide(6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_masks_are_those_of_a_read_out_for_each(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    predictor = Predictor(filled(KPrism(tiny_config())), precision=precision)
    images = [predictor.encode(picture(phase=0.4 * number)) for number in range(3)]
    sets = [support(predictor, 1 + number % 2, phase=1.0 + number) for number in range(3)]

    def masks() -> list[np.ndarray[Any, Any]]:
        found = [predictor.segment(image, reference=s).probability for image, s in zip(images, sets, strict=True)]
        found += [
            m for image, s in zip(images, sets, strict=True) for m in clicked(predictor.session(image, reference=s))
        ]
        found.append(carry(predictor, images[0], sets[1], [Guide(disk())]).probability)
        sessions = predictor.together(2).sessions(images, [None] * 3, sets)
        sessions.click(dict.fromkeys(range(3), (9, 9, True)))
        return found + sessions.masks

    kept = masks()

    def anew(image: EncodedImage, reference: ReferenceSet) -> ReadReferences:
        """As if nothing had been kept of ``reference``."""
        return read_out(image, predictor.combine(reference.parts))

    read_out = predictor.read_out
    monkeypatch.setattr(predictor, "read_out", anew)
    monkeypatch.setattr(ReadReferences, "seen_by", ReferenceSet.seen_by)  # the network does it itself
    again = masks()
    assert len(kept) == len(again) == 16
    assert all(np.array_equal(one, other) for one, other in zip(kept, again, strict=True))


def test_another_image_or_other_references_see_nothing_that_is_old(predictor: Predictor, image: EncodedImage) -> None:
    other = predictor.encode(picture(phase=2.0))
    plain, others = support(predictor, 2), support(predictor, 1, phase=3.0)
    read = predictor.read_out(image, plain)
    assert predictor.read_out(image, read) is read
    for seen in (image, other):
        for given in (read, predictor.read_out(seen, read)):
            found = predictor.segment(seen, reference=given).probability
            assert np.array_equal(found, predictor.segment(seen, reference=plain).probability)
    assert not np.array_equal(
        predictor.segment(image, reference=predictor.read_out(image, others)).probability,
        predictor.segment(image, reference=read).probability,
    )
    assert (len(read), read.parts) == (2, plain.parts)


def test_one_map_is_kept_however_many_references_there_are(predictor: Predictor, image: EncodedImage) -> None:
    read = predictor.read_out(image, support(predictor, 6))
    assert read.read_out.fused.untyped_storage().nbytes() == image.features.maps.s16.untyped_storage().nbytes()
