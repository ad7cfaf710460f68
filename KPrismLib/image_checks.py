"""What images, masks and references must be before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidImage, InvalidMask, InvalidReference

Pixels = NDArray[Any]


def checked_pixels(pixels: Pixels) -> Pixels:
    """The pixels as an array of real numbers (rows, columns[, 3]); true and false become 255 and 0.

    Raises:
        InvalidImage: wrong dimensions, empty, not real numbers, NaN or infinite, constant.
    """
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
    if is_blank(pixels):
        raise InvalidImage(f"Every pixel of the image is {pixels.flat[0]}; there is nothing to see in it.")
    return pixels


def is_blank(pixels: NDArray[np.generic]) -> bool:
    """Whether all pixels are equal, as those of padding are: there is nothing to see."""
    return bool(pixels.size) and bool((pixels == pixels.flat[0]).all())


def checked_mask(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a mask of any shape is not zero, as a new bool array.

    Raises:
        InvalidMask: neither truth values nor numbers, NaN or infinite.
    """
    mask = np.asarray(mask)
    if mask.dtype.kind not in "buif":
        raise InvalidMask(f"The mask has values of type {mask.dtype}; true and false, or numbers, are needed.")
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise InvalidMask("The mask contains NaN or infinite values; it must be zero outside of the structure.")
    return mask != 0


def check_reference(pixels: Pixels, mask: NDArray[np.bool_]) -> None:
    """Make sure that a mask belongs to an image (rows, columns[, 3]) and shows something.

    Raises:
        InvalidReference: they differ in size.
        InvalidMask: the mask is empty.
    """
    if mask.shape != pixels.shape[:2]:
        raise InvalidReference(
            f"The reference image is {size_text(pixels.shape)} but its mask {size_text(mask.shape)}; they must match."
        )
    if not mask.any():
        raise InvalidMask("The reference mask is empty; choose a slice in which the structure is segmented.")


def size_text(shape: Sequence[int]) -> str:
    """The size of an array for a sentence, such as "40 x 56"."""
    return " x ".join(str(extent) for extent in shape) or "a number"
