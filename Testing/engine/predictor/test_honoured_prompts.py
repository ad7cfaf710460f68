"""What a user says of a pixel holds, whatever the network makes of it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from KPrismLib.canvas import Canvas
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation import Mode
from KPrismLib.evaluation.predictor import together
from KPrismLib.evaluation.trial import Question, run_trials
from KPrismLib.honoured_prompts import MARGIN, honour, overlooked
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Click, Prompt, Scribble
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

CANVAS = Canvas.fit((64, 64), 64, None)  # as large as the image: nothing is resampled


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return tiny_predictor()


def mask_of(logits: torch.Tensor, canvas: Canvas) -> NDArray[np.bool_]:
    return (canvas.recover(logits)[0, 0].sigmoid() >= 0.5).numpy()


def stubborn(predictor: Predictor, monkeypatch: pytest.MonkeyPatch, logit: float = -3.0) -> list[Any]:
    """The network says ``logit`` everywhere, whatever it is told; -> the logits that it was given to refine."""
    given: list[Any] = []

    def predict(image: EncodedImage, *, prompt: Any, **_: Any) -> torch.Tensor:
        given.append(prompt.previous_logits)
        return torch.full((1, 1, *image.canvas.padded), logit)

    monkeypatch.setattr(predictor, "predict_logits", predict)
    return given


def test_what_holds_already_is_left_alone() -> None:
    logits = torch.where(torch.from_numpy(disk(64, 64)), 2.0, -2.0)[None, None]
    prompts = [Click(25, 38), Click(2, 2, False), Scribble(((24, 36), (26, 40)))]
    assert honour(logits, prompts, CANVAS, radius=2) is logits


def test_around_an_overlooked_pixel_logits_rise_as_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(-3.0, 0.5, (64, 64)).astype(np.float32)
    after = honour(torch.from_numpy(before)[None, None], [Click(20, 30)], CANVAS, radius=2)[0, 0].numpy()
    y, x = np.mgrid[:64, :64]
    squared = (y - 20) ** 2 + (x - 30) ** 2
    expected = before + (abs(before[20, 30]) + MARGIN) * np.exp(-squared / (2 * 2.0**2))
    near = np.maximum(abs(y - 20), abs(x - 30)) <= 8  # four standard deviations
    np.testing.assert_allclose(after[near], expected[near], atol=1e-6)
    assert np.array_equal(after[~near], before[~near])
    assert after[20, 30] == pytest.approx(MARGIN, abs=1e-6)


def test_a_negative_click_lowers_them_by_as_much() -> None:
    logits = torch.full((1, 1, 64, 64), 3.0)
    up = honour(-logits, [Click(40, 10)], CANVAS, radius=3)
    assert torch.equal(honour(logits, [Click(40, 10, False)], CANVAS, radius=3), -up)


def test_pixels_near_each_other_do_not_add_up() -> None:
    logits = torch.full((1, 1, 64, 64), -3.0)
    stroke = honour(logits, [Scribble(((30, 10), (30, 50)))], CANVAS, radius=2)[0, 0]
    assert stroke[30, 10:51].numpy() == pytest.approx(MARGIN, abs=1e-6)
    # Across the stroke it fades as beside a single click.
    click = honour(logits, [Click(30, 30)], CANVAS, radius=2)[0, 0]
    torch.testing.assert_close(stroke[:, 30], click[:, 30])


def test_a_click_changes_no_less_than_its_image_pixel() -> None:
    """Where one pixel of the image covers eight by eight of the canvas, the reach grows with it."""
    small = Canvas.fit((8, 8), 64, None)
    logits = honour(torch.full((1, 1, 64, 64), -3.0), [Click(3, 4)], small, radius=2)
    expected = np.zeros((8, 8), dtype=bool)
    expected[3, 4] = True
    assert np.array_equal(mask_of(logits, small), expected)
    wide = (logits[0, 0] > -3.0 + 1e-3).any(0).sum()
    assert wide > 8 * 2


def test_strokes_that_cross_hold_as_the_newest_says() -> None:
    across, down = Scribble(((5, 0), (5, 9))), Scribble(((0, 5), (9, 5)), positive=False)
    wrong = overlooked(np.zeros((10, 10), dtype=bool), [across, down])
    assert wrong == {(5, column): True for column in range(10) if column != 5}
    assert overlooked(np.zeros((10, 10), dtype=bool), [down, across]) == {(5, column): True for column in range(10)}


def test_opposite_clicks_in_one_canvas_pixel_end_with_the_newest() -> None:
    fine = Canvas.fit((256, 256), 64, None)
    for first, second in itertools.permutations((True, False)):
        prompts = [Click(100, 100, first), Click(101, 101, second)]
        mask = mask_of(honour(torch.full((1, 1, 64, 64), -1.0), prompts, fine, radius=1), fine)
        assert mask[101, 101] == second


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(3, 150), st.integers(3, 150)),
    level=st.floats(-12, 12),
    seed=st.integers(0, 2**32 - 1),
    radius=st.integers(1, 3),
    count=st.integers(1, 6),
)
def test_the_newest_prompt_holds_always(
    shape: tuple[int, int], level: float, seed: int, radius: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    canvas = Canvas.fit(shape, 64, None)
    logits = torch.from_numpy(rng.normal(level, 2.0, (1, 1, *canvas.padded)).astype(np.float32))
    prompts: list[Prompt] = []
    for _ in range(count):
        ends = [(int(rng.integers(shape[0])), int(rng.integers(shape[1]))) for _ in range(2)]
        positive = bool(rng.integers(2))
        prompts.append(Click(*ends[0], positive) if rng.integers(2) else Scribble(tuple(ends), positive))
    told = honour(logits, prompts, canvas, radius=radius)
    assert not overlooked(mask_of(told, canvas), prompts[-1:])
    assert torch.isfinite(told).all()


def test_a_session_holds_what_it_is_told(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    image = predictor.encode(picture())
    given = stubborn(predictor, monkeypatch)
    session = predictor.session(image)
    first = session.click(12, 30)
    assert first.mask[12, 30]
    assert first.probability[12, 30] >= 0.5
    assert np.array_equal(first.mask, first.probability >= 0.5)
    assert first.mask.sum() < 40
    assert first.milliseconds > 0
    second = session.click(30, 10)
    assert second.mask[12, 30]
    assert second.mask[30, 10]
    # The next mask is refined from the one that the user sees.
    assert given[1][0, 0].max() > 0
    assert session.undo() is first


def test_without_honour_the_mask_is_the_networks(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    image = predictor.encode(picture())
    stubborn(predictor, monkeypatch)
    assert not predictor.session(image, honour=False).click(12, 30).mask.any()


def test_a_network_that_listens_is_not_touched(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    image = predictor.encode(picture())
    stubborn(predictor, monkeypatch, logit=3.0)
    asked: list[int] = []
    real = predictor.to_segmentation
    monkeypatch.setattr(predictor, "to_segmentation", lambda *args: (asked.append(1), real(*args))[1])
    assert predictor.session(image).click(12, 30).mask.all()
    assert len(asked) == 1


@pytest.mark.parametrize("honoured", [True, False])
def test_evaluation_measures_either(predictor: Predictor, honoured: bool) -> None:
    """Many at once, as the sessions of single images; the paper's protocol does without."""
    images = [predictor.encode(picture(phase=phase)) for phase in (0.0, 1.0)]
    questions = [Question(image, disk(), "liver", None) for image in images]
    trials = run_trials(together(predictor, 2, honour=honoured), questions, mode=Mode.INTERACTIVE, clicks=4)
    for image, trial in zip(images, trials, strict=True):
        session = predictor.session(image, honour=honoured)
        for click in trial.clicks:
            session.click(click.row, click.column, positive=click.positive)
        assert np.array_equal(session.mask, trial.mask)
        if honoured:
            assert not overlooked(trial.mask, session.prompts)
    if not honoured:
        assert any(
            overlooked(trial.mask, [Click(c.row, c.column, c.positive) for c in trial.clicks]) for trial in trials
        )


def test_the_reach_ends_at_the_canvas() -> None:
    logits = honour(torch.full((1, 1, 64, 64), -3.0), [Click(0, 63)], CANVAS, radius=2)
    assert logits[0, 0, 0, 63] == pytest.approx(MARGIN, abs=1e-6)
    assert logits[0, 0, 0, 61] == pytest.approx(-3 + (3 + MARGIN) * math.exp(-4 / 8), abs=1e-6)
