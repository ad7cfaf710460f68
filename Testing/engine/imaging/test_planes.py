import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from KPrismLib.errors import GeometryMismatch, InvalidImage
from KPrismLib.imaging.planes import Plane, extract, pixel_spacing, placement, slice_count, stacking_plane
from KPrismLib.imaging.volume import Volume

# The world direction (RAS) in which the displayed rows run down and the columns run right.
DOWN = {Plane.AXIAL: (0, -1, 0), Plane.CORONAL: (0, 0, -1), Plane.SAGITTAL: (0, 0, -1)}
RIGHT = {Plane.AXIAL: (-1, 0, 0), Plane.CORONAL: (-1, 0, 0), Plane.SAGITTAL: (0, -1, 0)}

ORIENTATIONS = [
    np.eye(3)[list(order)].T * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
spacings = st.tuples(*[st.sampled_from([0.3, 0.9, 1.0, 2.5, 7.0])] * 3)
# Turned by at most 40 degrees, the nearest axis is still the one it was before.
tilts = st.tuples(*[st.floats(-1, 1)] * 3).map(
    lambda v: Rotation.from_rotvec(np.radians(40) * np.array(v) / max(1.0, np.linalg.norm(v))).as_matrix()
)


def _volume(direction, spacing, shape, origin=(5, -7, 11)):
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.asarray(spacing)
    matrix[:3, 3] = origin
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    return Volume(array, matrix)


def _world(volume, k, j, i):
    return (volume.ijk_to_ras @ [i, j, k, 1])[:3]


def test_there_are_48_orientations():
    assert len({m.tobytes() for m in ORIENTATIONS}) == 48


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("direction", ORIENTATIONS)
def test_every_orientation_is_shown_as_radiologists_hold_it(direction, plane):
    volume = _volume(direction, (0.5, 0.8, 3.0), (3, 4, 5))
    place = placement(volume, plane, 1)
    corner = _world(volume, *place.to_voxel(0, 0))
    down = _world(volume, *place.to_voxel(1, 0)) - corner
    right = _world(volume, *place.to_voxel(0, 1)) - corner
    assert np.allclose(down / np.linalg.norm(down), DOWN[plane])
    assert np.allclose(right / np.linalg.norm(right), RIGHT[plane])
    assert (np.linalg.norm(down), np.linalg.norm(right)) == pytest.approx(place.spacing)


@settings(max_examples=60)
@given(
    direction=st.sampled_from(ORIENTATIONS),
    tilt=tilts,
    spacing=spacings,
    shape=hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5),
    plane=st.sampled_from(Plane),
    data=st.data(),
)
def test_slices_go_out_and_back_in_exactly(direction, tilt, spacing, shape, plane, data):
    volume = _volume(tilt @ direction, spacing, shape)
    straight = _volume(direction, spacing, shape)
    index = data.draw(st.integers(0, slice_count(volume, plane) - 1))
    place = placement(volume, plane, index)
    # The tilted volume is cut along the same axes as the straight one it came from.
    assert replace(place, spacing=(0, 0)) == replace(placement(straight, plane, index), spacing=(0, 0))
    assert place.spacing == pytest.approx(placement(straight, plane, index).spacing)

    pixels = extract(volume, plane, index)
    assert pixels.shape == place.shape
    for row, column in np.ndindex(pixels.shape):
        voxel = place.to_voxel(row, column)
        assert pixels[row, column] == volume.array[voxel]
        assert place.to_pixel(*voxel) == (row, column)

    target = np.full(shape, -1, np.int32)
    place.paste(pixels, target)
    assert np.array_equal(place.extract(target), pixels)
    assert (target != -1).sum() == pixels.size
    assert np.array_equal(target[target != -1], volume.array[target != -1])


@given(direction=st.sampled_from(ORIENTATIONS), tilt=tilts, spacing=spacings)
def test_the_cut_axis_is_the_one_nearest_to_the_normal(direction, tilt, spacing):
    volume = _volume(tilt @ direction, spacing, (2, 3, 4))
    cosines = np.abs((volume.ijk_to_ras[:3, :3] / np.array(spacing))[:, ::-1])  # world axis by array axis
    cut = {plane: placement(volume, plane, 0).normal_axis for plane in Plane}
    assert sorted(cut.values()) == [0, 1, 2]
    for plane, world in ((Plane.SAGITTAL, 0), (Plane.CORONAL, 1), (Plane.AXIAL, 2)):
        assert cosines[world, cut[plane]] >= np.cos(np.radians(40)) - 1e-9


@given(direction=st.sampled_from(ORIENTATIONS), tilt=tilts)
def test_the_stacking_plane_cuts_the_first_axis(direction, tilt):
    volume = _volume(tilt @ direction, (1, 1, 1), (2, 3, 4))
    plane = stacking_plane(volume)
    assert placement(volume, plane, 0).normal_axis == 0
    assert slice_count(volume, plane) == 2


def test_all_slices_together_are_the_volume(rng):
    volume = _volume(ORIENTATIONS[29], (1, 2, 3), (3, 4, 5))
    for plane in Plane:
        rebuilt = np.zeros_like(volume.array)
        for index in range(slice_count(volume, plane)):
            placement(volume, plane, index).paste(extract(volume, plane, index), rebuilt)
        assert np.array_equal(rebuilt, volume.array)


def test_a_marker_at_the_patients_right_front_top_is_seen_where_it_belongs():
    # Stored as NIfTI often is: i to the right, j to the front, k up.
    volume = Volume(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    volume.array[3, 4, 5] = 1
    assert extract(volume, Plane.AXIAL, 3)[0, 0] == 1  # anterior up, right on the left
    assert extract(volume, Plane.CORONAL, 4)[0, 0] == 1  # superior up, right on the left
    assert extract(volume, Plane.SAGITTAL, 5)[0, 0] == 1  # superior up, anterior on the left


def test_colours_stay_together():
    volume = Volume(np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3), np.eye(4))
    pixels = extract(volume, Plane.SAGITTAL, 1)
    assert pixels.shape == (2, 3, 3)
    assert pixels[1, 2].tolist() == volume.array[0, 0, 1].tolist()


def test_an_extracted_slice_is_a_copy():
    volume = Volume(np.zeros((2, 3, 4), np.uint8), np.eye(4))
    extract(volume, Plane.AXIAL, 0)[:] = 7
    assert not volume.array.any()


@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 1, 4), (3, 4, 1), (1, 1, 4)])
def test_a_slice_of_one_row_or_column_is_a_copy_that_runs_forwards(shape):
    volume = Volume(np.zeros(shape, np.uint8), np.diag([1.0, 1.0, 1.0, 1.0]))
    mirrored = Volume(volume.array, np.diag([-1.0, -1.0, -1.0, 1.0]))
    for one, plane in itertools.product((volume, mirrored), Plane):
        pixels = extract(one, plane, 0)
        assert min(pixels.strides) > 0
        pixels[:] = 7
        assert not one.array.any()


def test_a_picture_is_shown_as_it_is_stored():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Volume.from_picture(pixels)
    assert np.array_equal(extract(picture, Plane.AXIAL, 0), pixels)
    assert placement(picture, Plane.AXIAL, 0).spacing == (1.0, 1.0)
    assert slice_count(picture, Plane.AXIAL) == 1
    with pytest.raises(InvalidImage, match="no sagittal slices"):
        slice_count(picture, Plane.SAGITTAL)
    with pytest.raises(InvalidImage, match="no coronal slices"):
        extract(picture, Plane.CORONAL, 0)


def test_pixels_count_as_square_when_their_sides_are_equal_but_for_rounding():
    volume = _volume(np.eye(3), (1.0, 1.05, 1.0005), (4, 5, 6))
    assert pixel_spacing(volume, placement(volume, Plane.AXIAL, 0)) == pytest.approx((1.05, 1.0))
    assert pixel_spacing(volume, placement(volume, Plane.SAGITTAL, 0)) == pytest.approx((1.0005, 1.05))
    assert pixel_spacing(volume, placement(volume, Plane.CORONAL, 0)) is None
    picture = Volume.from_picture(np.zeros((3, 4), np.uint8))
    assert pixel_spacing(picture, placement(picture, Plane.AXIAL, 0)) is None


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_names_the_range(index):
    volume = Volume(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    with pytest.raises(InvalidImage, match=rf"no axial slice {index}; choose one from 0 to 3"):
        extract(volume, Plane.AXIAL, index)


def test_pixels_and_volumes_of_another_shape_do_not_fit():
    volume = Volume(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    place = placement(volume, Plane.AXIAL, 0)
    with pytest.raises(GeometryMismatch, match=r"\(5, 6\)"):
        place.paste(np.zeros((6, 5)), volume.array)
    with pytest.raises(GeometryMismatch, match=r"\(4, 5, 6\)"):
        place.extract(np.zeros((4, 5, 7)))
    with pytest.raises(InvalidImage, match="does not lie in axial slice 0"):
        place.to_pixel(1, 0, 0)
