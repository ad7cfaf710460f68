"""Deciding which slices are evaluated before the first one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset import DatasetFolder, DatasetItem, Slice, SliceRecord, class_mask, classes_of, index_slices
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation.settings import EvaluationSettings


@dataclass(frozen=True)
class FolderPlan:
    """The slices of one dataset that are evaluated.

    Attributes:
        folder: The dataset.
        records: The chosen slices, in the order of ``dataset.json``.
    """

    folder: DatasetFolder
    records: tuple[SliceRecord, ...]

    def by_item(self) -> dict[DatasetItem, list[SliceRecord]]:
        """The slices of each item, so that a volume is read once."""
        grouped: dict[DatasetItem, list[SliceRecord]] = {}
        for record in self.records:
            grouped.setdefault(record.item, []).append(record)
        return grouped

    def structures(self) -> Iterator[tuple[Slice, list[NDArray[np.bool_]]]]:
        """The slices, each with the masks, bool (H, W), of the classes that it shows."""
        classes = classes_of(self.folder)
        for item, records in self.by_item().items():
            pieces = self.folder.slices(item, [record.index for record in records])
            for record, piece in zip(records, pieces, strict=True):
                yield piece, [class_mask(piece.labels, classes[name]) for name in classes if name in record.present]


def plan(folders: Sequence[DatasetFolder], settings: EvaluationSettings) -> tuple[FolderPlan, ...]:
    """Choose the slices of every dataset that has the split.

    Raises:
        InvalidConfig: No dataset is given, or two of them share a name.
        InvalidDataset: None of the datasets has the split, or a mask cannot be read.
    """
    names = [folder.name for folder in folders]
    if not names:
        raise InvalidConfig("There is no dataset to evaluate.")
    if len(set(names)) < len(names):
        raise InvalidConfig(f"Two datasets share a name: {', '.join(sorted(names))}.")
    with_split = [folder for folder in folders if settings.split in folder.splits]
    if not with_split:
        found = sorted({split for folder in folders for split in folder.splits})
        raise InvalidDataset(f"No dataset has a split {settings.split!r}; there are {', '.join(found)}.")
    return tuple(FolderPlan(folder, _choose(index_slices(folder, settings.split), settings)) for folder in with_split)


def _choose(records: Sequence[SliceRecord], settings: EvaluationSettings) -> tuple[SliceRecord, ...]:
    if settings.limit is None and settings.absent_classes:
        return tuple(records)
    showing = [record for record in records if record.present]
    return tuple(showing[position] for position in spread(len(showing), settings.limit, settings.seed))


def spread(count: int, limit: int | None, seed: int) -> list[int]:
    """Positions of at most ``limit`` of ``count`` things, evenly spaced from a seeded start, ascending."""
    if limit is None or count <= limit:
        return list(range(count))
    start = np.random.default_rng(seed).random()
    return [min(int((step + start) * count / limit), count - 1) for step in range(limit)]
