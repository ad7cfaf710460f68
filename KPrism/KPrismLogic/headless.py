"""A scene for plain Python with slicer-core; inside Slicer its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import slicer


def application_scene() -> tuple[slicer.vtkMRMLScene, tuple[Any, ...]]:
    """Slicer's scene; where there is no application, a new one that becomes ``slicer.mrmlScene``.

    Returns:
        The scene, and what must be kept alive as long as it is used.
    """
    import slicer

    existing = getattr(slicer, "mrmlScene", None)
    if existing is not None:
        return existing, ()
    scene = slicer.vtkMRMLScene()
    # Segmentation nodes can be made only after their module registered them and their representations.
    logics = (slicer.vtkSlicerSegmentationsModuleLogic(), slicer.vtkSlicerVolumesLogic())
    for logic in logics:
        logic.SetMRMLScene(scene)
    slicer.mrmlScene = scene
    return scene, logics
