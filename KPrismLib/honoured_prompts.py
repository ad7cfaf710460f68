"""What a user says of a pixel holds: prompts that the network overlooks are written into its logits.

The network weighs a click against everything else it sees, and about one in ten stays without effect: the pixel that
the user pointed at keeps the wrong label. Nobody who corrects a mask accepts that, and a click beside it is worth less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.canvas import Canvas
from KPrismLib.encoded_image import EncodedImage, Segmentation
from KPrismLib.prompt_maps import rasterise
from KPrismLib.prompts import Prompt

if TYPE_CHECKING:
    from KPrismLib.predictor import Predictor

#: Logits beyond zero that a pixel gets which the network had on the wrong side.
MARGIN = 0.5
#: Where opposite prompts lie within a pixel of the canvas, or an image pixel covers many, once is not enough.
_ATTEMPTS = 4
_REACH_IN_DEVIATIONS = 4


def overlooked(mask: NDArray[np.bool_], prompts: Sequence[Prompt]) -> dict[tuple[int, int], bool]:
    """Pixels (row, column) that prompts name and ``mask`` has on the other side, with the side that they should be on.

    Args:
        mask: bool (rows, columns) of the image.
        prompts: oldest first; where strokes cross, the newest counts.
    """
    said = {pixel: prompt.positive for prompt in prompts for pixel in rasterise(prompt.points)}
    return {pixel: positive for pixel, positive in said.items() if bool(mask[pixel]) != positive}


def honoured(
    predictor: Predictor, image: EncodedImage, logits: Tensor, result: Segmentation, prompts: Sequence[Prompt]
) -> tuple[Tensor, Segmentation]:
    """An answer that holds what the prompts say: its logits, and the segmentation that they make.

    Args:
        predictor: whose answer it is.
        image: what was segmented.
        logits: (1, 1, H, W) float32 on the canvas of the image.
        result: what they make, by :meth:`Predictor.to_segmentation`.
        prompts: oldest first, in image pixels.
    """
    if not overlooked(result.mask, prompts):
        return logits, result
    start = time.perf_counter() - result.milliseconds / 1000
    with predictor.computing():
        told = honour(logits, prompts, image.canvas, radius=predictor.config.click_radius)
    return told, predictor.to_segmentation(image, told, start)


def honour(logits: Tensor, prompts: Sequence[Prompt], canvas: Canvas, *, radius: int) -> Tensor:
    """Logits whose mask agrees with the prompts.

    With p the overlooked pixels, s = 1 where they belong inside and -1 where not,

        L'(x) = L(x) + s max_p (|L(p)| + MARGIN) exp(-|x - p|^2 / 2 sigma^2),

    sigma the radius of a click, but at least one pixel of the image. What the network did with the rest stays.

    Args:
        logits: (1, 1, H, W) float32 on the canvas.
        prompts: oldest first, in image pixels. Opposite ones that share a pixel of the canvas cannot both be honoured;
            the newest is.
        canvas: of the image.
        radius: of the disks in which the network saw the clicks, in canvas pixels.

    Returns:
        ``logits`` itself where nothing is overlooked; otherwise new ones, on the same device.
    """
    scale = max(content / image for content, image in zip(canvas.content, canvas.image, strict=True))
    sigma = max(radius, scale, 1.0)
    for told in (prompts, prompts[-1:]):
        for _ in range(_ATTEMPTS):
            mask = (canvas.recover(logits)[0, 0].sigmoid() >= 0.5).cpu().numpy()
            wrong = overlooked(mask, told)
            if not wrong:
                break
            update = _raised(logits[0, 0].cpu().numpy(), wrong, canvas, sigma)
            logits = logits + torch.from_numpy(update).to(logits.device)
    return logits


def _raised(
    logits: NDArray[np.float32], wrong: dict[tuple[int, int], bool], canvas: Canvas, sigma: float
) -> NDArray[np.float32]:
    """What is added to ``logits`` (H, W) so that pixels change sides."""
    sides = {positive: np.zeros_like(logits) for positive in (True, False)}
    reach = math.ceil(_REACH_IN_DEVIATIONS * sigma)
    for pixel, positive in wrong.items():
        row, column = canvas.locate(*pixel)
        rows = np.arange(max(row - reach, 0), min(row + reach + 1, logits.shape[0]))
        columns = np.arange(max(column - reach, 0), min(column + reach + 1, logits.shape[1]))
        squared = np.square(rows - row)[:, None] + np.square(columns - column)
        bump = (abs(float(logits[row, column])) + MARGIN) * np.exp(-squared / (2 * sigma**2))
        around = sides[positive][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.maximum(around, bump.astype(np.float32), out=around)
    return sides[True] - sides[False]
