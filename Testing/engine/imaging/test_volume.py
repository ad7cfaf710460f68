from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from KPrismLib.errors import GeometryMismatch, InvalidImage
from KPrismLib.imaging.geometry import lps_to_ras, ras_to_lps, same_grid
from KPrismLib.imaging.volume import Volume, picture_matrix


def _volume(shape=(3, 4, 5), matrix=None, **more) -> Volume:
    return Volume(np.zeros(shape, np.int16), np.eye(4) if matrix is None else matrix, **more)


def test_shape_and_spacing_follow_the_array_axes():
    volume = _volume(matrix=np.diag([0.5, 0.7, 3.0, 1.0]))
    assert volume.shape == (3, 4, 5)
    assert volume.spacing == (3.0, 0.7, 0.5)
    assert not volume.is_colour
    assert _volume((2, 4, 5, 3)).is_colour
    assert _volume((2, 4, 5, 3)).shape == (2, 4, 5)


def test_spacing_of_a_rotated_grid_is_the_length_of_its_axes():
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn * [0.8, 0.9, 2.5]
    assert _volume(matrix=matrix).spacing == pytest.approx((2.5, 0.9, 0.8))


def test_a_picture_is_one_slice_placed_as_slicer_places_a_png():
    volume = Volume.from_picture(np.zeros((4, 6, 3), np.uint8), modality="XC")
    assert volume.shape == (1, 4, 6)
    assert volume.is_picture
    assert volume.is_colour
    assert volume.modality == "XC"
    assert np.array_equal(volume.ijk_to_ras, np.diag([-1, -1, 1, 1]))


def test_the_matrix_cannot_be_changed_and_is_a_copy():
    matrix = np.eye(4)
    volume = _volume(matrix=matrix)
    matrix[0, 0] = 9
    assert volume.ijk_to_ras[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        volume.ijk_to_ras[0, 0] = 2


def test_truth_values_become_numbers():
    assert Volume(np.ones((1, 2, 2), bool), np.eye(4)).array.dtype == np.uint8


def test_microscope_pixels_are_geometry_too():
    assert _volume(matrix=np.diag([1e-4, 1e-4, 1e-4, 1])).spacing == (1e-4, 1e-4, 1e-4)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 3, 4, 5)), "extract one time point"),
        (np.zeros((3, 4)), "3-D volume"),
        (np.zeros((0, 3, 4)), "empty"),
        (np.full((1, 2, 2), np.nan), "NaN"),
        (np.full((1, 2, 2), np.inf, np.float32), "infinite"),
        (np.zeros((1, 2, 2), complex), "complex"),
        (np.zeros((1, 2, 2), object), "object"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array, sentence):
    with pytest.raises(InvalidImage, match=sentence):
        Volume(array, np.eye(4), source=Path("folder/scan.nii"))


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (np.eye(3), "4x4"),
        (np.full((4, 4), np.nan), "finite"),
        (np.diag([1.0, 1, 1, 2]), "4x4"),
        (np.diag([1.0, 1, 0, 1]), "no volume"),
        (np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "parallel"),
    ],
)
def test_matrices_that_are_no_geometry_are_refused(matrix, sentence):
    with pytest.raises(InvalidImage, match=sentence):
        _volume(matrix=matrix)


def test_lps_and_ras_are_inverse(rng):
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [0.7, 1.1, 4.0]
    matrix[:3, 3] = [-120, 33, 7]
    assert np.allclose(lps_to_ras(*ras_to_lps(matrix)), matrix, atol=1e-12)
    # An ITK image at LPS (10, 20, 30) lies at RAS (-10, -20, 30).
    assert lps_to_ras((1, 1, 1), (10, 20, 30), np.eye(3).ravel())[:3, 3].tolist() == [-10, -20, 30]
    assert np.array_equal(lps_to_ras((1, 1, 1), (0, 0, 0), np.eye(3).ravel()), picture_matrix())


def test_one_grid_passes_with_rounding():
    matrix = np.diag([0.703125, 0.703125, 5, 1.0])
    rounded = matrix + 4e-4 * (matrix != 0) * (np.arange(4)[:, None] < 3)
    same_grid(_volume(matrix=matrix), _volume(matrix=rounded))


def _moved(row, column, by):
    matrix = np.eye(4)
    matrix[row, column] += by
    return matrix


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (_volume((3, 4, 6)), "size"),
        (_volume(matrix=_moved(0, 0, 0.01)), "spacing"),
        (_volume(matrix=_moved(1, 3, -0.01)), "origin"),
        (_volume(matrix=np.diag([-1.0, 1, 1, 1])), "direction"),
    ],
)
def test_grids_that_differ_are_named_with_what_differs(other, word):
    mine = _volume(source=Path("scan.nii"))
    with pytest.raises(GeometryMismatch, match=rf"scan.nii and the second image differ in {word}"):
        same_grid(mine, other)


def test_same_grid_takes_anything_on_a_grid():
    like = SimpleNamespace(shape=(3, 4, 5), ijk_to_ras=np.eye(4), source=None)
    same_grid(_volume(), like)
