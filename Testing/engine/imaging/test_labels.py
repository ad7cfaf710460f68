import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLib.imaging.labels import LabelVolume, binary_mask, read_label_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.volume import Volume

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def _nifti(path, array):
    nibabel.Nifti1Image(np.ascontiguousarray(array).T, np.eye(4)).to_filename(path)
    return path


def _labelmap():
    labelmap = np.zeros((2, 3, 4), np.uint8)
    labelmap[0, 0], labelmap[1, 2] = 1, 3
    return labelmap


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint16, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(tmp_path, dtype):
    volume = read_label_volume(_nifti(tmp_path / "mask.nii.gz", _labelmap().astype(dtype)))
    assert np.array_equal(volume.array, _labelmap())
    assert volume.array.dtype == np.uint8
    assert volume.labels == {1: "label 1", 3: "label 3"}
    assert volume.shape == (2, 3, 4)


def test_binary_masks_by_number_name_or_all(tmp_path):
    volume = LabelVolume.from_array(_labelmap(), np.eye(4), names={1: "Liver", 3: "Spleen"})
    assert np.array_equal(binary_mask(volume), _labelmap() > 0)
    assert binary_mask(volume).dtype == bool
    for label in (3, "3", "spleen", " Spleen "):
        assert np.array_equal(binary_mask(volume, label), _labelmap() == 3)


@pytest.mark.parametrize("label", [2, 0, "2", "pancreas", "-1"])
def test_an_absent_label_lists_those_there_are(label):
    volume = LabelVolume.from_array(_labelmap(), np.eye(4), names={1: "Liver", 3: "Spleen"})
    with pytest.raises(InvalidMask, match=r"has no label .*; it has 1 \(Liver\), 3 \(Spleen\)"):
        binary_mask(volume, label)


def test_empty_masks_are_refused():
    empty = LabelVolume.from_array(np.zeros((1, 2, 2)), np.eye(4))
    with pytest.raises(InvalidMask, match="every voxel is background"):
        binary_mask(empty)
    with pytest.raises(InvalidMask, match="no labels at all"):
        binary_mask(empty, 1)
    named = LabelVolume.from_array(_labelmap(), np.eye(4), names={2: "Aorta"})
    with pytest.raises(InvalidMask, match="no voxel of 'Aorta'"):
        binary_mask(named, "Aorta")


def test_two_labels_of_one_name_must_be_chosen_by_number():
    volume = LabelVolume.from_array(_labelmap(), np.eye(4), names={1: "Cyst", 3: "cyst"})
    with pytest.raises(InvalidMask, match="2 labels called 'Cyst'; choose by number"):
        binary_mask(volume, "Cyst")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((1, 2, 2), 0.5), "fractions"),
        (np.full((1, 2, 2), np.nan), "NaN"),
        (np.full((1, 2, 2), -1), "between 0 and 65535"),
        (np.full((1, 2, 2), 70000), "between 0 and 65535"),
        (np.full((1, 2, 2), 1j), "complex"),
        (np.zeros((0, 2, 2)), "empty"),
    ],
)
def test_arrays_that_are_no_label_map_are_refused(array, sentence):
    with pytest.raises(InvalidMask, match=sentence):
        LabelVolume.from_array(array, np.eye(4))


def test_large_labels_need_16_bits():
    volume = LabelVolume.from_array(np.array([[[0, 300]]]), np.eye(4))
    assert volume.array.dtype == np.uint16
    assert list(volume.labels) == [300]


def test_a_black_and_white_picture_is_one_label(tmp_path):
    pixels = np.array([[0, 255, 255]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    Image.fromarray(pixels > 0).save(tmp_path / "bits.png")
    Image.fromarray(np.repeat(pixels[..., None], 3, -1)).save(tmp_path / "grey-rgb.png")
    for name in ("mask.png", "bits.png", "grey-rgb.png"):
        volume = read_label_volume(tmp_path / name)
        assert volume.labels == {1: "label 1"}
        assert volume.is_picture
        assert binary_mask(volume, 1).tolist() == [[[False, True, True]]]


def test_255_among_other_labels_is_a_label(tmp_path):
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "mask.png")
    assert list(read_label_volume(tmp_path / "mask.png").labels) == [1, 255]


def test_the_indices_of_a_palette_are_the_labels(tmp_path):
    picture = Image.fromarray(np.array([[0, 2, 1]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "mask.png")
    assert read_label_volume(tmp_path / "mask.png").array.tolist() == [[[0, 2, 1]]]


def test_white_is_the_mask_however_a_palette_of_black_and_white_is_sorted(tmp_path):
    for name, colours, indices in (("a", [0, 0, 0, 255, 255, 255], [0, 1, 1]), ("b", [255] * 3 + [0] * 3, [1, 0, 0])):
        picture = Image.fromarray(np.array([indices], np.uint8), "P")
        picture.putpalette(colours)
        picture.save(tmp_path / f"{name}.png")
        volume = read_label_volume(tmp_path / f"{name}.png")
        assert volume.labels == {1: "label 1"}
        assert volume.array.tolist() == [[[0, 1, 1]]]


def test_white_first_among_other_colours_is_the_background(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([255, 255, 255, 0, 0, 0, 200, 0, 0])
    picture.save(tmp_path / "mask.png")
    assert read_label_volume(tmp_path / "mask.png").array.tolist() == [[[0, 1, 2]]]


def test_16_bit_label_pictures(tmp_path):
    Image.fromarray(np.array([[0, 700, 3]], np.uint16)).save(tmp_path / "mask.png")
    assert list(read_label_volume(tmp_path / "mask.png").labels) == [3, 700]


def test_colour_pictures_are_no_label_maps(tmp_path):
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    with pytest.raises(InvalidMask, match="colour picture"):
        read_label_volume(tmp_path / "red.png")
    array = np.zeros((2, 3, 4, 3), np.uint8)
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / f"red{suffix}"))
        with pytest.raises(InvalidMask, match="colour image"):
            read_label_volume(tmp_path / f"red{suffix}")


def test_jpeg_masks_are_refused_when_compression_shows(tmp_path):
    pixels = np.zeros((32, 32), np.uint8)
    pixels[5:20, 7:22] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.jpg", quality=60)
    with pytest.raises(InvalidMask, match="JPEG"):
        read_label_volume(tmp_path / "mask.jpg")


def test_files_that_cannot_be_read_are_invalid_images(tmp_path):
    with pytest.raises(InvalidImage, match="There is no file"):
        read_label_volume(tmp_path / "missing.nii.gz")
    (tmp_path / "broken.seg.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(InvalidImage, match=r"broken\.seg\.nrrd"):
        read_label_volume(tmp_path / "broken.seg.nrrd")


def test_segmentations_keep_their_names(tmp_path):
    volume = Volume(np.zeros((2, 3, 4)), np.diag([0.5, 0.5, 2, 1.0]))
    path = tmp_path / "ergebnis.seg.nrrd"
    segments = [Segment("Leber – rechts", 1, RED), Segment("Milz", 3, BLUE)]
    write_segmentation(path, _labelmap(), segments, volume)
    labels = read_label_volume(path)
    assert labels.labels == {1: "Leber – rechts", 3: "Milz"}
    assert np.array_equal(labels.array, _labelmap())
    assert np.array_equal(labels.ijk_to_ras, volume.ijk_to_ras)
    assert np.array_equal(binary_mask(labels, "milz"), _labelmap() == 3)


def test_plain_nrrd_has_labels_without_names(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(_labelmap()), str(tmp_path / "mask.nrrd"))
    assert read_label_volume(tmp_path / "mask.nrrd").labels == {1: "label 1", 3: "label 3"}


def _layered(path, values=("1", "1"), layers=("0", "1")):
    """Two overlapping segments, as Slicer writes them: one component of the voxels for each layer."""
    array = np.zeros((2, 3, 4, 2), np.uint8)
    array[0, :2, :, 0], array[0, 1:, :, 1] = int(values[0]), int(values[1])
    image = sitk.GetImageFromArray(array, isVector=True)
    for number, name in enumerate(("Kidney", "Tumour")):
        image.SetMetaData(f"Segment{number}_ID", f"Segment_{number + 1}")
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", values[number])
        image.SetMetaData(f"Segment{number}_Layer", layers[number])
    sitk.WriteImage(image, str(path))
    return array


@pytest.mark.parametrize("values", [("1", "1"), ("1", "2"), ("5", "7")])
def test_overlapping_segments_are_both_whole(tmp_path, values):
    array = _layered(tmp_path / "both.seg.nrrd", values)
    volume = read_label_volume(tmp_path / "both.seg.nrrd")
    expected = (1, 2) if values[0] == values[1] else tuple(map(int, values))
    assert volume.labels == dict(zip(expected, ("Kidney", "Tumour"), strict=True))
    assert np.array_equal(binary_mask(volume, "kidney"), array[..., 0] > 0)
    assert np.array_equal(binary_mask(volume, "tumour"), array[..., 1] > 0)
    assert np.array_equal(binary_mask(volume), array.any(axis=-1))
    # One map of both: the later segment lies on top.
    flat = np.where(array[..., 1] > 0, expected[1], np.where(array[..., 0] > 0, expected[0], 0))
    assert np.array_equal(volume.array, flat)


def test_a_layer_that_is_not_there_is_refused(tmp_path):
    _layered(tmp_path / "bad.seg.nrrd", layers=("0", "2"))
    with pytest.raises(InvalidMask, match="names a layer"):
        read_label_volume(tmp_path / "bad.seg.nrrd")


def test_a_flat_segmentation_is_refused(tmp_path):
    image = sitk.GetImageFromArray(np.ones((3, 4), np.uint8))
    image.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(image, str(tmp_path / "flat.seg.nrrd"))
    with pytest.raises(InvalidImage, match="2 dimensions"):
        read_label_volume(tmp_path / "flat.seg.nrrd")
