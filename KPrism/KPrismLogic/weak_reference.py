"""Holding nodes and what is in them without keeping them alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import vtk


def weak_reference(held: vtk.vtkObject | None) -> vtk.vtkWeakReference:
    """A reference whose ``Get()`` is None once the object is gone; for the main thread.

    Python's own weak reference would end with Python's wrapper of the object, long before the object.
    """
    import vtk

    reference = vtk.vtkWeakReference()
    reference.Set(held)
    return reference
