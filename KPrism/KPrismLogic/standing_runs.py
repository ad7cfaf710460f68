"""Which runs stand in a segment: each that changes it leaves its name in a tag, which undo and redo restore."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import slicer

TAG = "KPrism.Runs"


def new_run() -> str:
    """A name for a run; no two have the same, not even of saved scenes."""
    return uuid.uuid4().hex[:12]


def standing_runs(segment: slicer.vtkSegment) -> tuple[str, ...]:
    """The runs that changed a segment and were not undone, oldest first."""
    import vtk

    names = vtk.reference("")
    return tuple(str(names).split()) if segment.GetTag(TAG, names) else ()


def add_run(segment: slicer.vtkSegment, run: str) -> None:
    """A run changed a segment, just now."""
    segment.SetTag(TAG, " ".join((*standing_runs(segment), run)))
