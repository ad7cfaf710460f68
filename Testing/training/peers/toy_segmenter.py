"""A system in a few lines of numpy that records what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from Training.peers.segmenter import Answer, Segmenter


@dataclass
class ToySegmenter(Segmenter):
    """By class: what is brighter than 100. By example: the examples' mask. By click: rows that were clicked on."""

    name: str = "Toy"
    classes: tuple[str, ...] = ("liver",)
    remarks: tuple[str, ...] = ("Only a toy.",)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def encode(self, pixels):
        return pixels

    def reference(self, pairs):
        return pairs[0][1]

    def by_class(self, image, cls):
        return Answer(image > 100, memory="class", milliseconds=7.0)

    def by_example(self, image, reference):
        return Answer(reference, memory="example")

    def by_clicks(self, image, clicks, before, *, cls, reference):
        self.asked.append((tuple(clicks), None if before is None else before.memory, cls))
        mask = np.zeros(image.shape, dtype=bool)
        for click in clicks:
            mask[click.row] = click.positive
        return Answer(mask, memory=len(clicks))
