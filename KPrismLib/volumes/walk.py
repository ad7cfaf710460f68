"""A chain on its way outward, and the rules by which it stops."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from KPrismLib.volumes.chains import Chain
from KPrismLib.volumes.slice_result import SliceResult


class EndReason(str, Enum):
    """Why a chain went no further."""

    STRUCTURE_ENDED = "structure ended"
    CONFIDENCE_COLLAPSED = "confidence collapsed"


@dataclass(frozen=True)
class End:
    """Where a chain stopped before the end of its range.

    Attributes:
        index: the last slice that was looked at.
        step: 1 for a chain upwards, -1 downwards.
        reason: why.
    """

    index: int
    step: int
    reason: EndReason


class Walk:
    """A chain on its way: the next slice, the neighbour to segment it from, and when to stop.

    Args:
        chain: where it goes.
        patience: after how many slices in a row without the structure, or too doubtful, it stops.
        doubt: confidence below which a slice is too doubtful to go on from.
    """

    def __init__(self, chain: Chain, *, patience: int, doubt: float) -> None:
        self._chain, self._patience, self._doubt = chain, patience, doubt
        self._done = self._fruitless = 0
        self.neighbour = chain.seed
        self.end: End | None = None

    @property
    def towards(self) -> int | None:
        """The accepted slice that it leads to; None where the structure may end on the way."""
        return self._chain.towards

    @property
    def index(self) -> int | None:
        """The next slice; None when the chain is at its end."""
        if self.end is not None or self._done == self._chain.length:
            return None
        return self._chain.seed + self._chain.step * (self._done + 1)

    def advance(self, result: SliceResult) -> None:
        """Go on from the slice of ``result``, the one that :attr:`index` named."""
        self._done += 1
        lost = result.confidence < self._doubt
        if result.shows and not lost:
            self.neighbour, self._fruitless = result.index, 0
            return
        self._fruitless += 1
        if self._chain.open_ended and self._fruitless >= self._patience:
            reason = EndReason.CONFIDENCE_COLLAPSED if lost else EndReason.STRUCTURE_ENDED
            self.end = End(result.index, self._chain.step, reason)
