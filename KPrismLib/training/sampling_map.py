"""Where the pixels of a canvas sample an image: affine maps and smooth displacements, as products of thin matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SamplingMap:
    """Sampling positions of a square canvas, x then y, in [-1, 1] over the canvas: ``down @ across``.

    Whatever is smooth has few terms, so that positions cost one thin product each, and no temporary image.

    Attributes:
        down: float32 (2, size, terms), how each term changes from row to row; the first is 1 everywhere.
        across: float32 (2, terms, size), and from column to column.
    """

    down: NDArray[np.float32]
    across: NDArray[np.float32]

    @classmethod
    def affine(cls, linear: NDArray[np.floating], offset: NDArray[np.floating], size: int) -> SamplingMap:
        """The map ``linear @ (x, y) + offset`` of the centres of ``size`` x ``size`` pixels."""
        along = (2 * np.arange(size) + 1) / size - 1
        one = np.ones(size)
        down = [np.stack([one, linear[axis, 1] * along + offset[axis]], axis=1) for axis in (0, 1)]
        across = [np.stack([linear[axis, 0] * along, one]) for axis in (0, 1)]
        return cls(np.array(down, dtype=np.float32), np.array(across, dtype=np.float32))

    def displaced(self, nodes: NDArray[np.float32], weights: NDArray[np.float32]) -> SamplingMap:
        """This map plus a surface through ``nodes``.

        Args:
            nodes: (2, n, n) displacements, x then y.
            weights: (size, n), how much each node counts at each pixel along an axis.
        """
        down = np.concatenate([self.down, np.stack([weights, weights])], axis=2)
        return SamplingMap(down, np.concatenate([self.across, nodes @ weights.T], axis=1))

    def positions(self) -> NDArray[np.float32]:
        """(2, size, size), x then y."""
        return np.asarray(self.down @ self.across)

    def pixels(self, axis: int, half: float) -> NDArray[np.float32]:
        """(size, size) positions along x (0) or y (1) over a length of 2 * ``half`` pixels, whose centres are whole."""
        across = self.across[axis] * np.float32(half)
        across[0] += np.float32(half - 0.5)
        return np.asarray(self.down[axis] @ across)
