"""Arrays as pictures of Qt."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import qt
import vtk


def pixmap(colours: Any) -> Any:
    """A ``QPixmap`` of an array, uint8 (rows, columns, 3)."""
    import numpy as np
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(colours.shape[1], colours.shape[0], 1)
    # VTK counts rows from below.
    values = np.ascontiguousarray(colours[::-1], dtype=np.uint8).reshape(-1, 3)
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    writer = vtk.vtkPNGWriter()
    with tempfile.TemporaryDirectory(prefix="kprism-") as folder:
        path = Path(folder) / "picture.png"
        writer.SetFileName(str(path))
        writer.SetInputData(image)
        writer.Write()
        # Through a file: Qt's loaders take it in any version of PythonQt.
        return qt.QPixmap(str(path))
