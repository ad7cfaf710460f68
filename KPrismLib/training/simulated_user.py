"""The imagined user of training: clicks on the largest error, now and then a stroke through it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.network import Clicks
from KPrismLib.prompt_maps import draw_disks, rasterise
from KPrismLib.prompts import STROKE_QUERIES, Click, sample_stroke


class SimulatedUser:
    """Looks at predictions and targets of a batch and adds one prompt to each sample.

    Args:
        size: (H, W) of the images.
        radius: of the drawn disks in pixels.
        scribble_probability: how often a prompt is a stroke instead of a click.
        generators: source of randomness for the strokes of each sample.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        radius: int,
        scribble_probability: float,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self._radius = radius
        self._scribble_probability = scribble_probability
        self._generators = generators
        self._maps = np.zeros((len(generators), 2, *size), dtype=np.float32)
        # What each sample has been told so far: row, column, positive.
        self._prompted: list[list[tuple[int, int, bool]]] = [[] for _ in generators]

    def react(self, predictions: NDArray[np.bool_], targets: NDArray[np.bool_]) -> None:
        """Add one click or stroke to each sample; ``predictions`` and ``targets`` are (B, H, W) bool."""
        for index, (prediction, target) in enumerate(zip(predictions, targets, strict=True)):
            click = next_click(prediction, target)
            if click is None:
                continue
            generator = self._generators[index]
            scribbles = generator.random() < self._scribble_probability
            points = _stroke(generator, prediction, target, click) if scribbles else [(click.row, click.column)]
            channel = 0 if click.positive else 1
            draw_disks(self._maps[index, channel], points, self._radius)
            chosen = sample_stroke(points, STROKE_QUERIES)
            self._prompted[index].extend((row, column, click.positive) for row, column in chosen)

    def clicks(self, device: torch.device) -> Clicks:
        """All prompts so far as 1-D clicks, filled up with invalid ones to the same number."""
        count = max(1, max(len(points) for points in self._prompted))
        array = np.zeros((len(self._prompted), count, 4), dtype=np.int64)
        for index, points in enumerate(self._prompted):
            for place, (row, column, positive) in enumerate(points):
                array[index, place] = row, column, positive, 1
        tensor = torch.from_numpy(array).to(device)
        return Clicks(tensor[..., :2], tensor[..., 2].bool(), tensor[..., 3].bool())

    def maps(self, device: torch.device) -> Tensor:
        """(B, 2, H, W) positive and negative maps."""
        return torch.from_numpy(self._maps.copy()).to(device)


def _stroke(
    generator: np.random.Generator,
    prediction: NDArray[np.bool_],
    target: NDArray[np.bool_],
    click: Click,
) -> Sequence[tuple[int, int]]:
    """A straight stroke through the clicked error, between two of its pixels; stays within errors of its sign."""
    wrong = (prediction != target) & (target == click.positive)
    numbered, _ = ndimage.label(wrong, structure=np.ones((3, 3), dtype=bool))
    rows, columns = np.nonzero(numbered == numbered[click.row, click.column])
    first, last = generator.integers(len(rows), size=2)
    path = rasterise([(int(rows[first]), int(columns[first])), (int(rows[last]), int(columns[last]))])
    inside = [(row, column) for row, column in path if wrong[row, column]]
    return inside or [(click.row, click.column)]
