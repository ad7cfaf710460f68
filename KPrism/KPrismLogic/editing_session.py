"""What the effect does between being chosen and being left, on view and editor nodes, without Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidPrompt, KPrismError
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.matrices import Vector, array_from_matrix, inverse, transformed, triple, world_from_volume
from KPrismLogic.scene_library import Known, known_elsewhere
from KPrismLogic.segment_editing import Editor
from KPrismLogic.segments import apply_term
from KPrismLogic.slice_controller import SliceController
from KPrismLogic.slice_engine import Answer, SliceEngine
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_origin import SliceOrigin
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.stroke import Stroke
from KPrismLogic.target import Target

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_voxels import SliceVoxels

#: Pointer positions in a view, pixels from its lower left corner.
Positions = Sequence[tuple[int, int]]


class EditingSession:
    """One editor's work with K-Prism.

    Args:
        parameters: gives the editor's parameter node, which may change; None while there is none.
        editor: where masks are written.
        engine: what answers.
        runner: where it runs.
        report: called with every written answer.
        fail: called with what kept an answer from being written.
        found: as of :class:`SliceController`.
    """

    def __init__(
        self,
        parameters: Callable[[], slicer.vtkMRMLSegmentEditorNode | None],
        editor: Editor,
        engine: SliceEngine,
        runner: Runner,
        *,
        report: Callable[[Answer], None],
        fail: Callable[[Exception], None],
        found: Callable[[Target, SliceVoxels, Mask], bool] = lambda *_: False,
    ) -> None:
        self._parameters, self._editor = parameters, editor
        self._open = True
        self.controller = SliceController(editor, engine, runner, report=report, fail=fail, found=found)

    def draw(self, view: slicer.vtkMRMLSliceNode, positions: Positions, positive: bool, guide: Guide) -> None:
        """A click (one position) or scribble in a view.

        Raises:
            InvalidPrompt: no volume or segment is selected.
        """
        matrix = array_from_matrix(view.GetXYToRAS())
        points = tuple(triple(transformed(matrix, (x, y, 0.0))) for x, y in positions)
        self._ask(view, guide, (Stroke(points, positive),), anew=False)

    def show_guide(self, view: slicer.vtkMRMLSliceNode, guide: Guide) -> None:
        """Replace the segment in the shown slice by what a class or references give.

        Raises:
            InvalidPrompt: no volume or segment is selected.
        """
        self._ask(view, guide, (), anew=True)

    def name_segment(self, class_name: str) -> None:
        """Give the selected segment the name, colour and terminology of a class.

        Raises:
            InvalidPrompt: no class, or no segment is selected.
        """
        if not class_name:
            raise InvalidPrompt("Choose a class first.")
        _, segmentation, segment_id = self._chosen()
        self._editor.save_state()
        apply_term(segmentation.GetSegmentation().GetSegment(segment_id), class_name)

    def reference(self, view: slicer.vtkMRMLSliceNode) -> tuple[ReferenceSlice, SliceOrigin]:
        """The shown slice with the selected segment in it, and where that is.

        Raises:
            InvalidPrompt: no volume or segment is selected.
            InvalidReference: nothing of the segment in this slice.
        """
        target = self.target(view)
        origin = SliceOrigin.of(*target.place, target.plane.point, target.plane.normal)
        return ReferenceSlice.of_segment(*target.place, target.plane), origin

    def known_elsewhere(self, view: slicer.vtkMRMLSliceNode) -> tuple[SliceSource, list[Known]]:
        """The shown slice, and slices of other volumes that could be its references.

        Raises:
            InvalidPrompt: no volume or segment is selected.
            InvalidReference: no other volume has such a segment.
            InvalidImage: the view shows nothing of the volume.
        """
        target = self.target(view)
        source = SliceSource.of(target.volume, cut(target.volume, target.plane))
        return source, known_elsewhere(*target.place, target.plane)

    def markers(self, view: slicer.vtkMRMLSliceNode) -> list[tuple[Vector, bool]]:
        """Where the clicks and scribbles of the shown slice lie in the view, (N, 2) each, and whether they add."""
        try:
            prompts = self.controller.prompts(self.target(view))
        except KPrismError:
            return []
        xy_from_ras = inverse(array_from_matrix(view.GetXYToRAS()))
        return [
            (np.array([transformed(xy_from_ras, place)[:2] for place in places]), prompt.positive)
            for prompt, places in prompts
        ]

    def answered(self, target: Target) -> list[SlicePlane]:
        """The planes, parallel to the target's, in which the segment is what clicks, a class or references made of it.

        Raises:
            KPrismError: volume or segment are gone.
        """
        return self.controller.answered(target)

    def prefetch(self, view: slicer.vtkMRMLSliceNode, steps: Sequence[int] = (0, 1, -1)) -> None:
        """Make the first click in the shown slice and its neighbours quick, as long as nothing else is to do."""
        if self.controller.busy:
            return
        try:
            target = self.target(view)
            step = _slice_step(target.volume, target.plane.normal)
        except KPrismError:
            return
        self.controller.look_at(target)
        places = [target.plane.point + target.plane.normal * number * step for number in steps]
        self.controller.prefetch(target.volume, [target.plane.moved_to(place) for place in places])

    def target(self, view: slicer.vtkMRMLSliceNode) -> Target:
        """What the view shows, and the selected segment.

        Raises:
            InvalidPrompt: no volume or segment is selected.
        """
        return Target(*self._chosen(), SlicePlane.of_view(view))

    def is_selected(self, target: Target) -> bool:
        """Whether volume, segmentation and segment of a target are the selected ones, in whatever slice."""
        try:
            return self._chosen() == target.place
        except InvalidPrompt:
            return False

    def _chosen(self) -> tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLSegmentationNode, str]:
        node = self._parameters()
        volume = node.GetSourceVolumeNode() if node is not None else None
        segmentation = node.GetSegmentationNode() if node is not None else None
        if volume is None:
            raise InvalidPrompt("Choose a source volume first.")
        segment_id = node.GetSelectedSegmentID() if node is not None else None
        if segmentation is None or not segment_id or segmentation.GetSegmentation().GetSegment(segment_id) is None:
            raise InvalidPrompt("Add a segment, or select one, first.")
        return volume, segmentation, segment_id

    def close(self) -> None:
        """Drop what waits or runs."""
        self._open = False
        self.controller.close()

    def _ask(self, view: slicer.vtkMRMLSliceNode, guide: Guide, strokes: tuple[Stroke, ...], *, anew: bool) -> None:
        target = self.target(view)
        current = self._is_current_in(view, target)
        self.controller.ask(Request(target, guide, strokes, anew=anew, current=current))

    def _is_current_in(self, view: slicer.vtkMRMLSliceNode, target: Target) -> Callable[[], bool]:
        def current() -> bool:
            if not self._open or view.GetScene() is None:
                return False
            if not self.is_selected(target):
                return False
            # Zoomed or panned is still the same slice.
            plane = SlicePlane.of_view(view)
            apart = abs(float(target.plane.normal @ (plane.point - target.plane.point)))
            return apart < 1e-3 and np.allclose(plane.normal, target.plane.normal, atol=1e-5)

        return current


def _slice_step(volume: slicer.vtkMRMLVolumeNode, normal: Vector) -> float:
    """Millimetres from one slice of a volume to the next across a normal."""
    return float(np.abs(normal @ world_from_volume(volume)[:3, :3]).max())
