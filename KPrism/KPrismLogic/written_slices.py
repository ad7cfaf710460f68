"""What runs through a volume wrote, so that what somebody made of it since is left alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_voxels import SliceVoxels

#: Voxels by their key, and a segment.
Place = tuple[Hashable, str]


class WrittenSlices:
    """What runs wrote into slices, to know what somebody changed there since: that is never written over.

    Oblique slices share voxels, so that in one of them nobody can tell who changed what; they are written as they come.
    """

    def __init__(self) -> None:
        # By layer and segment: all that runs left there, all that they found, and the last run that changed it, with
        # what that one left.
        self._left: dict[Place, set[bytes]] = {}
        self._found: dict[Place, set[bytes]] = {}
        self._changed_by: dict[Place, tuple[int, bytes]] = {}
        self._runs = 0

    def begin(self) -> None:
        """A run begins."""
        self._runs += 1

    def is_ours(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether a segment holds what a run wrote or found there; where no run was yet, all is to be written over."""
        place = voxels.key, segment_id
        return place not in self._left or voxels.fingerprint(content) in self._left[place] | self._found[place]

    def is_free(self, voxels: SliceVoxels, segment_id: str, content: Mask) -> bool:
        """Whether nobody but a run put anything there."""
        return not content.any() or voxels.fingerprint(content) in self._left.get((voxels.key, segment_id), ())

    def told_apart(
        self, holdings: Iterable[tuple[SliceVoxels, str, Mask]]
    ) -> tuple[list[SliceVoxels], list[SliceVoxels], list[SliceVoxels]]:
        """Of written voxels, each with a segment and what it holds, those somebody changed, those undone, and others.

        These hold what a run left before the one that changed them last: that one alone was undone.

        What holds again what a run found there was undone, if all is undone that this run and those after it changed;
        otherwise somebody took it away. Of voxels that no run is known to have written, because the grid was another
        one by then, all that hold something count as changed.
        """
        changed, back, earlier, standing = [], [], [], set()
        for voxels, segment_id, content in holdings:
            place, now = (voxels.key, segment_id), voxels.fingerprint(content)
            if voxels.key is None:
                continue
            if place not in self._left:
                if content.any():
                    changed.append(voxels)
            elif now in self._left[place]:
                run, left = self._changed_by.get(place, (0, now))
                if now == left:
                    standing.add(run)
                else:
                    earlier.append(voxels)
            elif now in self._found[place]:
                back.append((voxels, self._changed_by.get(place, (0, b""))[0]))
            else:
                changed.append(voxels)
        last = max(standing, default=0)  # undo goes backwards
        undone = [voxels for voxels, run in back if run > last]
        return changed + [voxels for voxels, run in back if run <= last], undone, earlier

    def keep(self, voxels: SliceVoxels, segment_id: str) -> None:
        """What a segment holds there is somebody else's."""
        self._left.setdefault((voxels.key, segment_id), set())
        self._found.setdefault((voxels.key, segment_id), set())

    def wrote(self, voxels: SliceVoxels, segment_id: str, found: bytes, left: bytes) -> None:
        """A run found and left a segment there, by the fingerprints of what it held."""
        if voxels.key is not None:
            place = voxels.key, segment_id
            self._found.setdefault(place, set()).add(found)
            self._left.setdefault(place, set()).add(left)
            if found != left:
                self._changed_by[place] = self._runs, left
