"""What the predictor keeps of an image, a reference and a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.canvas import Canvas
from KPrismLib.intensity import IntensityWindow
from KPrismLib.network import EncodedReference, ImageFeatures, ReferenceMemory


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image whose features are cached; every later question about it reuses them.

    Attributes:
        features: encoder features on the predictor's device.
        canvas: how the image lies on the network input.
        window: the intensity window that turned the pixels into 0-255.
        milliseconds: what encoding took.
    """

    features: ImageFeatures
    canvas: Canvas
    window: IntensityWindow
    milliseconds: float

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the image."""
        return self.canvas.image


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """Encoded references (the support set of section 3.2.2), reusable for any number of images.

    Attributes:
        memory: keys, values and object queries over all references.
        parts: one per reference, for building other sets without encoding again.
        milliseconds: what encoding took.
    """

    memory: ReferenceMemory
    parts: tuple[EncodedReference, ...]
    milliseconds: float

    def __len__(self) -> int:
        return len(self.parts)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A predicted mask; its arrays are read-only, for a session gives the same ones back on undo and redo.

    Attributes:
        mask: bool (rows, columns), probability of at least 0.5.
        probability: float32 (rows, columns) in [0, 1].
        milliseconds: what the prediction took, without encoding the image.
        window: the intensity window of the image, recorded with every prediction.
    """

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    milliseconds: float
    window: IntensityWindow

    def __post_init__(self) -> None:
        self.mask.setflags(write=False)
        self.probability.setflags(write=False)
