"""Small pictures of reference slices, with the segment drawn in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import vtk

if TYPE_CHECKING:
    from KPrismLogic.guide import ReferenceSlice

SIDE = 56


def thumbnail(reference: ReferenceSlice) -> Any:
    """A ``QIcon`` of a reference."""
    import numpy as np
    from vtk.util.numpy_support import numpy_to_vtk

    pixels, mask = reference.source.pixels, reference.mask
    step = max(1, -(-max(mask.shape) // SIDE))
    grey = (pixels if pixels.ndim == 2 else pixels.mean(axis=2))[::step, ::step].astype(np.float64)
    low, high = np.percentile(grey, (1, 99))
    shown = np.repeat(np.clip((grey - low) * 255 / max(high - low, 1e-9), 0, 255)[..., None], 3, axis=2)
    inside = mask[::step, ::step]
    shown[inside] = shown[inside] * 0.5 + np.array((110, 255, 140)) * 0.5
    image = vtk.vtkImageData()
    image.SetDimensions(shown.shape[1], shown.shape[0], 1)
    # VTK counts rows from below.
    colours = np.ascontiguousarray(shown[::-1].astype(np.uint8)).reshape(-1, 3)
    image.GetPointData().SetScalars(numpy_to_vtk(colours, deep=True))
    writer = vtk.vtkPNGWriter()
    with tempfile.TemporaryDirectory(prefix="kprism-") as folder:
        path = Path(folder) / "thumbnail.png"
        writer.SetFileName(str(path))
        writer.SetInputData(image)
        writer.Write()
        # Through a file: Qt's loaders take it in any version of PythonQt.
        return qt.QIcon(qt.QPixmap(str(path)))
