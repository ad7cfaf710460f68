"""Clicks and strokes: what is refused, and how they become maps and queries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.canvas import Canvas
from KPrismLib.prompt_maps import draw_disks, draw_prompts, rasterise
from KPrismLib.prompts import Click, Scribble, contradiction, outside, sample_stroke

POINTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6)


@given(POINTS)
def test_a_stroke_is_connected_passes_its_corners_in_order_and_repeats_none(points: list[tuple[int, int]]) -> None:
    path = rasterise(points)
    assert path[0] == points[0]
    assert path[-1] == points[-1]
    remaining = iter(path)
    visited = [points[0]] + [b for a, b in itertools.pairwise(points) if a != b]
    assert all(corner in remaining for corner in visited)
    for (r, c), (s, d) in itertools.pairwise(path):
        assert max(abs(r - s), abs(c - d)) == 1


def test_a_straight_stroke_by_hand() -> None:
    assert rasterise([(0, 0), (0, 2), (2, 2)]) == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]
    assert rasterise([(4, 5)]) == [(4, 5)]


@given(POINTS, st.integers(1, 8))
def test_samples_of_a_stroke_are_few_on_it_in_order_and_spread(points: list[tuple[int, int]], count: int) -> None:
    path = rasterise(points)
    chosen = sample_stroke(path, count)
    assert len(chosen) == min(count, len(path))
    remaining = iter(path)
    assert all(point in remaining for point in chosen)


def test_samples_are_the_middles_of_equal_parts() -> None:
    path = [(0, column) for column in range(12)]
    assert sample_stroke(path, 4) == [(0, 1), (0, 4), (0, 7), (0, 10)]
    assert sample_stroke(path, 1) == [(0, 6)]


@pytest.mark.parametrize(("radius", "count"), [(1, 9), (2, 21)])
def test_a_disk_is_symmetric_and_has_the_pixels_that_training_had(radius: int, count: int) -> None:
    channel = np.zeros((11, 11), dtype=np.float32)
    draw_disks(channel, [(5, 5)], radius)
    assert channel.sum() == count
    assert channel[5, 5 - radius] == channel[5 - radius, 5] == 1
    assert channel[5, 5 - radius - 1] == 0
    assert np.array_equal(channel, channel.T)
    assert np.array_equal(channel, channel[::-1, ::-1])


def test_disks_at_the_border_are_cut_off_and_never_wrap_around() -> None:
    channel = np.zeros((6, 8), dtype=np.float32)
    draw_disks(channel, [(0, 0), (5, 7)], 1)
    assert set(zip(*(i.tolist() for i in np.nonzero(channel)), strict=True)) == {
        (0, 0), (0, 1), (1, 0), (1, 1), (4, 6), (4, 7), (5, 6), (5, 7),
    }  # fmt: skip


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (10, 0), (0, 20)])
def test_a_point_outside_is_told_with_the_range(place: tuple[int, int]) -> None:
    assert outside(Click(9, 19), (10, 20)) is None
    for prompt in (Click(*place), Scribble(((0, 0), place))):
        sentence = outside(prompt, (10, 20))
        assert sentence is not None
        assert "0 to 9" in sentence
        assert "0 to 19" in sentence


def test_only_the_opposite_click_on_the_same_pixel_contradicts() -> None:
    earlier = [Click(3, 4), Scribble(((5, 5),), positive=True)]
    sentence = contradiction(Click(3, 4, positive=False), earlier)
    assert sentence is not None
    assert "positive click" in sentence
    assert contradiction(Click(3, 4), earlier) is None
    assert contradiction(Click(4, 3, positive=False), earlier) is None
    assert contradiction(Click(5, 5, positive=False), earlier) is None
    assert contradiction(Scribble(((3, 4),), positive=False), earlier) is None


def test_prompts_are_drawn_where_the_canvas_puts_them() -> None:
    canvas = Canvas.fit((32, 128), 64)  # half the size: 16 x 64
    prompts = [Click(10, 100), Click(30, 2, positive=False), Scribble(((4, 20), (4, 60)))]
    drawn = draw_prompts(prompts, canvas, radius=1, previous_logits=None, device=torch.device("cpu"))
    assert drawn.maps.shape == (1, 2, 16, 64)
    positive, negative = drawn.maps[0].bool()
    assert positive[5, 50]
    assert negative[15, 1]
    assert positive[2, 10:31].all()
    assert not (positive & negative).any()
    assert int(negative.sum()) == 6
    clicks = drawn.clicks
    assert clicks.row_column[0, :2].tolist() == [[5, 50], [15, 1]]
    assert clicks.positive[0].tolist() == [True, False, True, True, True, True]
    assert clicks.valid.all()
    stroke = clicks.row_column[0, 2:]
    assert (stroke[:, 0] == 2).all()
    assert stroke[:, 1].tolist() == sorted({10 + int((k + 0.5) * 21 / 4) for k in range(4)})
    assert drawn.previous_logits is None
