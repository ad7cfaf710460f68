"""The volumes of a dataset, one case for each class that a volume shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset import DatasetFolder, DatasetItem, Slice, class_mask, classes_of
from KPrismLib.evaluation.dice import VolumeDice
from KPrismLib.evaluation.plan import spread
from KPrismLib.intensity import IDENTITY, IntensityWindow

#: Slices of a dataset folder are windowed when they are read.
WINDOW = IntensityWindow(0.0, 255.0, IDENTITY)

#: A structure that shows in fewer slices has nowhere to be carried to.
FEWEST_SLICES = 3

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SliceStack:
    """A :class:`~KPrismLib.volumes.Stack` of slices that are in memory, uint8 and as training sees them."""

    slices: Sequence[Slice]
    spacing: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.slices)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """uint8 (rows, columns) or (rows, columns, 3)."""
        return self.slices[index].pixels


@dataclass(frozen=True)
class Case:
    """One class in one volume.

    Attributes:
        dataset: name of the dataset.
        item: ``id`` of the volume.
        patient: the unit of the bootstrap.
        cls: the class.
        stack: the slices.
        truth: bool (rows, columns) of every slice.
    """

    dataset: str
    item: str
    patient: str
    cls: str
    stack: SliceStack
    truth: Sequence[Mask]

    @property
    def key(self) -> str:
        """Name of the case in the report."""
        return f"{self.dataset}/{self.item}/{self.cls}"

    @property
    def showing(self) -> list[int]:
        """The slices that show the class."""
        return [index for index, mask in enumerate(self.truth) if mask.any()]

    @property
    def middle(self) -> int:
        """The middle one of the slices that show the class."""
        return self.showing[len(self.showing) // 2]

    def dice(self, masks: dict[int, Mask]) -> float:
        """Volume Dice over all slices; a slice without a mask counts as empty."""
        score = VolumeDice()
        for index, truth in enumerate(self.truth):
            score.add(masks.get(index, np.zeros_like(truth)), truth)
        return score.value


def cases_of(folder: DatasetFolder, *, split: str, limit: int | None) -> Iterator[Case]:
    """Every class of every volume of a split, of at most ``limit`` volumes, evenly spread."""
    items = folder.items(split)
    for position in spread(len(items), limit, seed=0):
        yield from cases_in(folder, items[position])


def cases_in(folder: DatasetFolder, item: DatasetItem) -> Iterator[Case]:
    """The classes that a volume shows in enough slices."""
    slices = folder.load(item)
    for cls, values in classes_of(folder).items():
        truth = [class_mask(piece.labels, values) for piece in slices]
        if sum(bool(mask.any()) for mask in truth) >= FEWEST_SLICES:
            yield Case(folder.name, item.id, item.patient, cls, SliceStack(slices), truth)
