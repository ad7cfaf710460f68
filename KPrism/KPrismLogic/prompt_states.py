"""Prompts that follow the editor's undo: each state of a segment carries the name of the prompts that led to it.

The name is a tag of the segment. Undo and redo restore tags together with voxels, so prompts and mask move as one, and
no callback is needed, which the editor does not give.
"""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from KPrismLib.prompts import Prompt
from KPrismLogic.guide import Guide
from KPrismLogic.labelmaps import Mask
from KPrismLogic.recently_used import RecentlyUsed
from KPrismLogic.taken_voxels import TakenVoxels

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.slice_plane import SlicePlane

TAG = "KPrism.State"

#: More than any undo list is long.
_KEPT_STATES = 300
#: Segments whose state of now stays known, however much is said of others.
_KEPT_SEGMENTS = 100


class Topic(NamedTuple):
    """What a dialogue is about; of one slice, a segmentation that is finer than the volume has several.

    Attributes:
        slice_key: of the slice's pixels.
        layer: tells apart the voxels of the segmentation that are in front of them.
    """

    slice_key: Hashable
    layer: Hashable


@dataclass(frozen=True, eq=False)
class Dialogue:
    """What was said about one slice of a segment, and what came of it.

    Attributes:
        plane: in which it was said.
        guide: class or references.
        start: bool (rows, columns), the mask that the first prompt refined; None for none.
        drawn: whether somebody drew it.
        prompts: clicks and scribbles in pixels of the slice, oldest first.
        written: fingerprint of what the segment held of the slice's voxels afterwards.
        taken: what other segments lost in the slice by what was said.
    """

    plane: SlicePlane
    guide: Guide
    start: Mask | None
    drawn: bool
    prompts: tuple[Prompt, ...]
    written: bytes
    taken: TakenVoxels = field(default_factory=TakenVoxels)

    def repeats(self, earlier: Dialogue) -> bool:
        """Whether the same was said earlier."""
        ours, theirs = ((one.guide, one.drawn, one.prompts) for one in (self, earlier))
        return ours == theirs and self.start is earlier.start


Dialogues = Mapping[Topic, Dialogue]


class PromptStates:
    """The dialogues of all segments, by topic, in every state that undo and redo can bring back."""

    def __init__(self) -> None:
        # A scene that was saved holds tags of another process: the name says whose they are.
        self._owner = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()
        self._states: RecentlyUsed[Dialogues] = RecentlyUsed(_KEPT_STATES)
        self._now: RecentlyUsed[tuple[str, Dialogues]] = RecentlyUsed(_KEPT_SEGMENTS)

    def name(self, segment: slicer.vtkSegment) -> str:
        """The name of the segment's state; empty when no prompt led to it."""
        import vtk

        name = vtk.reference("")
        return str(name) if segment.GetTag(TAG, name) else ""

    def dialogues(self, segment: slicer.vtkSegment) -> Dialogues:
        """The dialogues of the segment in its state."""
        name = self.name(segment)
        line = _line_of(name)
        now = self._now.get(line)
        found = now[1] if now is not None and now[0] == name else self._states.get(name)
        if found is None:
            return {}
        self._now.put(line, (name, found))
        return found

    def record(self, segment: slicer.vtkSegment, topic: Topic, dialogue: Dialogue) -> None:
        """Give the segment, just written, a new state in which a topic has a new dialogue."""
        earlier, number = self.dialogues(segment), next(self._numbers)
        # A segment keeps the number that it was first given, so that its states are known as those of one segment.
        line = _line_of(self.name(segment)) if earlier else f"{self._owner}:{number}"
        name = f"{line}:{number}"
        self._now.put(line, (name, self._states.put(name, {**earlier, topic: dialogue})))
        segment.SetTag(TAG, name)


@functools.cache
def shared_states() -> PromptStates:
    """The prompts of all editors, the panel and the console, so that none forgets what was said to another."""
    return PromptStates()


def _line_of(name: str) -> str:
    return name.rpartition(":")[0]
