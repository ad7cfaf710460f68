"""The slices of a stack that the user vouches for, by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidReference

if TYPE_CHECKING:
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_plane import SlicePlane


class AcceptedSlices:
    """Each with the segment in it, the plane in which that was read, and whether it is there only because it was drawn.

    A segmentation may be finer than the volume, so that the plane says which of its layers the slice shows.
    """

    def __init__(self) -> None:
        self._masks: dict[int, Mask] = {}
        self._planes: dict[int, SlicePlane] = {}
        self._drawn: set[int] = set()

    def __contains__(self, index: int) -> bool:
        return index in self._masks

    @property
    def numbers(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(sorted(self._masks))

    @property
    def masks(self) -> dict[int, Mask]:
        """Bool (rows, columns) of each, to keep."""
        return dict(self._masks)

    @property
    def planes(self) -> dict[int, SlicePlane]:
        """In which the masks were read, to keep."""
        return dict(self._planes)

    def shows(self, first: int = 0, last: int | None = None) -> bool:
        """Whether any from ``first`` to ``last``, None for the end, holds something of the segment."""
        return any(
            mask.any() for index, mask in self._masks.items() if first <= index and (last is None or index <= last)
        )

    def mask(self, index: int) -> Mask | None:
        """Bool (rows, columns), or None of a slice that is not accepted."""
        return self._masks.get(index)

    def plane(self, index: int) -> SlicePlane | None:
        """The plane in which the mask was read, or None of a slice that is not accepted."""
        return self._planes.get(index)

    def put(self, index: int, mask: Mask, plane: SlicePlane, *, drawn: bool | None = None) -> None:
        """Accept a slice, or another mask of it.

        Args:
            index: the slice.
            mask: bool (rows, columns); without a pixel it says that nothing is there.
            plane: in which it was read.
            drawn: whether it is accepted only because the segment was drawn there; None leaves that as it was.
        """
        self._masks[index], self._planes[index] = mask, plane
        if drawn is not None:
            (self._drawn.add if drawn else self._drawn.discard)(index)

    def retract(self, index: int) -> None:
        """Take an accepted slice back."""
        del self._masks[index], self._planes[index]
        self._drawn.discard(index)

    def release_drawn(self) -> None:
        """Take back what is accepted only because the segment was drawn there."""
        for index in list(self._drawn):
            self.retract(index)

    def check_open(self, first: int, last: int) -> None:
        """See to it that there is something to find.

        Raises:
            InvalidReference: every slice from ``first`` to ``last`` is accepted.
        """
        if all(index in self._masks for index in range(first, last + 1)):
            raise InvalidReference(
                "Every slice of the range is kept as it is; choose other slices, or let drawn slices be replaced."
            )
