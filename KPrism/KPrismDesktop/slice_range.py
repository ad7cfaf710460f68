"""Which slices of a stack a run goes through: a widget with two ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KPrismLogic.slice_stack import SliceStack


class SliceRange:
    """A ``ctkRangeWidget`` whose ends are offsets in mm, and at first the ends of the volume.

    Args:
        widget: the widget.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        widget.decimals = 2
        widget.suffix = " mm"

    def show(self, stack: SliceStack) -> None:
        """Offer all slices of a stack."""
        low, high = stack.offset(0), stack.offset(len(stack) - 1)
        self._widget.setRange(low, high)
        # Not more than the range, which the widget rounds; it complains otherwise.
        length = float(self._widget.maximum) - float(self._widget.minimum)
        step = stack.grid.step_along(stack.planes[0].normal)
        self._widget.singleStep = min(step, length) if length else step
        self._widget.setValues(low, high)

    def chosen(self, stack: SliceStack) -> tuple[int, int]:
        """The first and the last slice.

        Raises:
            InvalidImage: no slice lies between the ends.
        """
        # The widget rounds to what it shows, and its ends mean the ends of the volume.
        low, high = float(self._widget.minimumValue), float(self._widget.maximumValue)
        slack = stack.grid.step_along(stack.planes[0].normal) / 2
        return stack.within(low - slack, high + slack)
