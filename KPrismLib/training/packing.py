"""Packed slices: every training slice of every set as small uint8 arrays, decoded once and read often.

Training visits each slice many times; decoding JPEG and gzip each time would cost more than the network does on a
processor. The pack of a set is a folder with a flat byte file and an index; slices keep their own size up to
``long_side``. It is written slice by slice, however large the set, and takes its name when it is complete.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.batch.fingerprint import file_fingerprint
from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import CannotWrite, InvalidDataset
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.detached_voxels import with_voxel_files
from KPrismLib.imaging.modality import has_free_orientation
from KPrismLib.training.slice_bytes import byte_labels, pack_item

FORMAT = 6

_BYTES, _INDEX, _PARTIAL = "slices.bytes", "index.json", ".packing-"
#: What a killed run left behind is cleared away after so many seconds; another run may be packing until then.
_ABANDONED = 24 * 3600


@dataclass(frozen=True)
class PackedSlice:
    """Where one slice lies in the pack, and which classes it shows.

    Attributes:
        dataset: name of the set.
        patient: whose image it is; references come from another one.
        item: id of the item in ``dataset.json``; ``index`` its slice.
        height, width, channels: shape of the pixels.
        offset: first byte in the set's file; pixels come first, then labels.
        classes: names of the classes with enough pixels to be a target.
        absent: names of the classes without any pixel.
    """

    dataset: str
    patient: str
    item: str
    index: int
    height: int
    width: int
    channels: int
    offset: int
    classes: tuple[str, ...]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackedDataset:
    """One set of the pack.

    Attributes:
        name: of the set.
        free_orientation: see :func:`~KPrismLib.imaging.modality.has_free_orientation`.
        classes: class name to packed mask values.
        slices: where each slice lies.
        path: the byte file; opened where it is first read from, so that worker processes share it.
        items: ids of all that ``dataset.json`` lists, of every split.
        content: what is learned from the set, see :func:`full_content`.
    """

    name: str
    free_orientation: bool
    classes: dict[str, tuple[int, ...]]
    slices: tuple[PackedSlice, ...]
    path: Path
    items: frozenset[str]
    content: str = ""

    @cached_property
    def _data(self) -> NDArray[np.uint8]:
        return np.memmap(self.path, dtype=np.uint8, mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_data"}

    def load(self, entry: PackedSlice) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (H, W, channels) and labels (H, W) of one slice, both views of the packed bytes."""
        area = entry.height * entry.width
        pixels = self._data[entry.offset : entry.offset + area * entry.channels]
        labels = self._data[entry.offset + area * entry.channels :][:area]
        return (
            pixels.reshape(entry.height, entry.width, entry.channels),
            labels.reshape(entry.height, entry.width),
        )


def pack_folder(folder: DatasetFolder, split: str, target: Path, *, long_side: int) -> None:
    """Write one set's slices into the folder ``target``: pictures that show a class, and every slice of a volume.

    A slice without any label is no target of its own; it is where a class can be asked for that is not there.

    Raises:
        InvalidDataset: when the split has no slice with a label.
    """
    classes, stored = byte_labels(folder)
    entries: list[list[Any]] = []
    with (target / _BYTES).open("wb") as stream:
        for item in folder.items(split):
            entries += pack_item(folder.slices(item), classes, stored, stream, long_side)
        stream.flush()
        os.fsync(stream.fileno())
    if not any(entry[7] for entry in entries):
        raise InvalidDataset(f"{folder.name} has no labelled slice in its split {split!r}; check the splits.")
    index = {
        "format": FORMAT,
        "long_side": long_side,
        "split": split,
        "name": folder.name,
        "files": _files_digest(folder, split),
        "classes": classes,
        "slices": entries,
    }
    write_atomically(target / _INDEX, json.dumps(index).encode())


def open_pack(folders: Iterable[Path], cache: Path, *, split: str, long_side: int) -> list[PackedDataset]:
    """Packed sets, in order; those that are not packed yet, changed since, or whose pack is damaged, are packed now.

    Args:
        folders: dataset folders.
        cache: folder for the packed files.
        split: usually ``train``.
        long_side: larger slices are reduced to this.

    Raises:
        InvalidDataset: a set that cannot be read, or two of one name.
        CannotWrite: disk full, read-only folder.
    """
    sets = [DatasetFolder.open(path) for path in folders]
    _require_different_names(sets)
    opened = []
    for folder in sets:
        target = cache / _key(folder, split, long_side)
        open_one = functools.partial(_open_one, target, folder, split)
        packed = open_one()
        if packed is None:
            with _appearing(target, folder.name, open_one) as partial:
                pack_folder(folder, split, partial, long_side=long_side)
            packed = open_one()
            assert packed is not None, "what was packed just now is whole"
        opened.append(packed)
    return opened


def _require_different_names(sets: Sequence[DatasetFolder]) -> None:
    """Refuse two sets of one name: weights and exclusions are said by name, and would hold for both.

    Raises:
        InvalidDataset: such sets.
    """
    for name, count in Counter(folder.name for folder in sets).items():
        if count > 1:
            where = " and ".join(str(folder.path) for folder in sets if folder.name == name)
            raise InvalidDataset(
                f"{count} sets of the run are called {name}: {where}; list each folder once, and give each set a name "
                "of its own in its dataset.json."
            )


def content_digest(folder: DatasetFolder, split: str) -> str:
    """What is learned from a set, in 16 hexadecimal digits: what ``dataset.json`` says of it, and the sizes of files.

    It stays when the folder moves or is copied, and when other splits or mere notes in ``dataset.json`` change. No file
    is read; of what a file holds tells :func:`full_content`.
    """
    said = folder.description
    items = [
        (item.id, item.patient, *((name, (folder.path / name).stat().st_size) for name in (item.image, item.mask)))
        for item in folder.items(split)
    ]
    classes = None if said.classes is None else list(said.classes.items())
    content = (said.name, said.modality, list(said.labels.items()), classes, said.window, items)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def full_content(folder: DatasetFolder, split: str) -> str:
    """:func:`content_digest`, and 16 digits for the bytes of the files, all of which are read.

    Raises:
        InvalidImage: a file cannot be read.
    """
    return content_digest(folder, split) + _files_digest(folder, split)


def _files_digest(folder: DatasetFolder, split: str) -> str:
    digest = hashlib.sha256()
    for path in _files(folder, split):
        digest.update(file_fingerprint(path).encode())
    return digest.hexdigest()[:16]


def _files(folder: DatasetFolder, split: str) -> Iterator[Path]:
    """All files that are packed, those in which headers keep their voxels among them."""
    for item in folder.items(split):
        for path in (folder.path / item.image, folder.path / item.mask):
            yield from with_voxel_files(path)


def _key(folder: DatasetFolder, split: str, long_side: int) -> str:
    """Changes with what is packed: ``dataset.json``, and size and time of every file of the split."""
    digest = hashlib.sha256(f"{FORMAT} {long_side} {split} ".encode())
    digest.update((folder.path / "dataset.json").read_bytes())
    for path in _files(folder, split):
        name, state = _seen_from(folder.path, path), path.stat()
        digest.update(f"\n{name} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _seen_from(folder: Path, path: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # voxels on another drive of Windows
        return str(path.absolute())


@contextmanager
def _appearing(target: Path, name: str, open_one: Callable[[], PackedDataset | None]) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends well, and vanishes otherwise.

    It takes the place of a damaged pack, but not of a whole one, which another run made meanwhile. A run that is killed
    leaves a folder without the name, which nobody takes for a pack.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(target.parent)
        partial = target.with_name(_PARTIAL + secrets.token_hex(8))
        partial.mkdir()
        try:
            yield partial
            if open_one() is None:
                damaged = target.with_name(_PARTIAL + secrets.token_hex(8))
                with contextlib.suppress(FileNotFoundError):  # there is none, or another run has moved it
                    target.rename(damaged)
                shutil.rmtree(damaged, ignore_errors=True)
            try:
                partial.rename(target)
            except OSError:
                if open_one() is None:  # else another run was quicker
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except CannotWrite:
        raise
    except OSError as error:
        raise CannotWrite(
            f"The packed slices of {name} cannot be written into {target.parent}: {error.strerror or error}; "
            "free some space or choose another folder."
        ) from error


def _clear_abandoned(cache: Path) -> None:
    for left_over in cache.glob(f"{_PARTIAL}*"):
        with contextlib.suppress(OSError):
            if time.time() - max(path.stat().st_mtime for path in (left_over, *left_over.iterdir())) > _ABANDONED:
                shutil.rmtree(left_over)


def _open_one(target: Path, folder: DatasetFolder, split: str) -> PackedDataset | None:
    """The pack in ``target``; None where there is none, or a damaged one.

    Raises:
        InvalidDataset: there is one, but no permission to read it, say.
    """
    name, path = folder.name, target / _BYTES
    try:
        index = json.loads((target / _INDEX).read_text(encoding="utf-8"))
        slices = tuple(
            PackedSlice(name, patient, item, number, height, width, channels, offset, tuple(shown), tuple(absent))
            for patient, item, number, height, width, channels, offset, shown, absent in index["slices"]
        )
        ends = [0, *(entry.offset + entry.height * entry.width * (entry.channels + 1) for entry in slices)]
        if ends != [*(entry.offset for entry in slices), path.stat().st_size]:  # they lie end to end
            return None
        return PackedDataset(
            name=name,
            free_orientation=has_free_orientation(folder.description.modality),
            classes={n: tuple(v) for n, v in index["classes"].items()},
            slices=slices,
            path=path,
            items=frozenset(item.id for item in folder.items()),
            content=content_digest(folder, split) + index["files"],
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError, AttributeError):
        return None  # missing, cut off, or something else
    except OSError as error:
        raise InvalidDataset(
            f"The packed slices of {name} in {target} cannot be read: {error.strerror or error}; delete that folder, "
            "and they are packed again."
        ) from error
