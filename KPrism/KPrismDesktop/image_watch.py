"""Noticing that the edited volume shows another image, or lies elsewhere, of which effects are told nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk

from KPrismLib.errors import InvalidImage
from KPrismLogic.matrices import array_from_matrix
from KPrismLogic.volume_content import is_playing, state_of

#: One change is announced several times; what is drawn over the image follows once, a moment later.
_PATIENCE_MILLISECONDS = 50

#: Long enough that nothing is computed for images that somebody passes on the way to another.
_REST_MILLISECONDS = 250


class ImageWatch:
    """Calls functions when what an editor edits shows something else or lies elsewhere, until it is ended.

    Args:
        parameters: gives the editor's parameter node, which may change; None while there is none.
        changed: called without arguments a moment after a change.
        settled: the same once nothing changes any more, and no sequence is played.
    """

    def __init__(self, parameters: Callable[[], Any], changed: Callable[[], None], settled: Callable[[], None]) -> None:
        self._parameters, self._changed, self._settled = parameters, changed, settled
        self._volume: Any = None
        self._segmentation: Any = None
        self._tags: list[tuple[Any, int]] = []  # nodes, each with an observer of it
        self._seen: tuple[Any, ...] = ()
        self._soon = _timer(_PATIENCE_MILLISECONDS, changed)
        self._later = _timer(_REST_MILLISECONDS, self._on_rest)
        self.follow()

    def follow(self) -> None:
        """Watch the nodes that are edited now, and no others."""
        node = self._parameters()
        volume = node.GetSourceVolumeNode() if node is not None else None
        segmentation = node.GetSegmentationNode() if node is not None else None
        if (volume, segmentation) == (self._volume, self._segmentation):
            return
        self._stop_watching()
        self._volume, self._segmentation = volume, segmentation
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        if volume is not None:
            # Where a volume lies is told as any other change of its node.
            for event in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent):
                self._tags.append((volume, volume.AddObserver(event, self._on_modified)))
        for one in filter(None, (volume, segmentation)):
            self._tags.append((one, one.AddObserver(moved, self._on_changed)))
        self._seen = self._image()

    def end(self) -> None:
        """Watch no longer."""
        for timer, call in ((self._soon, self._changed), (self._later, self._on_rest)):
            timer.stop()
            timer.disconnect("timeout()", call)
        self._stop_watching()

    def _on_modified(self, *_: Any) -> None:
        # A node has a name and other things, too.
        image = self._image()
        if image != self._seen:
            self._seen = image
            self._on_changed()

    def _on_changed(self, *_: Any) -> None:
        if not self._soon.isActive():  # A sequence that is played may leave no pause that is long enough.
            self._soon.start()
        self._later.start()

    def _on_rest(self) -> None:
        if self._volume is not None and is_playing(self._volume):
            self._later.start()
        else:
            self._settled()

    def _image(self) -> tuple[Any, ...]:
        """What the volume shows, and where."""
        if self._volume is None:
            return ()
        matrix = vtk.vtkMatrix4x4()
        self._volume.GetIJKToRASMatrix(matrix)
        try:
            return state_of(self._volume), array_from_matrix(matrix).tobytes()
        except InvalidImage:
            return ()

    def _stop_watching(self) -> None:
        # Nodes that the scene has removed live on as long as they are held here.
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags, self._volume, self._segmentation = [], None, None


def _timer(milliseconds: int, call: Callable[[], None]) -> Any:
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", call)
    return timer
