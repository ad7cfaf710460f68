"""A folder of images and label maps that ``dataset.json`` describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset.description import DatasetDescription
from KPrismLib.dataset.items import DatasetItem, Slice
from KPrismLib.dataset.reading import read_labels
from KPrismLib.errors import InvalidDataset, KPrismError
from KPrismLib.imaging.planes import placement, stacking_plane
from KPrismLib.imaging.reading import read_volume
from KPrismLib.intensity import window_for

_SHOWN = 3


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder whose description is valid and whose files exist.

    Attributes:
        path: The folder.
        description: What its ``dataset.json`` says.

    Example:
        >>> folder = DatasetFolder.open("my-data")  # doctest: +SKIP
        >>> for item in folder.items("train"):  # doctest: +SKIP
        ...     for piece in folder.load(item):
        ...         print(piece.item, piece.index, piece.pixels.shape)
    """

    path: Path
    description: DatasetDescription

    @classmethod
    def open(cls, path: str | Path) -> DatasetFolder:
        """Read and check a folder; no image is decoded yet.

        Raises:
            InvalidDataset: ``dataset.json`` is missing or breaks the contract, or listed files do not exist.
        """
        folder = cls(Path(path), DatasetDescription.read(Path(path) / "dataset.json"))
        missing = [
            name
            for item in folder.description.items
            for name in (item.image, item.mask)
            if not (folder.path / name).is_file()
        ]
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            raise InvalidDataset(f"{folder.name}: {len(missing)} listed files are missing: {shown}.")
        return folder

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.description.name

    @property
    def labels(self) -> Mapping[int, str]:
        """Mask value to label text."""
        return self.description.labels

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, in order of appearance."""
        return tuple(dict.fromkeys(item.split for item in self.description.items))

    def items(self, split: str | None = None) -> tuple[DatasetItem, ...]:
        """The items of one split, or all of them; empty when the dataset has no such split."""
        return tuple(item for item in self.description.items if split is None or item.split == split)

    def load_labels(self, item: DatasetItem) -> NDArray[np.int32]:
        """Read the label map of an item without its image.

        Returns:
            int32, shape (slices, H, W).

        Raises:
            InvalidDataset: The mask cannot be read, or holds a value that ``labels`` does not name.
        """
        try:
            labels = read_labels(self.path / item.mask)
        except KPrismError as error:
            raise InvalidDataset(f"{self.name}: mask of item {item.id}: {error}") from error
        unknown = labels[~np.isin(labels, [0, *self.labels])]
        if unknown.size:
            values = ", ".join(str(value) for value in np.unique(unknown)[:_SHOWN])
            raise InvalidDataset(f"{self.name}: the mask of item {item.id} holds {values}, which labels do not name.")
        return labels

    def load(self, item: DatasetItem) -> list[Slice]:
        """Read an item: every slice of a volume, or the one slice of a picture.

        The slices of a volume are those of its third axis, turned as ``kprism segment`` and 3D Slicer show them: by
        the orientation in the image's header.

        Slices without any label are kept; training skips them, the false-positive rate needs them.

        Raises:
            InvalidDataset: A file cannot be read, image and mask differ in size, or a label is unknown.
        """
        labels = self.load_labels(item)
        try:
            volume = read_volume(self.path / item.image)
            pixels = self._as_bytes(volume.array)
        except KPrismError as error:
            raise InvalidDataset(f"{self.name}: image of item {item.id}: {error}") from error
        if volume.shape != labels.shape:
            raise InvalidDataset(
                f"{self.name}: image and mask of item {item.id} differ in size: "
                f"{_size(volume.array)} against {_size(labels)} (slices x rows x columns)."
            )
        plane = stacking_plane(volume)
        places = [placement(volume, plane, index) for index in range(len(labels))]
        return [
            Slice(self.name, item.id, item.patient, place.index, place.extract(pixels), place.extract(labels))
            for place in places
        ]

    def _as_bytes(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Apply the intensity window of the whole item (A.2: windows are per volume, never per slice)."""
        rule = self.description.window
        if image.dtype == np.uint8 and rule is None:
            return image
        return window_for(image, rule=rule or "auto", modality=self.description.modality or None).apply(image)


def _size(stack: NDArray[Any]) -> str:
    return "x".join(str(extent) for extent in stack.shape[:3])
