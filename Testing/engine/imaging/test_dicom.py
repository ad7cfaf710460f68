import shutil

import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.dicom import read_dicom_files
from KPrismLib.imaging.reading import read_volume
from Testing.engine.imaging.tiny_dicom import UID, save_slice


def test_ct_comes_in_hounsfield_units_with_its_geometry():
    path = get_testdata_file("CT_small.dcm")
    volume = read_volume(path)
    data = pydicom.dcmread(path)
    expected = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    assert np.array_equal(volume.array[0], expected)
    assert volume.array.dtype == np.int16
    assert volume.modality == "CT"
    assert not volume.is_picture
    x, y, z = (float(v) for v in data.ImagePositionPatient)
    assert volume.ijk_to_ras[:3, 3] == pytest.approx([-x, -y, z], abs=1e-4)
    assert volume.spacing[1:] == pytest.approx([float(v) for v in data.PixelSpacing], abs=1e-5)


def test_mr_is_read_as_mr_whatever_the_compression():
    plain = read_volume(get_testdata_file("MR_small.dcm"))
    assert plain.modality == "MR"
    assert np.array_equal(plain.array, read_volume(get_testdata_file("MR_small_RLE.dcm")).array)


def test_a_file_without_suffix_is_known_by_its_content(tmp_path):
    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "IM0001")
    assert read_volume(tmp_path / "IM0001").modality == "CT"


def test_colour_comes_as_rgb_pictures():
    volume = read_volume(get_testdata_file("SC_ybr_full_422_uncompressed.dcm"))
    assert volume.is_picture
    assert volume.array[0, 0, 0].tolist() == [254, 0, 0]


@pytest.mark.parametrize("sign", [0, 1])
def test_colours_are_colours_whatever_sign_their_type_is_said_to_have(tmp_path, sign):
    """Some devices say of the bytes of an RGB picture that they have a sign."""

    def colour(data):
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, sign
        data.PixelData = np.full((128, 128, 3), 100, np.uint8).tobytes()
        for tag in ("RescaleSlope", "RescaleIntercept", "SmallestImagePixelValue", "LargestImagePixelValue"):
            data.pop(tag, None)
        data.pop("PixelPaddingValue", None)

    for number in range(2):
        path = save_slice(tmp_path, number, (0, 0, number), edit=colour)
    assert read_volume(path).array.shape == (1, 128, 128, 3)
    assert read_volume(tmp_path).array.shape == (2, 128, 128, 3)


def test_low_values_of_monochrome1_are_made_dark(tmp_path):
    # An X-ray film: 12 bits, unsigned, low is white.
    raw = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128) % 4096

    def film(data):
        data.Modality, data.PhotometricInterpretation, data.PixelData = "DX", "MONOCHROME1", raw.tobytes()
        data.BitsStored, data.HighBit, data.PixelRepresentation, data.RescaleIntercept = 12, 11, 0, 0
        for tag in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
            if tag in data:
                delattr(data, tag)

    for number in range(2):
        path = save_slice(tmp_path, number, (0, 0, number), edit=film)
    assert np.array_equal(read_volume(path).array[0], 4095 - raw)
    assert np.array_equal(read_volume(tmp_path).array[1], 4095 - raw)


def test_a_series_is_sorted_by_position_not_by_name_or_number(tmp_path):
    folder = tmp_path / "Série"
    folder.mkdir()
    for number, z in ((1, 40.0), (2, 10.0), (3, 30.0), (4, 20.0)):
        save_slice(folder, number, (-5.0, 7.0, z))
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "DICOMDIR").write_bytes(b"\0" * 200)
    volume = read_volume(folder)
    assert [int(plane[0, 0]) for plane in volume.array] == [2, 4, 3, 1]
    assert volume.spacing == pytest.approx((10.0, 0.8, 0.6))
    assert (volume.ijk_to_ras @ [0, 0, 0, 1])[:3] == pytest.approx([5, -7, 10])
    assert (volume.ijk_to_ras @ [2, 1, 3, 1])[:3] == pytest.approx([5 - 1.2, -7 - 0.8, 40])
    assert volume.modality == "CT"
    assert volume.source == folder


def test_a_tilted_gantry_keeps_its_shear(tmp_path):
    for number in range(3):
        save_slice(tmp_path, number, (0.0, 2.0 * number, 5.0 * number))
    volume = read_volume(tmp_path)
    assert (volume.ijk_to_ras @ [0, 0, 2, 1])[:3] == pytest.approx([0, -4, 10])


def test_sagittal_series_lie_where_dicom_says(tmp_path):
    for number in range(3):
        save_slice(tmp_path, number, (3.0 * number, 0.0, 0.0), orientation=(0, 1, 0, 0, 0, -1))
    volume = read_volume(tmp_path)
    # Sorted along the normal, which here points to the patient's right: LPS x falls from 6 to 0.
    assert np.allclose(volume.ijk_to_ras[:3].T, [[0, -0.6, 0], [0, 0, -0.8], [3, 0, 0], [-6, 0, 0]])
    assert [int(plane[0, 0]) for plane in volume.array] == [2, 1, 0]


def test_several_series_are_listed_and_one_can_be_chosen(tmp_path):
    for number in range(2):
        save_slice(tmp_path, number, (0, 0, number), uid=UID)
    save_slice(tmp_path, 9, (0, 0, 9), uid=UID + ".2", name="other.dcm")
    with pytest.raises(InvalidImage) as caught:
        read_volume(tmp_path)
    assert f"'Leber', 2 files, UID {UID})" in str(caught.value)
    assert f"'Leber', 1 files, UID {UID}.2;" in str(caught.value)
    assert "series_uid" in str(caught.value)
    assert read_volume(tmp_path, series_uid=UID).shape[0] == 2
    assert read_volume(tmp_path, series_uid=f"{UID}.2").shape[0] == 1
    with pytest.raises(InvalidImage, match=r"no series 1\.2\.3; it has: 'Leber'"):
        read_volume(tmp_path, series_uid="1.2.3")


def test_a_gap_is_named(tmp_path):
    for number in (0, 1, 2, 4, 5):
        save_slice(tmp_path, number, (0, 0, 2.5 * number))
    expected = r"slice002.dcm \(instance 2, at 5.00 mm\) and slice004.dcm \(instance 4, at 10.00 mm\): the step is 5.00"
    with pytest.raises(InvalidImage, match=expected):
        read_volume(tmp_path)


def test_every_gap_is_named_up_to_three(tmp_path):
    for number in (0, 1, 2, 3, 4, 5, 7, 9, 11, 13):
        save_slice(tmp_path, number, (0, 0, float(number)))
    with pytest.raises(InvalidImage) as caught:
        read_volume(tmp_path)
    assert str(caught.value).count(" and slice") == 3
    assert "instance 7, at 7.00 mm) and slice009.dcm" in str(caught.value)
    assert "and in 1 more places" in str(caught.value)


def test_uneven_spacing_is_refused_and_named(tmp_path):
    for number, z in enumerate((0.0, 2.0, 4.9, 6.5, 9.0)):
        save_slice(tmp_path, number, (0, 0, z))
    with pytest.raises(InvalidImage, match=r"not evenly spaced: steps go from 1.60 to 2.90 mm.*instance 1.*instance 2"):
        read_volume(tmp_path)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path):
    for number in range(7):
        save_slice(tmp_path, number, (0, 0, round(number * 0.625, 1)))
    assert read_volume(tmp_path).spacing[0] == pytest.approx(3.8 / 6)


def test_spacing_may_differ_by_no_more_than_moves_a_slice_a_tenth_of_a_step(tmp_path):
    for number, z in enumerate((0.0, 10.0, 20.9, 30.0)):
        save_slice(tmp_path, number, (0, 0, z))
    assert read_volume(tmp_path).spacing[0] == pytest.approx(10.0)
    save_slice(tmp_path, 2, (0, 0, 21.1))
    with pytest.raises(InvalidImage, match="not evenly spaced"):
        read_volume(tmp_path)


def test_thin_slices_may_not_lie_half_way_to_the_next(tmp_path):
    """What is rounded to 0.1 mm is excused; of steps of 0.1 mm that would excuse everything."""
    for number, z in enumerate((0.0, 0.103, 0.2, 0.3, 0.4)):
        save_slice(tmp_path, number, (0, 0, z))
    assert read_volume(tmp_path).spacing[0] == pytest.approx(0.1)
    save_slice(tmp_path, 1, (0, 0, 0.145))
    with pytest.raises(InvalidImage, match="not evenly spaced"):
        read_volume(tmp_path)


def test_time_points_are_counted(tmp_path):
    for number in range(6):
        save_slice(tmp_path, number, (0, 0, 2.0 * (number // 2)))
    with pytest.raises(InvalidImage, match=r"'Leber' holds 2 images at each of 3 positions.*\(instance 0\)"):
        read_volume(tmp_path)


def test_slices_of_two_pixel_spacings_are_named(tmp_path):
    def finer(data):
        data.PixelSpacing = [0.5, 0.5]

    save_slice(tmp_path, 0, (0, 0, 0))
    save_slice(tmp_path, 1, (0, 0, 1), edit=finer)
    with pytest.raises(InvalidImage, match=r"slice000.dcm \(instance 0\) and slice001.dcm.*differ in pixel spacing"):
        read_volume(tmp_path)


def test_two_slices_at_one_position_are_named(tmp_path):
    for number, z in enumerate((0.0, 1.0, 1.0, 2.0)):
        save_slice(tmp_path, number, (0, 0, z))
    with pytest.raises(InvalidImage, match=r"slice001.dcm \(instance 1\) and slice002.dcm \(instance 2\) lie at one"):
        read_volume(tmp_path)


def test_a_scout_among_the_slices_is_named(tmp_path):
    save_slice(tmp_path, 0, (0, 0, 0))
    save_slice(tmp_path, 1, (0, 0, 1), orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(InvalidImage, match="differ in orientation"):
        read_volume(tmp_path)


def test_slices_of_two_sizes_are_named(tmp_path):
    def smaller(data):
        data.Rows, data.PixelData = 64, data.PixelData[: 64 * 256]

    save_slice(tmp_path, 0, (0, 0, 0))
    save_slice(tmp_path, 1, (0, 0, 1), edit=smaller)
    with pytest.raises(InvalidImage, match="differ in size"):
        read_volume(tmp_path)


def _multi_frame(folder, positions):
    slices = [pydicom.dcmread(save_slice(folder, number, (0, 0, z))) for number, z in enumerate(positions)]
    uids = {"series_instance_uid": generate_uid(), "sop_instance_uid": generate_uid()}
    merged = LegacyConvertedEnhancedCTImage(slices, series_number=2, instance_number=1, **uids)
    merged.save_as(folder / "frames.dcm")
    return folder / "frames.dcm"


def test_frames_of_one_file_lie_where_it_says(tmp_path):
    path = _multi_frame(tmp_path, (0.0, 2.5, 5.0))
    volume = read_volume(path)
    frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    for k, frame in enumerate(frames):
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        assert (volume.ijk_to_ras @ [0, 0, k, 1])[:3] == pytest.approx([-x, -y, z])
    assert volume.dicom_files == (path,)


def test_frames_with_a_gap_are_refused(tmp_path):
    with pytest.raises(InvalidImage, match=r"not one evenly spaced stack: frame 2 lies 1\.50 mm from its place"):
        read_volume(_multi_frame(tmp_path, (0.0, 2.5, 7.5, 10.0)))


def test_a_volume_knows_the_files_of_its_slices(tmp_path):
    paths = [save_slice(tmp_path, number, (0, 0, -float(number))) for number in range(3)]
    assert read_volume(tmp_path).dicom_files == tuple(reversed(paths))
    assert read_dicom_files(paths).dicom_files == tuple(reversed(paths))


def test_frames_without_positions_are_stacked_by_number(tmp_path):
    def flat(data):
        del data.ImagePositionPatient
        del data.ImageOrientationPatient

    for number, name in ((2, "a.dcm"), (1, "b.dcm")):
        save_slice(tmp_path, number, (0, 0, 0), name=name, edit=flat)
    volume = read_volume(tmp_path)
    assert volume.is_picture
    assert [int(plane[0, 0]) for plane in volume.array] == [1, 2]


def test_a_damaged_slice_is_refused(tmp_path):
    for number in range(3):
        path = save_slice(tmp_path, number, (0, 0, number))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InvalidImage, match=r"Instance 2 of the DICOM series.*slice002\.dcm are damaged"):
        read_volume(tmp_path)
    with pytest.raises(InvalidImage, match=r"slice002\.dcm"):
        read_volume(path)


@pytest.mark.parametrize("content", [None, "other"])
def test_a_folder_without_dicom_says_what_to_give(tmp_path, content):
    if content:
        (tmp_path / "notes.txt").write_text(content)
        (tmp_path / "sub").mkdir()
    with pytest.raises(InvalidImage, match="holds no DICOM images"):
        read_volume(tmp_path)


def test_dicom_that_is_no_image_is_refused():
    with pytest.raises(InvalidImage, match="without an image"):
        read_volume(get_testdata_file("test-SR.dcm"))
    with pytest.raises(InvalidImage, match="give it as the mask of the image"):
        read_volume(get_testdata_file("liver_1frame.dcm"))
