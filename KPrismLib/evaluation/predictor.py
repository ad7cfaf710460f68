"""What evaluation asks of a model: the engine's predictor, or anything else that behaves like it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Segmentation(Protocol):
    """A mask at the resolution of the image."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Bool, shape (H, W)."""

    @property
    def milliseconds(self) -> float:
        """How long the segmentation took."""


class Session(Protocol):
    """An image that is segmented click by click (Mode-3, and the refinement of Mode-1 and Mode-2)."""

    def click(self, row: int, column: int, *, positive: bool = True) -> object:
        """Add one click, in pixels from the top left."""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Bool, shape (H, W); before the first click the initial mask, if there is one."""


class Predictor(Protocol):
    """A loaded model. What ``encode`` and ``reference`` return is only ever handed back to it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that can be segmented by name."""

    def encode(self, pixels: NDArray[np.uint8]) -> Any:
        """Take in an image: uint8, shape (H, W) or (H, W, 3)."""

    def reference(self, pairs: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> Any:
        """Take in reference images with their masks: bool, shape (H, W)."""

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Segmentation:
        """Segment by class (Mode-1) or by reference (Mode-2)."""

    def session(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Session:
        """Start clicking, from nothing or from the mask that a class or a reference gives."""
