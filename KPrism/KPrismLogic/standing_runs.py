"""Which runs stand in a segment: whatever they change, they say so in a tag, which undo and redo restore."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import slicer

TAG = "KPrism.Runs"


class StandingRun(NamedTuple):
    """A run that changed a segment and was not undone, or not all of it.

    Attributes:
        name: no two runs have the same, not even of saved scenes.
        step: the last of its changes that stands, counted from 1.
    """

    name: str
    step: int

    def is_in(self, standing: Sequence[StandingRun]) -> bool:
        """Whether this step stands among others."""
        return any(one.name == self.name and one.step >= self.step for one in standing)


def new_run() -> str:
    """A name for a run."""
    return uuid.uuid4().hex[:12]


def standing_runs(segment: slicer.vtkSegment) -> tuple[StandingRun, ...]:
    """The runs that stand in a segment, oldest first."""
    import vtk

    text = vtk.reference("")
    if not segment.GetTag(TAG, text):
        return ()
    parts = [one.partition(".") for one in str(text).split()]
    return tuple(StandingRun(name, int(step)) for name, _, step in parts if step.isdecimal())


def changed_by(segment: slicer.vtkSegment, run: StandingRun) -> None:
    """A run changed a segment, just now."""
    runs = [*(one for one in standing_runs(segment) if one.name != run.name), run]
    segment.SetTag(TAG, " ".join(f"{one.name}.{one.step}" for one in runs))
