"""Augmentation of A.2: flips, affine, brightness and contrast, blur, noise, grid distortion.

Geometry is one resampling per image: the enlargement to the canvas, the affine map and a smooth random displacement are
composed into one map of sampling positions, which image and mask share. What changes single grey values is composed
into one table. Everything stays 8-bit, as the network's input is at inference. References get their own draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch.nn import functional as F

from KPrismLib.canvas import Canvas, resample
from KPrismLib.training.sampling_map import SamplingMap
from KPrismLib.training.setting_kinds import check_kinds, check_range

#: Nodes of the grid distortion along each axis.
_NODES = 5
#: The middles of 256 equally likely parts of the normal distribution.
_NORMAL_QUANTILES = ndtri((np.arange(256) + 0.5) / 256)


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
        colour: probability of independent gains of the colour channels; never in the paper, nor in ``paper.toml``.
    """

    rotation: float = 25.0
    scale: float = 1.35
    shift: float = 0.12
    distortion: float = 0.04
    intensity: float = 0.7
    blur: float = 0.15
    noise: float = 0.2
    colour: float = 0.4

    def __post_init__(self) -> None:
        check_kinds(self, "augmentation.")
        check_range(self, "rotation", "shift", "distortion", least=0, prefix="augmentation.")
        check_range(self, "scale", least=1, prefix="augmentation.")
        check_range(self, "intensity", "blur", "noise", "colour", least=0, most=1, prefix="augmentation.")


class Scratch:
    """Memory that :func:`place` writes its steps into: asking the system for megabytes anew costs as much as a step.

    Args:
        size: side of the canvas.
    """

    def __init__(self, size: int) -> None:
        self.positions = np.empty((size, 2 * size), dtype=np.float32)
        self.sampled = np.empty((size, size, 4), dtype=np.uint8)


def place(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    size: int,
    sampling: SamplingMap | None,
    scratch: Scratch | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bring a slice onto a square canvas, long side = ``size``, top-left, as at inference; then through ``sampling``.

    Args:
        pixels: (H, W, 1 or 3).
        mask: (H, W).
        size: side of the canvas.
        sampling: what each pixel of the canvas shows, or None to leave the geometry alone.
        scratch: to be used again for the next slice; nothing of the result lies in it.

    Returns:
        image (size, size, 1 or 3) and mask (size, size). Without ``sampling`` a mask that is not empty stays so: a
        structure thinner than half a canvas pixel keeps every pixel that it touches.
    """
    content = Canvas.fit((mask.shape[0], mask.shape[1]), size).content
    bright = mask.view(np.uint8) * np.uint8(255)
    if sampling is None:
        canvas = _on_canvas(pixels, content, size)
        placed = _on_canvas(bright, content, size)[..., 0] >= 128
        if not placed.any():
            scale = size / max(mask.shape)
            rows, columns = (((indices + 0.5) * scale).astype(int) for indices in np.nonzero(mask))
            placed[rows.clip(max=content[0] - 1), columns.clip(max=content[1] - 1)] = True
        return canvas, placed
    if content[0] < mask.shape[0] or content[1] < mask.shape[1]:
        # Reducing needs the antialiasing of inference before anything is sampled.
        pixels, bright = _reduced(pixels, content), _reduced(bright, content)
    height, width = bright.shape[:2]
    scratch = scratch or Scratch(size)
    columns, rows = sampling.pixels(size * width / content[1], size * height / content[0], out=scratch.positions)
    # Four channels are sampled in the time of one and a half: each pixel is one aligned word, the mask its last byte.
    channels = [pixels] * 3 if pixels.shape[2] == 1 else [pixels]
    sampled = cv2.remap(cv2.merge([*channels, bright]), columns, rows, cv2.INTER_LINEAR, dst=scratch.sampled)
    words = sampled.view("<i4")[..., 0]
    image = words.astype(np.uint8)[..., None] if pixels.shape[2] == 1 else cv2.cvtColor(sampled, cv2.COLOR_RGBA2RGB)
    return image.astype(np.uint8, copy=False), words < 0  # the sign of a word is the highest bit of its last byte


def _on_canvas(array: NDArray[np.uint8], content: tuple[int, int], size: int) -> NDArray[np.uint8]:
    """(H, W[, C]) -> (size, size, C), the rest of the canvas black."""
    canvas = np.zeros((size, size, 1 if array.ndim == 2 else array.shape[2]), dtype=np.uint8)
    canvas[: content[0], : content[1]] = _reduced(array, content).reshape(*content, -1)
    return canvas


def _reduced(array: NDArray[np.uint8], content: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W[, C]) resampled to (*content[, C]) by the canvas's own rule."""
    planes = torch.tensor(array).reshape(*array.shape[:2], -1).permute(2, 0, 1)[None].float()
    found: NDArray[np.uint8] = resample(planes, content)[0].round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(found.reshape(*content, *array.shape[2:]))


def random_sampling(
    generator: np.random.Generator,
    config: AugmentationConfig,
    size: int,
    *,
    flips: bool,
    half_turn: bool = False,
    content: tuple[int, int],
) -> SamplingMap:
    """A random affine map and a smooth displacement.

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
    offset = centre + generator.uniform(-config.shift, config.shift, 2) * 2 - linear @ centre
    sampling = SamplingMap.affine(linear, offset, size)
    if config.distortion > 0 and generator.random() < 0.5:
        nodes = generator.uniform(-1, 1, (2, _NODES, _NODES)) * config.distortion * 2
        return sampling.displaced(nodes.astype(np.float32), _cubic_weights(size))
    return sampling


@lru_cache(maxsize=8)
def _cubic_weights(size: int) -> NDArray[np.float32]:
    """(size, nodes): how much each node contributes to each pixel along one axis, by bicubic interpolation."""
    unit = torch.eye(_NODES)[None, None]
    found = F.interpolate(unit, size=(size, _NODES), mode="bicubic", align_corners=True)[0, 0]
    weights: NDArray[np.float32] = found.numpy()
    return weights


def random_intensity(
    image: NDArray[np.uint8], generator: np.random.Generator, config: AugmentationConfig
) -> NDArray[np.uint8]:
    """Change the look of an image (H, W, 1 or 3); the geometry stays, and grey stays grey."""
    shape = image.shape
    values = np.arange(256.0)[:, None]
    if generator.random() < config.intensity:
        gamma = math.exp(generator.uniform(-0.35, 0.35))
        contrast = math.exp(generator.uniform(-0.3, 0.3))
        brightness = generator.uniform(-30, 30)
        values = 255 * (values / 255) ** gamma
        values = (values - 127.5) * contrast + 127.5 + brightness
    if generator.random() < config.colour:
        values = values * np.exp(generator.uniform(-0.12, 0.12, 3))[: shape[2]]
    table = np.broadcast_to(np.rint(values.clip(0, 255)).astype(np.uint8), (256, shape[2]))
    changed = cv2.LUT(image, np.ascontiguousarray(table)[:, None, :])
    if generator.random() < config.blur:
        sigma = generator.uniform(0.4, 1.2)
        side = 2 * max(1, math.ceil(2.5 * sigma)) + 1
        changed = cv2.GaussianBlur(changed, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    if generator.random() < config.noise:
        changed = cv2.add(changed, _noise(generator, shape, generator.uniform(2, 14)), dtype=cv2.CV_8U)
    return changed.reshape(shape).astype(np.uint8, copy=False)


def _noise(generator: np.random.Generator, shape: tuple[int, ...], strength: float) -> NDArray[np.int16]:
    """Gaussian noise in whole grey values, the same in all channels; ``strength`` is its standard deviation.

    Each pixel takes one of 256 equally likely values: a byte costs a fortieth of a normal deviate.
    """
    area = shape[0] * shape[1]
    drawn = generator.bit_generator.random_raw(-(-area // 8)).astype("<u8", copy=False).view(np.uint8)[:area]
    table = np.rint(strength * _NORMAL_QUANTILES).astype(np.int16)
    noise = cv2.LUT(drawn.reshape(shape[:2]), table)
    return np.asarray(noise if shape[2] == 1 else cv2.merge([noise] * shape[2]), dtype=np.int16)
