"""Where the pixels of a canvas sample an image: affine maps and smooth displacements, as a product of thin matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SamplingMap:
    """Sampling positions of a square canvas, x then y, in [-1, 1] over the canvas: ``down @ across``.

    Whatever is smooth has few terms, so that positions cost one thin product, and no temporary image.

    Attributes:
        down: float32 (size, terms), how each term changes from row to row; the first is 1 everywhere.
        across: float32 (terms, 2, size), and from column to column.
    """

    down: NDArray[np.float32]
    across: NDArray[np.float32]

    @classmethod
    def affine(cls, linear: NDArray[np.floating], offset: NDArray[np.floating], size: int) -> SamplingMap:
        """The map ``linear @ (x, y) + offset`` of the centres of ``size`` x ``size`` pixels."""
        along = (2 * np.arange(size) + 1) / size - 1
        across = np.empty((2, 2, size), dtype=np.float32)
        across[0] = linear[:, :1] * along + offset[:, None]
        across[1] = linear[:, 1:]
        return cls(np.stack([np.ones(size), along], axis=1).astype(np.float32), across)

    def displaced(self, nodes: NDArray[np.float32], weights: NDArray[np.float32]) -> SamplingMap:
        """This map plus a surface through ``nodes``.

        Args:
            nodes: (2, n, n) displacements, x then y.
            weights: (size, n), how much each node counts at each pixel along an axis.
        """
        surface = (nodes @ weights.T).swapaxes(0, 1)
        return SamplingMap(np.hstack([self.down, weights]), np.concatenate([self.across, surface]))

    def positions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x and y, each (size, size)."""
        return self._product(self.across)

    def pixels(
        self, width: float, height: float, *, out: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Columns and rows, each (size, size), whose centres are whole, where the canvas is so many pixels large.

        Args:
            width, height: of the canvas, in the pixels of the image that is sampled.
            out: (size, 2 * size); both results lie in it.
        """
        half = np.array([[width / 2], [height / 2]], dtype=np.float32)
        across: NDArray[np.float32] = self.across * half
        across[0] += half - np.float32(0.5)
        return self._product(across, out)

    def _product(
        self, across: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One product for both, as two views of it."""
        size = across.shape[-1]
        both = np.matmul(self.down, across.reshape(-1, 2 * size), out=out)
        return both[:, :size], both[:, size:]
