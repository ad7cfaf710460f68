"""Splits, near duplicates, upright volumes, stamps."""

from __future__ import annotations

import itertools
from collections import Counter

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.planes import Plane, extract
from KPrismLib.imaging.reading import read_volume
from Testing.training.convert.trees import anatomy, photograph, save_nifti, save_picture
from Training.convert.anatomy import contradicted_axes
from Training.convert.near_duplicates import cluster_pictures
from Training.convert.splits import split_patients
from Training.convert.stamps import mark, same_content
from Training.convert.upright import Slices, upright


def test_splits_have_the_asked_sizes_and_no_patient_on_both_sides():
    patients = [f"p{number % 100}" for number in range(300)]
    dealt = split_patients(patients, {"validation": 0.05, "test": 0.2})
    sizes = Counter(dealt[patient] for patient in patients)
    assert sizes["test"] == 60
    assert sizes["validation"] == 15
    assert sizes["train"] == 225


def test_splits_hardly_move_when_one_patient_is_missing():
    patients = [f"p{number}" for number in range(200)]
    whole, less = split_patients(patients, {"test": 0.2}), split_patients(patients[1:], {"test": 0.2})
    assert sum(whole[patient] != less[patient] for patient in patients[1:]) <= 1


def test_splits_depend_on_the_seed_and_on_nothing_else():
    patients = [f"p{number}" for number in range(50)]
    first = split_patients(patients, {"test": 0.2})
    assert first == split_patients(reversed(patients), {"test": 0.2})
    assert first != split_patients(patients, {"test": 0.2}, seed=1)


def test_a_patient_with_more_items_than_room_stays_in_train():
    assert split_patients(["big"] * 9 + ["small"], {"test": 0.1}) == {"big": "train", "small": "test"}


@pytest.mark.parametrize(
    "codes",
    ["".join(order) for axes in itertools.permutations(("RL", "AP", "SI")) for order in itertools.product(*axes)],
)
def test_axial_slices_are_upright_from_all_48_orientations(codes):
    image, _ = anatomy()
    affine = np.diag([-1.5, -2.0, 5.0, 1.0])
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    turned = nib.Nifti1Image(image, affine).as_reoriented(turn)
    array, matrix = upright(np.asarray(turned.dataobj), turned.affine, Slices.AXIAL)
    assert np.array_equal(array, image)
    assert np.allclose(matrix, affine)


@pytest.mark.parametrize(("codes", "plane"), [("IPL", Plane.SAGITTAL), ("RSA", Plane.CORONAL), ("RAI", Plane.AXIAL)])
def test_acquired_slices_look_as_the_engine_shows_that_plane(tmp_path, codes, plane):
    image, _ = anatomy()
    save_nifti(tmp_path / "a.nii.gz", image, codes)
    stored = nib.load(tmp_path / "a.nii.gz")
    array, matrix = upright(np.asarray(stored.dataobj), stored.affine, Slices.ACQUIRED)
    volume = read_volume(tmp_path / "a.nii.gz")
    for index in range(array.shape[2]):
        assert np.array_equal(array[..., index].T, extract(volume, plane, index))
    assert matrix.shape == (4, 4)


def test_a_header_without_geometry_is_refused():
    image, _ = anatomy()
    with pytest.raises(InvalidImage, match="no usable orientation"):
        upright(image, np.diag([0.0, 1.0, 1.0, 1.0]), Slices.AXIAL)


def test_anatomy_decides_nothing_where_there_is_nothing_to_see():
    air = np.full((8, 8, 3), -1000, dtype=np.int16)
    assert contradicted_axes(air, np.zeros(air.shape, dtype=bool)) == ()
    water = np.zeros_like(air)
    assert contradicted_axes(water, np.ones(air.shape, dtype=bool)) == ()


def test_near_duplicates_form_groups(tmp_path):
    pixels = np.repeat(np.repeat(photograph(1), 4, 0), 4, 1)
    save_picture(tmp_path / "a.png", pixels)
    save_picture(tmp_path / "b.png", pixels // 2 + 30)
    save_picture(tmp_path / "c.png", np.repeat(np.repeat(photograph(2), 4, 0), 4, 1))
    (tmp_path / "d.png").write_bytes(b"not a picture")
    files = {name: tmp_path / f"{name}.png" for name in "abcd"}
    assert cluster_pictures(files) == {"a": "a", "b": "a", "c": "c", "d": "d"}
    assert cluster_pictures({}) == {}


def test_marks_see_both_ends_of_a_large_file(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(bytes(300_000))
    second.write_bytes(bytes(299_999) + b"x")
    assert mark(first) != mark(second)
    assert not same_content(first, second)
    second.write_bytes(first.read_bytes())
    assert mark(first) == mark(second)
    assert same_content(first, second)
