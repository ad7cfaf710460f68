"""DICOM images that do not say where or how large they are have no millimetres; those that do have them."""

import numpy as np
import pydicom
import pytest
from pydicom import uid

from KPrismLib.imaging.reading import read_volume
from Testing.engine.imaging.tiny_dicom import save_slice


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("is_empty", [False, True])
def test_without_place_or_spacing_there_are_no_millimetres(tmp_path, missing, slices, is_empty):
    def edit(data):
        if is_empty:
            setattr(data, missing, None)
        else:
            delattr(data, missing)

    for number in range(slices):
        save_slice(tmp_path, number, (0, 0, 2.0 * number), edit=edit)
    volume = read_volume(tmp_path)
    assert volume.is_picture
    assert [int(plane[0, 0]) for plane in volume.array] == list(range(slices))


def test_one_slice_without_a_position_takes_the_millimetres_of_all(tmp_path):
    for number in range(3):
        path = save_slice(tmp_path, number, (0, 0, 2.0 * number))
    data = pydicom.dcmread(path)
    del data.ImagePositionPatient
    data.save_as(path)
    assert read_volume(tmp_path).is_picture


def _frames(folder, *, edit=lambda _: None):
    """A file of three frames that has one position, and no functional groups."""

    def multi(data):
        data.NumberOfFrames, data.PixelData = 3, np.zeros((3, 128, 128), np.int16).tobytes()
        edit(data)

    return save_slice(folder, 0, (0, 0, 0), edit=multi)


def test_frames_of_which_only_the_first_has_a_place_have_no_millimetres(tmp_path):
    volume = read_volume(_frames(tmp_path))
    assert volume.shape == (3, 128, 128)
    assert volume.is_picture


def test_a_dose_grid_says_where_its_frames_lie(tmp_path):
    def dose(data):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid.RTDoseStorage
        data.Modality, data.GridFrameOffsetVector, data.DoseGridScaling = "RTDOSE", [0, 2.5, 5], "1"
        data.FrameIncrementPointer = 0x3004000C

    volume = read_volume(_frames(tmp_path, edit=dose))
    assert not volume.is_picture
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.6))


def test_a_file_that_says_all_has_millimetres(tmp_path):
    volume = read_volume(save_slice(tmp_path, 0, (0, 0, 0), edit=lambda data: setattr(data, "NumberOfFrames", 1)))
    assert not volume.is_picture
