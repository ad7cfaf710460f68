"""Packed slices: every training slice of every set as small uint8 arrays, decoded once and read often.

Training visits each slice many times; decoding JPEG and gzip each time would cost more than the network does on a
processor. A pack is one folder with a flat byte file per set and an index; slices keep their own size up to
``long_side``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from KPrismLib.dataset import DatasetFolder, class_mask, classes_of
from KPrismLib.errors import CannotWrite, InvalidDataset

FORMAT = 3


@dataclass(frozen=True)
class PackedSlice:
    """Where one slice lies in the pack, and which classes it shows.

    Attributes:
        dataset: name of the set.
        patient: whose image it is; references come from another one.
        item: id of the item in ``dataset.json``; ``index`` its slice.
        height, width, channels: shape of the pixels.
        offset: first byte in the set's file; pixels come first, then labels.
        classes: names of the classes with at least ``MINIMUM_PIXELS`` pixels.
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


#: A structure of fewer pixels is skipped as a training target: it is mostly annotation noise.
MINIMUM_PIXELS = 12


@dataclass(frozen=True)
class PackedDataset:
    """One set of the pack."""

    name: str
    free_orientation: bool
    classes: dict[str, tuple[int, ...]]
    slices: tuple[PackedSlice, ...]
    data: NDArray[np.uint8]

    def load(self, entry: PackedSlice) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (H, W, channels) and labels (H, W) of one slice, both views of the packed bytes."""
        area = entry.height * entry.width
        pixels = self.data[entry.offset : entry.offset + area * entry.channels]
        labels = self.data[entry.offset + area * entry.channels :][:area]
        return (
            pixels.reshape(entry.height, entry.width, entry.channels),
            labels.reshape(entry.height, entry.width),
        )


def has_free_orientation(modality: str) -> bool:
    """Whether mirrored or turned images of a modality are as natural as the original.

    A photograph of skin has no left and right; in a tomogram a mirrored right kidney would be called a left one.
    """
    return any(word in modality.lower() for word in ("dermoscopy", "endoscopy", "pathology", "ultrasound"))


def pack_folder(folder: DatasetFolder, split: str, target: Path, *, long_side: int) -> None:
    """Write one set's slices: pictures that show a class, and every slice of a volume.

    A slice without any label is no target of its own; it is where a class can be asked for that is not there.

    Raises:
        InvalidDataset: when the split has no slice with a label.
    """
    classes, stored = _byte_labels(folder)
    chunks: list[bytes] = []
    entries = []
    offset = 0
    for item in folder.items(split):
        pieces = folder.load(item)
        for piece in pieces:
            pixels, labels = _fit(piece.pixels, stored(piece.labels), long_side)
            areas = {name: int(class_mask(labels, values).sum()) for name, values in classes.items()}
            shown = [name for name, area in areas.items() if area >= MINIMUM_PIXELS]
            absent = [name for name, area in areas.items() if area == 0]
            if not shown and len(pieces) == 1:
                continue
            data = pixels.tobytes() + labels.tobytes()
            height, width, channels = pixels.shape
            entries.append([piece.patient, piece.item, piece.index, height, width, channels, offset, shown, absent])
            chunks.append(data)
            offset += len(data)
    if not any(entry[7] for entry in entries):
        raise InvalidDataset(f"{folder.name} has no labelled slice in its split {split!r}; check the splits.")
    stem = _file_stem(folder.name)
    index = {
        "format": FORMAT,
        "long_side": long_side,
        "split": split,
        "name": folder.name,
        "free_orientation": has_free_orientation(folder.description.modality),
        "classes": classes,
        "slices": entries,
    }
    try:
        with (target / f"{stem}.bytes").open("wb") as stream:
            stream.writelines(chunks)
        (target / f"{stem}.json").write_text(json.dumps(index), encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"The packed slices of {folder.name} cannot be written into {target}: {error}.") from error


def _file_stem(name: str) -> str:
    """A dataset's name is free text; its files have a plain name."""
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "_"


def _byte_labels(
    folder: DatasetFolder,
) -> tuple[dict[str, tuple[int, ...]], Callable[[NDArray[np.int32]], NDArray[np.uint8]]]:
    """Classes by their packed mask values, and what turns a label map into those: values above 255 are renumbered.

    Raises:
        InvalidDataset: more than 255 labels.
    """
    classes = classes_of(folder)
    values = np.asarray(sorted({0, *folder.labels}))
    if values[-1] <= 255:
        return classes, lambda labels: labels.astype(np.uint8)
    if len(values) > 256:
        raise InvalidDataset(f"{folder.name} has {len(values) - 1} labels; training takes up to 255.")
    places = {int(value): place for place, value in enumerate(values)}
    renumbered = {name: tuple(places[value] for value in shown) for name, shown in classes.items()}
    return renumbered, lambda labels: np.searchsorted(values, labels).astype(np.uint8)


def _fit(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], long_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    scale = long_side / max(labels.shape)
    if scale < 1:
        size = tuple(max(1, round(s * scale)) for s in labels.shape)
        pixels = np.rint(resize(pixels.astype(np.float32), size, order=1, anti_aliasing=True)).astype(np.uint8)
        labels = resize(labels, size, order=0, anti_aliasing=False, preserve_range=True).astype(np.uint8)
    return np.ascontiguousarray(pixels), np.ascontiguousarray(labels)


def open_pack(folders: Iterable[Path], cache: Path, *, split: str, long_side: int) -> list[PackedDataset]:
    """Packed sets, in order; those that are not packed yet, or changed since, are packed now.

    Args:
        folders: dataset folders.
        cache: folder for the packed files.
        split: usually ``train``.
        long_side: larger slices are reduced to this.
    """
    opened = []
    for path in folders:
        folder = DatasetFolder.open(path)
        description = (path / "dataset.json").read_bytes()
        key = hashlib.sha256(f"{FORMAT} {long_side} {split} ".encode() + description).hexdigest()[:12]
        target = cache / key
        if not (target / "complete").exists():
            _make(target)
            pack_folder(folder, split, target, long_side=long_side)
            (target / "complete").touch()
        opened.append(_open_one(target, folder.name))
    return opened


def _make(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder {target} for packed slices cannot be made: {error}.") from error


def _open_one(target: Path, name: str) -> PackedDataset:
    stem = _file_stem(name)
    index = json.loads((target / f"{stem}.json").read_text(encoding="utf-8"))
    return PackedDataset(
        name=name,
        free_orientation=index["free_orientation"],
        classes={n: tuple(v) for n, v in index["classes"].items()},
        slices=tuple(
            PackedSlice(name, patient, item, number, height, width, channels, offset, tuple(shown), tuple(absent))
            for patient, item, number, height, width, channels, offset, shown, absent in index["slices"]
        ),
        data=np.memmap(target / f"{stem}.bytes", dtype=np.uint8, mode="r"),
    )
