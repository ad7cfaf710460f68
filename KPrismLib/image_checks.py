"""What an image must be before anything is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidImage

Pixels = NDArray[Any]


def checked_pixels(pixels: Pixels) -> Pixels:
    """The pixels as an array of real numbers (rows, columns[, 3]), or InvalidImage."""
    pixels = np.asarray(pixels)
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise InvalidImage(
            f"An image must be rows x columns, or rows x columns x 3 colours, not {size_text(pixels.shape)}."
        )
    if pixels.size == 0:
        raise InvalidImage("The image is empty; it has no pixels.")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype.kind not in "uif":
        raise InvalidImage(f"The image has values of type {pixels.dtype}; real numbers are needed.")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InvalidImage("The image contains NaN or infinite values; replace them before segmenting.")
    if pixels.min() == pixels.max():
        raise InvalidImage(f"Every pixel of the image is {pixels.flat[0]}; there is nothing to see in it.")
    return pixels


def size_text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(extent) for extent in shape)
