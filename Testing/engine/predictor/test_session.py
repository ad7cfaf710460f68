"""A session: a mask after each prompt, and undo and redo that bring back the very same arrays."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidMask, InvalidPrompt, OutOfMemory
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Click, Scribble
from KPrismLib.session import GIVEN_LOGIT, KEPT_STEPS, Session
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def image(predictor: Predictor) -> EncodedImage:
    return predictor.encode(picture())


def spy(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the decoder is asked from now on."""
    asked: list[dict[str, Any]] = []
    real = predictor.predict_logits

    def predict(image: EncodedImage, **knowledge: Any) -> torch.Tensor:
        asked.append(knowledge)
        return real(image, **knowledge)

    monkeypatch.setattr(predictor, "predict_logits", predict)
    return asked


def test_an_image_is_encoded_once_whatever_is_asked_of_it(predictor: Predictor) -> None:
    calls: list[int] = []
    handle = predictor.network.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    image = predictor.encode(picture())
    predictor.segment(image, cls="liver")
    session = predictor.session(image, cls="spleen")
    for row in (3, 9, 20):
        session.click(row, 5)
    session.undo()
    session.redo()
    session.scribble([(1, 1), (5, 9)], positive=False)
    predictor.session(image).click(1, 1)
    handle.remove()
    assert len(calls) == 1


def test_without_knowledge_it_starts_empty(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image)
    assert not session.mask.any()
    assert session.mask.shape == image.shape
    assert session.probability.max() == 0
    assert session.prompts == ()
    assert not session.can_undo
    assert not session.can_redo


def test_with_a_class_or_references_it_starts_with_their_mask(predictor: Predictor, image: EncodedImage) -> None:
    reference = predictor.reference([(picture(phase=1.0), disk())])
    for knowledge in ({"cls": "liver"}, {"reference": reference}):
        expected = predictor.segment(image, **knowledge).probability  # type: ignore[arg-type]
        assert np.array_equal(predictor.session(image, **knowledge).probability, expected)  # type: ignore[arg-type]


def test_every_prompt_is_answered_with_all_that_was_said_and_the_mask_before(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spy(predictor, monkeypatch)
    session = predictor.session(image, cls="liver")
    first = session.click(10, 20)
    session.click(30, 40, positive=False)
    assert [k["cls"] for k in asked] == ["liver"] * 3
    assert asked[0]["prompt"] is None
    one, two = asked[1]["prompt"], asked[2]["prompt"]
    assert one.clicks.row_column[0].tolist() == [list(image.canvas.locate(10, 20))]
    assert two.clicks.positive[0].tolist() == [True, False]
    recovered = image.canvas.recover(two.previous_logits)[0, 0].sigmoid()
    assert np.array_equal(recovered.numpy(), first.probability)


def test_a_click_at_row_and_column_marks_that_pixel(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spy(predictor, monkeypatch)
    predictor.session(image).click(4, 50)
    positive = asked[0]["prompt"].maps[0, 0]
    rows, columns = np.nonzero(positive.numpy())
    assert rows.mean() / image.canvas.content[0] == pytest.approx(4.5 / 40, abs=0.02)
    assert columns.mean() / image.canvas.content[1] == pytest.approx(50.5 / 56, abs=0.02)


def test_undo_and_redo_restore_the_very_same_arrays(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = predictor.session(image, cls="liver")
    results = [
        session.result,
        session.click(10, 20),
        session.scribble([(5, 5), (9, 30)]),
        session.click(30, 3, positive=False),
    ]
    prompts = [Click(10, 20), Scribble(((5, 5), (9, 30))), Click(30, 3, positive=False)]
    masks = [r.mask.copy() for r in results]
    asked = spy(predictor, monkeypatch)
    for position in (2, 1, 0):
        assert session.undo() is results[position]
        assert session.result is results[position]
        assert session.prompts == tuple(prompts[:position])
        assert session.can_redo
    assert not session.can_undo
    for position in (1, 2, 3):
        assert session.redo() is results[position]
        assert session.mask is results[position].mask
        assert session.prompts == tuple(prompts[:position])
    assert not session.can_redo
    assert not asked  # nothing is computed
    for result, mask in zip(results, masks, strict=True):
        assert np.array_equal(result.mask, mask)


def test_only_results_nearby_hold_memory_and_all_come_back_exactly(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image, mask=disk(), drawn=False)
    steps = 3 * KEPT_STEPS
    results = [session.result, *(session.click(3 * n, 4 * n, positive=n % 2 == 0) for n in range(steps))]
    expected = [(r.mask.copy(), r.probability.copy(), r.milliseconds) for r in results]
    alive = [weakref.ref(result) for result in results]
    del results
    gc.collect()
    # Those that undo reaches in a few steps, and the mask that was given.
    assert [ref() is not None for ref in alive] == [True] + [False] * (steps - KEPT_STEPS - 1) + [True] * (
        KEPT_STEPS + 1
    )
    for turn in (session.undo, session.redo):
        order = range(steps - 1, -1, -1) if turn == session.undo else range(1, steps + 1)
        for number in order:
            result = turn()
            mask, probability, milliseconds = expected[number]
            assert np.array_equal(result.mask, mask)
            assert np.array_equal(result.probability, probability)
            assert result.milliseconds == milliseconds
            assert session.result is result
    assert np.array_equal(expected[0][0], disk())


def test_a_new_prompt_drops_what_was_taken_back(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image)
    session.click(10, 20)
    session.click(11, 30)
    session.undo()
    session.click(30, 40)
    assert not session.can_redo
    assert session.prompts == (Click(10, 20), Click(30, 40))
    straight = predictor.session(image)
    straight.click(10, 20)
    assert np.array_equal(straight.click(30, 40).probability, session.probability)


def test_there_may_be_nothing_to_undo_or_redo(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image)
    with pytest.raises(InvalidPrompt, match="nothing to undo"):
        session.undo()
    with pytest.raises(InvalidPrompt, match="nothing to redo"):
        session.redo()


def say_nothing(session: Session) -> None:
    session.scribble([])


@pytest.mark.parametrize(
    ("speak", "words"),
    [
        (lambda s: s.click(-1, 0), "Row -1"),
        (lambda s: s.click(0, -1), "Column|column -1"),
        (lambda s: s.click(40, 0), "0 to 39"),
        (lambda s: s.click(0, 56), "0 to 55"),
        (lambda s: s.scribble([(0, 0), (40, 2)]), "outside"),
        (say_nothing, "no points"),
        (lambda s: s.click(10, 20, positive=False), "already has a positive click"),
        (lambda s: s.click(-0.5, 3), r"two whole numbers.*\(-0.5, 3\)"),
        (lambda s: s.click(3, float("nan")), "two whole numbers"),
        (lambda s: s.click(3, "4"), "two whole numbers"),
        (lambda s: s.scribble([(1, 2), (3.25, 4)]), "two whole numbers"),
        (lambda s: s.scribble([(1, 2, 3)]), "two whole numbers"),
        (lambda s: s.scribble([5]), "two whole numbers"),
    ],
)
def test_a_prompt_that_cannot_be_leaves_the_session_as_it_was(
    predictor: Predictor, image: EncodedImage, speak: Any, words: str
) -> None:
    session = predictor.session(image)
    session.click(10, 20)
    session.click(12, 20)
    before = session.undo()
    with pytest.raises(InvalidPrompt, match=words):
        speak(session)
    assert session.result is before
    assert session.prompts == (Click(10, 20),)
    assert session.can_redo  # not even the branch is lost


def test_a_failed_prediction_leaves_the_session_as_it_was(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = predictor.session(image)
    before = session.click(10, 20)

    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as broken:
        broken.setattr(predictor.network.decoder, "forward", full)
        with pytest.raises(OutOfMemory):
            session.click(30, 40)
    assert session.result is before
    assert session.prompts == (Click(10, 20),)
    session.click(30, 40)  # and it goes on
    assert session.prompts == (Click(10, 20), Click(30, 40))


def test_a_contradiction_taken_back_is_none(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image)
    session.click(10, 20)
    session.undo()
    session.click(10, 20, positive=False)
    assert session.prompts == (Click(10, 20, positive=False),)


def test_a_given_mask_is_where_it_starts_and_what_clicks_refine(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spy(predictor, monkeypatch)
    mask = disk()
    session = predictor.session(image, mask=mask)
    assert not asked
    assert np.array_equal(session.mask, mask)
    assert np.array_equal(session.probability, mask.astype(np.float32))
    mask[:] = False  # the session keeps its own
    assert session.mask.any()
    session.click(3, 3)
    logits = asked[0]["prompt"].previous_logits
    assert logits.shape[-2:] == image.canvas.padded
    assert logits.abs().max() == GIVEN_LOGIT
    back = image.canvas.recover(logits)[0, 0] >= 0
    assert (back.numpy() == disk()).mean() > 0.99
    assert (logits[..., image.canvas.content[0] :, :] == -GIVEN_LOGIT).all()
    other = predictor.session(image).click(3, 3)
    assert not np.allclose(other.probability, session.probability, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 55), (40, 56, 1), (40,), ()])
def test_a_mask_of_another_size_is_refused(predictor: Predictor, image: EncodedImage, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidMask, match="40 x 56"):
        predictor.session(image, mask=np.ones(shape, dtype=bool))


@pytest.mark.parametrize(
    ("mask", "words"), [(np.full((40, 56), np.nan), "NaN"), (np.full((40, 56), "x"), "values of type")]
)
def test_a_mask_that_says_neither_yes_nor_no_is_refused(
    predictor: Predictor, image: EncodedImage, mask: Any, words: str
) -> None:
    with pytest.raises(InvalidMask, match=words):
        predictor.session(image, mask=mask)
    with pytest.raises(InvalidMask, match=words):
        predictor.reference([(picture(), mask)])


def test_what_undo_gives_back_cannot_be_changed_meanwhile(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image, mask=disk())
    for result in (session.result, session.click(3, 3), predictor.session(image).result):
        with pytest.raises(ValueError, match="read-only"):
            result.mask[:] = False
        with pytest.raises(ValueError, match="read-only"):
            result.probability[:] = 0
    assert np.array_equal(session.undo().mask, disk())


def test_numpy_numbers_are_clicks_like_any_other(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image)
    session.click(np.int64(10), np.uint8(20), positive=np.bool_(True))  # type: ignore[arg-type]
    session.scribble(np.array([[1, 2], [3, 4]]))  # type: ignore[arg-type]
    session.click(12.0, np.float32(9))  # type: ignore[arg-type]
    assert session.prompts == (Click(10, 20), Scribble(((1, 2), (3, 4))), Click(12, 9))


def test_sessions_on_one_image_do_not_meet(predictor: Predictor, image: EncodedImage) -> None:
    first, second = predictor.session(image), predictor.session(image)
    alone = first.click(10, 20).probability.copy()
    second.click(30, 40, positive=False)
    assert np.array_equal(first.probability, alone)
    assert second.prompts == (Click(30, 40, positive=False),)


def test_many_prompts_are_taken(predictor: Predictor, image: EncodedImage) -> None:
    """More queries than absorbed attention takes (dim / heads = 8): the other form goes on."""
    session = predictor.session(image)
    for number in range(12):
        session.click(3 * number, 4 * number, positive=number % 2 == 0)
    assert len(session.prompts) == 12
    assert np.isfinite(session.probability).all()
