"""Markers in all views, kept right while slices, segments and layouts change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt

from KPrismDesktop.prompt_markers import PromptMarkers
from KPrismDesktop.segmentation_watch import SegmentationWatch

if TYPE_CHECKING:
    from KPrismLogic.editing_session import EditingSession

#: One change of a segmentation is announced several times; markers follow once, a moment later.
_PATIENCE_MILLISECONDS = 50


class ViewMarkers:
    """The markers of one editor.

    Args:
        effect: the scripted effect.
        session: what knows the clicks.
    """

    def __init__(self, effect: Any, session: EditingSession) -> None:
        self._effect, self._session = effect, session
        self._views: dict[Any, PromptMarkers] = {}
        self._watch: SegmentationWatch | None = None
        self._watched: Any = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MILLISECONDS)
        self._timer.connect("timeout()", self.refresh)

    def follow_segmentation(self) -> None:
        """Watch the segmentation that is edited now, and no other."""
        node = self._effect.parameterSetNode()
        segmentation = node.GetSegmentationNode() if node is not None else None
        content = segmentation.GetSegmentation() if segmentation is not None else None
        if content is self._watched:
            return
        self._stop_watching()
        if content is not None:
            self._watch, self._watched = SegmentationWatch(content, self._later), content
        self.refresh()

    def enter(self, widget: Any) -> None:
        """Show markers in a view from now on."""
        self.follow_segmentation()  # Effects are not told when a script chooses another one.
        if widget not in self._views:
            self._views[widget] = PromptMarkers(self._effect, widget)
            self.refresh_view(widget, self._effect.viewNode(widget))

    def refresh_view(self, widget: Any, node: Any) -> None:
        """Show what belongs to the slice that a view shows now."""
        if widget in self._views:
            self._views[widget].show(self._session.markers(node))

    def refresh(self) -> None:
        """Show what belongs to the slices that all views show now."""
        for widget in filter(None, self._views):  # A view that is gone is false.
            self.refresh_view(widget, self._effect.viewNode(widget))

    def leave_views(self) -> None:
        """Take all markers out of the views, as before a change of layout."""
        for markers in self._views.values():
            markers.remove()
        self._views = {}

    def close(self) -> None:
        """Leave nothing behind."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self.refresh)
        self._stop_watching()
        self.leave_views()

    def _later(self) -> None:
        self._timer.start()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.end()
            self._watch = self._watched = None
