"""Files with broken bytes: whatever a disk or a network does to them, the reader answers with one of its sentences."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.errors import InvalidDicomError

from KPrismLib.errors import InvalidImage, InvalidMask, KPrismError
from KPrismLib.imaging.dicom_headers import is_segmentation, read_header
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.imaging.slice_store import store_bytes
from KPrismLib.imaging.volume import Volume
from Testing.engine.imaging.tiny_dicom import save_slice

#: Where a header is broken, more can go wrong than where a voxel is.
HEADER = 700
COPIES = 80


def _labels(path: Path) -> None:
    labelmap = np.zeros((3, 9, 8), np.uint8)
    labelmap[0, 2:5], labelmap[1, 6:] = 1, 2
    volume = Volume(labelmap.astype(np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))
    write_segmentation(path, labelmap, [Segment.of_class("liver", 1), Segment.of_class("spleen", 2)], volume)


def _picture(path: Path, *, mode: str = "L") -> None:
    Image.fromarray((np.arange(72, dtype=np.uint8) * 3).reshape(9, 8)).convert(mode).save(path)


def _pages(path: Path, *, dtype: type = np.uint16) -> None:
    tifffile.imwrite(path, np.arange(144).astype(dtype).reshape(2, 9, 8), photometric="minisblack")


def _store(path: Path) -> None:
    path.write_bytes(store_bytes(np.arange(216, dtype=np.int16).reshape(3, 9, 8), np.eye(4)))


def _dicom(path: Path) -> None:
    path.write_bytes(Path(get_testdata_file("MR_small.dcm")).read_bytes())


WRITERS: dict[str, Callable[[Path], object]] = {
    "labels.seg.nrrd": _labels,
    "labels.nii": _labels,
    "labels.nii.gz": _labels,
    "labels.nrrd": _labels,
    "labels.mha": _labels,
    "grey.png": _picture,
    "palette.png": lambda path: _picture(path, mode="P"),
    "grey.bmp": _picture,
    "pages.tif": _pages,
    "deep.tif": lambda path: _pages(path, dtype=np.float64),
    "store.h5": _store,
    "image.dcm": _dicom,
}


@pytest.fixture(autouse=True)
def _quiet_readers() -> Iterator[None]:
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    yield
    sitk.ProcessObject.SetGlobalWarningDisplay(before)


def broken(content: bytes, chance: random.Random) -> bytes:
    """Bytes changed, taken out, or cut off."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(min(HEADER, len(damaged)))
        kind = chance.random()
        if kind < 0.5:
            damaged[place] = chance.randrange(256)
        elif kind < 0.8:
            damaged[place] = chance.choice(b"0123456789 -.aZ\n\\")
        else:
            del damaged[place : place + chance.randrange(1, 5)]
    if chance.random() < 0.1:
        del damaged[chance.randrange(len(damaged)) :]
    return bytes(damaged)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WRITERS)
def test_broken_bytes_give_another_image_or_a_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    content, chance = path.read_bytes(), random.Random(name)
    for _ in range(COPIES):
        path.write_bytes(broken(content, chance))
        for read in (read_volume, read_label_volume):
            try:
                read(path)
            except KPrismError as error:
                assert "\n" not in str(error)  # noqa: PT017 - it may also be readable


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Segment0_Color", "0.5 green 0.5"),
        ("Segment0_Color", "0.5 0.5"),
        ("Segment0_LabelValue", "one"),
        ("Segment1_Layer", "0.5"),
        ("Segment1_Layer", "-1"),
    ],
)
def test_a_segmentation_whose_header_is_no_longer_true_is_refused(tmp_path: Path, field: str, value: str) -> None:
    path = tmp_path / "organs.seg.nrrd"
    _labels(path)
    image = sitk.ReadImage(str(path))
    image.SetMetaData(field, value)
    sitk.WriteImage(image, str(path))
    with pytest.raises(InvalidMask, match=r"organs\.seg\.nrrd.* save it again from 3D Slicer"):
        read_label_volume(path)


def test_segments_that_share_a_value_and_a_layer_are_counted_in_the_label_map_too(tmp_path: Path) -> None:
    """The numbers of ``labels`` are those of ``array``, also where a file's own cannot be taken."""
    path = tmp_path / "organs.seg.nrrd"
    _labels(path)
    image = sitk.ReadImage(str(path))
    image.SetMetaData("Segment0_LabelValue", "0")
    sitk.WriteImage(image, str(path))
    volume = read_label_volume(path)
    assert sorted(volume.labels) == [1, 2]
    for label in (1, 2):
        assert np.array_equal(volume.array == label, binary_mask(volume, label))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImagePositionPatient", ["0", "0"]),
        ("ImageOrientationPatient", ["1", "0", "0", "0", "1"]),
        ("PixelSpacing", ["0.8"]),
        ("ImagePositionPatient", ["0", "0", "nan"]),
    ],
)
def test_a_damaged_dicom_header_is_told_and_not_passed_over(tmp_path: Path, name: str, value: list[str]) -> None:
    for number in range(3):
        path = save_slice(tmp_path, number, (0, 0, 5 * number))
    data = pydicom.dcmread(path)
    data[name].value = value
    data.save_as(path)
    with pytest.raises(InvalidDicomError, match="damaged"):
        read_header(path)
    with pytest.raises(InvalidImage, match=r"slice002\.dcm in the folder .* is damaged"):
        read_volume(tmp_path)


def _with_three_bytes(path: Path, tag: bytes) -> Path:
    """The same file with an element of two bytes that says three, and has them."""
    content = path.read_bytes()
    place = content.index(tag + b"US\x02\x00")
    path.write_bytes(
        content[: place + 6] + b"\x03\x00" + content[place + 8 : place + 10] + b"\0" + content[place + 10 :]
    )
    return path


ROWS = b"\x28\x00\x10\x00"


def test_a_number_that_is_too_long_is_told(tmp_path: Path) -> None:
    for number in range(3):
        path = save_slice(tmp_path, number, (0, 0, 5 * number))
    _with_three_bytes(path, ROWS)
    with pytest.raises(InvalidImage, match=r"slice002\.dcm in the folder .* is damaged"):
        read_volume(tmp_path)
    with pytest.raises(InvalidImage, match=r"slice002\.dcm .* damaged"):
        read_volume(path)
    assert not is_segmentation(path)


def test_a_number_that_is_too_long_in_a_segmentation_is_told(tmp_path: Path) -> None:
    image = read_volume(save_slice(tmp_path, 1, (0, 0, 0)))
    labels = np.zeros(image.shape, np.uint8)
    labels[0, 3:5, 8:20] = 1
    path = write_segmentation(tmp_path / "mask.dcm", labels, [Segment.of_class("liver", 1)], image)
    _with_three_bytes(path, b"\x62\x00\x04\x00")  # Segment Number
    with pytest.raises(InvalidMask, match=r"mask\.dcm cannot be read as a DICOM segmentation"):
        read_label_volume(path, image=image)


def test_what_only_lies_beside_a_series_is_passed_over(tmp_path: Path) -> None:
    for number in range(3):
        save_slice(tmp_path, number, (0, 0, 5 * number))
    (tmp_path / "notes.txt").write_text("Seen with Dr. Meier.")
    (tmp_path / "empty").touch()
    assert read_volume(tmp_path).shape == (3, 128, 128)
