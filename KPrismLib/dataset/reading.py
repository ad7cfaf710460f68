"""Reading label maps as the numbers they store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidMask
from KPrismLib.imaging import pictures
from KPrismLib.imaging.reading import existing, read_volume


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label map, picture or volume.

    The numbers come as stored, a palette's indices included: ``dataset.json`` names the values that are in the
    files, so a black and white mask has the label 255.

    Returns:
        int32, shape (slices, H, W); one slice for a picture.

    Raises:
        InvalidImage: The file cannot be read.
        InvalidMask: It is in colour, or holds values that are not integers.
    """
    source = existing(path)
    is_picture = source.name.lower().endswith(pictures.SUFFIXES)
    values = pictures.read_picture_labels(source) if is_picture else read_volume(source).array
    return whole_numbers(values, path.name)


def whole_numbers(values: NDArray[Any], name: str) -> NDArray[np.int32]:
    """Stored values of any type as labels, int32 (slices, H, W); ``name`` is the file's, for the message.

    Raises:
        InvalidMask: They are colours or fractions.
    """
    if values.ndim == 4:
        if not (values == values[..., :1]).all():
            raise InvalidMask(f"{name} is a colour image, not a label map.")
        values = values[..., 0]
    labels: NDArray[np.int32] = values.astype(np.int32)
    if values.dtype.kind not in "bui" and not np.array_equal(labels, values):
        raise InvalidMask(f"{name} holds values that are not integers.")
    return labels
