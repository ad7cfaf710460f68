"""Pixels as the systems want them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.canvas import Canvas, image_tensor
from Training.peers.segmenter import Mask, Pixels

#: ITU-R BT.601, as picture libraries turn colour into grey.
_LUMA = (0.299, 0.587, 0.114)

#: What networks that start from ImageNet subtract and divide by, for values in 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def colour(pixels: Pixels) -> Tensor:
    """uint8 (rows, columns[, 3]) -> float32 (1, 3, rows, columns) in 0..255; grey is repeated."""
    return image_tensor(pixels)


def grey(pixels: Pixels) -> Tensor:
    """uint8 (rows, columns[, 3]) -> float32 (1, 1, rows, columns) in 0..255; colour by its luma."""
    tensor = image_tensor(pixels)
    if pixels.ndim == 2:
        return tensor[:, :1]
    return (tensor * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def channels(pixels: Pixels, count: int) -> Tensor:
    """float32 (1, count, rows, columns) in 0..255, for a network with 1 or 3 input channels."""
    return grey(pixels) if count == 1 else colour(pixels)


def min_max(image: Tensor) -> Tensor:
    """Scale to 0..1 by the image's own extremes; a constant image becomes 0."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp(min=1e-8)


def standardised(image: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over the image (z-score)."""
    return (image - image.mean()) / image.std().clamp(min=1e-8)


def imagenet(image: Tensor) -> Tensor:
    """(1, 3, rows, columns) in 0..255 -> ImageNet's mean and deviation taken out."""
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image / 255 - mean) / deviation


def mask_tensor(mask: Mask) -> Tensor:
    """bool (rows, columns) -> float32 (1, 1, rows, columns)."""
    return torch.tensor(np.ascontiguousarray(mask)).float()[None, None]


def as_mask(values: Tensor, threshold: float = 0.0) -> Mask:
    """(1, 1, rows, columns) logits -> bool (rows, columns), True above the threshold."""
    mask: NDArray[np.bool_] = (values[0, 0] > threshold).cpu().numpy()
    return mask


def stretched(image: tuple[int, int], size: int) -> Canvas:
    """A square canvas that ignores the aspect, as the systems with a fixed square input resize."""
    return Canvas(image, (size, size))


def squared(canvas: Canvas, placed: Tensor, size: int) -> Tensor:
    """Pad what lies on a canvas to size x size, with the same black as the canvas's own padding."""
    height, width = canvas.padded
    return F.pad(placed, (0, size - width, 0, size - height))
