"""A slice a little turned, larger, moved and brighter: what a few examples do not show by themselves."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.canvas import hardened

#: Largest turn in radians, zoom in and out, shift as a share of the canvas, and exponent of the grey values.
TURN = 0.2
ZOOM = 1.15
SHIFT = 0.04
GAMMA = 1.25


def varied(
    image: Tensor, target: Tensor, content: tuple[int, int], generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """One random change of an image and its mask; it stays mild, and nothing is mirrored, for sides have a meaning.

    Args:
        image: (1, 3, H, W) float32, grey values from 0 to 255, on the canvas.
        target: (1, 1, H, W) float32 as :func:`~KPrismLib.canvas.hardened` returns it.
        content: (rows, columns) of the canvas that the image covers, from the top left; it turns around their centre.
        generator: source of randomness.

    Returns:
        Image and target of the same sizes; what came from outside is black, and not of the structure.
    """
    height, width = image.shape[-2:]
    angle = generator.uniform(-TURN, TURN)
    zoom = math.exp(generator.uniform(-1, 1) * math.log(ZOOM))
    gamma = math.exp(generator.uniform(-1, 1) * math.log(GAMMA))
    shift = generator.uniform(-SHIFT, SHIFT, 2) * (width, height)
    # In pixels, x then y, from the centre of the content; then in the coordinates of grid_sample, from -1 to 1.
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    size = np.array([width, height])
    centre = np.array(content[::-1]) / 2 - size / 2
    half = size / 2
    linear = turn * half[None, :] / half[:, None]
    offset = (centre + shift - turn @ centre) / half
    theta = torch.tensor(np.column_stack([linear, offset])[None], dtype=torch.float32, device=image.device)
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
    sampled = F.grid_sample(torch.cat([image, target], dim=1), grid, align_corners=False)
    return 255 * (sampled[:, :3].clamp(0, 255) / 255) ** gamma, hardened(sampled[:, 3:])
