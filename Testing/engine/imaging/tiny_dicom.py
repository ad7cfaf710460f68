"""DICOM slices of 128 rows and 128 columns, made from pydicom's small CT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

UID = "1.2.826.0.1.3680043.8.498.1"


def save_slice(
    folder: Path,
    number: int,
    position: Sequence[float],
    *,
    uid: str = UID,
    name: str | None = None,
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    edit: Callable[[pydicom.Dataset], object] = lambda _: None,
) -> Path:
    """Instance ``number`` of the series "Leber", every pixel of which is ``number`` HU."""
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.SeriesInstanceUID = uid
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesDescription = "Leber"
    data.InstanceNumber = number
    data.ImagePositionPatient = list(position)
    data.ImageOrientationPatient = list(orientation)
    data.PixelSpacing = [0.8, 0.6]
    data.PixelData = np.full((128, 128), 1024 + number, np.int16).tobytes()
    data.pop("DataSetTrailingPadding", None)
    edit(data)
    path = folder / (name or f"slice{number:03d}.dcm")
    data.save_as(path)
    return path
