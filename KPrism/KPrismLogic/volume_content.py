"""Telling whether a volume holds what it held before: a sequence shows the same images in one node again and again."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidImage
from KPrismLogic.recently_used import RecentlyUsed

if TYPE_CHECKING:
    import slicer
    import vtk

_BROWSER = "vtkMRMLSequenceBrowserNode"


def state_of(volume: slicer.vtkMRMLVolumeNode) -> tuple[Hashable, ...]:
    """The node, and what changes whenever somebody may have changed voxels of it; never the same for other voxels.

    Raises:
        InvalidImage: the node holds no voxels.
    """
    scalars = _scalars(volume)
    return node_key(volume), volume.GetImageData().GetMTime(), scalars.GetMTime()


def content_of(volume: slicer.vtkMRMLVolumeNode) -> Hashable:
    """The node, and what is the same whenever it holds the same voxels.

    In a new state of the volume all of them are read, which takes 0.2 s for a large CT.

    Raises:
        InvalidImage: the node holds no voxels.
    """
    scalars = _scalars(volume)
    digest = _digests().get_or_make(state_of(volume), lambda: _digest(scalars))
    return node_key(volume), volume.GetImageData().GetDimensions(), scalars.GetDataType(), digest


def node_key(node: slicer.vtkMRMLNode) -> Hashable:
    """What tells a node from others of its scene, and one that is in none from all."""
    return node.GetID() or id(node)


def is_replayed(node: slicer.vtkMRMLNode) -> bool:
    """Whether sequence browsers show images in a node by turns, so that what it held may come back."""
    return bool(_browsers_of(node))


def is_playing(node: slicer.vtkMRMLNode) -> bool:
    """Whether one does so at this moment, one image after the other without a stop."""
    return any(browser.GetPlaybackActive() for browser in _browsers_of(node))


def _browsers_of(node: slicer.vtkMRMLNode) -> list[slicer.vtkMRMLSequenceBrowserNode]:
    """None also where Slicer has no module for sequences."""
    scene = node.GetScene()
    count = 0 if scene is None else scene.GetNumberOfNodesByClass(_BROWSER)
    browsers = [scene.GetNthNodeByClass(number, _BROWSER) for number in range(count)]
    return [browser for browser in browsers if browser.IsProxyNodeID(node.GetID())]


@functools.cache
def _digests() -> RecentlyUsed[bytes]:
    """By state, so that all voxels are read once for each."""
    return RecentlyUsed(64)


def _scalars(volume: slicer.vtkMRMLVolumeNode) -> vtk.vtkDataArray:
    image = volume.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None:
        raise InvalidImage(f"{volume.GetName()} holds no voxels.")
    return scalars


def _digest(scalars: vtk.vtkDataArray) -> bytes:
    from vtk.util.numpy_support import vtk_to_numpy

    return hashlib.blake2b(np.ascontiguousarray(vtk_to_numpy(scalars)).data, digest_size=16).digest()
