"""DICOM files and the series they form.

pydicom reads the headers, which decide what belongs together; ITK (GDCM) decodes the pixels, applies rescale slope and
intercept, inverts MONOCHROME1 so that low is dark, and turns palettes and YBR into RGB. In CT and PT, whose values are
measures, the inversion is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.dicom_headers import SEGMENTATION, DicomHeader, by_series, headers_in, read_header
from KPrismLib.imaging.dicom_rescale import reflect, rescaled_frames
from KPrismLib.imaging.dicom_stack import check_frames, stacked
from KPrismLib.imaging.geometry import Matrix, flip_lps_ras
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.itk_volumes import image_array, image_matrix
from KPrismLib.imaging.volume import Volume


def read_dicom_file(path: Path) -> Volume:
    """Read one DICOM file; a multi-frame file gives a volume of several slices.

    Raises:
        InvalidImage: no DICOM, no image, damaged, or frames that are not one evenly spaced stack.
    """
    header = _image_header(path)
    try:
        with itk_paths([path]) as (name,):
            image = sitk.ReadImage(name, imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise InvalidImage(
            f"The pixels of {path.name} are damaged, cut off or of an unknown kind; copy it again."
        ) from error
    matrix = image_matrix(image)
    check_frames(header, flip_lps_ras(matrix))
    array = image_array(image, path.name, colour=True)  # several samples of a pixel are never anything else
    if header.frame_rescales is not None:
        if len(header.frame_rescales) != len(array):
            raise InvalidImage(
                f"{path.name} describes {len(header.frame_rescales)} frames and holds {len(array)}; copy it again."
            )
        array = rescaled_frames(array, header.frame_rescales)
    return _volume(array, matrix, [header], path)


def read_dicom_series(folder: Path, series_uid: str | None = None) -> Volume:
    """Read the DICOM series in ``folder`` (not in its subfolders), sorted by position.

    Args:
        folder: where the files are; files that are not DICOM images are passed over.
        series_uid: the Series Instance UID to take when there are several.

    Raises:
        InvalidImage: no series, several without ``series_uid``, missing slices, slices that do not belong together.
    """
    return _read_stack(_choose(folder, headers_in(folder), series_uid), folder)


def read_dicom_files(paths: Sequence[Path]) -> Volume:
    """Read the files of one series, as :func:`read_dicom_series` does once it has found them.

    Raises:
        InvalidImage: as for :func:`read_dicom_series`.
    """
    return _read_stack([_image_header(path) for path in paths], paths[0].parent)


def _read_stack(headers: Sequence[DicomHeader], folder: Path) -> Volume:
    _reject_segmentation(headers[0])
    if len(headers) == 1:
        return read_dicom_file(headers[0].path)
    headers = stacked(headers)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    if any(header.encoding != headers[0].encoding for header in headers):
        # Else the type that holds the values of the first slice would cut off or wrap those of others.
        reader.SetOutputPixelType(sitk.sitkFloat64)
    try:
        with itk_paths([header.path for header in headers]) as names:
            reader.SetFileNames(names)
            image = reader.Execute()
    except RuntimeError as error:
        raise InvalidImage(_which_is_damaged(headers, folder)) from error
    matrix = image_matrix(image)
    first, last = headers[0].position, headers[-1].position
    if first is not None and last is not None:
        # From the positions themselves: right also for a tilted gantry, where the step is not along the normal.
        lps = flip_lps_ras(matrix)
        lps[:3, 2] = (last - first) / (len(headers) - 1)
        matrix = flip_lps_ras(lps)
    return _volume(image_array(image, folder.name, colour=True), matrix, headers, folder)


def _which_is_damaged(headers: Sequence[DicomHeader], folder: Path) -> str:
    """ITK does not say at which file of a series it failed; reading them one by one does."""
    for header in headers:
        try:
            read_dicom_file(header.path)
        except InvalidImage as error:
            return f"Instance {header.number} of the DICOM series in {folder.name}: {error}"
    return f"A slice of the DICOM series in {folder.name} differs from the others in kind; copy the series again."


def _volume(array: npt.NDArray[Any], matrix: Matrix, headers: Sequence[DicomHeader], source: Path) -> Volume:
    # The one header of a multi-frame file is that of each frame.
    for values, header in zip(array, headers if len(headers) > 1 else [*headers] * len(array), strict=False):
        if header.reflection is not None:
            reflect(values, header.reflection)
    return Volume(
        _smallest_integers(array),
        matrix,
        headers[0].modality,
        is_picture=not all(header.has_geometry for header in headers),
        source=source,
        dicom_files=tuple(header.path for header in headers),
    )


def _smallest_integers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """GDCM gives Hounsfield units as 32-bit integers; half as much memory holds them."""
    if array.dtype == np.int32 and array.min() >= -32768 and array.max() <= 32767:
        return array.astype(np.int16)
    return array


def _image_header(path: Path) -> DicomHeader:
    try:
        header = read_header(path)
    except InvalidDicomError as error:
        raise InvalidImage(f"{path.name} is not a DICOM file, or its beginning is damaged.") from error
    if header is None:
        raise InvalidImage(f"{path.name} is a DICOM file without an image in it (a report, a plan or contours).")
    _reject_segmentation(header)
    return header


def _choose(folder: Path, headers: Sequence[DicomHeader], series_uid: str | None) -> list[DicomHeader]:
    series = by_series(headers)
    listed = "; ".join(f"{h[0].description!r}, {len(h)} files, UID {uid}" for uid, h in series.items())
    if series_uid is not None:
        if series_uid not in series:
            raise InvalidImage(f"The folder {folder.name} has no series {series_uid}; it has: {listed}.")
        return series[series_uid]
    # A segmentation beside the series that it belongs to is no second image.
    images = [h for h in series.values() if h[0].modality != SEGMENTATION] or list(series.values())
    if len(images) > 1:
        raise InvalidImage(
            f"The folder {folder.name} holds {len(images)} DICOM series ({listed}); "
            "choose one by its UID (--series-uid, series_uid in Python), or give a folder with one series."
        )
    return images[0]


def _reject_segmentation(header: DicomHeader) -> None:
    if header.modality == SEGMENTATION:
        raise InvalidImage(
            f"{header.path.name} is a DICOM segmentation, not an image; give it as the mask of the image that it was "
            "drawn on."
        )
