"""What runs found in the slices of a stack, and which of them wrote each slice last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from KPrismLogic.standing_runs import StandingRun


class FoundSlices:
    """By the numbers of the slices.

    Attributes:
        confidence: in [0, 1], of those in which a run found something, or nothing where it looked for it.
        areas: how many pixels it found, also where somebody changed that since.
        ever: all that a run or the user made once: redo brings back what undo took away.
    """

    def __init__(self) -> None:
        self.confidence: dict[int, float] = {}
        self.areas: dict[int, int] = {}
        self.ever: set[int] = set()
        self._of_class: set[int] = set()
        self._propagated: set[int] = set()  # since
        self._written_by: dict[int, StandingRun] = {}
        self._last_run: StandingRun | None = None

    def __contains__(self, index: int) -> bool:
        """Whether a run wrote a slice, or left it empty."""
        return index in self.confidence or index in self._of_class

    @property
    def by_class(self) -> frozenset[int]:
        """Those that a run of a class wrote last, or left empty."""
        return frozenset(self._of_class - self._propagated)

    def note(
        self, index: int, confidence: float | None, area: int, standing: Sequence[StandingRun], *, by_class: bool
    ) -> None:
        """A run reached a slice.

        Args:
            index: the slice.
            confidence: None where there is nothing to be sure of.
            area: pixels of what was found.
            standing: the runs that stand in the segment, this one the last if it changed anything by now.
            by_class: whether it is a run of a class.
        """
        self.ever.add(index)
        if by_class:
            self._of_class.add(index)
            self._propagated.discard(index)
        else:
            self._propagated.add(index)
        if standing:
            self._written_by[index] = self._last_run = standing[-1]
        if confidence is None:
            self.forget(index)
        else:
            self.confidence[index], self.areas[index] = confidence, area

    def forget(self, index: int) -> None:
        """What was found in a slice is not there any more."""
        self.confidence.pop(index, None)
        self.areas.pop(index, None)

    def forget_propagation(self, index: int) -> None:
        """What was propagated to a slice was undone; what a class found there before is there."""
        self._propagated.discard(index)

    def is_undone(self, index: int, standing: Sequence[StandingRun]) -> bool:
        """Whether the run that wrote a slice last does not stand any more, as far as that slice."""
        run = self._written_by.get(index)
        return run is not None and not run.is_in(standing)

    def is_last_run_undone(self, standing: Sequence[StandingRun]) -> bool:
        """Whether the last run that wrote anything does not stand any more, or not all of it."""
        return self._last_run is not None and not self._last_run.is_in(standing)
