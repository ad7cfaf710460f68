"""What runs through a volume wrote, so that what somebody made of it since is left alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from KPrismLogic.standing_runs import StandingRun

if TYPE_CHECKING:
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_voxels import SliceVoxels

#: Voxels by their key, and a segment.
Place = tuple[Hashable, str]

#: What was there before any run that is known.
_BEFORE_ALL = StandingRun("", 0)


class ToldApart(NamedTuple):
    """Voxels in which runs wrote, by what became of them.

    Attributes:
        changed: by somebody.
        undone: no run stands any more that changed something there.
        earlier: the last run that changed something there was undone, and what one before it left is there.
    """

    changed: list[SliceVoxels]
    undone: list[SliceVoxels]
    earlier: list[SliceVoxels]


class WrittenSlices:
    """What runs wrote into slices, to know what somebody changed there since: that is never written over.

    Which runs were undone is told by the segment (:mod:`~KPrismLogic.standing_runs`): what it holds is nobody else's as
    long as it is what the last one left that stands.

    Oblique slices share voxels, so that in one of them nobody can tell who changed what; they are written as they come.
    """

    def __init__(self) -> None:
        # By layer and segment: what may be there once a run has gone so far, by its name and step, and no later one is
        # named that stands; all that runs found; and the last run that changed something.
        self._left: dict[Place, dict[str, dict[int, set[bytes]]]] = {}
        self._found: dict[Place, set[bytes]] = {}
        self._changed_by: dict[Place, str] = {}

    def is_ours(self, voxels: SliceVoxels, segment_id: str, content: Mask, standing: Sequence[StandingRun]) -> bool:
        """Whether a segment holds what runs made of it there; where none stands, all is to be written over."""
        expected = self._expected((voxels.key, segment_id), standing)
        return expected is None or voxels.fingerprint(content) in expected

    def is_free(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether nobody but a run put anything there."""
        left, now = self._left.get((voxels.key, segment_id), {}), voxels.fingerprint(content)
        return not content.any() or any(now in contents for steps in left.values() for contents in steps.values())

    def told_apart(
        self, holdings: Iterable[tuple[SliceVoxels, str, Mask]], standing: Sequence[StandingRun]
    ) -> ToldApart:
        """What became of written voxels, each with a segment and what it holds.

        Of voxels that no run is known to have written, because the grid was another one by then, all that hold
        something count as changed.

        Args:
            holdings: of one segment.
            standing: the runs that stand in it, oldest first.
        """
        told = ToldApart([], [], [])
        for voxels, segment_id, content in holdings:
            if voxels.key is None:
                continue
            place, now = (voxels.key, segment_id), voxels.fingerprint(content)
            expected = self._expected(place, standing)
            if expected is None:
                # Undo brought back what the run found, or what was there before that.
                if content.any() and now not in self._found.get(place, ()):
                    told.changed.append(voxels)
                elif place in self._left:
                    told.undone.append(voxels)
            elif now not in expected:
                told.changed.append(voxels)
            elif self._changed_by.get(place, "") not in ("", *(run.name for run in standing)):
                told.earlier.append(voxels)
        return told

    def keep(self, voxels: SliceVoxels, segment_id: str) -> None:
        """What a segment holds there is somebody else's."""
        entries = self._left.setdefault((voxels.key, segment_id), {})
        entries.setdefault(_BEFORE_ALL.name, {}).setdefault(_BEFORE_ALL.step, set())

    def wrote(
        self, voxels: SliceVoxels, segment_id: str, found: bytes, left: bytes, standing: Sequence[StandingRun]
    ) -> None:
        """A run found and left a segment there, by the fingerprints of what it held.

        Args:
            voxels, segment_id: where.
            found, left: before and after.
            standing: the runs that stand in the segment then; what is changed was changed by the last of them.
        """
        if voxels.key is None:
            return
        place, last = (voxels.key, segment_id), standing[-1] if standing else _BEFORE_ALL
        self._found.setdefault(place, set()).add(found)
        expected = self._expected(place, standing)
        steps = self._left.setdefault(place, {}).setdefault(last.name, {})
        if found == left:
            # What was there before may come back, if it was another segment's run that took it.
            steps.setdefault(last.step, set(expected or ())).add(left)
        else:
            steps[last.step] = {left}
            self._changed_by[place] = last.name

    def _expected(self, place: Place, standing: Sequence[StandingRun]) -> set[bytes] | None:
        """What may be there if nobody changed it; None where no run stands that knows the place."""
        entries = self._left.get(place, {})
        for run in (*reversed(standing), _BEFORE_ALL):
            reached = [step for step in entries.get(run.name, ()) if step <= run.step]
            if reached:
                return entries[run.name][max(reached)]
        return None
