import gzip
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging import itk_paths as itk_paths_module
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.reading import read_volume

ITK_SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz"]


def _oblique_itk_image(rng, dtype=np.int16):
    array = rng.integers(-1000, 1000, (3, 4, 5)).astype(dtype)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.6, 0.8, 2.5))
    image.SetOrigin((10.0, -20.0, 30.0))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3)
    image.SetDirection(turn.GetMatrix())
    return array, image


@pytest.mark.parametrize("suffix", ITK_SUFFIXES)
def test_voxels_and_their_places_agree_with_itk(tmp_path, rng, suffix):
    array, image = _oblique_itk_image(rng)
    path = tmp_path / f"Übung{suffix}"
    sitk.WriteImage(image, str(path))
    volume = read_volume(path)
    assert np.array_equal(volume.array, array)
    assert volume.array.dtype == np.int16
    assert not volume.is_picture
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.6), abs=1e-5)
    for ijk in ((0, 0, 0), (4, 0, 0), (0, 3, 0), (1, 2, 2)):
        x, y, z = image.TransformIndexToPhysicalPoint(ijk)
        assert (volume.ijk_to_ras @ [*ijk, 1])[:3] == pytest.approx([-x, -y, z], abs=1e-4)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".nrrd", np.uint8), (".nrrd", np.uint16), (".mha", np.uint8), (".mha", np.uint16), (".nii.gz", np.uint8)],
)
def test_colour_volumes(tmp_path, rng, suffix, dtype):
    array = rng.integers(0, 256, (2, 3, 4, 3)).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / f"rgb{suffix}"))
    if suffix == ".nii.gz":
        voxels = np.ascontiguousarray(array.transpose(2, 1, 0, 3)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])
        nibabel.Nifti1Image(voxels[..., 0], np.eye(4)).to_filename(tmp_path / "rgb.nii.gz")
    volume = read_volume(tmp_path / f"rgb{suffix}")
    assert volume.is_colour
    assert np.array_equal(volume.array, array)


@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4), (5, 4, 3, 1), (5, 4, 3, 1, 1)])
def test_colour_nifti_of_any_number_of_axes_is_as_grey_ones_are(tmp_path, rng, channels, shape):
    values = rng.integers(0, 256, (*shape, len(channels)), dtype=np.uint8)
    voxels = values.view([(channel, "u1") for channel in channels])[..., 0]
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(tmp_path / "colour.nii")
    array = read_volume(tmp_path / "colour.nii").array
    assert array.flags.c_contiguous
    slices = 1 if len(shape) == 2 else shape[2]
    assert np.array_equal(array, values[..., :3].reshape(5, 4, slices, 3).transpose(2, 1, 0, 3))


@pytest.mark.parametrize("shape", [(5,), (5, 4, 3, 2)])
def test_colour_nifti_that_is_no_volume_is_refused(tmp_path, shape):
    nibabel.Nifti1Image(np.zeros(shape, [(channel, "u1") for channel in "RGB"]), np.eye(4)).to_filename(
        tmp_path / "colour.nii"
    )
    with pytest.raises(InvalidImage, match=rf"colour\.nii has {len(shape)} dimensions"):
        read_volume(tmp_path / "colour.nii")


def test_an_alpha_channel_of_a_volume_is_dropped(tmp_path, rng):
    array = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / "rgba.nrrd"))
    assert np.array_equal(read_volume(tmp_path / "rgba.nrrd").array, array[..., :3])


def test_a_flat_image_is_one_slice(tmp_path):
    image = sitk.GetImageFromArray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.SetSpacing((0.5, 0.25))
    image.SetOrigin((1, 2))
    sitk.WriteImage(image, str(tmp_path / "flat.nrrd"))
    volume = read_volume(tmp_path / "flat.nrrd")
    assert volume.array.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert volume.spacing == (1.0, 0.25, 0.5)
    assert volume.ijk_to_ras[:3, 3].tolist() == [-1, -2, 0]


def test_nifti_slope_and_intercept_are_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2.0, -1024)
    image.to_filename(tmp_path / "ct.nii")
    # nibabel stores numbers that come out as the given ones; write the raw ones over them.
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[-48:] = np.arange(24, dtype=np.int16).tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    volume = read_volume(tmp_path / "ct.nii")
    assert volume.array.dtype == np.float32
    assert volume.array[0, 0].tolist() == [-1024, -1022]
    assert volume.array.shape == (4, 3, 2)


def test_nifti_in_metres_becomes_millimetres(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    image.to_filename(tmp_path / "metres.nii")
    assert read_volume(tmp_path / "metres.nii").spacing == pytest.approx((3, 2, 1))


def test_nifti_with_one_time_point_is_a_volume_and_with_two_is_not(tmp_path):
    for count in (1, 2):
        nibabel.Nifti1Image(np.zeros((2, 3, 4, count), np.uint8), np.eye(4)).to_filename(tmp_path / f"{count}.nii")
    assert read_volume(tmp_path / "1.nii").shape == (4, 3, 2)
    with pytest.raises(InvalidImage, match="4 dimensions"):
        read_volume(tmp_path / "2.nii")


def test_flat_nifti_is_one_slice(tmp_path):
    nibabel.Nifti1Image(np.zeros((2, 3), np.uint8), np.eye(4)).to_filename(tmp_path / "flat.nii")
    assert read_volume(tmp_path / "flat.nii").shape == (1, 3, 2)


@pytest.mark.parametrize("dimensions", ["time", "vector"])
def test_itk_images_of_more_than_three_dimensions_are_refused(tmp_path, dimensions):
    array = np.zeros((2, 3, 4, 5), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=dimensions == "vector"), str(tmp_path / "more.nrrd"))
    with pytest.raises(InvalidImage, match="one 3-D volume"):
        read_volume(tmp_path / "more.nrrd")


NRRD_OF_VALUES = (
    "NRRD0005\ntype: {type}\ndimension: 4\nspace: left-posterior-superior\nsizes: {count} 5 4 3\n"
    "space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: {kind} domain domain domain\nendian: little\n"
    "encoding: raw\nspace origin: (0,0,0)\n{more}\n"
)


def _save_values(path, count, kind, type_, more=""):
    """A NRRD of ``count`` values per voxel, as 3D Slicer writes colours, the time points of a sequence, and vectors."""
    values = np.arange(60 * count).astype({"uchar": "<u1", "ushort": "<u2", "short": "<i2", "float": "<f4"}[type_])
    header = NRRD_OF_VALUES.format(count=count, kind=kind, type=type_, more=more)
    path.write_bytes(header.encode() + values.tobytes())
    return path


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize(
    ("kind", "type_", "more"),
    [
        ("list", "short", ""),
        ("list", "uchar", ""),
        ("vector", "short", ""),
        ("vector", "float", ""),
        ("point", "uchar", ""),
        ("vector", "ushort", "modality:=DWMRI\n"),
    ],
)
def test_time_points_channels_and_vectors_are_no_colours(tmp_path, count, kind, type_, more):
    path = _save_values(tmp_path / "a.seq.nrrd", count, kind, type_, more)
    with pytest.raises(InvalidImage, match=rf"{count} values per voxel, which are no colours.*extract one time point"):
        read_volume(path)


@pytest.mark.parametrize("type_", ["uchar", "ushort", "short"])
@pytest.mark.parametrize(("count", "kind"), [(3, "RGB-color"), (3, "3-color"), (4, "RGBA-color"), (4, "4-color")])
def test_what_the_header_calls_colours_are_colours(tmp_path, count, kind, type_):
    array = read_volume(_save_values(tmp_path / "a.nrrd", count, kind, type_)).array
    assert array.shape == (3, 4, 5, 3)
    assert array[0, 0, 1].tolist() == [count, count + 1, count + 2]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.uint32])
def test_values_of_a_type_that_holds_no_colours_are_refused(tmp_path, suffix, dtype):
    for channels in (3, 4):
        array = np.zeros((2, 3, 4, channels), dtype)
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / f"a{suffix}"))
        with pytest.raises(InvalidImage, match="which are no colours"):
            read_volume(tmp_path / f"a{suffix}")


def test_nan_in_a_file_is_refused_by_name(tmp_path):
    nibabel.Nifti1Image(np.full((2, 3, 4), np.nan, np.float32), np.eye(4)).to_filename(tmp_path / "nan.nii")
    with pytest.raises(InvalidImage, match=r"nan\.nii holds NaN"):
        read_volume(tmp_path / "nan.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ".png"])
def test_files_that_are_no_images_are_refused(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    for content in (b"x" * 40, b"\0" * 2000, gzip.compress(b"nothing much")):
        path.write_bytes(content)
        with pytest.raises(InvalidImage, match=rf"scan\{suffix}") as caught:
            read_volume(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(InvalidImage, match="empty file"):
        read_volume(path)
    path.unlink()
    with pytest.raises(InvalidImage, match="There is no file"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_files_cut_off_are_refused(tmp_path, rng, suffix):
    array = rng.integers(-1000, 1000, (20, 30, 40)).astype(np.int16)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=suffix != ".nii")
    data = path.read_bytes()
    for part in (0.9, 0.5):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(InvalidImage, match=rf"scan\{suffix} cannot be read"):
            read_volume(path)


def test_other_formats_list_what_is_read(tmp_path):
    (tmp_path / "mesh.stl").write_text("solid")
    with pytest.raises(InvalidImage, match=r"does not read; it reads PNG, .*DICOM"):
        read_volume(tmp_path / "mesh.stl")


def test_files_without_permission_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    # root may read everything, so the refusal is staged
    monkeypatch.setattr(type(path), "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "No entry")))
    with pytest.raises(InvalidImage, match=r"secret\.png cannot be opened: No entry"):
        read_volume(path)


def test_on_windows_itk_gets_ascii_names(tmp_path, rng, monkeypatch):
    array, image = _oblique_itk_image(rng)
    sitk.WriteImage(image, str(tmp_path / "plain.nii.gz"))
    path = tmp_path / "Größe.nrrd"
    sitk.WriteImage(image, str(path))
    monkeypatch.setattr(sys, "platform", "win32")
    with itk_paths([path, tmp_path / "plain.nii.gz"]) as names:
        assert all(name.isascii() for name in names)
        assert names[1].endswith(".nii.gz")
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(names[0])), array)
    with itk_paths([tmp_path / "plain.nii.gz"]) as names:
        assert names == [str(tmp_path / "plain.nii.gz")]
    monkeypatch.setattr(itk_paths_module.os, "link", lambda *_: (_ for _ in ()).throw(OSError))
    assert np.array_equal(read_volume(path).array, array)  # copied where links are not allowed


def test_the_folder_that_one_stands_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "series").mkdir()
    monkeypatch.chdir(tmp_path / "series")
    with pytest.raises(InvalidImage, match="The folder series holds no DICOM"):
        read_volume(".")
    with pytest.raises(InvalidImage, match="name of the image is empty"):
        read_volume("")


def test_a_cifti_file_is_no_volume(tmp_path):
    brain = nibabel.cifti2.BrainModelAxis.from_mask(np.ones(4, dtype=bool), name="thalamus_left")
    rows = nibabel.cifti2.ScalarAxis(["a"])
    path = tmp_path / "surface.dscalar.nii"
    nibabel.Cifti2Image(np.ones((1, 4), dtype=np.float32), header=(rows, brain)).to_filename(path)
    with pytest.raises(InvalidImage, match="not a volume"):
        read_volume(path)
