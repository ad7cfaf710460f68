"""Volumes in HDF5, one compressed chunk for each slice, so that a slice is read without its volume.

A NIfTI file is one gzip stream: its last slice costs as much as all of them. HDF5 keeps a volume one file, which can
be written whole or not at all, copied and checked like any other, and finds each chunk by its index.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.geometry import Matrix
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import IntensityWindow

SUFFIXES = (".h5",)

_FORMAT = 1
_VOXELS = "voxels"


@dataclass(frozen=True)
class StoredWindow:
    """The intensity window of a whole volume, kept so that one slice can be shown without looking at the others.

    Attributes:
        asked: The rule and the modality that it was chosen by; it holds for these alone.
        window: The window.
    """

    asked: tuple[str, str]
    window: IntensityWindow


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """An open slice store; made by :func:`open_store`.

    Attributes:
        voxels: The HDF5 dataset ``(slices k, rows j, columns i[, 3])``.
        ijk_to_ras: 4x4; maps ``(i, j, k, 1)`` to RAS mm.
        window: What was recorded of its intensities, if anything.
        source: The file.
    """

    voxels: Any
    ijk_to_ras: Matrix
    window: StoredWindow | None
    source: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(slices, rows, columns)``."""
        slices, rows, columns = self.voxels.shape[:3]
        return slices, rows, columns

    def slab(self, start: int, stop: int) -> Volume:
        """Slices ``start`` to ``stop - 1`` as a volume of their own, oriented as the whole is; reads only their chunks.

        Raises:
            InvalidImage: A damaged chunk.
        """
        try:
            array = self.voxels[start:stop]
        except OSError as error:
            raise InvalidImage(f"{self.source.name} is damaged: {error}.") from error
        return Volume(array, self.ijk_to_ras, source=self.source)


def store_bytes(array: npt.NDArray[Any], ijk_to_ras: Matrix, *, window: StoredWindow | None = None) -> bytes:
    """The content of a slice store.

    Args:
        array: ``(slices k, rows j, columns i[, 3])``, any integer or float dtype.
        ijk_to_ras: 4x4; maps ``(i, j, k, 1)`` to RAS mm.
        window: To be recorded beside an image.
    """
    # LZF comes with h5py everywhere and unpacks several times faster than gzip; shuffled bytes pack better.
    # HDF5 builds the file in memory: a temporary name, no file.
    with _h5py().File("slices", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = _FORMAT
        voxels = file.create_dataset(
            _VOXELS, data=array, chunks=(1, *array.shape[1:]), compression="lzf", shuffle=True, fletcher32=True
        )
        voxels.attrs["ijk_to_ras"] = np.asarray(ijk_to_ras, dtype=np.float64)
        if window is not None:
            voxels.attrs["window"] = json.dumps({"asked": window.asked, **window.window.to_dict()})
        file.flush()
        return bytes(file.id.get_file_image())


@contextmanager
def open_store(path: Path) -> Iterator[StoredVolume]:
    """Open a slice store for reading; no voxel is read yet.

    Raises:
        InvalidImage: Missing, damaged, or an HDF5 file of something else.
    """
    try:
        # Shared folders of clusters often refuse locks, and nobody writes into a finished store.
        file = _h5py().File(path, "r", locking=False)
    except OSError as error:
        raise InvalidImage(f"{path.name} is not a readable slice store; write it again.") from error
    with file:
        try:
            if file.attrs["format"] != _FORMAT:
                raise KeyError("format")
            voxels = file[_VOXELS]
            stored = StoredVolume(voxels, voxels.attrs["ijk_to_ras"], _window(voxels.attrs.get("window")), path)
        except (KeyError, ValueError, TypeError, InvalidConfig) as error:
            raise InvalidImage(f"{path.name} is an HDF5 file, but not a slice store of this version.") from error
        yield stored


def read_store(path: Path) -> Volume:
    """A whole volume.

    Raises:
        InvalidImage: As for :func:`open_store`.
    """
    with open_store(path) as stored:
        return stored.slab(0, stored.shape[0])


def _window(text: str | None) -> StoredWindow | None:
    if text is None:
        return None
    record = json.loads(text)
    rule, modality = record["asked"]
    return StoredWindow((str(rule), str(modality)), IntensityWindow.from_dict(record))


def _h5py() -> ModuleType:
    """Loaded when a store is met: Slicer and the command line do without."""
    try:
        import h5py
    except ImportError as error:
        raise InvalidImage("Slice stores (.h5) need h5py; install it with: pip install 'kprism[train]'.") from error
    module: ModuleType = h5py
    return module
