"""DICOM segmentations as masks: the same voxels as were written, on the grid of the image."""

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from KPrismLib.errors import GeometryMismatch, InvalidImage, InvalidMask
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume
from Testing.engine.imaging.tiny_dicom import save_slice

KIDNEY, CUP = Segment.of_class("left kidney", 1), Segment.of_class("optic cup", 2)
TILTED = (0.9986295, 0, -0.0523360, 0, 1, 0)


def _series(folder, *, step=(0.0, 0.0, 2.5), count=7, orientation=(1, 0, 0, 0, 1, 0)):
    folder.mkdir()
    for number in range(count):
        save_slice(folder, number + 1, np.array((-5.0, 7, 3)) + number * np.array(step), orientation=orientation)
    return read_volume(folder)


def _labels(volume, *layers):
    labels = np.zeros(volume.shape, np.uint8)
    for layer in layers:
        labels[layer, 5:9, 7:12] = 1
        labels[layer, 50 + layer : 60, 3:4] = 2
    return labels


@pytest.mark.parametrize("layers", [(3,), (1, 3, 6), tuple(range(7)), ()], ids=str)
@pytest.mark.parametrize(
    ("step", "orientation"),
    [((0, 0, 2.5), (1, 0, 0, 0, 1, 0)), ((0, 0.7, 2.5), (1, 0, 0, 0, 1, 0)), ((0.13, 0, 2.4966), TILTED)],
    ids=["straight", "sheared by the gantry", "oblique"],
)
def test_what_was_written_comes_back(tmp_path, layers, step, orientation):
    volume = _series(tmp_path / "series", step=step, orientation=orientation)
    labels = _labels(volume, *layers)
    path = write_segmentation(tmp_path / "mask.dcm", labels, [KIDNEY, CUP], volume)
    found = read_label_volume(path, image=volume)
    assert np.array_equal(found.array, labels)
    assert found.labels == {1: "Left kidney", 2: "Optic cup"}
    assert found.array.dtype == np.uint8
    if layers:
        assert np.array_equal(binary_mask(found, "optic cup"), labels == 2)
    else:
        with pytest.raises(InvalidMask, match="empty"):
            binary_mask(found)


def test_it_comes_to_the_grid_of_the_image_however_that_is_stored(tmp_path):
    volume = _series(tmp_path / "series")
    labels = _labels(volume, 2, 4)
    path = write_segmentation(tmp_path / "mask.dcm", labels, [KIDNEY, CUP], volume)
    # The same voxels with slices counted from above, and rows and columns exchanged.
    turn = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, volume.shape[0] - 1], [0, 0, 0, 1.0]])
    turned = Volume(volume.array[::-1].transpose(0, 2, 1).copy(), volume.ijk_to_ras @ turn)
    assert np.array_equal(read_label_volume(path, image=turned).array, labels[::-1].transpose(0, 2, 1))


def test_segments_that_overlap_keep_all_their_voxels(tmp_path):
    volume = _series(tmp_path / "series", count=3)
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in volume.dicom_files]
    one_hot = np.zeros((*volume.shape, 3), bool)
    one_hot[1, 5:9, 5:9, 0] = one_hot[1, 7:12, 7:12, 1] = one_hot[2, 5:9, 5:9, 2] = True
    _save(tmp_path / "mask.dcm", sources, one_hot, "BINARY", 3)
    found = read_label_volume(tmp_path / "mask.dcm", image=volume)
    assert len(found.layers) == 2  # the third has room in the first
    for number in range(3):
        assert np.array_equal(binary_mask(found, number + 1), one_hot[..., number])


def test_a_film_has_its_mask(tmp_path):
    def flat(data):
        for field in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
            del data[field]
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.ComputedRadiographyImageStorage

    film = read_volume(save_slice(tmp_path, 1, (0, 0, 0), edit=flat))
    labels = np.zeros(film.shape, np.uint8)
    labels[0, 3:5, 8:20] = 1
    path = write_segmentation(tmp_path / "x.dcm", labels, [KIDNEY], film)
    assert np.array_equal(read_label_volume(path, image=film).array, labels)
    other = Volume.from_picture(np.zeros((20, 30), np.uint8))
    with pytest.raises(GeometryMismatch, match=r"x\.dcm was not drawn on the voxels of the image"):
        read_label_volume(path, image=other)


def _shift(i=0.0, k=0.0):
    change = np.eye(4)
    change[0, 3], change[2, 3] = i, k
    return change


@pytest.mark.parametrize(
    "change",
    [np.diag([2.0, 2, 1, 1]), np.diag([0.5, 0.5, 1, 1]), _shift(i=0.3), _shift(k=90)],
    ids=["coarser", "finer", "shifted", "elsewhere"],
)
def test_another_grid_is_refused(tmp_path, change):
    volume = _series(tmp_path / "series", count=3)
    path = write_segmentation(tmp_path / "mask.dcm", _labels(volume, 1), [KIDNEY, CUP], volume)
    other = Volume(volume.array, volume.ijk_to_ras @ change, source=tmp_path / "other.nii.gz")
    with pytest.raises(GeometryMismatch, match=r"mask\.dcm was not drawn on the voxels of other\.nii\.gz"):
        read_label_volume(path, image=other)


def test_probabilities_and_damage_are_sentences(tmp_path):
    volume = _series(tmp_path / "series", count=3)
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in volume.dicom_files]
    _save(tmp_path / "soft.dcm", sources, np.full((*volume.shape, 1), 0.7), "FRACTIONAL", 1)
    with pytest.raises(InvalidMask, match="of type FRACTIONAL"):
        read_label_volume(tmp_path / "soft.dcm", image=volume)
    whole = write_segmentation(tmp_path / "mask.dcm", _labels(volume, 1), [KIDNEY, CUP], volume).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InvalidMask, match=r"cut\.dcm cannot be read as a DICOM segmentation"):
        read_label_volume(tmp_path / "cut.dcm", image=volume)


def test_it_is_no_image_but_may_lie_beside_one(tmp_path):
    volume = _series(tmp_path / "series", count=3)
    path = write_segmentation(tmp_path / "series" / "mask.dcm", _labels(volume, 1), [KIDNEY, CUP], volume)
    assert np.array_equal(read_volume(tmp_path / "series").array, volume.array)
    for source in (path, get_testdata_file("liver_1frame.dcm")):
        with pytest.raises(InvalidImage, match="not an image; give it as the mask of the image"):
            read_volume(source)


def _save(path, sources, pixels, kind, count):
    code = highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(number, f"S{number}", code, code, algorithm_type="MANUAL")
            for number in range(1, count + 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)
