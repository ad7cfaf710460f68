"""The 128 x 128 grey grid of UniverSeg, Tyche and MultiverSeg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from KPrismLib.canvas import Canvas
from Training.peers.pixels import grey, mask_tensor, min_max, stretched
from Training.peers.segmenter import Pair, Pixels

SIZE = 128


@dataclass(frozen=True, eq=False)
class GridImage:
    """An image on the grid.

    Attributes:
        pixels: float32 (1, 1, 128, 128), 0..1.
        canvas: how the image was stretched onto it.
    """

    pixels: Tensor
    canvas: Canvas


@dataclass(frozen=True, eq=False)
class Support:
    """Examples on the grid: float32 (1, examples, 1, 128, 128) each, images 0..1 and masks 0 or 1."""

    images: Tensor
    masks: Tensor


def on_grid(pixels: Pixels, device: torch.device) -> GridImage:
    """Grey, stretched to the grid, and scaled to 0..1 by its own extremes."""
    canvas = stretched((pixels.shape[0], pixels.shape[1]), SIZE)
    return GridImage(min_max(canvas.place(grey(pixels))).to(device), canvas)


def support(pairs: Sequence[Pair], device: torch.device) -> Support:
    """Examples, prepared as the image is."""
    images, masks = [], []
    for pixels, mask in pairs:
        image = on_grid(pixels, device)
        placed = image.canvas.place(mask_tensor(mask)).to(device)
        hard = (placed >= 0.5).float()
        images.append(image.pixels)
        # A structure thinner than half a grid pixel would vanish; it then keeps its soft area.
        masks.append(hard if hard.any() else placed)
    return Support(torch.stack(images, dim=1), torch.stack(masks, dim=1))
