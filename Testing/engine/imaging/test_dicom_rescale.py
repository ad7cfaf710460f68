"""Slices and frames with different rescale slopes and intercepts, as PET scanners write them."""

import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom import uid
from pydicom.dataset import Dataset

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.reading import read_volume
from Testing.engine.imaging.tiny_dicom import save_slice

#: What the files store: slice k has the values 1000 k to 1000 k + 127 along its rows.
STORED = np.stack([np.tile(np.arange(128) + 1000 * k, (128, 1)) for k in range(3)])


def _series(folder, rescales, *, signed=(False, False, False)):
    for k, (slope, intercept) in enumerate(rescales):

        def edit(data, k=k, slope=slope, intercept=intercept):
            data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
            data.PixelRepresentation = int(signed[k])
            data.PixelData = (STORED[k] - 3000 * signed[k]).astype(np.int16).tobytes()
            for tag in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
                if tag in data:
                    delattr(data, tag)

        save_slice(folder, k, (0, 0, 2.0 * k), edit=edit)
    return folder


def _meant(rescales):
    return np.stack([slope * values + intercept for values, (slope, intercept) in zip(STORED, rescales, strict=True)])


@pytest.mark.parametrize(
    "rescales",
    [
        [(1, 0), (0.37, 0), (2.2, 0)],  # the first slice is whole
        [(0.37, 0), (1, 0), (2.2, 0)],
        [(1, 0), (1, -1024), (1, -1024)],  # the first slice is not negative
    ],
)
def test_slices_keep_values_that_the_first_cannot_have(tmp_path, rescales):
    array = read_volume(_series(tmp_path, rescales)).array
    np.testing.assert_allclose(array, _meant(rescales), rtol=1e-12)


def test_slices_keep_their_sign_when_the_first_has_none(tmp_path):
    array = read_volume(_series(tmp_path, [(1, 0)] * 3, signed=(False, True, True))).array
    assert np.array_equal(array[1:], STORED[1:] - 3000)


def test_alike_slices_stay_small(tmp_path):
    assert read_volume(_series(tmp_path, [(1, -1024)] * 3)).array.dtype == np.int16


def _frames(folder, rescales, sop_class=uid.LegacyConvertedEnhancedCTImageStorage, *, edit=lambda _: None):
    """STORED as one file of three frames, with slopes and intercepts in their functional groups."""
    slices = [pydicom.dcmread(path) for path in sorted(_series(folder, [(1, 0)] * 3).iterdir())]
    uids = {"series_instance_uid": uid.generate_uid(), "sop_instance_uid": uid.generate_uid()}
    merged = LegacyConvertedEnhancedCTImage(slices, series_number=2, instance_number=1, **uids)
    merged.SOPClassUID = merged.file_meta.MediaStorageSOPClassUID = sop_class
    merged.PixelData = STORED.astype(np.int16).tobytes()  # highdicom has an order of its own
    merged.SharedFunctionalGroupsSequence[0].pop("PixelValueTransformationSequence", None)
    for frame, rescale in zip(merged.PerFrameFunctionalGroupsSequence, rescales, strict=True):
        frame.pop("PixelValueTransformationSequence", None)
        if rescale is not None:
            own = Dataset()
            own.RescaleSlope, own.RescaleIntercept, own.RescaleType = str(rescale[0]), str(rescale[1]), "US"
            frame.PixelValueTransformationSequence = [own]
    edit(merged)
    path = folder / "frames.dcm"
    merged.save_as(path)
    return path


@pytest.mark.parametrize(
    "sop_class",
    [
        uid.EnhancedPETImageStorage,
        uid.EnhancedMRImageStorage,
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedPETImageStorage,
        uid.XRay3DAngiographicImageStorage,
    ],
)
@pytest.mark.parametrize("first", [(1, 0), (2, -1024), (0.37, 5.5)])
def test_every_frame_has_its_own_slope_and_intercept(tmp_path, sop_class, first):
    rescales = [first, (0.5, 10), (3, -100)]
    array = read_volume(_frames(tmp_path, rescales, sop_class)).array
    np.testing.assert_allclose(array, _meant(rescales), rtol=1e-12)


def test_a_frame_without_slope_and_intercept_keeps_its_values(tmp_path):
    array = read_volume(_frames(tmp_path, [None, (0.5, 10), (3, -100)])).array
    np.testing.assert_allclose(array, _meant([(1, 0), (0.5, 10), (3, -100)]))


def test_frames_that_share_slope_and_intercept_stay_whole_numbers(tmp_path):
    array = read_volume(_frames(tmp_path, [(2, -1024)] * 3)).array
    assert array.dtype == np.int16
    assert np.array_equal(array, 2 * STORED - 1024)


def test_frames_of_a_kind_that_has_no_slopes_keep_their_values(tmp_path):
    rescales = [(2, 0), (3, 0), (4, 0)]
    array = read_volume(_frames(tmp_path, rescales, uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage)).array
    assert np.array_equal(array, STORED)


def test_low_values_of_monochrome1_are_made_dark_before_they_are_rescaled(tmp_path):
    def film(data):
        data.PhotometricInterpretation, data.BitsStored, data.HighBit = "MONOCHROME1", 12, 11

    rescales = [(2, 100), (0.5, 10), (3, -100)]
    array = read_volume(_frames(tmp_path, rescales, edit=film)).array
    for values, stored, (slope, intercept) in zip(array, STORED, rescales, strict=True):
        np.testing.assert_allclose(values, slope * (4095 - stored) + intercept)


def _scan(folder, photometric, rescales, *, modality="CT", signed=False, bits=16):
    """A series of three slices in the same stored values, whatever is to be shown dark."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for k, (slope, intercept) in enumerate(rescales):
        stored = random.integers(0, 2**bits, (128, 128)) - signed * 2 ** (bits - 1)

        def edit(data, stored=stored, slope=slope, intercept=intercept):
            data.Modality, data.PhotometricInterpretation = modality, photometric
            data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
            data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, int(signed)
            data.PixelData = stored.astype(np.int16 if signed else np.uint16).tobytes()
            for tag in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
                if tag in data:
                    delattr(data, tag)

        save_slice(folder, k, (0, 0, 2.0 * k), edit=edit)
    return folder


@pytest.mark.parametrize("rescales", [[(1, -1024)] * 3, [(1, 0)] * 3, [(0.37, 5.5)] * 3, [(1, 0), (0.37, 5), (2, -9)]])
@pytest.mark.parametrize(("modality", "signed", "bits"), [("CT", False, 12), ("CT", True, 16), ("PT", False, 16)])
def test_measured_values_are_the_same_whatever_is_shown_dark(tmp_path, rescales, modality, signed, bits):
    kind = {"modality": modality, "signed": signed, "bits": bits}
    one, two = (_scan(tmp_path / name, name, rescales, **kind) for name in ("MONOCHROME1", "MONOCHROME2"))
    for part in (".", "slice001.dcm"):
        found, meant = read_volume(one / part).array, read_volume(two / part).array
        assert found.dtype == meant.dtype
        np.testing.assert_allclose(found, meant, rtol=1e-12, atol=1e-9)


def test_each_slice_says_for_itself_what_is_shown_dark(tmp_path):
    one, two = (_scan(tmp_path / name, name, [(1, -1024)] * 3) for name in ("MONOCHROME1", "MONOCHROME2"))
    meant = read_volume(two).array
    (one / "slice001.dcm").write_bytes((two / "slice001.dcm").read_bytes())
    assert np.array_equal(read_volume(one).array, meant)


def test_fewer_frames_than_the_header_describes_are_refused(tmp_path):
    def fewer(data):
        data.NumberOfFrames, data.PixelData = 2, data.PixelData[: 2 * 128 * 256]

    path = _frames(tmp_path, [(1, 0), (2, 0), (3, 0)], edit=fewer)
    with pytest.raises(InvalidImage, match=r"frames\.dcm describes 3 frames and holds 2"):
        read_volume(path)
