"""A mask that somebody drew changes where prompts touch it, and stays elsewhere to the pixel."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from KPrismLib.encoded_image import EncodedImage, Segmentation
from KPrismLib.local_change import corrects, midst, touched
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Click, Scribble
from KPrismLib.session import GIVEN_LOGIT, GUESSED_LOGIT, KEPT_STEPS, REACH
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

ROWS, COLUMNS = 40, 56


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def image(predictor: Predictor) -> EncodedImage:
    return predictor.encode(picture())


def box(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros((ROWS, COLUMNS), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


class Dictated:
    """The network's place: answers with the image-sized masks that it is given, and keeps what it was asked."""

    def __init__(self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch, *answers: NDArray[np.bool_]) -> None:
        self.refined: list[torch.Tensor] = []
        self.clicks: list[Any] = []
        remaining = list(answers)

        def predict(image: EncodedImage, *, prompt: Any, **_: Any) -> torch.Tensor:
            if prompt is not None:
                self.refined.append(prompt.previous_logits)
                self.clicks.append(prompt.clicks)
            return image.canvas.place(torch.from_numpy(remaining.pop(0)).float()[None, None]) * 12 - 6

        monkeypatch.setattr(predictor, "predict_logits", predict)


DRAWN = box(10, 10, 30, 30)
#: One part more than was drawn on the right, one far away, and a part of the drawn one missing.
ANSWER = (DRAWN | box(14, 30, 26, 40) | box(2, 45, 8, 52)) & ~box(10, 10, 18, 14)


def test_only_the_part_beside_the_prompt_is_touched() -> None:
    assert np.array_equal(touched(DRAWN, ANSWER, Click(20, 35), reach=1), box(14, 30, 26, 40))
    assert np.array_equal(touched(DRAWN, ANSWER, Click(4, 50), reach=1), box(2, 45, 8, 52))
    assert not touched(DRAWN, ANSWER, Click(36, 5), reach=1).any()
    assert not touched(DRAWN, DRAWN, Click(36, 5), reach=1).any()


def test_positive_prompts_add_and_negative_ones_take_away() -> None:
    taken = box(10, 10, 18, 14)
    assert np.array_equal(touched(DRAWN, ANSWER, Click(12, 12, False), reach=1), taken)
    assert not touched(DRAWN, ANSWER, Click(12, 12), reach=1).any()
    assert not touched(DRAWN, ANSWER, Click(20, 35, False), reach=1).any()


@pytest.mark.parametrize(("column", "found"), [(41, True), (42, True), (43, False)])
def test_a_part_belongs_to_prompts_within_reach(column: int, found: bool) -> None:
    """The last column of the part is 39."""
    assert touched(DRAWN, ANSWER, Click(20, column), reach=3).any() == found


def test_a_stroke_touches_all_that_it_crosses_and_corners_connect() -> None:
    stroke = Scribble(((5, 48), (20, 38)))
    assert np.array_equal(touched(DRAWN, ANSWER, stroke, reach=0), box(14, 30, 26, 40) | box(2, 45, 8, 52))
    corner = box(5, 5, 8, 8) | box(8, 8, 11, 11)
    assert np.array_equal(touched(box(0, 0, 0, 0), corner, Click(5, 5), reach=0), corner)


def test_a_prompt_corrects_where_it_contradicts() -> None:
    assert corrects(DRAWN, Click(0, 0))
    assert corrects(DRAWN, Click(15, 15, False))
    assert corrects(DRAWN, Scribble(((20, 25), (20, 35))))
    assert not corrects(DRAWN, Click(15, 15))
    assert not corrects(DRAWN, Scribble(((0, 0), (0, 30)), positive=False))


def test_the_midst_of_a_mask_lies_away_from_its_border_and_from_prompts() -> None:
    long = box(10, 5, 20, 45)
    (click,) = midst(long, [Click(15, 10, False)])
    assert click.positive
    assert click.row in (14, 15)
    assert 14 < click.column < 41
    beside = Scribble(((15, 5), (15, 34)), positive=False)
    assert midst(long, [beside])[0].column > 37
    assert midst(box(3, 3, 4, 4), [Click(3, 3, False)]) == ()


@pytest.mark.parametrize("drawn", [True, False])
def test_a_given_mask_is_the_structure_while_only_what_does_not_belong_is_named(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch, drawn: bool
) -> None:
    network = Dictated(predictor, monkeypatch, DRAWN, DRAWN, DRAWN)
    session = predictor.session(image, mask=DRAWN, drawn=drawn)
    for row, column, positive in ((12, 12, False), (2, 2, False), (20, 40, True)):
        session.click(row, column, positive=positive)
    assert [clicks.positive[0].tolist() for clicks in network.clicks] == [
        [True, False],
        [True, False, False],
        [False, False, True],
    ]
    implied = network.clicks[0].row_column[0, 0].tolist()
    (expected,) = midst(DRAWN, [Click(12, 12, False)])
    assert implied == list(image.canvas.locate(expected.row, expected.column))
    assert len(session.prompts) == 3  # nobody said it


@pytest.mark.parametrize("how", [{"honour": False, "mask": DRAWN}, {}, {"cls": "liver"}])
def test_nothing_is_implied_without_a_mask_or_of_the_network_alone(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    network = Dictated(predictor, monkeypatch, DRAWN, DRAWN)
    predictor.session(image, **how).click(12, 12, positive=False)
    assert network.clicks[-1].positive[0].tolist() == [False]


def test_a_drawn_mask_stays_but_for_what_a_prompt_touches(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Dictated(predictor, monkeypatch, ANSWER, ANSWER)
    session = predictor.session(image, mask=DRAWN)
    first = session.click(20, 35)
    assert np.array_equal(first.mask[:, :28], DRAWN[:, :28])  # nothing is taken away
    assert first.mask[16:24, 30:38].all()
    assert not first.mask[:, 43:].any()  # what is far away does not come
    assert np.array_equal(first.mask, first.probability >= 0.5)
    second = session.click(12, 11, positive=False)
    assert not second.mask[11:17, 11:13].any()
    assert np.array_equal(second.mask[:, 16:], first.mask[:, 16:])
    assert session.undo() is first
    # What is refined next is what is seen: the new part, and the drawn one as it was given.
    told = network.refined[1][0, 0]
    at = image.canvas.locate
    assert told[at(20, 34)] == 6.0
    assert told[at(12, 12)] == GIVEN_LOGIT
    assert told[at(5, 48)] == -GIVEN_LOGIT


def test_detail_that_the_canvas_cannot_hold_stays(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image four times as large as the canvas: single pixels of the drawing are not lost."""
    fine = np.random.default_rng(0).random((256, 256)) > 0.5
    fine[100:156, 200:] = False
    large = predictor.encode(picture(256, 256))
    answer = np.zeros((256, 256), dtype=bool)
    answer[100:156, 200:] = True
    Dictated(predictor, monkeypatch, answer)
    result = predictor.session(large, mask=fine).click(128, 230)
    assert np.array_equal(result.mask[:, :190], fine[:, :190])
    assert result.mask[104:152, 204:].all()


@pytest.mark.parametrize("drawn", [True, False])
def test_the_whole_mask_comes_anew_where_it_is_asked_for(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch, drawn: bool
) -> None:
    """A prompt that contradicts nothing in a drawn mask; any prompt in a model's."""
    Dictated(predictor, monkeypatch, ANSWER, DRAWN, ANSWER)
    session = predictor.session(image, mask=DRAWN, drawn=drawn)
    whole = session.click(20, 20) if drawn else session.click(20, 35)
    assert whole.mask[3:7, 46:51].all()
    assert not whole.mask[11:16, 11:13].any()
    # From then on it is a model's mask: what corrects one part may change others.
    assert not session.click(4, 48, positive=False).mask[14:16, 31:33].any()
    session.undo()
    session.undo()
    assert session.click(20, 35).mask[3:7, 46:51].any() != drawn


def test_an_empty_mask_holds_nothing_back(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dictated(predictor, monkeypatch, ANSWER)
    assert predictor.session(image, mask=np.zeros_like(DRAWN)).click(20, 35).mask[3:7, 46:51].all()


def test_what_is_drawn_counts_for_more_than_a_guess(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(**how: bool) -> set[float]:
        network = Dictated(predictor, monkeypatch, ANSWER)
        predictor.session(image, mask=DRAWN, **how).click(20, 20)
        return set(network.refined[0].abs().round().unique().tolist()) - {0.0}

    assert max(told()) == GIVEN_LOGIT
    assert max(told(drawn=False)) == GIVEN_LOGIT
    assert max(told(honour=False)) == GUESSED_LOGIT


def test_corrections_come_back_exactly_however_many_follow(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their arrays are not those of any logits."""
    fine = np.random.default_rng(0).random((256, 256)) > 0.5
    fine[:40] = False
    large, steps = predictor.encode(picture(256, 256)), KEPT_STEPS + 3
    answers = [fine.copy() for _ in range(steps)]
    for number, answer in enumerate(answers):
        answer[:24, : 30 * (number + 1)] = True
    Dictated(predictor, monkeypatch, *answers)
    session = predictor.session(large, mask=fine)
    results = [session.result, *(session.click(10, 15 + 30 * n) for n in range(steps))]
    seen = [(one.mask.copy(), one.probability.copy(), one.milliseconds) for one in results]
    assert all(now[0].sum() > before[0].sum() for before, now in itertools.pairwise(seen))
    alive = [weakref.ref(one) for one in results]
    del results
    gc.collect()
    # The first, and those that undo reaches in a few steps: of the others only what each has changed is kept.
    assert [one() is not None for one in alive] == [True] + [False] * (steps - KEPT_STEPS - 1) + [True] * (
        KEPT_STEPS + 1
    )

    def check(result: Segmentation, number: int) -> None:
        mask, probability, milliseconds = seen[number]
        assert np.array_equal(result.mask, mask)
        assert np.array_equal(result.probability, probability)
        assert result.milliseconds == milliseconds

    for number in reversed(range(steps)):
        check(session.undo(), number)
    for number in range(1, steps + 1):
        check(session.redo(), number)


def test_a_correction_that_found_nothing_comes_back_too(
    predictor: Predictor, image: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = KEPT_STEPS + 3
    Dictated(predictor, monkeypatch, *[DRAWN] * steps)
    session = predictor.session(image, mask=DRAWN, honour=True)
    seen = [session.click(2 * n, 50).mask.copy() for n in range(steps)]
    for expected in reversed(seen[:-1]):
        assert np.array_equal(session.undo().mask, expected)


def test_what_is_refined_next_follows_a_correction_that_is_finer_than_the_canvas(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four pixels of this image are one of the canvas: a strip of two is half of it."""
    large, answer = predictor.encode(picture(256, 256)), np.zeros((256, 256), dtype=bool)
    answer[8:120, 101:103] = True
    drawn = np.zeros((256, 256), dtype=bool)
    drawn[200:240, 200:240] = True
    network = Dictated(predictor, monkeypatch, answer, answer)
    session = predictor.session(large, mask=drawn)
    session.click(50, 100)
    session.click(10, 10)
    assert network.refined[1][0, 0, 12, 25] > -GIVEN_LOGIT / 2
    assert network.refined[1][0, 0, 12, 30] == -GIVEN_LOGIT


@pytest.mark.parametrize(("row", "found"), [(44, True), (60, False)])
def test_reach_is_in_pixels_of_the_canvas(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, row: int, found: bool
) -> None:
    """Four pixels of this image are one of the canvas; the part ends in row 35."""
    large, answer = predictor.encode(picture(256, 256)), np.zeros((256, 256), dtype=bool)
    answer[8:36, 8:200] = True
    drawn = np.zeros((256, 256), dtype=bool)
    drawn[200:240, 200:240] = True
    Dictated(predictor, monkeypatch, answer)
    assert predictor.session(large, mask=drawn).click(row, 100).mask[12:30, 12:190].all() == found


@pytest.mark.parametrize(("side", "reach"), [(256, 4 * REACH), (32, 2)])
def test_prompts_reach_as_far_whatever_the_image_has_of_pixels(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, side: int, reach: int
) -> None:
    """The canvas has 64 pixels; of an image of half as many three of them are one and a half."""
    reaches = []

    def spied(*masks: Any, reach: int) -> NDArray[np.bool_]:
        reaches.append(reach)
        return touched(*masks, reach=reach)

    monkeypatch.setattr("KPrismLib.session.touched", spied)
    drawn = np.zeros((side, side), dtype=bool)
    drawn[side // 2 :, side // 2 :] = True
    predictor.session(predictor.encode(picture(side, side)), mask=drawn).click(0, 0)
    assert reaches == [reach]


def test_the_real_network_leaves_the_rest_alone(predictor: Predictor, image: EncodedImage) -> None:
    session = predictor.session(image, mask=disk())
    before = session.mask
    after = session.click(0, 0).mask
    added = after & ~before
    assert not (before & ~after).any()
    assert np.array_equal(added, touched(before, after, Click(0, 0), reach=3))
