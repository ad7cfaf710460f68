"""Scenes on disk: the scene file, volumes as .nrrd and segmentations as .seg.nrrd beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save(scene: Any, folder: Path) -> Path:
    """Write a scene with everything in it; -> the scene file."""
    folder.mkdir(exist_ok=True)
    scene.SetRootDirectory(str(folder))
    for kind, ending in (("vtkMRMLVolumeNode", ".nrrd"), ("vtkMRMLSegmentationNode", ".seg.nrrd")):
        for number in range(scene.GetNumberOfNodesByClass(kind)):
            node = scene.GetNthNodeByClass(number, kind)
            if node.GetStorageNode() is None:
                node.AddDefaultStorageNode()
            node.GetStorageNode().SetFileName(str(folder / f"{node.GetID()}{ending}"))
            assert node.GetStorageNode().WriteData(node)
    path = folder / "scene.mrml"
    assert scene.Commit(str(path))
    return path


def load(scene: Any, path: Path, *, add: bool = False) -> None:
    """Read a scene file instead of what is in a scene, or beside it."""
    scene.SetURL(str(path))
    assert scene.Import() if add else scene.Connect()
