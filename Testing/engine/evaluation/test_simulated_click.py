"""The imagined user: worked examples, a slow reference, and what must always hold."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from KPrismLib.errors import GeometryMismatch, InvalidMask
from KPrismLib.evaluation import next_click
from KPrismLib.prompts import Click

Mask = np.ndarray


def drawn(*rows: str) -> Mask:
    """A mask from text: # is True."""
    return np.array([[character == "#" for character in row] for row in rows])


def empty_like(mask: Mask) -> Mask:
    return np.zeros_like(mask)


pairs = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


def test_a_perfect_mask_needs_no_click() -> None:
    mask = drawn("##.", "...")
    assert next_click(mask, mask.copy()) is None


def test_what_is_missed_gets_a_positive_click_on_its_centroid() -> None:
    target = drawn("......", "..###.", "..###.", "..###.", "......")
    assert next_click(empty_like(target), target) == Click(2, 3, positive=True)


def test_what_is_too_much_gets_a_negative_click() -> None:
    prediction = drawn("#....", ".....", "...##", "...##", "...##")
    # Centroid (3, 3.5): half a pixel rounds up.
    assert next_click(prediction, empty_like(prediction)) == Click(3, 4, positive=False)


def test_the_largest_error_is_clicked_first() -> None:
    prediction = drawn("##...", "##...", ".....")
    target = drawn(".....", "...##", "..###")
    assert next_click(prediction, target) == Click(2, 3, positive=True)


def test_diagonal_neighbours_are_one_component() -> None:
    target = drawn("#....", ".#...", "..#..", ".....", "##...")
    assert next_click(empty_like(target), target) == Click(1, 1, positive=True)


def test_missed_and_superfluous_neighbours_are_two_components() -> None:
    # Two missed pixels beside three superfluous ones: together they would centre elsewhere, with no clear sign.
    prediction, target = drawn("..###"), drawn("##...")
    assert next_click(prediction, target) == Click(0, 3, positive=False)


def test_of_equally_large_errors_the_first_in_reading_order_is_clicked() -> None:
    target = drawn(".....#", "#....#", "#.....")
    assert next_click(empty_like(target), target) == Click(1, 5, positive=True)
    prediction, target = drawn("...##"), drawn("##...")
    assert next_click(prediction, target) == Click(0, 1, positive=True)


def test_a_centroid_outside_gives_way_to_the_deepest_pixel() -> None:
    # A frame with a thick right side: three pixels of column 5 are two steps from the outside, the first is taken.
    target = drawn("#######", "#...###", "#...###", "#...###", "#######")
    assert next_click(empty_like(target), target) == Click(1, 5, positive=True)


def test_the_border_of_the_image_is_outside() -> None:
    # Were the image continued, the pixels at the left border would be the deepest.
    target = drawn("##.....##", "##.....##", "##.....##", "#########")
    click = next_click(empty_like(target), target)
    assert click is not None
    assert (click.row, click.column) == (0, 0)


def test_masks_must_be_boolean_pictures_of_one_size() -> None:
    with pytest.raises(InvalidMask):
        next_click(np.zeros((2, 2), dtype=np.uint8), np.zeros((2, 2), dtype=bool))  # type: ignore[arg-type]
    with pytest.raises(InvalidMask):
        next_click(np.zeros((2, 2, 2), dtype=bool), np.zeros((2, 2, 2), dtype=bool))
    with pytest.raises(GeometryMismatch):
        next_click(np.zeros((2, 2), dtype=bool), np.zeros((2, 3), dtype=bool))


def slow_components(mask: Mask) -> list[list[tuple[int, int]]]:
    """Flood fill, in reading order of the first pixels."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    components = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        component, queue = [], deque([start])
        while queue:
            row, column = queue.popleft()
            component.append((row, column))
            neighbours = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= neighbours
            queue.extend(sorted(neighbours))
        components.append(sorted(component))
    return components


def slow_click(prediction: Mask, target: Mask) -> Click | None:
    found = [(component, True) for component in slow_components(target & ~prediction)]
    found += [(component, False) for component in slow_components(prediction & ~target)]
    if not found:
        return None
    worst, positive = min(found, key=lambda entry: (-len(entry[0]), entry[0][0]))
    row, column = (math.floor(sum(pixel[axis] for pixel in worst) / len(worst) + 0.5) for axis in (0, 1))
    if (row, column) not in worst:
        height, width = target.shape
        outside = {(i, j) for i in range(-1, height + 1) for j in range(-1, width + 1)} - set(worst)
        depths = {pixel: min((pixel[0] - i) ** 2 + (pixel[1] - j) ** 2 for i, j in outside) for pixel in worst}
        row, column = min(worst, key=lambda pixel: (-depths[pixel], pixel))
    return Click(row, column, positive)


@given(pairs)
def test_agrees_with_a_slow_reference(masks: tuple[Mask, Mask]) -> None:
    assert next_click(*masks) == slow_click(*masks)


@given(pairs)
def test_a_click_lies_on_an_error_of_its_sign(masks: tuple[Mask, Mask]) -> None:
    prediction, target = masks
    click = next_click(prediction, target)
    assert (click is None) == bool((prediction == target).all())
    if click is not None:
        assert prediction[click.row, click.column] != target[click.row, click.column]
        assert target[click.row, click.column] == click.positive


@given(pairs)
def test_swapping_the_masks_only_turns_the_sign(masks: tuple[Mask, Mask]) -> None:
    forth, back = next_click(*masks), next_click(masks[1], masks[0])
    if forth is not None and back is not None:
        assert (forth.row, forth.column, forth.positive) == (back.row, back.column, not back.positive)
