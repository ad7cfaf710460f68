"""DICOM segmentations, read back by highdicom and pydicom."""

import sys

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.dicom_seg import check_possible
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume
from Testing.engine.imaging.tiny_dicom import save_slice

KIDNEY, CUP = Segment.of_class("left kidney", 1), Segment.of_class("optic cup", 4)


@pytest.fixture
def series(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    # Positions run against the numbers; the orientation differs by rounding; the spacing in the header is wrong.
    for number, z in ((1, 7.5), (2, 5.0), (3, 2.5), (4, 0.0)):
        orientation = (1, 0, 0, 0, 1, 1e-6 * number)
        save_slice(folder, number, (-5, 7, z), orientation=orientation, edit=lambda d: setattr(d, "SliceThickness", 5))
    return read_volume(folder)


@pytest.fixture
def labelmap(series):
    labels = np.zeros(series.shape, np.uint8)
    labels[1, 5:9, 7:12] = 1
    labels[2, 6:9, 7:10] = 1
    labels[2, 50:60, 3:4] = 4
    return labels


def _written(path, labels, segments, volume):
    return highdicom.seg.segread(write_segmentation(path, labels, segments, volume))


def test_the_same_voxels_come_back_in_the_same_place(tmp_path, series, labelmap):
    seg = _written(tmp_path / "x.dcm", labelmap, [KIDNEY, CUP], series)
    found = seg.get_volume(combine_segments=True)
    expected = {
        tuple((series.ijk_to_ras @ [i, j, k, 1])[:3].round(3)): {1: 1, 4: 2}[int(labelmap[k, j, i])]
        for k, j, i in np.argwhere(labelmap)
    }
    to_ras = np.diag([-1, -1, 1, 1]) @ found.affine  # highdicom's affine ends in LPS
    places = {
        tuple((to_ras @ [*voxel, 1])[:3].round(3)): int(found.array[tuple(voxel)]) for voxel in np.argwhere(found.array)
    }
    assert places == expected


def test_each_frame_names_the_slice_it_was_drawn_on(tmp_path, series, labelmap):
    seg = _written(tmp_path / "x.dcm", labelmap, [KIDNEY, CUP], series)
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in series.dicom_files]
    pixels = seg.get_pixels_by_source_instance(uids)  # (slices, rows, columns, segments)
    np.testing.assert_array_equal(pixels[..., 0], labelmap == 1)
    np.testing.assert_array_equal(pixels[..., 1], labelmap == 4)
    assert seg.NumberOfFrames == 3  # empty ones are left out


def test_names_codes_and_colours(tmp_path, series, labelmap):
    seg = _written(tmp_path / "x.dcm", labelmap, [KIDNEY, CUP], series)
    kidney, cup = seg.get_segment_description(1), seg.get_segment_description(2)
    assert (kidney.segment_label, cup.segment_label) == ("Left kidney", "Optic cup")
    assert kidney.segmented_property_category.value == "123037004"
    assert kidney.segmented_property_type.value == "64033007"
    modifier = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (modifier.CodeValue, modifier.CodeMeaning) == ("7771000", "Left")
    assert [region.value for region in cup.anatomic_regions] == ["81016008"]
    for description, segment in ((kidney, KIDNEY), (cup, CUP)):
        colour = highdicom.color.CIELabColor.from_dicom_value(list(description.RecommendedDisplayCIELabValue))
        assert colour.to_rgb() == tuple(round(255 * part) for part in segment.colour)
    assert kidney.algorithm_type.value == "AUTOMATIC"


def test_patient_and_study_are_those_of_the_images(tmp_path, series, labelmap):
    seg = _written(tmp_path / "x.dcm", labelmap, [KIDNEY, CUP], series)
    source = pydicom.dcmread(series.dicom_files[0])
    for field in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[field].value == source[field].value
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert seg.SOPClassUID == pydicom.uid.SegmentationStorage


def test_nothing_found_is_still_a_file(tmp_path, series, labelmap):
    seg = _written(tmp_path / "x.dcm", 0 * labelmap, [KIDNEY], series)
    assert not seg.pixel_array.any()


def test_one_film_without_geometry(tmp_path):
    def flat(data):
        for field in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
            del data[field]
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.ComputedRadiographyImageStorage

    film = read_volume(save_slice(tmp_path, 1, (0, 0, 0), edit=flat))
    labels = np.zeros(film.shape, np.uint8)
    labels[0, 3:5, 8:20] = 1
    seg = _written(tmp_path / "x.dcm", labels, [KIDNEY], film)
    np.testing.assert_array_equal(seg.pixel_array, labels[0])


def test_an_image_that_is_not_dicom_is_refused(tmp_path):
    volume = Volume(np.zeros((2, 4, 5), np.int16), np.eye(4))
    with pytest.raises(CannotWrite, match=r"x\.dcm: a DICOM segmentation belongs to a DICOM series"):
        write_segmentation(tmp_path / "x.dcm", np.zeros((2, 4, 5), np.uint8), [KIDNEY], volume)
    assert not list(tmp_path.iterdir())


def test_frames_that_lie_nowhere_are_refused(tmp_path):
    film = read_volume(get_testdata_file("examples_ybr_color.dcm"))
    with pytest.raises(CannotWrite, match="do not say where their frames lie"):
        write_segmentation(tmp_path / "x.dcm", np.zeros(film.shape, np.uint8), [KIDNEY], film)


def test_source_files_without_a_study_are_refused(tmp_path):
    volume = read_volume(save_slice(tmp_path, 1, (0, 0, 0), edit=lambda data: data.pop("StudyInstanceUID")))
    with pytest.raises(CannotWrite, match=r"lack what a DICOM segmentation needs .*StudyInstanceUID"):
        write_segmentation(tmp_path / "x.dcm", np.zeros(volume.shape, np.uint8), [KIDNEY], volume)


def test_frames_with_one_position_for_all_are_refused_before_the_work(tmp_path):
    def stacked(data):
        data.NumberOfFrames = 2
        data.PixelData = 2 * data.PixelData

    volume = read_volume(save_slice(tmp_path, 1, (0, 0, 0), edit=stacked))
    assert volume.shape[0] == 2
    with pytest.raises(CannotWrite, match="do not say where their frames lie"):
        check_possible(volume, "x.dcm")


LACKING = [
    ("StudyInstanceUID",),
    ("SeriesInstanceUID",),
    ("SOPInstanceUID", "SOPClassUID"),
    ("FrameOfReferenceUID",),
    ("ImagePositionPatient",),
    ("PatientID", "PatientSex"),
]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("keywords", LACKING)
def test_what_the_source_files_lack_is_named_before_the_work(tmp_path, keywords, empty, count):
    def without(data):
        for keyword in keywords:
            data.pop(keyword)
            if empty:
                setattr(data, keyword, None)

    (tmp_path / "series").mkdir()
    for number in range(count):
        save_slice(tmp_path / "series", number, (0, 0, number), edit=without)
    volume = read_volume(tmp_path / "series")
    # One slice needs no position, and of a patient nothing need be known.
    if ("ImagePositionPatient" in keywords and not empty and count == 1) or ("PatientID" in keywords and empty):
        assert write_segmentation(tmp_path / "x.dcm", np.ones(volume.shape, np.uint8), [KIDNEY], volume).is_file()
        return
    with pytest.raises(CannotWrite) as refused:
        check_possible(volume, "x.dcm")
    listed = ", ".join(keywords)
    assert str(refused.value) == (
        f"Cannot write x.dcm: the DICOM files lack what a DICOM segmentation needs ({listed}); "
        "write .seg.nrrd or .nii.gz."
    )


def test_without_highdicom_the_sentence_says_what_to_install(tmp_path, series, labelmap, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(CannotWrite, match=r"pip install 'kprism\[dicom-seg\]'"):
        write_segmentation(tmp_path / "x.dcm", labelmap, [KIDNEY, CUP], series)


def _film(folder, **fields):
    """One slice whose header has these fields, and a label map on it."""

    def edit(data):
        for field, value in fields.items():
            setattr(data, field, value)

    volume = read_volume(save_slice(folder, 1, (0, 0, 0), edit=edit))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 3:5, 8:20] = 1
    return volume, labels


def _read_back(path, segment, folder, **fields):
    volume, labels = _film(folder, **fields)
    write_segmentation(path, labels, [segment], volume)
    return pydicom.dcmread(path)


CHARACTER_SETS = [
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 192", "山田^太郎"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    ("GB18030", "王^小东"),
]


@pytest.mark.parametrize(("character_set", "patient"), CHARACTER_SETS)
@pytest.mark.parametrize("name", ["Liver", "Größe Ω", "肝臓"])
def test_names_keep_their_letters_whatever_the_character_set_of_the_images(tmp_path, character_set, patient, name):
    segment = Segment(name, 1, (1.0, 0.0, 0.0))
    fields = {"SpecificCharacterSet": character_set, "PatientName": patient, "StudyDescription": patient[:6]}
    seg = _read_back(tmp_path / "x.dcm", segment, tmp_path, **fields)
    assert seg.SpecificCharacterSet == "ISO_IR 192"
    assert (seg.PatientName, seg.StudyDescription) == (patient, patient[:6])
    assert (seg.SegmentSequence[0].SegmentLabel, seg.SegmentSequence[0].TrackingID) == (name, name)


def test_names_keep_their_letters_where_the_images_declare_no_character_set(tmp_path):
    segment = Segment("Größe Ω", 1, (1.0, 0.0, 0.0))
    seg = _read_back(tmp_path / "x.dcm", segment, tmp_path, SpecificCharacterSet="")
    assert seg.SpecificCharacterSet == "ISO_IR 192"
    assert seg.SegmentSequence[0].SegmentLabel == "Größe Ω"


def test_plain_texts_need_no_character_set(tmp_path):
    seg = _read_back(tmp_path / "x.dcm", KIDNEY, tmp_path, SpecificCharacterSet="ISO_IR 100")
    assert "SpecificCharacterSet" not in seg


def test_letters_of_no_declared_character_set_go_on_as_they_are(tmp_path):
    name = "王".encode("gb18030")
    source = tmp_path / "slice001.dcm"
    _film(tmp_path, PatientName="ab^c", SpecificCharacterSet="")
    source.write_bytes(source.read_bytes().replace(b"ab^c", name + b"^c"))
    volume = read_volume(source)
    labels = np.ones(volume.shape, np.uint8)
    path = write_segmentation(tmp_path / "x.dcm", labels, [KIDNEY], volume)
    assert "SpecificCharacterSet" not in pydicom.dcmread(path)
    assert name in path.read_bytes()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (r"Leber\links", "Leber/links"),
        ("  ", "Segment 1"),
        ("", "Segment 1"),
        ("two\nlines", "two lines"),
        ("x" * 63 + " y", "x" * 63),
    ],
)
def test_a_name_becomes_one_label(tmp_path, name, label):
    seg = _read_back(tmp_path / "x.dcm", Segment(name, 1, (1.0, 0.0, 0.0)), tmp_path)
    assert seg.SegmentSequence[0].SegmentLabel == label


def test_a_long_meaning_of_a_code_is_cut(tmp_path):
    entry = f"list~SCT^123037004^Anatomical Structure~99X^1^{'long ' * 20}~^^~list~^^~^^"
    seg = _read_back(tmp_path / "x.dcm", Segment("liver", 1, (1.0, 0.0, 0.0), entry), tmp_path)
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == ("long " * 13)[:64].strip()


def test_images_that_are_dicom_by_their_names_only_can_be_segmented(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(2):
        path = save_slice(folder, number, (0, 0, number))
        path.write_bytes(path.read_bytes()[132:])  # without the preamble and the letters DICM
    volume = read_volume(folder)
    labels = np.zeros(volume.shape, np.uint8)
    labels[1, 3:5, 8:20] = 1
    path = write_segmentation(tmp_path / "x.dcm", labels, [KIDNEY], volume)
    path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_label_volume(path, image=volume).array, labels)


def test_a_damaged_element_that_a_segmentation_does_not_need_is_passed_over(tmp_path):
    volume, labels = _film(tmp_path, ExposureTime="12")
    source = volume.dicom_files[0]
    content = source.read_bytes()
    element = b"\x18\x00\x50\x11IS\x02\x00"
    assert element + b"12" in content
    source.write_bytes(content.replace(element + b"12", element + b"??"))
    assert write_segmentation(tmp_path / "x.dcm", labels, [KIDNEY], volume).is_file()
