"""Slices of volumes: the same pixels and places as everywhere else, along any axis."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.planes import Plane, extract
from KPrismLib.imaging.volume import Volume
from KPrismLib.volumes import VolumeStack


def volume(spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)) -> Volume:
    """5 slices, 6 rows, 7 columns; ``spacing`` along i, j, k."""
    return Volume(np.arange(210, dtype=np.int16).reshape(5, 6, 7), np.diag([*spacing, 1.0]), "CT")


@pytest.mark.parametrize(("plane", "count"), [(Plane.AXIAL, 5), (Plane.CORONAL, 6), (Plane.SAGITTAL, 7)])
def test_a_stack_has_the_slices_of_its_plane(plane: Plane, count: int) -> None:
    stack = VolumeStack(volume(), plane)
    assert len(stack) == count
    for index in range(count):
        np.testing.assert_array_equal(stack.pixels(index), extract(volume(), plane, index))


def test_a_pasted_mask_comes_back_in_the_place_it_was_seen() -> None:
    stack = VolumeStack(volume(), Plane.CORONAL)
    labels = np.zeros(stack.volume.shape, dtype=np.uint8)
    stack.place(2).paste(stack.pixels(2) > 100, into=labels)
    np.testing.assert_array_equal(labels[:, 2] != 0, stack.volume.array[:, 2] > 100)
    assert not np.delete(labels, 2, axis=1).any()


def test_spacing_is_told_only_where_pixels_are_not_square() -> None:
    assert VolumeStack(volume()).spacing is None
    assert VolumeStack(volume(), Plane.CORONAL).spacing == (3.0, 1.0)


def test_a_colour_volume_and_a_picture_are_stacks_too() -> None:
    colour = VolumeStack(Volume(np.zeros((2, 4, 5, 3), np.uint8), np.eye(4)))
    assert (len(colour), colour.pixels(1).shape) == (2, (4, 5, 3))
    picture = VolumeStack(Volume.from_picture(np.zeros((4, 5), np.uint8)))
    assert (len(picture), picture.spacing) == (1, None)
    with pytest.raises(InvalidImage, match="A picture has no coronal slices"):
        VolumeStack(picture.volume, Plane.CORONAL).pixels(0)


def test_a_slice_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidImage, match="no axial slice 5; choose one from 0 to 4"):
        VolumeStack(volume()).pixels(5)
