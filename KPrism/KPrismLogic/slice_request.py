"""What a user asks for in a slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.guide import Guide
from KPrismLogic.stroke import Stroke
from KPrismLogic.target import NoLongerWanted, Target
from KPrismLogic.weak_reference import weak_reference

if TYPE_CHECKING:
    import slicer
    import vtk


@dataclass(frozen=True, eq=False)
class Request:
    """One thing that the user asked for.

    Attributes:
        target: where.
        guide: class or references that were chosen then.
        strokes: what is added to what was said about this slice before.
        anew: begin with what the guide gives, whatever is drawn or was said there.
        continues: what was said about this slice before counts; otherwise it is refined as it is drawn.
        current: whether the user still looks at the target; asked on the main thread before writing.
    """

    target: Target
    guide: Guide = field(default_factory=Guide)
    strokes: tuple[Stroke, ...] = ()
    anew: bool = False
    continues: bool = True
    current: Callable[[], bool] = lambda: True
    _meant: vtk.vtkWeakReference = field(init=False)

    def __post_init__(self) -> None:
        content = self.target.segmentation.GetSegmentation()
        object.__setattr__(self, "_meant", weak_reference(content.GetSegment(self.target.segment_id)))

    def segment(self) -> slicer.vtkSegment:
        """The segment that the user meant.

        Raises:
            NoLongerWanted: it is gone, or another one has its ID by now, as in the next frame of a sequence.
        """
        segment = self.target.segment()
        if self._meant.Get() is not segment:
            raise NoLongerWanted("Another segmentation is shown by now; nothing was changed.")
        return segment

    def supersedes(self, other: Request) -> bool:
        """Whether both begin anew what a guide gives in the same slice, so that nothing of the other would be left."""
        mine, its = self.target, other.target
        return (
            self.anew
            and other.anew
            and not other.strokes
            and mine.place == its.place
            and np.array_equal([mine.plane.point, mine.plane.normal], [its.plane.point, its.plane.normal])
        )
