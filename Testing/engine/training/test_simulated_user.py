"""The imagined user of training: clicks on the largest error, strokes that never leave errors of their sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.training.simulated_user import SimulatedUser

CPU = torch.device("cpu")


def user(batch: int = 1, size: tuple[int, int] = (20, 24), *, scribbles: float = 0.0, seed: int = 0) -> SimulatedUser:
    generators = [np.random.default_rng(seed + number) for number in range(batch)]
    return SimulatedUser(size, radius=1, scribble_probability=scribbles, generators=generators)


def masks(*boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """(B, 20, 24), one box each: top, bottom, left, right."""
    found = np.zeros((len(boxes), 20, 24), dtype=bool)
    for mask, (top, bottom, left, right) in zip(found, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return found


def test_a_missed_structure_gets_a_positive_click_and_a_superfluous_one_a_negative() -> None:
    someone = user(batch=2)
    target, predicted = masks((4, 9, 10, 15), (0, 0, 0, 0)), masks((0, 0, 0, 0), (10, 15, 2, 7))
    someone.react(predicted, target)
    clicks = someone.clicks(CPU)
    assert clicks.row_column.tolist() == [[[6, 12]], [[12, 4]]]
    assert clicks.positive.tolist() == [[True], [False]]
    assert clicks.valid.all()
    maps = someone.maps(CPU)
    assert maps.shape == (2, 2, 20, 24)
    assert maps[0, 0, 5:8, 11:14].sum() == maps[0].sum() == 9
    assert maps[1, 1, 11:14, 3:6].sum() == maps[1].sum() == 9


def test_prompts_add_up_and_a_perfect_sample_gets_dummies() -> None:
    someone = user(batch=2)
    target = masks((4, 9, 10, 15), (4, 9, 10, 15))
    someone.react(masks((0, 0, 0, 0), (4, 9, 10, 15)), target)
    someone.react(masks((0, 20, 0, 24), (4, 9, 10, 15)), target)
    clicks = someone.clicks(CPU)
    assert clicks.valid.tolist() == [[True, True], [False, False]]
    assert clicks.positive[0].tolist() == [True, False]
    assert clicks.row_column[0, 0].tolist() == [6, 12]
    assert someone.maps(CPU)[1].sum() == 0


def test_before_the_first_reaction_there_is_one_dummy() -> None:
    clicks = user(batch=2).clicks(CPU)
    assert clicks.valid.shape == (2, 1)
    assert not clicks.valid.any()


def test_maps_that_were_handed_out_do_not_change_later() -> None:
    someone = user()
    early = someone.maps(CPU)
    someone.react(masks((0, 0, 0, 0)), masks((4, 9, 10, 15)))
    assert early.sum() == 0


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), boxes=st.lists(st.tuples(*[st.integers(0, 19)] * 4), min_size=2, max_size=4))
def test_every_point_of_a_stroke_is_an_error_of_its_sign(seed: int, boxes: list[tuple[int, int, int, int]]) -> None:
    """Also where missed and superfluous pixels touch, and a straight line would cross from one to the other."""
    prediction, target = np.zeros((2, 20, 24), dtype=bool)
    for number, (a, b, c, d) in enumerate(boxes):
        chosen = target if number % 2 else prediction
        chosen[min(a, b) : max(a, b) + 1, min(c, d) : max(c, d) + 1] ^= True
    someone = user(scribbles=1.0, seed=seed)
    click = next_click(prediction, target)
    someone.react(prediction[None], target[None])
    clicks = someone.clicks(CPU)
    if click is None:
        assert not clicks.valid.any()
        return
    assert 1 <= clicks.valid.sum() <= 4
    for (row, column), positive in zip(clicks.row_column[0].tolist(), clicks.positive[0].tolist(), strict=True):
        assert positive == click.positive
        assert prediction[row, column] != target[row, column]
        assert target[row, column] == positive
    channel = someone.maps(CPU)[0, 0 if click.positive else 1]
    wrong = torch.from_numpy(target & ~prediction if click.positive else prediction & ~target)
    reach = torch.nn.functional.max_pool2d(wrong.float()[None, None], 3, 1, 1)[0, 0]
    assert (channel <= reach).all()


def test_strokes_come_as_often_as_asked() -> None:
    target, nothing = masks((2, 18, 2, 20)), masks((0, 0, 0, 0))
    lengths: list[int] = []
    for seed in range(200):
        someone = user(scribbles=0.3, seed=seed)
        someone.react(nothing, target)
        lengths.append(int(someone.clicks(CPU).valid.sum()))
    assert abs(sum(n > 1 for n in lengths) / 200 - 0.3) < 0.1


def test_the_same_generator_draws_the_same_strokes() -> None:
    def drawn(seed: int) -> Any:
        someone = user(scribbles=1.0, seed=seed)
        someone.react(masks((0, 0, 0, 0)), masks((2, 18, 2, 20)))
        return someone.clicks(CPU).row_column

    assert torch.equal(drawn(3), drawn(3))
    assert any(drawn(3).shape != drawn(seed).shape or not torch.equal(drawn(3), drawn(seed)) for seed in (4, 5))
