"""How sure the model is along the slices, and the way to the one to look at next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KPrismLogic.segment_propagation import SegmentPropagation


class ConfidenceView:
    """A strip of colours and a button.

    Args:
        strip_label: a ``QLabel`` for the strip, hidden while there is nothing to show.
        least_certain: the button that leads to the least certain slice.
    """

    def __init__(self, strip_label: Any, least_certain: Any) -> None:
        self._label, self._button = strip_label, least_certain
        # The strip is stretched to the label; it must not keep the label from getting narrower.
        self._label.setMinimumWidth(1)
        self._label.scaledContents = True
        self._run: SegmentPropagation | None = None

    @property
    def shown(self) -> SegmentPropagation | None:
        """The propagation that is shown, or None."""
        return self._run

    def show(self, run: SegmentPropagation | None) -> None:
        """Show how a propagation stands; None for nothing."""
        self._run = run
        self._label.setVisible(run is not None)
        self._button.setEnabled(run is not None and run.least_certain() is not None)
        if run is not None:
            # Slicer imports the effect's options when it starts; nothing of a run is needed then.
            from KPrismDesktop.confidence_strip import strip
            from KPrismDesktop.pixmaps import pixmap

            self._label.setPixmap(pixmap(strip(len(run.stack), run.confidence, run.accepted)))

    def turn_to(self, run: SegmentPropagation | None) -> None:
        """Show this propagation instead of another one; views ask with every step of scrolling."""
        if run is not self._run:
            self.show(run)

    def go(self) -> None:
        """Let the views show the slice to look at next, if there is one."""
        from KPrismDesktop.slice_views import show_slice

        index = None if self._run is None else self._run.least_certain()
        if self._run is not None and index is not None:
            show_slice(self._run.stack.planes[index])
