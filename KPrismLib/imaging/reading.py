"""Any image file, or folder with a DICOM series, as a :class:`~KPrismLib.imaging.volume.Volume`."""

from __future__ import annotations

from pathlib import Path

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging import dicom, dicom_headers, itk_volumes, nifti, pictures, slice_store
from KPrismLib.imaging.volume import Volume, picture_matrix

FORMATS = "PNG, JPEG, TIFF, BMP, NIfTI (.nii, .nii.gz), NRRD, MetaImage (.mha, .mhd), DICOM or a folder with one series"


def read_volume(path: str | Path, *, series_uid: str | None = None) -> Volume:
    """Read a picture, a volume, a DICOM file or the DICOM series in a folder.

    Values come as the file means them: rescale slope and intercept applied (CT in Hounsfield units), MONOCHROME1
    inverted, palettes turned into RGB, transparency put on black, EXIF orientation applied.

    Args:
        path: file or folder, with any letters in its name.
        series_uid: for a folder with several DICOM series, the one to read.

    Raises:
        InvalidImage: missing, empty, damaged, of unknown format, or not one 3-D volume.
    """
    source = existing(path)
    if source.is_dir():
        return dicom.read_dicom_series(source, series_uid)
    name = source.name.lower()
    if name.endswith(pictures.SUFFIXES):
        return Volume(pictures.read_picture(source), picture_matrix(), is_picture=True, source=source)
    if name.endswith(nifti.SUFFIXES):
        array, matrix = nifti.read_nifti(source)
        return Volume(array, matrix, source=source)
    if name.endswith(itk_volumes.SUFFIXES):
        image = itk_volumes.read_itk_image(source)
        array = itk_volumes.image_array(image, source.name)
        return Volume(array, itk_volumes.image_matrix(image), source=source)
    if name.endswith(slice_store.SUFFIXES):
        return slice_store.read_store(source)
    if dicom_headers.is_dicom(source):
        return dicom.read_dicom_file(source)
    raise InvalidImage(f"{source.name} is of a format that K-Prism does not read; it reads {FORMATS}.")


def existing(path: str | Path) -> Path:
    """``path`` as a Path, when there is something to read.

    Raises:
        InvalidImage: nothing there, an empty file, an empty name, no permission, or no file but a pipe or a device.
    """
    if path == "":  # as a path it is the folder that one is in
        raise InvalidImage("The name of the image is empty; give that of a file or folder.")
    source = Path(path)
    if not source.name:  # "." has a name, too, which sentences and segmentations are called by
        source = source.resolve()
    try:
        if source.is_dir():
            next(source.iterdir(), None)
            return source
        if not source.exists():
            raise InvalidImage(f"There is no file {source}; check its name and folder.")
        if not source.is_file():
            raise InvalidImage(f"{source.name} is no file but a pipe, a socket or a device; save the image as a file.")
        if source.stat().st_size == 0:
            raise InvalidImage(f"{source.name} is an empty file (0 bytes); copy or download it again.")
        with source.open("rb"):
            return source
    except OSError as error:
        raise InvalidImage(f"{source.name} cannot be opened: {error.strerror or error}.") from error
