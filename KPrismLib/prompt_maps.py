"""Prompts as the network takes them: disks and strokes in dense maps (Eq. 8), sampled points as clicks (Eq. 16-19)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.canvas import Canvas
from KPrismLib.network import Clicks, DensePrompt
from KPrismLib.prompts import STROKE_QUERIES, Prompt, sample_stroke


def rasterise(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """All (row, column) pixels of straight lines through ``points``, in order, each corner once."""
    path = [points[0]]
    if len(points) == 1:
        return path
    from skimage.draw import line  # only strokes need it: clicks do with torch and numpy alone

    for start, end in itertools.pairwise(points):
        rows, columns = line(*start, *end)
        path.extend(zip(rows[1:].tolist(), columns[1:].tolist(), strict=True))
    return path


def draw_disks(channel: NDArray[np.float32], points: Iterable[tuple[int, int]], radius: int) -> None:
    """Set disks of ``radius`` pixels around (row, column) ``points`` to 1 in ``channel`` (H, W), in place.

    A disk reaches from the centre of its middle pixel to the far edge of the pixel ``radius`` away, and has the pixels
    whose centres it holds: 3 x 3 for radius 1, where centres no farther than 1 would be a cross of five.
    """
    reach = np.arange(-radius, radius + 1)
    down, right = np.nonzero(np.square(reach)[:, None] + np.square(reach) < (radius + 0.5) ** 2)
    centres = np.asarray(list(points))
    rows = (centres[:, :1] + reach[down]).ravel()
    columns = (centres[:, 1:] + reach[right]).ravel()
    inside = (rows >= 0) & (rows < channel.shape[0]) & (columns >= 0) & (columns < channel.shape[1])
    channel[rows[inside], columns[inside]] = 1.0


def draw_prompts(
    prompts: Sequence[Prompt],
    canvas: Canvas,
    *,
    radius: int,
    previous_logits: Tensor | None,
    device: torch.device,
) -> DensePrompt:
    """The 2-D and 1-D prompts of one image.

    Args:
        prompts: clicks and scribbles in image pixels, at least one.
        canvas: of the image.
        radius: of the disks in canvas pixels.
        previous_logits: (1, 1, H, W) of the mask to refine, or None.
        device: where the tensors go.
    """
    height, width = canvas.padded
    maps = np.zeros((1, 2, height, width), dtype=np.float32)
    queries: list[tuple[int, int, int]] = []
    for prompt in prompts:
        path = rasterise([canvas.locate(row, column) for row, column in prompt.points])
        draw_disks(maps[0, 0 if prompt.positive else 1], path, radius)
        queries.extend((row, column, int(prompt.positive)) for row, column in sample_stroke(path, STROKE_QUERIES))
    table = torch.tensor(queries, device=device)[None]
    clicks = Clicks(table[..., :2], table[..., 2].bool(), torch.ones_like(table[..., 2], dtype=torch.bool))
    return DensePrompt(clicks, torch.from_numpy(maps).to(device), previous_logits)
