"""Stray pieces: what is small beside the largest piece of its label."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from KPrismLib.volumes.stray_pieces import without_stray_pieces


def _slowly(labels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Pieces by flooding, voxel by voxel."""
    kept, seen = labels.copy(), np.zeros(labels.shape, bool)
    pieces: list[tuple[int, set[tuple[int, ...]]]] = []
    for start in zip(*np.nonzero(labels), strict=True):
        label, piece, queue = labels[start], set(), [tuple(int(axis) for axis in start)]
        while queue:
            place = queue.pop()
            if seen[place] or labels[place] != label:
                continue
            seen[place] = True
            piece.add(place)
            ranges = [
                range(max(0, axis - 1), min(size, axis + 2)) for axis, size in zip(place, labels.shape, strict=True)
            ]
            queue += itertools.product(*ranges)
        if piece:
            pieces.append((int(label), piece))
    for label, piece in pieces:
        largest = max(len(other) for name, other in pieces if name == label)
        if len(piece) < share * largest:
            for place in piece:
                kept[place] = 0
    return kept


@given(
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 3)),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_it_is_what_flooding_every_piece_gives(labels: NDArray[np.uint8], share: float) -> None:
    before = labels.copy()
    np.testing.assert_array_equal(without_stray_pieces(labels, share), _slowly(labels, share))
    np.testing.assert_array_equal(labels, before)


def test_pieces_hang_together_over_corners_and_each_label_has_its_own_largest() -> None:
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    labels[0, 4, 4] = 1  # a third of the largest
    labels[0, 0, 4] = 2  # all of its label
    half, quarter = without_stray_pieces(labels, 0.5), without_stray_pieces(labels, 0.25)
    assert half[0, 4, 4] == 0
    assert half[0, 0, 4] == 2
    assert (half == 1).sum() == 3
    np.testing.assert_array_equal(quarter, labels)
