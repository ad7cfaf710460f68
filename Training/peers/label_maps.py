"""Networks that segment all their classes in one pass, asked class by class."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from Training.peers.segmenter import Answer, Pixels, Segmenter


@dataclass
class LabelMapImage:
    """An image, and the label map once somebody asked for a class of it."""

    pixels: Pixels
    labels: NDArray[np.integer] | None = None
    milliseconds: float = 0.0


class LabelMapSegmenter(Segmenter):
    """A network whose answer is a label map; the pass runs once per image, and every class reports its time."""

    @abstractmethod
    def label_map(self, pixels: Pixels) -> NDArray[np.integer]:
        """uint8 (rows, columns[, 3]) -> (rows, columns): 0 for background, n for the n-th of :attr:`classes`."""

    def encode(self, pixels: Pixels) -> LabelMapImage:
        """Keep the pixels; nothing runs yet."""
        return LabelMapImage(pixels)

    def by_class(self, image: LabelMapImage, cls: str) -> Answer:
        """The pixels that the label map gives to the class."""
        if image.labels is None:
            start = time.perf_counter()
            image.labels = self.label_map(image.pixels)
            image.milliseconds = (time.perf_counter() - start) * 1000
        number = self.classes.index(cls) + 1
        return Answer(np.asarray(image.labels == number), milliseconds=image.milliseconds)
