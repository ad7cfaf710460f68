"""What the predictor keeps of an image, a reference and a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.canvas import Canvas
from KPrismLib.intensity import IntensityWindow
from KPrismLib.network import EncodedReference, ImageFeatures, ReadOut, ReferenceMemory


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

    def seen_by(self, image: EncodedImage) -> ReferenceMemory | ReadOut:  # noqa: ARG002 - to this set all are alike
        """What the network takes for a mask of ``image``."""
        return self.memory


@dataclass(frozen=True, eq=False)
class ReadReferences(ReferenceSet):
    """Made by :meth:`Predictor.read_out`: a reference set that one image has been read out of already.

    For any other image it is the set that it was.

    Attributes:
        image: whose read-out is kept, a map at 1/16; it lives as long as this set.
        read_out: what it sees.
    """

    image: EncodedImage
    read_out: ReadOut

    def seen_by(self, image: EncodedImage) -> ReferenceMemory | ReadOut:
        """The read-out for the image that it is of, the memory for others."""
        return self.read_out if image is self.image else self.memory


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
