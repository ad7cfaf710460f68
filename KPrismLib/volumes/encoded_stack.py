"""A stack whose slices are encoded when they are first needed, and a bounded number of them kept."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.image_checks import is_blank
from KPrismLib.intensity import IntensityWindow
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.descriptor import Descriptor, describe
from KPrismLib.volumes.stack import Stack


class EncodedStack:
    """Slices of a stack as the network knows them.

    Args:
        predictor: the model.
        stack: the slices.
        window: intensity window of the whole volume.
        memory: how many encoded slices are kept, those used last.

    Raises:
        InvalidConfig: ``memory`` below 1.
    """

    def __init__(self, predictor: Predictor, stack: Stack, *, window: IntensityWindow, memory: int) -> None:
        if memory < 1:
            raise InvalidConfig(f"At least 1 encoded slice must be kept, not {memory}.")
        self._predictor = predictor
        self._stack = stack
        # Not of a method: the stack would hold itself, and a volume's features outlive their last user.
        self._kept = lru_cache(maxsize=memory)(partial(_encode, predictor, stack, window))
        self._descriptors: dict[int, Descriptor] = {}

    @property
    def encoded(self) -> int:
        """How often a slice was encoded so far."""
        return self._kept.cache_info().misses

    @property
    def kept(self) -> int:
        """How many encoded slices are in memory now."""
        return self._kept.cache_info().currsize

    def image(self, index: int) -> EncodedImage | None:
        """The encoded slice; None for one whose pixels are all equal, padding for example: there is nothing to see."""
        return self._kept(index)

    def reference(self, index: int, mask: NDArray[np.bool_]) -> EncodedReference:
        """The slice with a mask, bool (rows, columns) and not empty, as a reference; its image is not encoded again.

        A slice without anything to see is a reference for nothing and raises InvalidImage.
        """
        pixels = self._stack.pixels(index)
        image = self.image(index)
        if image is None:
            raise InvalidImage(
                f"Slice {index} has a mask, but every pixel of it is {pixels.flat[0]}: there is nothing to see in it; "
                "erase the mask there, or choose another slice."
            )
        return self._predictor.encode_reference(image, pixels, mask)

    def descriptor(self, index: int) -> Descriptor | None:
        """What the slice looks like as a whole; a few hundred numbers, so those of all slices are kept."""
        if index not in self._descriptors:
            image = self.image(index)
            if image is None:
                return None
            self._descriptors[index] = describe(image)
        return self._descriptors[index]


def _encode(predictor: Predictor, stack: Stack, window: IntensityWindow, index: int) -> EncodedImage | None:
    pixels = stack.pixels(index)
    return None if is_blank(pixels) else predictor.encode(pixels, window=window, spacing=stack.spacing)
