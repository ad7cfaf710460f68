"""Stacks that are written out in a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.intensity import IntensityWindow
from Testing.engine.predictor.tiny_predictor import picture

WINDOW = IntensityWindow(0.0, 255.0, "identity")


@dataclass
class ArrayStack:
    """Slices in a list; remembers which were read."""

    slices: list[NDArray[Any]]
    spacing: tuple[float, float] | None = None
    read: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.slices)

    def pixels(self, index: int) -> NDArray[Any]:
        self.read.append(index)
        return self.slices[index]


def wavy_stack(count: int = 6) -> ArrayStack:
    """Slices that change a little from one to the next."""
    return ArrayStack([picture(phase=0.2 * index) for index in range(count)])


def blank(rows: int = 40, columns: int = 56) -> NDArray[np.uint8]:
    return np.zeros((rows, columns), dtype=np.uint8)
