"""From mouse events to clicks and scribbles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk

#: Events by which a user works in a view; of the others most come from crossing it on the way to somewhere else.
WORKING = frozenset(
    (
        vtk.vtkCommand.LeftButtonPressEvent,
        vtk.vtkCommand.LeftButtonDoubleClickEvent,
        vtk.vtkCommand.MiddleButtonPressEvent,
        vtk.vtkCommand.RightButtonPressEvent,
        vtk.vtkCommand.KeyPressEvent,
    )
)

#: A hand is not steady: a drag shorter than this many pixels is a click.
_CLICK_REACH = 4


class Pointer:
    """Follows the left button in slice views.

    Args:
        draw: called with the view widget, the (x, y) positions and whether Ctrl or Cmd was held.
    """

    def __init__(self, draw: Callable[[Any, list[tuple[int, int]], bool], None]) -> None:
        self._draw = draw
        self._widget: Any = None
        self._path: list[tuple[int, int]] = []
        self._modified = False
        self._second_press = False

    def handle(self, interactor: Any, event: int, widget: Any) -> bool:
        """Take part in an event of a slice view; True when it was meant for the effect."""
        x, y = interactor.GetEventPosition()
        position = (int(x), int(y))
        if event in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent):
            # The second press of a double click arrives as such; unanswered it would maximise the view.
            self._second_press = event == vtk.vtkCommand.LeftButtonDoubleClickEvent
            if interactor.GetShiftKey():
                return self._second_press
            self._widget, self._path = widget, [position]
            self._modified = bool(interactor.GetControlKey())
            return True
        if self._widget is None:
            return False
        if event == vtk.vtkCommand.MouseMoveEvent:
            # Every move arrives twice.
            if widget is self._widget and position != self._path[-1]:
                self._path.append(position)
            return True
        if event == vtk.vtkCommand.LeftButtonReleaseEvent:
            path, started_in, modified = self._path, self._widget, self._modified
            self.cancel()
            if _reach(path) > _CLICK_REACH:
                self._draw(started_in, path, modified)
            elif not self._second_press:
                # A double click is one click: its second half falls on the same place.
                self._draw(started_in, path[:1], modified)
            return True
        return False

    def cancel(self) -> None:
        """Forget a stroke that was begun."""
        self._widget, self._path = None, []


def _reach(path: list[tuple[int, int]]) -> int:
    return max(max(abs(x - path[0][0]), abs(y - path[0][1])) for x, y in path)
