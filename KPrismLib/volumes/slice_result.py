"""What propagation says of a slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SliceResult:
    """What is known of a slice.

    Attributes:
        index: the slice.
        mask: bool (rows, columns), read-only.
        confidence: in [0, 1], of what was found in the slice; 1 for an accepted slice.
        references: the slices it was segmented from, ascending; none for an accepted slice, for one without anything
            to see, and for one that the structure no longer reaches.
        accepted: whether the user vouches for it.
    """

    index: int
    mask: NDArray[np.bool_]
    confidence: float
    references: tuple[int, ...] = ()
    accepted: bool = False

    def __post_init__(self) -> None:
        self.mask.setflags(write=False)

    @property
    def shows(self) -> bool:
        """Whether the structure is in the slice."""
        return bool(self.mask.any())


def pixels_in_doubt(confidence: float, area: int) -> float:
    """How many pixels of a slice are in doubt: (1 - confidence) x (area + 1).

    A large structure that is hardly certain comes before a tiny one that is not: correcting it helps more, and its
    neighbours with it.

    Args:
        confidence: of the slice, in [0, 1].
        area: pixels of its mask.
    """
    return (1 - confidence) * (1 + area)
