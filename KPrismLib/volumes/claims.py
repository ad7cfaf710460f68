"""What a class claims in a slice: the connected pieces of its mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Pixels that share a corner hang together.
_TOUCHING = np.ones((3, 3), dtype=bool)

#: Pieces that are smaller than this share of their class's mask in the slice are specks.
SPECK = 0.01

#: A structure of promise 1 is trusted twice as much as one of the same size with promise ``0.5 ** (1 / 40)`` = .983.
_TRUST = 40


@dataclass(frozen=True, eq=False)
class Claim:
    """One connected piece of a class's mask in a slice.

    Attributes:
        index: the slice.
        cls: the class, by its place among those asked for.
        box: rows and columns that the piece spans.
        probability: uint8, of the box: the class's probability times 255 in the piece, and 0 around it.
        area: pixels of the piece.
        promise: Dice that the class's probabilities promise in this slice
            (:func:`~KPrismLib.volumes.confidence.expected_dice`).
    """

    index: int
    cls: int
    box: tuple[slice, slice]
    probability: NDArray[np.uint8]
    area: int
    promise: float

    @property
    def trust(self) -> float:
        """How much the piece counts, in pixels: of the same size, what is right promises a little more."""
        return float(self.area * self.promise**_TRUST)

    def shared(self, other: Claim) -> int:
        """Pixels, (row, column) in the plane, that both pieces claim; of the same slice or of two."""
        (rows, columns), (other_rows, other_columns) = self.box, other.box
        top, bottom = max(rows.start, other_rows.start), min(rows.stop, other_rows.stop)
        left, right = max(columns.start, other_columns.start), min(columns.stop, other_columns.stop)
        if top >= bottom or left >= right:
            return 0
        here, there = (
            claim.probability[
                top - claim.box[0].start : bottom - claim.box[0].start,
                left - claim.box[1].start : right - claim.box[1].start,
            ]
            for claim in (self, other)
        )
        return int(np.count_nonzero((here > 0) & (there > 0)))

    def overlap(self, other: Claim) -> float:
        """Dice of both pieces."""
        return 2 * self.shared(other) / (self.area + other.area)


def claims_in(
    index: int, probability: Iterable[NDArray[np.float32]], promises: Iterable[float], least: float
) -> list[Claim]:
    """The claims of all classes in a slice.

    Args:
        index: the slice.
        probability: float32 (classes, rows, columns) in [0, 1].
        promises: Dice that each class's probabilities promise in the slice.
        least: a class that promises less has no claim.
    """
    claims = []
    for cls, (layer, promise) in enumerate(zip(probability, promises, strict=True)):
        mask = layer >= 0.5
        area = int(np.count_nonzero(mask))
        if not area or promise < least:
            continue
        pieces, _ = ndimage.label(mask, _TOUCHING)
        for number, box in enumerate(ndimage.find_objects(pieces), start=1):
            piece = pieces[box] == number
            size = int(np.count_nonzero(piece))
            if size >= SPECK * area:
                known = np.where(piece, np.rint(layer[box] * 255), 0).astype(np.uint8)
                claims.append(Claim(index, cls, box, known, size, promise))
    return claims
