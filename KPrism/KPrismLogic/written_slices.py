"""What runs through a volume wrote, so that what somebody made of it since is left alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_voxels import SliceVoxels

#: Voxels by their key, and a segment.
Place = tuple[Hashable, str]

#: What was there before any run that is known.
_BEFORE_ALL = ""


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
        # By layer and segment: what may be there while a run is the last one that stands, of those that are named;
        # all that runs found; and the last run that changed something.
        self._left: dict[Place, dict[str, set[bytes]]] = {}
        self._found: dict[Place, set[bytes]] = {}
        self._changed_by: dict[Place, str] = {}

    def is_ours(self, voxels: SliceVoxels, segment_id: str, content: Mask, standing: Sequence[str]) -> bool:
        """Whether a segment holds what runs made of it there; where none stands, all is to be written over."""
        expected = self._expected((voxels.key, segment_id), standing)
        return expected is None or voxels.fingerprint(content) in expected

    def is_free(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether nobody but a run put anything there."""
        left = self._left.get((voxels.key, segment_id), {})
        return not content.any() or any(voxels.fingerprint(content) in contents for contents in left.values())

    def told_apart(self, holdings: Iterable[tuple[SliceVoxels, str, Mask]], standing: Sequence[str]) -> ToldApart:
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
            elif self._changed_by.get(place, _BEFORE_ALL) not in (_BEFORE_ALL, *standing):
                told.earlier.append(voxels)
        return told

    def keep(self, voxels: SliceVoxels, segment_id: str) -> None:
        """What a segment holds there is somebody else's."""
        self._left.setdefault((voxels.key, segment_id), {}).setdefault(_BEFORE_ALL, set())

    def wrote(self, voxels: SliceVoxels, segment_id: str, found: bytes, left: bytes, standing: Sequence[str]) -> None:
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
        entries = self._left.setdefault(place, {})
        if found == left:
            entries.setdefault(last, set()).add(left)
        else:
            entries[last] = {left}  # undo never brings back what a run had left before its end
            self._changed_by[place] = last

    def _expected(self, place: Place, standing: Sequence[str]) -> set[bytes] | None:
        """What may be there if nobody changed it; None where no run stands that knows the place."""
        entries = self._left.get(place, {})
        return next((entries[run] for run in (*reversed(standing), _BEFORE_ALL) if run in entries), None)
