"""The Segment Editor's undo list, for writing that does not go through the editor itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import slicer

#: Keeps a state of a segmentation for somebody's undo.
KeepState: TypeAlias = "Callable[[slicer.vtkMRMLSegmentationNode], object]"


def keep_state(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Let the Segment Editor's undo bring back what a segmentation holds now, if the editor is open and shows it."""
    editor = _segment_editor()
    if editor is not None and editor.segmentationNode() is segmentation:
        editor.saveStateForUndo()


def _segment_editor() -> Any:
    """The ``qMRMLSegmentEditorWidget`` of the Segment Editor module; None before that module was opened."""
    import slicer

    module_widget = getattr(getattr(slicer, "modules", None), "SegmentEditorWidget", None)
    return getattr(module_widget, "editor", None)
