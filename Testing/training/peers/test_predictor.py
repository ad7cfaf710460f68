"""A system behind the interface of evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from KPrismLib.errors import GeometryMismatch, InvalidPrompt
from KPrismLib.prompts import Click
from Testing.training.peers.toy_segmenter import ToySegmenter
from Training.peers.predictor import PeerPredictor
from Training.peers.segmenter import Answer, Segmenter

PIXELS = np.array([[0, 200, 0], [200, 0, 0]], dtype=np.uint8)


def predictor(segmenter: Segmenter) -> PeerPredictor:
    return PeerPredictor(segmenter, torch.device("cpu"))


def test_by_class_reports_the_time_of_the_shared_pass():
    peer = predictor(ToySegmenter())
    result = peer.segment(peer.encode(PIXELS), cls="liver")
    assert result.mask.tolist() == [[False, True, False], [True, False, False]]
    assert result.milliseconds == 7.0


def test_by_example_is_timed_here():
    peer = predictor(ToySegmenter())
    mask = PIXELS == 0
    result = peer.segment(peer.encode(PIXELS), reference=peer.reference([(PIXELS, mask)]))
    assert (result.mask == mask).all()
    assert 0 < result.milliseconds < 7000


def test_every_click_sees_all_clicks_and_the_answer_before():
    toy = ToySegmenter()
    session = predictor(toy).session(predictor(toy).encode(PIXELS))
    assert session.mask is None
    session.click(1, 2)
    session.click(0, 1, positive=False)
    assert session.mask.tolist() == [[False] * 3, [True] * 3]
    first, second = Click(1, 2, True), Click(0, 1, False)
    assert toy.asked == [((first,), None, None), ((first, second), 1, None)]


def test_refinement_starts_from_the_initial_answer():
    toy = ToySegmenter()
    session = predictor(toy).session(predictor(toy).encode(PIXELS), cls="liver")
    assert session.mask.tolist() == (PIXELS > 100).tolist()
    session.click(0, 0)
    assert toy.asked == [((Click(0, 0, True),), "class", "liver")]


def test_a_click_that_fails_leaves_the_session_as_it_was():
    class Failing(ToySegmenter):
        def by_clicks(self, image, clicks, before, *, cls, reference):
            if clicks[-1].column == 2:
                raise RuntimeError("out of luck")
            return super().by_clicks(image, clicks, before, cls=cls, reference=reference)

    toy = Failing()
    session = predictor(toy).session(predictor(toy).encode(PIXELS))
    session.click(0, 0)
    with pytest.raises(RuntimeError, match="luck"):
        session.click(1, 2)
    session.click(1, 1)
    assert toy.asked[-1][0] == (Click(0, 0, True), Click(1, 1, True))


@pytest.mark.parametrize("mask", [np.zeros((3, 2), dtype=bool), np.zeros((2, 3), dtype=np.uint8)])
def test_a_mask_of_another_size_or_type_is_the_adapters_fault(mask):
    class Wrong(ToySegmenter):
        def by_class(self, image, cls):
            return Answer(mask)

    peer = predictor(Wrong())
    with pytest.raises(GeometryMismatch, match="Toy returned a mask of"):
        peer.segment(peer.encode(PIXELS), cls="liver")


def test_one_kind_of_knowledge_and_only_one():
    peer = predictor(ToySegmenter())
    image = peer.encode(PIXELS)
    for guidance in ({}, {"cls": "liver", "reference": PIXELS > 0}):
        with pytest.raises(InvalidPrompt, match="only one"):
            peer.segment(image, **guidance)


def test_what_a_system_cannot_do_it_says():
    class Bare(Segmenter):
        name = "Bare"

        def encode(self, pixels):
            return pixels

    bare = Bare()
    for ask in (
        lambda: bare.by_class(PIXELS, "liver"),
        lambda: bare.by_example(PIXELS, None),
        lambda: bare.reference([]),
        lambda: bare.by_clicks(PIXELS, [], None, cls=None, reference=None),
    ):
        with pytest.raises(InvalidPrompt, match="Bare does not"):
            ask()


def test_no_gradients_and_one_error_for_a_full_device():
    class Full(ToySegmenter):
        def by_class(self, image, cls):
            assert not torch.is_grad_enabled()
            raise MemoryError

    peer = predictor(Full())
    with pytest.raises(MemoryError, match="out of memory"):
        peer.segment(peer.encode(PIXELS), cls="liver")
    assert torch.is_grad_enabled()
