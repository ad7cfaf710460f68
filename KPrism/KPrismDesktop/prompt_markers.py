"""Dots where the shown slice was clicked, in every slice view."""

from __future__ import annotations

from typing import Any

import vtk

_COLOURS = {True: (0.2, 0.9, 0.3), False: (0.95, 0.25, 0.2)}
_SIZE = 9


class PromptMarkers:
    """The actors of one view: green dots for what adds, red ones for what removes.

    Args:
        effect: the scripted effect, which puts actors into views.
        widget: the slice view's widget.
    """

    def __init__(self, effect: Any, widget: Any) -> None:
        self._effect, self._widget = effect, widget
        self._points = {positive: vtk.vtkPolyData() for positive in _COLOURS}
        self._actors = [_actor(self._points[positive], colour) for positive, colour in _COLOURS.items()]
        for actor in self._actors:
            effect.addActor2D(widget, actor)

    def show(self, markers: list[tuple[Any, bool]]) -> None:
        """Show prompts: view positions (N, 2) of each, and whether it adds."""
        for positive, data in self._points.items():
            points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
            for places, adds in markers:
                if adds == positive:
                    for x, y in places:
                        cells.InsertNextCell(1)
                        cells.InsertCellPoint(points.InsertNextPoint(float(x), float(y), 0.0))
            data.SetPoints(points)
            data.SetVerts(cells)
            data.Modified()
        self._effect.scheduleRender(self._widget)

    def remove(self) -> None:
        """Take the actors out of the view."""
        if not self._widget:
            return  # Slicer ends: the view is gone, and its renderer with it.
        for actor in self._actors:
            self._effect.removeActor2D(self._widget, actor)
        self._effect.scheduleRender(self._widget)


def _actor(data: Any, colour: tuple[float, float, float]) -> Any:
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(data)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetPointSize(_SIZE)
    # Above the slice, below corner annotations.
    actor.GetProperty().SetDisplayLocationToForeground()
    return actor
