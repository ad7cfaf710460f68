"""Augmentation of A.2: flips, affine, brightness and contrast, blur, noise, grid distortion.

Geometry is one resampling per image: the affine map and a smooth random displacement are composed into one sampling
grid, which image and mask share. References get their own draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.canvas import Canvas, resample


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Strengths; probabilities are per image.

    Attributes:
        rotation: largest turn in degrees.
        scale: largest zoom factor, in and out.
        shift: largest shift as a fraction of the image.
        distortion: largest displacement of the grid distortion as a fraction of the image.
        intensity: probability of brightness, contrast and gamma changes.
        blur: probability of a Gaussian blur.
        noise: probability of Gaussian noise.
        colour: probability of independent gains of the colour channels.
    """

    rotation: float = 25.0
    scale: float = 1.35
    shift: float = 0.12
    distortion: float = 0.04
    intensity: float = 0.7
    blur: float = 0.15
    noise: float = 0.2
    colour: float = 0.4


def place(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], size: int, grid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Bring a slice onto a square canvas, long side = ``size``, top-left, as at inference; then through ``grid``.

    Args:
        pixels: (H, W, 1 or 3) uint8.
        mask: (H, W) bool.
        size: side of the canvas.
        grid: (size, size, 2) sampling positions in [-1, 1], or None to leave the geometry alone.

    Returns:
        image (3, size, size) float32 in 0-255 and mask (1, size, size) float32 in {0, 1}. Without ``grid`` a mask that
        is not empty stays so: a structure thinner than half a canvas pixel keeps every pixel that it touches.
    """
    image = torch.tensor(pixels).permute(2, 0, 1)[None].float()
    target = torch.from_numpy(mask)[None, None].float()
    shape = Canvas.fit((mask.shape[0], mask.shape[1]), size).content
    padding = (0, size - shape[1], 0, size - shape[0])
    image, target = F.pad(resample(image, shape), padding), F.pad(resample(target, shape), padding)
    if grid is not None:
        image = F.grid_sample(image, grid[None], mode="bilinear", align_corners=False)
        target = F.grid_sample(target, grid[None], mode="bilinear", align_corners=False)
    placed = (target[0] >= 0.5).float()
    if grid is None and not placed.any():
        scale = size / max(mask.shape)
        rows, columns = (((indices + 0.5) * scale).astype(int) for indices in np.nonzero(mask))
        placed[0, rows.clip(max=shape[0] - 1), columns.clip(max=shape[1] - 1)] = 1.0
    return image[0].expand(3, -1, -1), placed


def random_grid(
    generator: np.random.Generator,
    config: AugmentationConfig,
    size: int,
    *,
    flips: bool,
    half_turn: bool = False,
    content: tuple[int, int],
) -> Tensor:
    """Sampling grid (size, size, 2) of a random affine map and a smooth displacement.

    Args:
        generator: source of randomness.
        config: strengths.
        size: side of the canvas.
        flips: whether mirroring and quarter turns leave the meaning of the image unchanged.
        half_turn: whether the image is turned by 180 degrees.
        content: (height, width) of the image on the canvas; the map turns and scales around its centre.
    """
    angle = math.radians(generator.uniform(-config.rotation, config.rotation))
    if flips:
        angle += math.pi / 2 * generator.integers(4)
    elif half_turn:
        angle += math.pi
    zoom = math.exp(generator.uniform(-1, 1) * math.log(config.scale))
    stretch = math.exp(generator.uniform(-0.1, 0.1))
    mirror = -1.0 if flips and generator.random() < 0.5 else 1.0
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = linear @ np.diag([mirror * zoom * stretch, zoom / stretch])
    centre = np.array([content[1], content[0]]) / size - 1.0  # centre of the content in [-1, 1], x then y
    shift = generator.uniform(-config.shift, config.shift, 2) * 2
    theta = np.column_stack([linear, centre + shift - linear @ centre])
    grid = F.affine_grid(torch.from_numpy(theta[None]).float(), [1, 1, size, size], align_corners=False)
    if config.distortion > 0 and generator.random() < 0.5:
        nodes = generator.uniform(-1, 1, (1, 2, 5, 5)) * config.distortion * 2
        field = F.interpolate(torch.from_numpy(nodes).float(), size=(size, size), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    return grid[0]


def random_intensity(image: Tensor, generator: np.random.Generator, config: AugmentationConfig) -> Tensor:
    """Change the look of an image (3, H, W) in 0-255; the geometry stays. The result stays within 0-255."""
    if generator.random() < config.intensity:
        gamma = math.exp(generator.uniform(-0.35, 0.35))
        contrast = math.exp(generator.uniform(-0.3, 0.3))
        brightness = generator.uniform(-30, 30)
        image = 255 * (image.clamp(0, 255) / 255) ** gamma
        image = (image - 127.5) * contrast + 127.5 + brightness
    if generator.random() < config.colour:
        gains = torch.from_numpy(np.exp(generator.uniform(-0.12, 0.12, (3, 1, 1)))).float()
        grey = torch.equal(image[0], image[1])  # a grey image stays grey
        image = image * (gains[:1] if grey else gains)
    if generator.random() < config.blur:
        image = _gaussian_blur(image, generator.uniform(0.4, 1.2))
    if generator.random() < config.noise:
        noise = torch.from_numpy(generator.standard_normal(image.shape[-2:], dtype=np.float32))
        image = image + noise * generator.uniform(2, 14)
    return image.clamp(0, 255)


def _gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    radius = max(1, math.ceil(2.5 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(len(image), 1, -1)
    padded = F.pad(image[None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[..., None, :], groups=len(image))
    return F.conv2d(rows, kernel[..., None], groups=len(image))[0]
