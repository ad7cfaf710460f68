"""Noticing undo, redo and the edits of others, of which effects are told nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer


class SegmentationWatch:
    """Calls a function after every change of a segmentation, until it is ended.

    Args:
        segmentation: the ``vtkSegmentation``.
        changed: called without arguments, often several times for one change.
    """

    def __init__(self, segmentation: Any, changed: Callable[[], None]) -> None:
        self._segmentation = segmentation
        events = slicer.vtkSegmentation
        self._tags = [
            segmentation.AddObserver(event, lambda *_: changed())
            for event in (
                events.SegmentAdded,
                events.SegmentRemoved,
                events.SegmentModified,
                events.SourceRepresentationModified,
            )
        ]

    def end(self) -> None:
        """Watch no longer."""
        for tag in self._tags:
            self._segmentation.RemoveObserver(tag)
        self._tags = []
