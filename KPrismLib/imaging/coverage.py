"""How much of each output pixel a shape covers, 0..1: what makes drawn edges smooth.

Shapes are drawn several times too large and averaged down. Positions are pixels ``(row, column)`` of the image, whose
centres are whole numbers; ``zoom`` is ``(rows, columns)`` output pixels per image pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

Coverage = npt.NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True)
class Sheet:
    """An output picture of ``shape`` (rows, columns), in which an image is shown enlarged by ``zoom``."""

    shape: tuple[int, int]
    zoom: tuple[float, float]

    @property
    def oversampling(self) -> int:
        """How many times too large shapes are drawn; large pictures need less."""
        return 4 if max(self.shape) <= 1024 else 2

    def region(self, mask: npt.NDArray[np.bool_], width: float) -> tuple[Coverage, Coverage]:
        """Coverage of a mask's inside, and of a line of ``width`` output pixels along its border."""
        inside, line = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.float32)
        if not mask.any():
            return inside, line
        rows, columns, box = self._around(mask, margin=width)
        factor = self.oversampling
        size = ((columns.stop - columns.start) * factor, (rows.stop - rows.start) * factor)
        # Halfway between 0 and 1 of the enlarged mask is its border without the stairs of its pixels.
        enlarged = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR, box=box)
        solid = np.asarray(enlarged) >= 0.5
        distance = distance_transform_edt(solid) + distance_transform_edt(~solid) - 0.5
        inside[rows, columns] = _average(solid, factor)
        line[rows, columns] = _average(distance <= width * factor / 2, factor)
        return inside, line

    def discs(self, centres: Sequence[Point], radius: float) -> Coverage:
        """Coverage of discs of ``radius`` output pixels."""

        def draw(pen: ImageDraw.ImageDraw, factor: int) -> None:
            for x, y in self._places(centres, factor):
                reach = radius * factor
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)

        return self._drawn(draw)

    def strokes(self, lines: Sequence[Sequence[Point]], width: float) -> Coverage:
        """Coverage of lines of ``width`` output pixels with round ends and corners."""

        def draw(pen: ImageDraw.ImageDraw, factor: int) -> None:
            for line in lines:
                places = self._places(line, factor)
                pen.line(places, fill=255, width=max(1, round(width * factor)), joint="curve")
                reach = width * factor / 2
                for x, y in places:
                    pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)

        return self._drawn(draw)

    def _drawn(self, draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Coverage:
        factor = self.oversampling
        rows, columns = self.shape
        picture = Image.new("L", (columns * factor, rows * factor))
        draw(ImageDraw.Draw(picture), factor)
        return _average(np.asarray(picture, dtype=np.float32) / 255, factor)

    def _places(self, points: Sequence[Point], factor: int) -> list[Point]:
        """``(x, y)`` on the oversampled picture, of pixel centres ``(row, column)``."""
        down, right = self.zoom
        return [((column + 0.5) * right * factor, (row + 0.5) * down * factor) for row, column in points]

    def _around(
        self, mask: npt.NDArray[np.bool_], margin: float
    ) -> tuple[slice, slice, tuple[float, float, float, float]]:
        """Output rows and columns that hold the mask with a margin, and the same box in image pixels for Pillow."""
        down, right = self.zoom
        rows = _span(np.flatnonzero(mask.any(axis=1)), down, margin, self.shape[0])
        columns = _span(np.flatnonzero(mask.any(axis=0)), right, margin, self.shape[1])
        height, width = mask.shape
        box = (
            columns.start / right,
            rows.start / down,
            min(columns.stop / right, width),
            min(rows.stop / down, height),
        )
        return rows, columns, box


def _span(used: npt.NDArray[Any], zoom: float, margin: float, size: int) -> slice:
    start = int((used[0] - 1) * zoom - margin) - 1
    stop = int((used[-1] + 2) * zoom + margin) + 2
    return slice(max(start, 0), min(stop, size))


def _average(oversampled: npt.NDArray[Any], factor: int) -> Coverage:
    rows, columns = oversampled.shape[0] // factor, oversampled.shape[1] // factor
    blocks = oversampled.reshape(rows, factor, columns, factor)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))
