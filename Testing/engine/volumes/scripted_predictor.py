"""A model that does what a test writes down: every slice is a grey value, and a script says what is found in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from KPrismLib.canvas import Canvas
from KPrismLib.class_names import row_of_class
from Testing.engine.volumes.arrays import ArrayStack

SIZE = (16, 24)


@dataclass(frozen=True)
class Asked:
    """One slice that was segmented: its number and those of its references, with the areas of their masks."""

    index: int
    references: tuple[tuple[int, int], ...]


@dataclass
class ScriptedPredictor:
    """Finds in slice n the rows that ``script(n, references)`` gives, with a probability of ``sure``.

    Attributes:
        script: slice and references to the number of rows found, from the top.
        learned: slice to the number of rows that a class finds.
        encoded: slices in the order in which they were encoded.
        referred: slices in the order in which they were made references.
        asked: in-context questions in order.
        clicked: slice, area of the mask to start from, and pixel of every click.
    """

    script: Callable[[int, tuple[tuple[int, int], ...]], int] = lambda index, references: 8
    learned: Callable[[int], int] = lambda index: 8
    sure: Callable[[int], float] = lambda index: 0.99
    looks: Callable[[int], NDArray[np.float32]] = lambda index: np.array([1.0, 0.0], np.float32)
    classes: tuple[str, ...] = ("liver", "spleen")
    encoded: list[int] = field(default_factory=list)
    referred: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    clicked: list[tuple[int, int, int, int]] = field(default_factory=list)
    by_class: list[tuple[int, str]] = field(default_factory=list)

    def encode(self, pixels: NDArray[Any], **_: Any) -> Any:
        index = number_of(pixels)
        self.encoded.append(index)
        maps = SimpleNamespace(s16=torch.tensor(self.looks(index))[None, :, None, None].expand(1, -1, 1, 2))
        return SimpleNamespace(index=index, canvas=Canvas(SIZE, SIZE), features=SimpleNamespace(maps=maps))

    def encode_reference(self, image: Any, pixels: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[int, int]:
        assert image.index == number_of(pixels)
        self.referred.append(image.index)
        return image.index, int(mask.sum())

    def combine(self, parts: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        return tuple(parts)

    def read_out(self, image: Any, reference: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return reference

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Any:
        if cls is not None:
            row_of_class(cls, self.classes)
            self.by_class.append((image.index, cls))
            probability = self._rows(image.index, self.learned(image.index))
        else:
            self.asked.append(Asked(image.index, reference))
            probability = self._probability(image.index, reference)
        return SimpleNamespace(probability=probability, mask=probability >= 0.5)

    def session(self, image: Any, *, reference: Any, mask: NDArray[np.bool_], honour: bool) -> Any:
        assert not honour, "nobody clicked"

        def click(row: int, column: int) -> Any:
            assert mask[row, column]
            self.clicked.append((image.index, int(mask.sum()), row, column))
            return SimpleNamespace(probability=self._probability(image.index, reference))

        return SimpleNamespace(click=click)

    @property
    def slices(self) -> list[int]:
        """The slices that were segmented, in order."""
        return [asked.index for asked in self.asked]

    def _probability(self, index: int, references: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
        return self._rows(index, self.script(index, references))

    def _rows(self, index: int, count: int) -> NDArray[np.float32]:
        sure = self.sure(index)
        probability = np.full(SIZE, 1 - sure, dtype=np.float32)
        probability[:count] = sure
        return probability


def numbered_stack(count: int) -> ArrayStack:
    """Slices whose first pixel is their number."""
    slices = []
    for index in range(count):
        pixels = np.full(SIZE, 100, dtype=np.uint8)
        pixels[0, 0] = index
        slices.append(pixels)
    return ArrayStack(slices)


def number_of(pixels: NDArray[Any]) -> int:
    return int(pixels[0, 0])


def rows(count: int) -> NDArray[np.bool_]:
    """A mask of the first rows."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[:count] = True
    return mask
