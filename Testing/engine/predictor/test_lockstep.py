"""Many questions in common passes: each gets the mask that it gets alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from KPrismLib.errors import InvalidConfig, InvalidPrompt, OutOfMemory, UnknownClass
from KPrismLib.predictor import Predictor
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

#: Three canvases, one of them of three images.
SHAPES = ((40, 56), (30, 42), (64, 64), (20, 50), (40, 56))
CLICKS = [(12, 30, True), (5, 8, False), (17, 11, True), (12, 40, True)]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def images(predictor: Predictor) -> list[Any]:
    return [predictor.encode(picture(*shape, phase=number)) for number, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def knowledge(predictor: Predictor) -> dict[str, tuple[list[Any], list[Any]]]:
    """Classes and references for each image, by kind; the references differ in number."""
    count = len(SHAPES)
    sets = [predictor.reference([(picture(phase=n + k), disk()) for k in range(1 + n % 2)]) for n in range(count)]
    nothing: list[Any] = [None] * count
    names = [predictor.classes[n % 2] for n in range(count)]
    mixed = [name if n % 2 else None for n, name in enumerate(names)]
    return {
        "nothing": (nothing, nothing),
        "class": (list(names), nothing),
        "references": (nothing, list(sets)),
        "each its own": (mixed, [None if n % 2 else sets[n] for n in range(count)]),
    }


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("kind", ["class", "references", "each its own"])
def test_masks_are_those_of_single_questions(
    predictor: Predictor, images: list[Any], knowledge: dict[str, Any], kind: str, batch: int
) -> None:
    classes, references = knowledge[kind]
    found = predictor.together(batch).segment(images, classes, references)
    for image, cls, reference, result in zip(images, classes, references, found, strict=True):
        alone = predictor.segment(image, cls=cls, reference=reference)
        assert result.mask.shape == image.shape
        assert np.array_equal(result.mask, alone.mask)
        np.testing.assert_allclose(result.probability, alone.probability, atol=2e-6)
        assert result.window == alone.window
        assert result.milliseconds > 0


@pytest.mark.parametrize("kind", ["nothing", "class", "references", "each its own"])
def test_clicks_lead_to_the_masks_of_single_sessions(
    predictor: Predictor, images: list[Any], knowledge: dict[str, Any], kind: str
) -> None:
    classes, references = knowledge[kind]
    together = predictor.together(3).sessions(images, classes, references)
    alone = [
        predictor.session(image, cls=cls, reference=reference)
        for image, cls, reference in zip(images, classes, references, strict=True)
    ]
    for turn, (row, column, positive) in enumerate(CLICKS):
        # Not all are clicked every time, so that their numbers of clicks drift apart.
        chosen = [number for number in range(len(images)) if (number + turn) % 3]
        together.click(dict.fromkeys(chosen, (row, column, positive)))
        for number in chosen:
            alone[number].click(row, column, positive=positive)
        for mask, session in zip(together.masks, alone, strict=True):
            assert np.array_equal(mask, session.mask)
    assert any(mask.any() for mask in together.masks)


def test_questions_of_one_kind_share_a_pass(predictor: Predictor, images: list[Any]) -> None:
    sizes: list[int] = []
    handle = predictor.network.decoder.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0].s16)))
    try:
        sessions = predictor.together(8).sessions(images, [None] * 5, [None] * 5)
        assert sizes == []
        sessions.click(dict.fromkeys(range(5), (10, 10, True)))
        assert sorted(sizes) == [1, 1, 3]  # 30 x 42 fills the canvas of 40 x 56
        sizes.clear()
        predictor.together(2).segment(images, [predictor.classes[0]] * 5, [None] * 5)
        assert sorted(sizes) == [1, 1, 1, 2]
    finally:
        handle.remove()


@pytest.mark.parametrize("click", [(40, 0, True), (-1, 3, True), (2.5, 3, True), (5, 5, False)])
def test_a_click_that_cannot_be_leaves_all_sessions_as_they_were(
    predictor: Predictor, images: list[Any], click: tuple[int, int, bool]
) -> None:
    sessions = predictor.together(2).sessions(images[:2], [None] * 2, [None] * 2)
    sessions.click({0: (5, 5, True), 1: (9, 9, True)})
    before = sessions.masks
    with pytest.raises(InvalidPrompt):
        sessions.click({1: (3, 3, True), 0: click})
    assert all(np.array_equal(mask, kept) for mask, kept in zip(sessions.masks, before, strict=True))
    sessions.click({1: (20, 20, False)})
    alone = predictor.session(images[1])
    alone.click(9, 9)
    assert np.array_equal(sessions.masks[1], alone.click(20, 20, positive=False).mask)


def test_a_failed_pass_leaves_all_sessions_as_they_were(
    predictor: Predictor, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    sessions = predictor.together(2).sessions(images[:1], [None], [None])
    with monkeypatch.context() as broken:
        broken.setattr(predictor.network.decoder, "forward", full)
        with pytest.raises(OutOfMemory):
            sessions.click({0: (5, 5, True)})
    sessions.click({0: (9, 9, True)})
    assert np.array_equal(sessions.masks[0], predictor.session(images[0]).click(9, 9).mask)


def test_what_cannot_be_asked_is_told(predictor: Predictor, images: list[Any], knowledge: dict[str, Any]) -> None:
    some = predictor.together(2)
    with pytest.raises(InvalidPrompt, match="Nothing says what to segment"):
        some.segment(images[:1], [None], [None])
    with pytest.raises(InvalidPrompt, match="not both"):
        some.sessions(images[:1], [predictor.classes[0]], [knowledge["references"][1][0]])
    with pytest.raises(UnknownClass):
        some.segment(images[:1], ["no such organ"], [None])
    with pytest.raises(InvalidConfig, match="at least 1"):
        predictor.together(0)
