"""Cases that are pictures with picture masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from KPrismLib.imaging.pictures import read_picture
from Training.convert.cases import Piece, ShapesDiffer, UnusableFile, reading


def load_picture_pair(image: Path, *masks: Path) -> list[Piece]:
    """A picture, kept as the file it is, and the union of its black and white masks as label 1.

    Raises:
        UnusableFile: A file cannot be read to its end.
        ShapesDiffer: A mask is of another size.
    """
    labels = merged_foreground(masks)
    check_size(image, labels)
    return [Piece(image, labels)]


def merged_foreground(masks: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """1 wherever one of the masks is bright."""
    first, *others = (foreground(mask) for mask in masks)
    for other, path in zip(others, masks[1:], strict=True):
        if other.shape != first.shape:
            raise ShapesDiffer(f"{masks[0].name} {_times(first.shape)} against {path.name} {_times(other.shape)}")
        first |= other
    return first.astype(np.uint8)


def foreground(mask: Path) -> npt.NDArray[np.bool_]:
    """Where a mask is bright: half of 255 is the border, because masks stored as JPEG are grey around their edges."""
    found: npt.NDArray[np.bool_] = brightness(mask) > 127
    return found


def brightness(mask: Path) -> npt.NDArray[np.uint8]:
    """``(rows, columns)`` of a mask as it is seen: palettes, colours and transparency count as they look.

    A mask of the numbers 0 and 1 looks black all over, and is taken by its numbers: 0 and 255.

    Raises:
        UnusableFile: It cannot be read to its end, or has several pages.
    """
    seen = single_page(mask)
    grey: npt.NDArray[np.uint8] = seen.max(axis=-1) if seen.ndim == 3 else seen
    return grey * np.uint8(255) if grey.max() <= 1 else grey


def single_page(path: Path) -> npt.NDArray[np.uint8]:
    """``(rows, columns)`` or ``(rows, columns, 3)`` of a picture with one page.

    Raises:
        UnusableFile: It cannot be read to its end, or has several pages.
    """
    with reading(path):
        pages = read_picture(path)
    if len(pages) != 1:
        raise UnusableFile(path, f"{path.name} has {len(pages)} pages.")
    page: npt.NDArray[np.uint8] = pages[0]
    return page


def check_size(image: Path, labels: npt.NDArray[np.integer]) -> None:
    """Decode the whole picture, which finds truncated files, and compare its size with that of the labels."""
    shape = single_page(image).shape[:2]
    if shape != labels.shape:
        raise ShapesDiffer(f"{_times(shape)} against {_times(labels.shape)}")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(extent) for extent in shape)
