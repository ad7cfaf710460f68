"""How far a run is, with a button that ends it."""

from __future__ import annotations

from typing import Any


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
            self._bar.setMaximum(0)  # Busy, until the first slice is there.

    def step(self, done: int, count: int) -> None:
        """``done`` of at most ``count`` slices are written."""
        self._bar.setMaximum(max(count, 1))
        self._bar.setValue(done)
