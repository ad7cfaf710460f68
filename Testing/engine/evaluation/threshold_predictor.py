"""A model in a few lines of numpy: classes are grey values, clicks paint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass
class Result:
    mask: Mask
    milliseconds: float = 2.0


@dataclass
class PaintingSession:
    """A positive click paints its row, a negative click wipes its pixel."""

    initial: Mask | None
    shape: tuple[int, int]
    clicks: list[tuple[int, int, bool]] = field(default_factory=list)

    def click(self, row: int, column: int, *, positive: bool = True) -> None:
        assert all((row, column) != placed[:2] or positive == placed[2] for placed in self.clicks)
        self.clicks.append((row, column, positive))

    @property
    def mask(self) -> Mask | None:
        if self.initial is None and not self.clicks:
            return None
        mask = np.zeros(self.shape, dtype=bool) if self.initial is None else self.initial.copy()
        for row, column, positive in self.clicks:
            if positive:
                mask[row] = True
            else:
                mask[row, column] = False
        return mask


@dataclass
class ThresholdPredictor:
    """Segments the grey value of a class, or the grey values under the references' masks.

    Attributes:
        values: Class to grey value.
        encoded: How many images were taken in.
        shown: Every reference that was taken in.
    """

    values: dict[str, int]
    encoded: int = 0
    shown: list[list[tuple[NDArray[np.uint8], Mask]]] = field(default_factory=list)
    sessions: list[PaintingSession] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.values)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.encoded += 1
        return pixels

    def reference(self, pairs: list[tuple[NDArray[np.uint8], Mask]]) -> list[int]:
        self.shown.append(pairs)
        return sorted({int(value) for pixels, mask in pairs for value in pixels[mask]})

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Result:
        assert (cls is None) != (reference is None)
        return Result(image == self.values[cls] if cls is not None else np.isin(image, reference))

    def session(self, image: Any, *, cls: str | None = None, reference: Any = None) -> PaintingSession:
        guided = cls is not None or reference is not None
        initial = self.segment(image, cls=cls, reference=reference).mask if guided else None
        self.sessions.append(PaintingSession(initial, image.shape))
        return self.sessions[-1]
