"""Reading label maps as the numbers they store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidMask
from KPrismLib.imaging import pictures
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.reading import existing, read_volume


@dataclass(frozen=True, eq=False)
class StoredLabels:
    """What a label map stores.

    Attributes:
        values: int32, shape (slices, H, W); one slice for a picture.
        ijk_to_ras: 4x4, ``(i, j, k, 1)`` to RAS mm; None for a picture, which lies nowhere.
    """

    values: NDArray[np.int32]
    ijk_to_ras: Matrix | None


def read_labels(path: Path) -> StoredLabels:
    """Read a label map, picture or volume.

    The numbers come as stored, a palette's indices included: ``dataset.json`` names the values that are in the
    files, so a black and white mask has the label 255.

    Raises:
        InvalidImage: The file cannot be read.
        InvalidMask: It is in colour, or holds values that are no labels.
    """
    source = existing(path)
    if source.name.lower().endswith(pictures.SUFFIXES):
        return StoredLabels(whole_numbers(pictures.read_picture_labels(source), path.name), None)
    volume = read_volume(source)
    return StoredLabels(whole_numbers(volume.array, path.name), volume.ijk_to_ras)


def whole_numbers(values: NDArray[Any], name: str) -> NDArray[np.int32]:
    """Stored values of any type as labels, int32 (slices, H, W); ``name`` is the file's, for the message.

    Raises:
        InvalidMask: They are colours, fractions or beyond 32 bits.
    """
    if values.ndim == 4:
        if not (values == values[..., :1]).all():
            raise InvalidMask(f"{name} is a colour image, not a label map.")
        values = values[..., 0]
    with np.errstate(invalid="ignore"):  # NaN is no number to convert, and is found below
        labels: NDArray[np.int32] = values.astype(np.int32)
    if not np.can_cast(values.dtype, np.int32) and not np.array_equal(labels, values):
        if values.dtype.kind in "ui":
            raise InvalidMask(f"{name} holds values beyond 32 bits, which are no labels.")
        raise InvalidMask(f"{name} holds values that are not integers.")
    return labels
