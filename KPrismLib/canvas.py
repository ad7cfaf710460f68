"""The network's canvas: how an image of any size becomes network input, and how masks and clicks travel back and forth.

The long side becomes ``image_size``, the aspect is kept, and the bottom and right are padded with black to a multiple
of 16 (protocol of A.2). Where pixels are not square, the canvas is: anatomy keeps its shape in any plane of a volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.errors import InvalidImage

STRIDE = 16


def resample(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, antialiased when reducing: (B, C, H, W) float -> (B, C, *size)."""
    if image.shape[-2:] == size:
        return image
    reduces = size[0] < image.shape[-2] or size[1] < image.shape[-1]
    if reduces and image.device.type not in ("cpu", "cuda"):
        # Of the accelerators CUDA alone has antialiasing in every PyTorch.
        return resample(image.cpu(), size).to(image.device)
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=reduces)


def hardened(mask: Tensor) -> Tensor:
    """A soft mask of area fractions -> {0, 1}; where all of a structure is thinner than half a pixel, it stays soft.

    It would vanish otherwise.
    """
    hard = (mask >= 0.5).float()
    return hard if bool(hard.any()) else mask


@dataclass(frozen=True)
class Canvas:
    """Where an image lies on the network input: top-left, ``content`` large, padded to ``padded``.

    Attributes:
        image: (rows, columns) of the image as the user sees it.
        content: (rows, columns) that it covers on the canvas.
    """

    image: tuple[int, int]
    content: tuple[int, int]

    @classmethod
    def fit(cls, image: tuple[int, int], long_side: int, spacing: tuple[float, float] | None = None) -> Canvas:
        """The canvas of an image.

        Args:
            image: (rows, columns).
            long_side: pixels of the longer side on the canvas.
            spacing: size of a pixel along (rows, columns) in any unit; None means square pixels.

        Raises:
            InvalidImage: a spacing that is not two positive numbers.
        """
        height, width = (extent * step for extent, step in zip(image, _steps(spacing), strict=True))
        scale = long_side / max(height, width)
        return cls(image, (max(1, round(height * scale)), max(1, round(width * scale))))

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of the network input, multiples of 16."""
        return -(-self.content[0] // STRIDE) * STRIDE, -(-self.content[1] // STRIDE) * STRIDE

    def place(self, pixels: Tensor) -> Tensor:
        """Image-sized (B, C, rows, columns) float -> (B, C, H, W); the padding is 0."""
        content = resample(pixels, self.content)
        height, width = self.padded
        return F.pad(content, (0, width - self.content[1], 0, height - self.content[0]))

    def place_mask(self, mask: NDArray[np.bool_]) -> Tensor:
        """Image-sized bool (rows, columns) -> (1, 1, H, W) float32 by :func:`hardened`; the padding is 0."""
        return hardened(self.place(torch.tensor(mask).float()[None, None]))

    def recover(self, logits: Tensor) -> Tensor:
        """Network-sized (B, 1, H, W) -> image-sized (B, 1, rows, columns)."""
        return resample(logits[..., : self.content[0], : self.content[1]], self.image)

    def locate(self, row: int, column: int) -> tuple[int, int]:
        """The canvas pixel that contains the centre of an image pixel."""
        place = []
        for index, image, content in zip((row, column), self.image, self.content, strict=True):
            place.append(min(content - 1, int((index + 0.5) * content / image)))
        return place[0], place[1]


def image_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W) or (H, W, 3) -> float32 (1, 3, H, W) in 0-255; grey is repeated over the channels."""
    # A mirrored view has strides that torch refuses; of one row numpy calls them contiguous and keeps them.
    tensor = torch.tensor(pixels.copy()).float()
    if tensor.ndim == 2:
        return tensor.expand(3, -1, -1)[None]
    return tensor.permute(2, 0, 1)[None]


def _steps(spacing: tuple[float, float] | None) -> tuple[float, float]:
    """A spacing as it comes from arrays and headers, checked."""
    if spacing is None:
        return 1.0, 1.0
    try:
        down, across = (float(step) for step in spacing)
    except (TypeError, ValueError):
        raise InvalidImage(
            f"The spacing of the pixels is {spacing}; give two numbers, along rows and columns."
        ) from None
    if not (0 < down < math.inf and 0 < across < math.inf):
        raise InvalidImage(f"The spacing of the pixels is {spacing}; both numbers must be positive.")
    return down, across
