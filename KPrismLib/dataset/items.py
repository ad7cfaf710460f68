"""The two things a dataset folder holds: items on disk, and the slices read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DatasetItem:
    """One image with its label map, as listed in ``dataset.json``.

    Attributes:
        id: Unique within the dataset.
        image: Path of the image, relative to the dataset folder.
        mask: Path of the label map, relative to the dataset folder.
        patient: Whose image it is; no patient is in two splits.
        split: ``train``, ``test`` or any other name the dataset uses.
        extras: Whatever else the item carries (slice number, phase, site, ...).
    """

    id: str
    image: str
    mask: str
    patient: str
    split: str
    extras: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, eq=False)
class Slice:
    """One two-dimensional image with its label map, upright on the screen.

    Attributes:
        dataset: Name of the dataset.
        item: ``id`` of the item it was read from.
        patient: Whose image it is.
        index: Position along axis 2 of the volume; 0 for a picture.
        pixels: uint8, shape (H, W) or (H, W, 3) RGB; index order row, column.
        labels: int32, shape (H, W); 0 is background.
    """

    dataset: str
    item: str
    patient: str
    index: int
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
