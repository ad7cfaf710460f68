"""Slices as the bytes of a pack: no larger than asked, grey where they are, labels that fit a byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from KPrismLib.dataset import DatasetFolder, Slice, class_mask, classes_of
from KPrismLib.errors import InvalidDataset

#: A structure of fewer pixels is skipped as a training target: it is mostly annotation noise.
MINIMUM_PIXELS = 12


def pack_item(
    pieces: Iterable[Slice],
    classes: dict[str, tuple[int, ...]],
    stored: Callable[[NDArray[np.int32]], NDArray[np.uint8]],
    stream: BinaryIO,
    long_side: int,
) -> list[list[Any]]:
    """Append an item's slices to ``stream``; -> their entries of the index."""
    entries: list[list[Any]] = []
    start, count = stream.tell(), 0
    for piece in pieces:
        count += 1
        whole = stored(piece.labels)
        pixels, labels = fit(piece.pixels, whole, long_side)
        areas = {name: int(class_mask(labels, values).sum()) for name, values in classes.items()}
        shown = [name for name, area in areas.items() if area >= MINIMUM_PIXELS]
        # Not what is too thin to be left in the reduced slice: there the image shows it.
        absent = [name for name, values in classes.items() if areas[name] == 0 and not class_mask(whole, values).any()]
        entries.append([piece.patient, piece.item, piece.index, *pixels.shape, stream.tell(), shown, absent])
        stream.write(pixels.data)
        stream.write(labels.data)
    if count == 1 and not entries[0][7]:  # a picture that shows nothing
        stream.seek(start)
        stream.truncate()
        return []
    return entries


def byte_labels(
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


def fit(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], long_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A slice that is no larger than ``long_side``.

    Labels are those of the nearest pixels: the area rule of the canvas tells inside from outside, not one label from
    others. Lines thinner than a reduced pixel come out as often as they are wide.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif (pixels == pixels[..., :1]).all():  # a grey picture that was saved in colour
        pixels = pixels[..., :1]
    scale = long_side / max(labels.shape)
    if scale < 1:
        size = tuple(max(1, round(s * scale)) for s in labels.shape)
        pixels = np.rint(resize(pixels.astype(np.float32), size, order=1, anti_aliasing=True)).astype(np.uint8)
        labels = resize(labels, size, order=0, anti_aliasing=False, preserve_range=True).astype(np.uint8)
    return np.ascontiguousarray(pixels), np.ascontiguousarray(labels)
