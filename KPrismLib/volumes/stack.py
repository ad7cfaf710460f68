"""Parallel slices in a row: what whole-volume work asks of an image, whatever holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from KPrismLib.imaging.planes import Plane, SlicePlacement, pixel_spacing, placement, slice_count
from KPrismLib.imaging.volume import Volume


class Stack(Protocol):
    """Slices of one size, one behind the other: along an axis of a volume, or resliced along any oblique normal."""

    def __len__(self) -> int:
        """How many slices there are."""

    def pixels(self, index: int) -> npt.NDArray[Any]:
        """Slice ``index``, counted from 0: (rows, columns) or (rows, columns, 3), any real dtype."""

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Pixel size along (rows, columns) where pixels are not square, else None."""


@dataclass(frozen=True, eq=False)
class VolumeStack:
    """The slices of a volume in an anatomical plane, upright as radiologists hold them.

    Attributes:
        volume: the volume, grey or RGB.
        plane: the plane; for a picture axial.
    """

    volume: Volume
    plane: Plane = Plane.AXIAL

    def __len__(self) -> int:
        return slice_count(self.volume, self.plane)

    def place(self, index: int) -> SlicePlacement:
        """Where slice ``index`` lies in the volume's array; its ``paste`` takes a mask there.

        Raises:
            InvalidImage: no such slice, or another plane than axial of a picture.
        """
        return placement(self.volume, self.plane, index)

    def pixels(self, index: int) -> npt.NDArray[Any]:
        """Slice ``index``: (rows, columns) or (rows, columns, 3), in the volume's dtype.

        Raises:
            InvalidImage: as for :meth:`place`.
        """
        return self.place(index).extract(self.volume.array)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Pixel size along (rows, columns) in mm where pixels are not square, else None."""
        return pixel_spacing(self.volume, self.place(0))
