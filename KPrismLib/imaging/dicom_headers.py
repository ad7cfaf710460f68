"""What DICOM files say about themselves, as far as finding and stacking series needs it; pixels stay on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.misc import is_dicom as has_dicom_preamble

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging import dicom_rescale

SUFFIXES = (".dcm", ".dicom", ".ima")
#: Modality of DICOM segmentations.
SEGMENTATION = "SEG"

#: What pydicom and the conversion of its values raise where bytes are not what they should be.
_DAMAGED = (
    BytesLengthException,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    EOFError,
)

_TAGS = [
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "Modality",
    "Rows",
    "Columns",
    "PixelSpacing",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "NumberOfFrames",
    "GridFrameOffsetVector",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *dicom_rescale.TAGS,
]


@dataclass(frozen=True, eq=False)
class DicomHeader:
    """The header of one DICOM image.

    Attributes:
        path: the file.
        series_uid: Series Instance UID, "" when there is none.
        series_number: as the scanner counts, or None.
        description: of the series, "no description" when there is none.
        modality: "CT", "MR", ..., or None.
        size: ``(rows, columns)``.
        pixel_spacing: ``(row, column)`` millimetres, or None.
        number: Instance Number, 0 when there is none.
        position: LPS millimetres of the first pixel, or None.
        orientation: LPS cosines along a row and along a column, 6 numbers, or None.
        has_geometry: False for a picture: something is missing of where it lies in the patient and how large its pixels
            are, or where its frames lie, so that millimetres would be invented.
        frame_positions: LPS millimetres of each frame, ``(frames, 3)``, where a multi-frame file gives them.
        encoding: what decides which values the pixels can have, see :func:`KPrismLib.imaging.dicom_rescale.encoding`.
        frame_rescales: slope and intercept of each frame, ``(frames, 2)``; None where all have the same.
        reflection: undoes the inversion of measured values, see :func:`KPrismLib.imaging.dicom_rescale.reflection`.
    """

    path: Path
    series_uid: str
    series_number: int | None
    description: str
    modality: str | None
    size: tuple[int, int]
    pixel_spacing: tuple[float, float] | None
    number: int
    position: npt.NDArray[np.float64] | None
    orientation: npt.NDArray[np.float64] | None
    has_geometry: bool
    frame_positions: npt.NDArray[np.float64] | None
    encoding: tuple[float, ...]
    frame_rescales: npt.NDArray[np.float64] | None
    reflection: float | None

    @property
    def title(self) -> str:
        """The file and its number in the series, for sentences: people know slices by the second."""
        return f"{self.path.name} (instance {self.number})"

    @property
    def may_be_slice(self) -> bool:
        """Whether it can be a slice of a volume, by its turn in the patient; without it, a film by itself."""
        return self.has_geometry or self.orientation is not None


def is_dicom(path: Path) -> bool:
    """Whether the file is DICOM, by its name or by the four letters DICM at byte 128."""
    return path.suffix.lower() in SUFFIXES or has_dicom_preamble(path)


def is_segmentation(path: Path) -> bool:
    """Whether the file is a DICOM segmentation: a mask, not an image."""
    try:
        header = read_header(path) if path.is_file() and is_dicom(path) else None
    except (InvalidDicomError, OSError):
        return False
    return header is not None and header.modality == SEGMENTATION


def read_header(path: Path) -> DicomHeader | None:
    """The header of a DICOM image, or None when the file is DICOM but no image.

    Raises:
        InvalidDicomError: the file is not DICOM, or its header is damaged.
        OSError: it cannot be opened.
    """
    try:
        return _header_of(read_elements(path, _TAGS), path)
    except _DAMAGED as error:
        raise InvalidDicomError(f"The header of {path.name} is damaged.") from error


def read_elements(path: Path, names: Sequence[str] | None = None) -> Dataset:
    """The elements of a DICOM file without its pixels; only those of ``names`` if given.

    A file that is DICOM by its name need not begin as the standard wants it.

    Raises:
        InvalidDicomError: the file is not DICOM.
        OSError: it cannot be opened.
        Exception: whatever pydicom raises where bytes are not what they should be.
    """
    force = path.suffix.lower() in SUFFIXES
    return pydicom.dcmread(
        path, stop_before_pixels=True, specific_tags=None if names is None else list(names), force=force
    )


def _header_of(data: Dataset, path: Path) -> DicomHeader | None:
    if "Rows" not in data or "Columns" not in data:
        if "SeriesInstanceUID" not in data:
            raise InvalidDicomError  # any bytes at all pass with force=True
        return None
    spacing, series_number = _numbers(data, "PixelSpacing", 2), data.get("SeriesNumber")
    return DicomHeader(
        path=path,
        series_uid=str(data.get("SeriesInstanceUID", "")),
        series_number=None if series_number in (None, "") else int(series_number),
        description=str(data.get("SeriesDescription") or "no description"),
        modality=str(data.get("Modality") or "") or None,
        size=(int(data.Rows), int(data.Columns)),
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        number=int(data.get("InstanceNumber") or 0),
        position=_numbers(data, "ImagePositionPatient", 3),
        orientation=_numbers(data, "ImageOrientationPatient", 6),
        has_geometry="SharedFunctionalGroupsSequence" in data or _is_placed(data),
        frame_positions=_frame_positions(data),
        encoding=dicom_rescale.encoding(data),
        frame_rescales=dicom_rescale.frame_rescales(data),
        reflection=dicom_rescale.reflection(data),
    )


def header_if_dicom(path: Path) -> DicomHeader | None:
    """The header of a file that may be anything; None when it is no DICOM image.

    Raises:
        InvalidImage: it is DICOM, by its name or its beginning, and damaged; or it cannot be opened, so that nobody
            knows what it is. Passed over, a first or last slice would be missed by nobody.
    """
    where = f"{path.name} in the folder {path.absolute().parent.name}"
    try:
        is_other = not path.is_file() and (path.exists() or path.suffix.lower() not in SUFFIXES)
        return None if is_other or path.name.upper() == "DICOMDIR" else read_header(path)
    except InvalidDicomError as error:
        if not is_dicom(path):
            return None
        raise InvalidImage(f"{where} is damaged; copy it again, or move it elsewhere.") from error
    except OSError as error:
        raise InvalidImage(
            f"{where} cannot be opened ({error.strerror or error}); get permission to read it, or move it elsewhere."
        ) from error


def headers_in(folder: Path) -> list[DicomHeader]:
    """The DICOM images that lie in ``folder`` itself, in order of their names; other files are passed over.

    Raises:
        InvalidImage: there is none, or one is damaged or cannot be opened.
    """
    found = (header_if_dicom(path) for path in sorted(folder.iterdir()))
    headers = [header for header in found if header is not None]
    if not headers:
        raise InvalidImage(
            f"The folder {folder.name} holds no DICOM images; give the folder in which the .dcm files themselves lie."
        )
    return headers


def by_series(headers: Iterable[DicomHeader]) -> dict[str, list[DicomHeader]]:
    """Headers grouped by their Series Instance UID, in order of first appearance."""
    series: dict[str, list[DicomHeader]] = {}
    for header in headers:
        series.setdefault(header.series_uid, []).append(header)
    return series


def _is_placed(data: Dataset) -> bool:
    """Whether a file without functional groups says where all of its pixels lie."""
    if not all(data.get(name) for name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")):
        return False
    # One position does not say how far it is from frame to frame; of the kinds that say it, ITK knows dose grids.
    return int(data.get("NumberOfFrames") or 1) == 1 or bool(data.get("GridFrameOffsetVector"))


def _frame_positions(data: Dataset) -> npt.NDArray[np.float64] | None:
    frames = data.get("PerFrameFunctionalGroupsSequence") or ()
    planes = [frame.get("PlanePositionSequence") for frame in frames]
    if not planes or not all(plane and "ImagePositionPatient" in plane[0] for plane in planes):
        return None
    positions = [_numbers(plane[0], "ImagePositionPatient", 3) for plane in planes if plane]
    return None if any(position is None for position in positions) else np.array(positions)


def _numbers(data: Dataset, name: str, count: int) -> npt.NDArray[np.float64] | None:
    """The values of an element, ``(count,)``; None where there is none. ValueError where they are no such numbers."""
    stored = data.get(name)
    if not stored:
        return None
    numbers = np.array(stored, dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} is {stored}")
    return numbers
