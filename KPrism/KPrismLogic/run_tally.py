"""What became of the slices of a run, and what the user should know of that at its end."""

from __future__ import annotations

from KPrismLogic.editable_area import MASKED
from KPrismLogic.grid_coverage import LEFT_OUT
from KPrismLogic.slice_engine import LEFT_GPU

NOTHING_FOUND = "Nothing was found in any slice."
_NOTHING_BEYOND = "Nothing was found beyond the slices that were given."


class RunTally:
    """Counts slices by their numbers; a run may come back to one.

    Attributes:
        left_gpu: whether the run went on without the GPU.
        complete: whether nobody stopped it before its last slice.
    """

    def __init__(self) -> None:
        self.left_gpu = self.complete = False
        self._given = False  # whether it was carried on from slices that stay
        # By slice: pixels that were found, and those of them that the segmentation's grid does not cover.
        self._found: dict[int, int] = {}
        self._outside: dict[int, int] = {}
        # Slices in which something was to be changed, and those in which something was.
        self._to_change: set[int] = set()
        self._changed: set[int] = set()

    def reach(self, index: int, *, found: int, outside: int) -> None:
        """So many pixels were found in a slice, and so many of them lie outside the segmentation's grid."""
        self._found[index], self._outside[index] = found, outside

    def give(self) -> None:
        """A slice was one of those that the run was given to carry on, and stays as it is."""
        self._given = True

    def ask_for_change(self, index: int) -> None:
        """Something is to be changed in a slice."""
        self._to_change.add(index)

    def change(self, index: int) -> None:
        """Something was changed in a slice."""
        self._changed.add(index)

    @property
    def done(self) -> int:
        """How many slices were reached."""
        return len(self._found)

    @property
    def written(self) -> int:
        """How many slices were reached, without those that masks left as they were; none if they left all."""
        masked = self._masked
        return self.done - masked if self._changed or not masked else 0

    @property
    def is_covered(self) -> bool:
        """Whether the segmentation's grid covers anything of what was found; also where nothing was."""
        return sum(self._found.values()) > sum(self._outside.values()) or not any(self._outside.values())

    @property
    def remark(self) -> str:
        """Something the user should know, or ""."""
        remarks = [LEFT_GPU] * self.left_gpu + [LEFT_OUT] * any(self._outside.values())
        if self.complete and self._found and not any(self._found.values()):
            remarks.append(_NOTHING_BEYOND if self._given else NOTHING_FOUND)
        if self._masked:
            where = f"in {self._masked} of the slices" if self.written else "where this was found; nothing was changed"
            remarks.append(f"{MASKED} {where}.")
        return " ".join(remarks)

    @property
    def _masked(self) -> int:
        return len(self._found.keys() & self._to_change - self._changed)
