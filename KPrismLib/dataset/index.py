"""Which slices of a dataset show which classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset.classes import class_mask, classes_of
from KPrismLib.dataset.folder import DatasetFolder
from KPrismLib.dataset.items import DatasetItem


@dataclass(frozen=True)
class SliceRecord:
    """One slice, located but not loaded.

    Attributes:
        item: The item it belongs to.
        index: Position along axis 2 of the volume; 0 for a picture.
        depth: How many slices the item has.
        present: Names of the classes with at least one pixel in the slice.
    """

    item: DatasetItem
    index: int
    depth: int
    present: frozenset[str]


def index_slices(folder: DatasetFolder, split: str) -> tuple[SliceRecord, ...]:
    """Read the masks of one split, in the order of ``dataset.json``, and note the classes of every slice.

    Raises:
        InvalidDataset: A mask cannot be read or holds an unknown label.
    """
    return tuple(record for item in folder.items(split) for record in _index_item(folder, item))


def _index_item(folder: DatasetFolder, item: DatasetItem) -> Iterator[SliceRecord]:
    labels = folder.load_labels(item)
    shown: dict[str, NDArray[np.bool_]] = {
        name: np.asarray(class_mask(labels, values).any(axis=(1, 2))) for name, values in classes_of(folder).items()
    }
    for index in range(len(labels)):
        yield SliceRecord(item, index, len(labels), frozenset(name for name, where in shown.items() if where[index]))
