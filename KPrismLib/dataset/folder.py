"""A folder of images and label maps that ``dataset.json`` describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset.description import DatasetDescription
from KPrismLib.dataset.items import DatasetItem, Slice
from KPrismLib.dataset.reading import StoredLabels, read_labels, whole_numbers
from KPrismLib.errors import InvalidDataset, KPrismError
from KPrismLib.imaging import pictures, slice_store
from KPrismLib.imaging.geometry import Matrix, same_orientation
from KPrismLib.imaging.planes import SlicePlacement, placement, stacking_plane
from KPrismLib.imaging.reading import read_volume
from KPrismLib.intensity import IDENTITY, IntensityWindow, window_for

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

    @property
    def files(self) -> tuple[Path, ...]:
        """``dataset.json``, and every image and mask that it lists."""
        listed = (name for item in self.description.items for name in (item.image, item.mask))
        return (self.path / "dataset.json", *(self.path / name for name in listed))

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
        return self._stored_labels(item).values

    def load(self, item: DatasetItem) -> list[Slice]:
        """Read an item: every slice of a volume, or the one slice of a picture; see :meth:`slices`."""
        return list(self.slices(item))

    def slices(self, item: DatasetItem, indices: Sequence[int] | None = None) -> Iterator[Slice]:
        """Read slices of an item one after the other: all of them, or those of ``indices`` in that order.

        The slices of a volume are those of its third axis, turned as ``kprism segment`` and 3D Slicer show them: by
        the orientation in the image's header. From a slice store only the asked slices are read; any other volume is
        read whole, and the asked slices of it are windowed.

        Slices without any label are kept; training skips them, the false-positive rate needs them.

        Raises:
            InvalidDataset: A file cannot be read, image and mask differ in size or orientation, or a label is unknown.
        """
        if self.stores_slices(item):
            return self._stored_slices(item, indices)
        return self._volume_slices(item, indices)

    def stores_slices(self, item: DatasetItem) -> bool:
        """Whether a slice of the item is read without the others."""
        return all(name.endswith(slice_store.SUFFIXES) for name in (item.image, item.mask))

    def _stored_labels(self, item: DatasetItem) -> StoredLabels:
        with self._reading(item, "mask"):
            stored = read_labels(self.path / item.mask)
        self._check_labels(item, stored.values)
        return stored

    def _volume_slices(self, item: DatasetItem, indices: Sequence[int] | None) -> Iterator[Slice]:
        stored = self._stored_labels(item)
        labels = stored.values
        with self._reading(item, "image"):
            volume = read_volume(self.path / item.image)
            window = self._window(volume.array)
        self._check_sizes(item, volume.shape, labels.shape)
        if stored.ijk_to_ras is not None and not item.image.lower().endswith(pictures.SUFFIXES):
            self._check_orientation(item, volume.ijk_to_ras, stored.ijk_to_ras)
        plane = stacking_plane(volume)
        for index in range(len(labels)) if indices is None else indices:
            place = placement(volume, plane, index)
            # The window belongs to the volume, but its values are changed, in double precision, slice by slice.
            with self._reading(item, "image"):
                pixels = window.apply(place.extract(volume.array))
            yield Slice(self.name, item.id, item.patient, index, pixels, place.extract(labels))

    def _stored_slices(self, item: DatasetItem, indices: Sequence[int] | None) -> Iterator[Slice]:
        with ExitStack() as files:
            with self._reading(item, "mask"):
                mask = files.enter_context(slice_store.open_store(self.path / item.mask))
            with self._reading(item, "image"):
                image = files.enter_context(slice_store.open_store(self.path / item.image))
                self._check_sizes(item, image.shape, mask.shape)
                self._check_orientation(item, image.ijk_to_ras, mask.ijk_to_ras)
                window = self._stored_window(image)
            place: SlicePlacement | None = None
            for index in range(image.shape[0]) if indices is None else indices:
                with self._reading(item, "mask"):
                    labels = whole_numbers(mask.slab(index, index + 1).array, item.mask)
                self._check_labels(item, labels)
                with self._reading(item, "image"):
                    volume = image.slab(index, index + 1)
                    pixels = window.apply(volume.array)
                # One slice is oriented as its volume is, and as all others: by the axes of the matrix.
                place = place or placement(volume, stacking_plane(volume), 0)
                yield Slice(self.name, item.id, item.patient, index, place.extract(pixels), place.extract(labels))

    @contextmanager
    def _reading(self, item: DatasetItem, what: str) -> Iterator[None]:
        """Say of an error whose file it is."""
        try:
            yield
        except InvalidDataset:
            raise
        except KPrismError as error:
            raise InvalidDataset(f"{self.name}: {what} of item {item.id}: {error}") from error

    def _check_sizes(self, item: DatasetItem, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
        if image != mask:
            raise InvalidDataset(
                f"{self.name}: image and mask of item {item.id} differ in size: "
                f"{_size(image)} against {_size(mask)} (slices x rows x columns)."
            )

    def _check_orientation(self, item: DatasetItem, image: Matrix, mask: Matrix) -> None:
        # Origins and spacing are often nominal in one of the two; voxels that run another way are another picture.
        if not same_orientation(image, mask):
            raise InvalidDataset(
                f"{self.name}: image and mask of item {item.id} are stored in different orientations; save the mask "
                "on the grid of its image, or, where only its header is wrong, with the header of its image."
            )

    def _check_labels(self, item: DatasetItem, labels: NDArray[np.int32]) -> None:
        known = {0, *self.labels}
        smallest, largest = int(labels.min()), int(labels.max())
        # Counted labels, the usual case, are known by their ends; that is looked at for every slice of a training.
        if all(value in known for value in range(smallest, largest + 1)):
            return
        unknown = labels[~np.isin(labels, list(known))]
        if unknown.size:
            values = ", ".join(str(value) for value in np.unique(unknown)[:_SHOWN])
            raise InvalidDataset(f"{self.name}: the mask of item {item.id} holds {values}, which labels do not name.")

    def _window(self, array: NDArray[Any]) -> IntensityWindow:
        """The intensity window of a whole item (A.2: windows are per volume, never per slice)."""
        if array.dtype == np.uint8 and self.description.window is None:
            return IntensityWindow(0.0, 255.0, IDENTITY)
        rule, modality = self.description.asked_window
        return window_for(array, rule=rule, modality=modality or None)

    def _stored_window(self, stored: slice_store.StoredVolume) -> IntensityWindow:
        """The recorded window; where ``dataset.json`` now asks for another, the whole volume is looked at."""
        if stored.window is not None and stored.window.asked == self.description.asked_window:
            return stored.window.window
        return self._window(stored.slab(0, stored.shape[0]).array)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(extent) for extent in shape[:3])
