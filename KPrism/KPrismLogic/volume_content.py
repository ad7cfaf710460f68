"""Telling whether a volume holds what it held before."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from KPrismLib.errors import InvalidImage

if TYPE_CHECKING:
    import slicer


def state_of(volume: slicer.vtkMRMLVolumeNode) -> tuple[Hashable, ...]:
    """Changes whenever somebody may have changed voxels of the volume, and never repeats in a process; the node first.

    Raises:
        InvalidImage: the node holds no voxels.
    """
    image = volume.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None:
        raise InvalidImage(f"{volume.GetName()} holds no voxels.")
    return node_key(volume), image.GetMTime(), scalars.GetMTime()


def node_key(node: slicer.vtkMRMLNode) -> Hashable:
    """What tells a node from others of its scene, or one that is in none from all."""
    return node.GetID() or id(node)
