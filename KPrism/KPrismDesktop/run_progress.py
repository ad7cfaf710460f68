"""How far a run is, with a button that ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from KPrismLogic.lesson import Lesson
from KPrismLogic.lost_ways import lost_ways

if TYPE_CHECKING:
    from KPrismLogic.segment_propagation import SegmentPropagation
    from KPrismLogic.volume_work import Step

_LEARN = 'The model does not know this structure here; "Learn from the kept slices first" finds more of it.'


class RunProgress:
    """A bar and a button that are there while something runs.

    Args:
        bar: a ``QProgressBar``.
        cancel: the button.
    """

    def __init__(self, bar: Any, cancel: Any) -> None:
        self._bar, self._cancel = bar, cancel

    def show(self, running: bool) -> None:
        """Something runs now, or nothing does any more."""
        self._bar.setVisible(running)
        self._cancel.setVisible(running)
        if running:
            self._bar.setMaximum(0)  # Busy, until the first slice or lesson is there.

    def tell(self, step: Step, done: int, count: int) -> str:
        """Show how far a run is, and say it.

        Args:
            step: what came last.
            done, count: how many slices are written, of how many at most.
        """
        if isinstance(step, Lesson):
            self.step(step.step, step.steps)
            return f"Learning what was segmented: step {step.step} of {step.steps} …"
        self.step(done, count)
        return f"{done} of at most {count} slices …"

    def step(self, done: int, count: int) -> None:
        """``done`` of at most ``count`` slices are written, or steps of learning are taken."""
        self._bar.setMaximum(max(count, 1))
        self._bar.setValue(done)


def advice(run: SegmentPropagation) -> str:
    """Where this run, which has ended, lost its way, and how the next one could find more; or ""."""
    return " ".join(filter(None, (lost_ways(run), "" if run.guided else _LEARN)))
