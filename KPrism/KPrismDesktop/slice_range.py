"""Which slices of a stack a run goes through: a widget with two ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KPrismLogic.slice_plane import SlicePlane
    from KPrismLogic.slice_stack import SliceStack


class SliceRange:
    """A ``ctkRangeWidget`` whose ends are offsets in mm, and at first the ends of the volume.

    What was chosen for a plane is there again when the plane is, as long as the volume stays what it is.

    Args:
        widget: the widget.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        widget.suffix = " mm"
        self._shown: SliceStack | None = None
        self._others: list[tuple[SliceStack, float, float]] = []  # what was chosen in other planes of the volume

    def show(self, volume: Any, plane: SlicePlane) -> None:
        """Offer all slices of a volume that are parallel to a plane; views ask with every step of scrolling.

        Raises:
            KPrismError: as :meth:`SliceStack.through`.
        """
        if self._shown is not None and self._shown.fits(volume, plane):
            return
        # Slicer imports the effect's options when it starts; no stack is needed then.
        from KPrismLogic.slice_stack import SliceStack

        stack = SliceStack.through(volume, plane)
        self._keep()
        # Ends in another volume, or in what this one was, mean nothing now.
        self._others = [one for one in self._others if one[0].fits(volume, one[0].planes[0])]
        self._offer(stack)
        self._shown = stack
        for kept in [one for one in self._others if one[0].fits(volume, plane)]:
            self._others.remove(kept)
            self._widget.setValues(*kept[1:])

    def forget(self) -> None:
        """Hold no volume any more, nor what was chosen for it."""
        self._shown, self._others = None, []

    def _keep(self) -> None:
        """Remember the ends of the shown stack, if they are not those of the volume."""
        if self._shown is None:
            return
        low, high = float(self._widget.minimumValue), float(self._widget.maximumValue)
        if (low, high) != (float(self._widget.minimum), float(self._widget.maximum)):
            self._others.append((self._shown, low, high))

    def _offer(self, stack: SliceStack) -> None:
        low, high = stack.offset(0), stack.offset(len(stack) - 1)
        # As many as tell slices apart, of a microscope's volume more than of a scanner's.
        self._widget.decimals = max(2, 2 - math.floor(math.log10(stack.step)))
        self._widget.setRange(low, high)
        # Not more than the range, which the widget rounds; it complains otherwise.
        length = float(self._widget.maximum) - float(self._widget.minimum)
        step = stack.step
        self._widget.singleStep = min(step, length) if length else step
        self._widget.setValues(low, high)

    def chosen(self, stack: SliceStack) -> tuple[int, int]:
        """The first and the last slice.

        Raises:
            InvalidImage: no slice lies between the ends.
        """
        # The widget rounds to what it shows, and its ends mean the ends of the volume.
        low, high = float(self._widget.minimumValue), float(self._widget.maximumValue)
        slack = stack.step / 2
        return stack.within(low - slack, high + slack)
