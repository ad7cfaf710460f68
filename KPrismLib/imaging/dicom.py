"""DICOM files and the series they form.

pydicom reads the headers, which decide what belongs together; ITK (GDCM) decodes the pixels, applies rescale slope and
intercept, inverts MONOCHROME1 so that low is dark, and turns palettes and YBR into RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom as has_dicom_preamble

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.geometry import Matrix, flip_lps_ras
from KPrismLib.imaging.itk_paths import itk_paths
from KPrismLib.imaging.itk_volumes import image_array, image_matrix
from KPrismLib.imaging.volume import Volume

SUFFIXES = (".dcm", ".dicom", ".ima")

#: A step between slices this many times the usual one means that slices are missing.
_GAP = 1.5
#: Slices closer than this (mm) are at one position.
_SAME_POSITION = 1e-3

_TAGS = [
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "Rows",
    "Columns",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence",
]


@dataclass(frozen=True)
class _Header:
    """What one DICOM file says about itself, as far as stacking needs it."""

    path: Path
    series_uid: str
    description: str
    modality: str | None
    size: tuple[int, int]
    number: int
    position: npt.NDArray[np.float64] | None
    orientation: npt.NDArray[np.float64] | None
    has_geometry: bool


def is_dicom(path: Path) -> bool:
    """Whether the file is DICOM, by its name or by the four letters DICM at byte 128."""
    return path.suffix.lower() in SUFFIXES or has_dicom_preamble(path)


def read_dicom_file(path: Path) -> Volume:
    """Read one DICOM file; a multi-frame file gives a volume of several slices."""
    try:
        header = _header(path)
    except InvalidDicomError as error:
        raise InvalidImage(f"{path.name} is not a DICOM file, or its beginning is damaged.") from error
    if header is None:
        raise InvalidImage(f"{path.name} is a DICOM file without an image in it (a report, a plan or contours).")
    _reject_segmentation(header)
    try:
        with itk_paths([path]) as (name,):
            image = sitk.ReadImage(name, imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise InvalidImage(
            f"The pixels of {path.name} are damaged, cut off or of an unknown kind; copy it again."
        ) from error
    return _volume(image, image_matrix(image), header, path)


def read_dicom_series(folder: Path, series_uid: str | None = None) -> Volume:
    """Read the DICOM series in ``folder`` (not in its subfolders), sorted by position.

    Args:
        folder: where the files are; files that are not DICOM images are passed over.
        series_uid: the Series Instance UID to take when there are several.

    Raises:
        InvalidImage: no series, several without ``series_uid``, missing slices, slices that do not belong together.
    """
    headers = _choose(folder, _headers(folder), series_uid)
    _reject_segmentation(headers[0])
    if len(headers) == 1:
        return read_dicom_file(headers[0].path)
    _check_alike(headers)
    headers = _sorted_without_gaps(headers)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    try:
        with itk_paths([header.path for header in headers]) as names:
            reader.SetFileNames(names)
            image = reader.Execute()
    except RuntimeError as error:
        raise InvalidImage(
            f"A slice of the DICOM series in {folder.name} is damaged or cut off; copy the series again."
        ) from error
    matrix = image_matrix(image)
    first, last = headers[0].position, headers[-1].position
    if first is not None and last is not None:
        # From the positions themselves: right also for a tilted gantry, where the step is not along the normal.
        lps = flip_lps_ras(matrix)
        lps[:3, 2] = (last - first) / (len(headers) - 1)
        matrix = flip_lps_ras(lps)
    return _volume(image, matrix, headers[0], folder)


def _volume(image: sitk.Image, matrix: Matrix, header: _Header, source: Path) -> Volume:
    array = _smallest_integers(image_array(image, source.name))
    return Volume(array, matrix, header.modality, is_picture=not header.has_geometry, source=source)


def _smallest_integers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """GDCM gives Hounsfield units as 32-bit integers; half as much memory holds them."""
    if array.dtype == np.int32 and array.min() >= -32768 and array.max() <= 32767:
        return array.astype(np.int16)
    return array


def _headers(folder: Path) -> list[_Header]:
    headers = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.upper() != "DICOMDIR":
            try:
                header = _header(path)
            except (InvalidDicomError, OSError):
                continue  # something else that lies in the folder
            if header is not None:
                headers.append(header)
    if not headers:
        raise InvalidImage(
            f"The folder {folder.name} holds no DICOM images; give the folder in which the .dcm files themselves lie."
        )
    return headers


def _header(path: Path) -> _Header | None:
    """The header of a DICOM image, or None when the file is DICOM but no image."""
    data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=path.suffix.lower() in SUFFIXES)
    if "Rows" not in data or "Columns" not in data:
        if "SeriesInstanceUID" not in data:
            raise InvalidDicomError  # any bytes at all pass with force=True
        return None
    position, orientation = data.get("ImagePositionPatient"), data.get("ImageOrientationPatient")
    return _Header(
        path=path,
        series_uid=str(data.get("SeriesInstanceUID", "")),
        description=str(data.get("SeriesDescription") or "no description"),
        modality=str(data.get("Modality") or "") or None,
        size=(int(data.Rows), int(data.Columns)),
        number=int(data.get("InstanceNumber") or 0),
        position=None if not position else np.array(position, dtype=np.float64),
        orientation=None if not orientation else np.array(orientation, dtype=np.float64),
        has_geometry=bool(orientation) or "SharedFunctionalGroupsSequence" in data,
    )


def _choose(folder: Path, headers: Sequence[_Header], series_uid: str | None) -> list[_Header]:
    series: dict[str, list[_Header]] = {}
    for header in headers:
        series.setdefault(header.series_uid, []).append(header)
    listed = "; ".join(f"{h[0].description!r}, {len(h)} files, UID {uid}" for uid, h in series.items())
    if series_uid is not None:
        if series_uid not in series:
            raise InvalidImage(f"The folder {folder.name} has no series {series_uid}; it has: {listed}.")
        return series[series_uid]
    if len(series) > 1:
        raise InvalidImage(
            f"The folder {folder.name} holds {len(series)} DICOM series ({listed}); "
            "choose one by its UID (series_uid), or give a folder with one series."
        )
    return next(iter(series.values()))


def _reject_segmentation(header: _Header) -> None:
    if header.modality == "SEG":
        raise InvalidImage(
            f"{header.path.name} is a DICOM segmentation; open it in 3D Slicer and save it as .seg.nrrd first."
        )


def _check_alike(headers: Sequence[_Header]) -> None:
    first = headers[0]
    for header in headers[1:]:
        turned = (header.orientation is None) != (first.orientation is None) or (
            header.orientation is not None
            and first.orientation is not None
            and np.abs(header.orientation - first.orientation).max() > 1e-3
        )
        if header.size != first.size or turned:
            raise InvalidImage(
                f"{first.path.name} and {header.path.name} are in one DICOM series but differ in "
                f"{'orientation' if turned else 'size'} (a scout image?); move one of them to another folder."
            )


def _sorted_without_gaps(headers: Sequence[_Header]) -> list[_Header]:
    """Sort slices along their normal, and make sure that they are evenly many millimetres apart."""
    orientation = headers[0].orientation
    if orientation is None or any(header.position is None for header in headers):
        return sorted(headers, key=lambda header: (header.number, header.path.name))
    normal = np.cross(orientation[:3], orientation[3:])
    placed = sorted(
        ((float(normal @ header.position), header) for header in headers if header.position is not None),
        key=lambda pair: pair[0],
    )
    positions = np.array([position for position, _ in placed])
    steps = np.diff(positions)
    usual = float(np.median(steps))
    for number, step in enumerate(steps):
        before, after = placed[number][1].path.name, placed[number + 1][1].path.name
        where = f"{before} (at {positions[number]:.2f} mm) and {after} (at {positions[number + 1]:.2f} mm)"
        if step < _SAME_POSITION:
            raise InvalidImage(
                f"{before} and {after} lie at one position, {positions[number]:.2f} mm (several time points, echoes "
                "or copies); keep one of each position in the folder."
            )
        if step > _GAP * usual:
            raise InvalidImage(
                f"Slices are missing between {where}: the step is {step:.2f} mm there and {usual:.2f} mm elsewhere; "
                "copy the whole series."
            )
    return [header for _, header in placed]
