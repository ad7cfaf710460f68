"""Looking into binary labelmaps, which several segments may share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from KPrismLogic.matrices import Matrix, array_from_matrix
from KPrismLogic.slice_image import ROUNDING

if TYPE_CHECKING:
    import slicer

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

BINARY_LABELMAP = "Binary labelmap"


def labelmap_of(
    segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str
) -> tuple[slicer.vtkOrientedImageData | None, int]:
    """The labelmap that holds a segment, shared with others or not, and the segment's value in it."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    labelmap = segment.GetRepresentation(BINARY_LABELMAP) if segment is not None else None
    if labelmap is None or labelmap.IsEmpty() or labelmap.GetPointData().GetScalars() is None:
        return None, 0
    return labelmap, segment.GetLabelValue()


def lattice_index(row: Matrix, shape: tuple[int, int], offsets: tuple[int, int] = (0, 0)) -> Indices:
    """Nearest whole numbers to ``row @ (a, b, 1)`` over a grid of a and b.

    Args:
        row: three coefficients.
        shape: how many values a and b take.
        offsets: where a and b start.

    Returns:
        Broadcastable to ``shape``: an axis on which nothing depends has length 1, so that the planes along
        voxel axes, which are nearly all, cost next to nothing.
    """
    place = np.full((1, 1), row[2] + 0.5 + ROUNDING)
    for axis, (count, start) in enumerate(zip(shape, offsets, strict=True)):
        # Over the whole grid this is no voxel's difference.
        if abs(row[axis]) * max(count, 1) > 1e-4:
            along = row[axis] * np.arange(start, start + count)
            place = place + (along[:, None] if axis == 0 else along[None, :])
        else:
            place = place + row[axis] * start
    return np.floor(place).astype(np.intp)


def fingerprint(*arrays: npt.NDArray[Any]) -> bytes:
    """A few bytes that stand for arrays; the masks of a whole undo history would take hundreds of megabytes."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(array.tobytes())
    return digest.digest()


def values_at(labelmap: slicer.vtkOrientedImageData, i: Indices, j: Indices, k: Indices) -> npt.NDArray[Any]:
    """Values of a labelmap at voxels, arrays that broadcast together; 0 outside."""
    voxels, starts = voxels_of(labelmap), labelmap.GetExtent()[::2]
    places = [index - start for index, start in zip((i, j, k), starts, strict=True)]
    box = _box_at(voxels, places)
    return _gathered(voxels, places) if box is None else box


def _box_at(voxels: npt.NDArray[Any], places: Sequence[Indices]) -> npt.NDArray[Any] | None:
    """As :func:`_gathered`, where the voxels are a box of (k, j, i), as those of parallel slices are; otherwise None.

    It takes a tenth of the time, and slices come by hundreds.
    """
    values = np.zeros(np.broadcast_shapes(*(place.shape for place in places)), voxels.dtype)
    source: list[int | slice] = []
    target: list[int | slice] = [0] * values.ndim
    order: list[int] = []
    for place, count in zip(reversed(places), voxels.shape, strict=True):
        line, along = place.ravel(), [axis for axis, length in enumerate(place.shape) if length > 1]
        if len(line) == 0 or len(along) > 1 or set(along) & set(order):
            return None
        steps = np.diff(line)
        backwards = len(steps) > 0 and steps[0] < 0
        if (steps != (-1 if backwards else 1)).any():
            return None
        within = np.flatnonzero((line >= 0) & (line < count))
        if len(within) == 0:
            return values
        first, last = int(line[within[0]]), int(line[within[-1]])
        if not along:
            source.append(first)
            continue
        source.append(slice(first, last - 1 if last else None, -1) if backwards else slice(first, last + 1))
        target[along[0]] = slice(int(within[0]), int(within[-1]) + 1)
        order += along
    values[tuple(target)] = voxels[tuple(source)].transpose(np.argsort(order))
    return values


def _gathered(voxels: npt.NDArray[Any], places: Sequence[Indices]) -> npt.NDArray[Any]:
    """Values of voxels (k, j, i) at places, of each how far along i, j and k from the first; 0 outside."""
    lines = tuple(reversed(places))
    try:
        # Nearly always all is inside, and of a million voxels that is worth trying.
        return voxels.ravel().take(np.ravel_multi_index(lines, voxels.shape))
    except ValueError:
        inside = [(line >= 0) & (line < count) for line, count in zip(lines, voxels.shape, strict=True)]
        flat = np.ravel_multi_index(lines, voxels.shape, mode="clip")
        return np.where(inside[0] & inside[1] & inside[2], voxels.ravel().take(flat), 0)


def empty_grid(image: slicer.vtkOrientedImageData) -> slicer.vtkOrientedImageData:
    """The grid of an image, without its voxels; the editor's own geometry image changes under our hands."""
    import slicer

    grid = slicer.vtkOrientedImageData()
    grid.SetSpacing(image.GetSpacing())
    grid.SetOrigin(image.GetOrigin())
    grid.CopyDirections(image)
    grid.SetExtent(image.GetExtent())
    return grid


def grid_key(image: slicer.vtkOrientedImageData) -> tuple[float, ...]:
    """Tells grids apart, whatever part of them an image has: its matrix, where voxels (i, j, k) lie."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return tuple(array_from_matrix(matrix).ravel().tolist())


def new_labelmap(
    geometry: slicer.vtkOrientedImageData, low: Indices, high: Indices
) -> tuple[slicer.vtkOrientedImageData, npt.NDArray[np.uint8]]:
    """A labelmap of voxels from ``low`` to ``high`` (i, j, k) of a grid, and its memory, i fastest, to be filled."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    labelmap = empty_grid(geometry)
    labelmap.SetExtent(*(int(bound) for pair in zip(low, high, strict=True) for bound in pair))
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return labelmap, vtk_to_numpy(labelmap.GetPointData().GetScalars())


def joined(parts: Sequence[slicer.vtkOrientedImageData]) -> slicer.vtkOrientedImageData | None:
    """Labelmaps of one grid as one, no larger than needed; None for none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    extents = np.array([part.GetExtent() for part in parts]).reshape(-1, 3, 2)
    low, high = extents[..., 0].min(axis=0), extents[..., 1].max(axis=0)
    labelmap, voxels = new_labelmap(parts[0], low, high)
    whole = voxels.reshape((high - low + 1)[::-1])
    whole.fill(0)
    for part, extent in zip(parts, extents, strict=True):
        place = tuple(slice(*(extent[axis] - low[axis] + (0, 1))) for axis in (2, 1, 0))
        whole[place] |= voxels_of(part)
    return labelmap


def voxels_of(labelmap: slicer.vtkOrientedImageData) -> npt.NDArray[Any]:
    """(k, j, i) of a labelmap, its own memory."""
    from vtk.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
