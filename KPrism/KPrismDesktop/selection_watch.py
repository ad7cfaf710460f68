"""Noticing that the editor edits something else, of which effects are told only in part: never of another segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import vtk

#: One choice of the user changes the editor's node several times; what follows does so once, a moment later.
_PATIENCE_MILLISECONDS = 50


class SelectionWatch:
    """Calls a function when another segment, segmentation or volume is chosen, until it is ended.

    Args:
        parameters: gives the editor's parameter node, which may change; None while there is none.
        changed: called without arguments, never in the middle of a change.
    """

    def __init__(self, parameters: Callable[[], Any], changed: Callable[[], None]) -> None:
        self._parameters, self._changed = parameters, changed
        self._node: Any = None
        self._tag = 0
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MILLISECONDS)
        self._timer.connect("timeout()", changed)
        self._seen: tuple[str | None, ...] = ()
        self._watch(parameters())
        self._seen = self._chosen()

    def follow(self) -> None:
        """Watch the node that the editor has now, and no other."""
        node = self._parameters()
        if node is not self._node:
            self._stop_watching()
            self._watch(node)
            self._on_modified()

    def end(self) -> None:
        """Watch no longer."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._changed)
        self._stop_watching()

    def _on_modified(self, *_: Any) -> None:
        # The node holds the parameters of all effects and the masking rules, too.
        chosen = self._chosen()
        if chosen != self._seen:
            self._seen = chosen
            self._timer.start()

    def _chosen(self) -> tuple[str | None, ...]:
        """IDs of volume, segmentation and segment."""
        # Of the watched node: whoever is told of a change while a scene closes may have no editor to ask any more.
        if self._node is None:
            return ()
        nodes = self._node.GetSourceVolumeNode(), self._node.GetSegmentationNode()
        return *(one.GetID() if one is not None else None for one in nodes), self._node.GetSelectedSegmentID()

    def _watch(self, node: Any) -> None:
        if node is not None:
            self._node, self._tag = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_modified)

    def _stop_watching(self) -> None:
        if self._node is not None:
            # A node that the scene has removed lives on as long as it is held here.
            self._node.RemoveObserver(self._tag)
            self._node = None
