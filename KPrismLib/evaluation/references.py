"""Choosing the reference pairs of in-context segmentation: seeded, of another patient, and on record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset import DatasetFolder, DatasetItem, SliceRecord, class_mask, classes_of, index_slices
from KPrismLib.errors import InvalidConfig

TRAINING_SPLIT = "train"

# Table 10: positions within the slices of a volume that show the class, in percent of the way.
AXIAL_POSITIONS: dict[int, tuple[int, ...]] = {
    1: (50,),
    3: (20, 50, 80),
    5: (20, 40, 50, 60, 80),
    9: (10, 20, 30, 40, 50, 60, 70, 80, 90),
}


@dataclass(frozen=True)
class ReferencePool:
    """The slices of one dataset that may serve as references.

    Attributes:
        folder: The dataset.
        split: The split they come from.
        records: Its slices.
        seed: With the class and the patient it decides the choice, whatever else is evaluated.
    """

    folder: DatasetFolder
    split: str
    records: tuple[SliceRecord, ...]
    seed: int

    @classmethod
    def of(cls, folder: DatasetFolder, evaluated_split: str, seed: int) -> ReferencePool:
        """The training split; for a set without one (external, unseen classes) the evaluated split itself."""
        split = TRAINING_SPLIT if TRAINING_SPLIT in folder.splits else evaluated_split
        return cls(folder, split, index_slices(folder, split), seed)

    def choose(self, name: str, patient: str, count: int, *, axial: bool = False) -> tuple[SliceRecord, ...]:
        """Choose references for all slices of a patient.

        Args:
            name: The class, present in every chosen slice.
            patient: The query's patient, who is never chosen.
            count: How many are wanted; fewer are returned where fewer exist.
            axial: Choose a volume at random and take slices at Table 10's positions within the class, each slice
                once: of a volume that shows the class in so many slices, or in as many as any does.

        Raises:
            InvalidConfig: ``axial`` with a number of references for which Table 10 gives no positions.
        """
        if axial and count not in AXIAL_POSITIONS:
            raise InvalidConfig(f"Table 10 has no axial positions for {count} references; take 1, 3, 5 or 9.")
        suitable = [record for record in self.records if name in record.present and record.item.patient != patient]
        if not suitable:
            return ()
        draw = np.random.default_rng(_stable_seed(self.seed, self.folder.name, name, patient))
        volumes = _volumes(suitable) if axial else []
        if volumes:
            enough = min(count, max(map(len, volumes)))
            volumes = [volume for volume in volumes if len(volume) >= enough]
            return _at_positions(volumes[draw.integers(len(volumes))], AXIAL_POSITIONS[count])
        draw.integers(len(suitable))  # as ever, so that a seed goes on to choose what it chose in earlier versions
        chosen = draw.choice(len(suitable), size=min(count, len(suitable)), replace=False)
        return tuple(suitable[position] for position in chosen)

    def load(self, name: str, records: Sequence[SliceRecord]) -> list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """Read references.

        Returns:
            Pairs of pixels (uint8, (H, W) or (H, W, 3)) and the mask of the class (bool, (H, W)).
        """
        values = classes_of(self.folder)[name]
        asked: dict[DatasetItem, list[int]] = {}
        for record in records:
            asked.setdefault(record.item, []).append(record.index)
        read = {
            (piece.item, piece.index): piece
            for item, indices in asked.items()
            for piece in self.folder.slices(item, indices)
        }
        pieces = [read[record.item.id, record.index] for record in records]
        return [(piece.pixels, class_mask(piece.labels, values)) for piece in pieces]


def _volumes(records: Sequence[SliceRecord]) -> list[list[SliceRecord]]:
    """The slices of each volume; pictures are left out."""
    found: dict[str, list[SliceRecord]] = {}
    for record in records:
        if record.depth > 1:
            found.setdefault(record.item.id, []).append(record)
    return list(found.values())


def _at_positions(volume: Sequence[SliceRecord], percents: Sequence[int]) -> tuple[SliceRecord, ...]:
    """The slices nearest to positions in percent of the way, each slice once, in the order of the volume."""
    chosen: set[int] = set()
    for percent in percents[: len(volume)]:
        place = round(percent / 100 * (len(volume) - 1))
        chosen.add(min(set(range(len(volume))) - chosen, key=lambda index: (abs(index - place), index)))
    return tuple(volume[index] for index in sorted(chosen))


def _stable_seed(*parts: object) -> int:
    """A seed that is the same in every process, unlike Python's own hash of a text."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")
