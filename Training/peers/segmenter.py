"""What a system must be able to do to be evaluated beside K-Prism."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidPrompt
from KPrismLib.prompts import Click

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Pair = tuple[Pixels, Mask]


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask, and what the next click builds on.

    Attributes:
        mask: bool, (rows, columns) of the image.
        memory: whatever the system wants to see again with the next click (logits, a mask, nothing).
        milliseconds: what the mask took, where the call itself does not show it: a network that segments all classes
            in one pass is asked class by class, but runs once. None: the time of the call.
    """

    mask: Mask
    memory: Any = None
    milliseconds: float | None = None


class Segmenter(ABC):
    """One system with its weights. An adapter overrides what its system can do; the rest refuses in one sentence.

    Pixel coordinates are (row, column) from the top left, here as everywhere; adapters turn them into what their
    system takes. What ``encode`` and ``reference`` return is only ever handed back to the same object.

    Attributes:
        name: as in the paper.
        classes: what can be segmented by name.
        remarks: what a reader of the numbers must know, such as a deviation from how the authors run their system.
    """

    name: str
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, pixels: Pixels) -> Any:
        """Take in an image: uint8, (rows, columns) or (rows, columns, 3) RGB."""

    def reference(self, pairs: Sequence[Pair]) -> Any:
        """Take in examples: images as for :meth:`encode`, each with its mask, bool (rows, columns)."""
        raise InvalidPrompt(f"{self.name} does not segment by example.")

    def by_class(self, image: Any, cls: str) -> Answer:
        """Segment one of :attr:`classes`."""
        raise InvalidPrompt(f"{self.name} does not segment by class.")

    def by_example(self, image: Any, reference: Any) -> Answer:
        """Segment what the examples show."""
        raise InvalidPrompt(f"{self.name} does not segment by example.")

    def by_clicks(
        self, image: Any, clicks: Sequence[Click], before: Answer | None, *, cls: str | None, reference: Any
    ) -> Answer:
        """Segment what was clicked on.

        Args:
            image: what :meth:`encode` returned.
            clicks: all clicks so far, oldest first; the last one is new.
            before: the answer to the earlier clicks, or the initial mask that a class or examples gave; None at first.
            cls: the class that is refined.
            reference: the examples whose mask is refined.
        """
        raise InvalidPrompt(f"{self.name} does not take clicks.")
