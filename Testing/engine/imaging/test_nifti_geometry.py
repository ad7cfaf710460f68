"""Of the answers in a NIfTI header K-Prism takes the one that Slicer takes, and writes both back."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.geometry import lps_to_ras
from KPrismLib.imaging.nifti import nifti_bytes
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation

LIVER = [Segment("liver", 1, (1.0, 0.0, 0.0))]
SPACING = (1.3, 1.3, 10.0)


def turned(degrees: float) -> np.ndarray:
    """A grid of :data:`SPACING` that is turned about the long axis of the body."""
    angle = np.deg2rad(degrees)
    matrix = np.diag([0.0, 0.0, 1.0, 1.0])
    matrix[:2, :2] = [[-np.cos(angle), np.sin(angle)], [-np.sin(angle), -np.cos(angle)]]
    matrix[:3, :3] *= SPACING
    matrix[:3, 3] = 5.0, -6.0, 7.0
    return matrix


SFORMS = {
    "the same": turned(20),
    "elsewhere": turned(50) + np.pad([[3.0]], ((0, 3), (3, 0))),
    "without spacing": turned(20) @ np.diag([1 / 1.3, 1 / 1.3, 0.1, 1.0]),
}


def write(path: Path, sform: np.ndarray, qform_code: int, sform_code: int) -> Path:
    """A NIfTI file whose qform is ``turned(20)``."""
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), None)
    image.set_qform(turned(20), code=1)
    image.header["qform_code"], image.header["sform_code"] = qform_code, sform_code
    for name, row in zip(("srow_x", "srow_y", "srow_z"), sform, strict=False):
        image.header[name] = row
    header = image.header.copy()
    header["vox_offset"], header["magic"] = 352, b"n+1"
    # As an image, nibabel would make the two forms one.
    path.write_bytes(header.binaryblock + bytes(4) + np.asarray(image.dataobj).tobytes(order="F"))
    return path


def in_slicer(path: Path) -> np.ndarray:
    """Where ITK, which reads for Slicer, places the voxels."""
    image = sitk.ReadImage(path)
    return lps_to_ras(image.GetSpacing(), image.GetOrigin(), image.GetDirection())


@pytest.mark.parametrize("sform", SFORMS)
@pytest.mark.parametrize("sform_code", [0, 1, 2])
@pytest.mark.parametrize("qform_code", [0, 1, 4])
def test_voxels_are_where_slicer_shows_them(tmp_path: Path, sform: str, qform_code: int, sform_code: int) -> None:
    path = write(tmp_path / "a.nii", SFORMS[sform], qform_code, sform_code)
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, in_slicer(path), atol=1e-4)


def test_an_sform_without_spacing_does_not_make_millimetres_of_voxels(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.nii", SFORMS["without spacing"], 1, 1))
    np.testing.assert_allclose(volume.spacing, SPACING[::-1], rtol=1e-6)


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1000.0), ("mm", 1.0), ("micron", 0.001), ("unknown", 1.0)])
def test_millimetres_are_made_of_every_unit_of_length(tmp_path: Path, unit: str, millimetres: float) -> None:
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), turned(20))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.ijk_to_ras[:3], turned(20)[:3] * millimetres, rtol=1e-5)
    np.testing.assert_allclose(volume.ijk_to_ras, in_slicer(tmp_path / "a.nii"), rtol=1e-5)


def test_shear_stays_though_itk_cannot_show_it(tmp_path: Path) -> None:
    sheared = turned(0) @ np.array([[1, 0, 0.2, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = tmp_path / "a.nii"
    path.write_bytes(nifti_bytes(np.zeros((4, 3, 2), np.uint8), sheared, compress=False))
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, sheared, atol=1e-5)
    # ITK refuses it; with a qform that counts it would show the mask elsewhere, without a word.
    assert nib.load(path).header["qform_code"] == 0
    with pytest.raises(RuntimeError, match="orthonormal"):
        in_slicer(path)


@pytest.mark.parametrize(("qform_code", "sform_code"), [(0, 0), (1, 2), (2, 1), (0, 2)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_mask_lies_on_its_image_for_every_reader(
    tmp_path: Path, suffix: str, qform_code: int, sform_code: int
) -> None:
    image = write(tmp_path / "a.nii", SFORMS["elsewhere"], qform_code, sform_code)
    volume = read_volume(image)
    mask = write_segmentation(tmp_path / f"m{suffix}", np.ones(volume.shape, np.uint8), LIVER, volume)
    np.testing.assert_array_equal(nib.load(mask).affine, nib.load(image).affine)
    np.testing.assert_array_equal(in_slicer(mask), in_slicer(image))
    for name in ("qform_code", "sform_code"):
        assert nib.load(mask).header[name] == nib.load(image).header[name]


@pytest.mark.parametrize("change", ["gone", "another file", "another place"])
def test_a_mask_keeps_its_place_where_the_image_has_changed(tmp_path: Path, change: str) -> None:
    image = write(tmp_path / "a.nii", SFORMS["elsewhere"], 1, 2)
    volume = read_volume(image)
    if change == "gone":
        image.unlink()
    elif change == "another file":
        image.write_bytes(b"not an image")
    else:
        write(image, SFORMS["elsewhere"], 0, 2)
    mask = write_segmentation(tmp_path / "m.nii", np.ones(volume.shape, np.uint8), LIVER, volume)
    np.testing.assert_allclose(read_volume(mask).ijk_to_ras, volume.ijk_to_ras, atol=1e-5)


def write_zero(path: Path, shape: tuple[int, ...], axis: int, qform_code: int, sform_code: int) -> Path:
    """A NIfTI file whose ``pixdim`` is zero along an axis."""
    header = nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)).header
    header["pixdim"][1 + axis] = 0
    header["qform_code"], header["sform_code"] = qform_code, sform_code
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + bytes(4) + bytes(2 * int(np.prod(shape)))
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize(("qform_code", "sform_code"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_spacing_of_zero_is_refused_instead_of_read_as_one_millimetre(
    tmp_path: Path, suffix: str, axis: int, qform_code: int, sform_code: int
) -> None:
    path = write_zero(tmp_path / f"a{suffix}", (2, 3, 4), axis, qform_code, sform_code)
    with pytest.raises(InvalidImage, match=r"has a geometry with no volume: .* a spacing is zero"):
        read_volume(path)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_an_axis_that_a_flat_image_does_not_have_needs_no_spacing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert read_volume(write_zero(tmp_path / "a.nii", shape, 2, 1, 1)).shape == (1, 3, 2)
