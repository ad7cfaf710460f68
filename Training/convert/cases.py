"""What a converter hands over: cases that are located but not read, and the pieces that reading one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import InvalidImage, InvalidMask
from KPrismLib.imaging.geometry import Matrix
from Training.convert.about import About
from Training.convert.source import Source


class ShapesDiffer(InvalidMask):
    """Image and mask are not on one grid; the message holds both sizes."""


class UnusableFile(InvalidImage):
    """A file of a case cannot be used.

    Attributes:
        path: Which one; its name alone may be that of another file, too.
    """

    def __init__(self, path: Path, sentence: str) -> None:
        """``sentence`` says what is wrong with the file."""
        super().__init__(sentence)
        self.path = path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What is wrong within the block is wrong with this file.

    Raises:
        UnusableFile: In place of what the block raises about an image or a mask.
    """
    try:
        yield
    except (InvalidImage, InvalidMask) as error:
        raise UnusableFile(path, str(error)) from error


@dataclass(frozen=True, eq=False)
class Piece:
    """One future item: an image with its label map.

    Attributes:
        image: A picture file to be copied as it is; or pixels ``(rows, columns[, 3])`` uint8 of a picture; or voxels
            ``(columns, rows, slices)`` of a volume.
        labels: Whole numbers: ``(rows, columns)`` for a picture, on the grid of ``image`` for a volume.
        affine: ``(column, row, slice, 1)`` to RAS mm for a volume, None for a picture.
        suffix: Added to the case's id where a case gives several pieces.
        extras: Further keys of the item.
    """

    image: Path | npt.NDArray[Any]
    labels: npt.NDArray[np.integer]
    affine: Matrix | None = None
    suffix: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is converted in one go, and redone from the start when interrupted.

    Attributes:
        id: Unique within the set; becomes the name of the files.
        patient: Whose image it is.
        split: "train", "validation", "test" or "external".
        files: All files that are read, the image first.
        load: Reads them; may give no piece, when nothing in the case is to be used.
        extras: Further keys of its items.
    """

    id: str
    patient: str
    split: str
    files: tuple[Path, ...]
    load: Callable[[], Iterable[Piece]]
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Converter:
    """A public dataset: its facts, and the function that locates its cases in a download."""

    about: About
    cases: Callable[[Source], list[Case]]
