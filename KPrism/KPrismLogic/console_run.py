"""A run through a volume in one call, for the console and scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from KPrismLogic.console_arguments import goes_on
from KPrismLogic.lesson import Lesson
from KPrismLogic.runner import DirectRunner
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.temporary_editor import temporary_editor
from KPrismLogic.volume_result import VolumeResult
from KPrismLogic.volume_run import VolumeRun
from KPrismLogic.volume_work import Pieces, Step

if TYPE_CHECKING:
    import slicer

    from KPrismLogic.editor_undo import KeepState
    from KPrismLogic.slice_engine import SliceEngine
    from KPrismLogic.slice_stack import SliceStack
    from KPrismLogic.written_slices import WrittenSlices


class ConsoleRun:
    """Runs once, to the end; what fails before anything is written leaves no new segments.

    Args:
        engine: whose model works.
        save_state: called with the segmentation node before anything is written.
        rules: the editor node whose masks and overwrite rules hold; None edits everywhere and overwrites nothing.
        progress: called with (slices written, slices in the range) after each slice and each lesson.
        note: called with each slice and lesson before ``progress``.
    """

    def __init__(
        self,
        engine: SliceEngine,
        save_state: KeepState,
        rules: slicer.vtkMRMLSegmentEditorNode | None,
        progress: Callable[[int, int], object],
        note: Callable[[Step], object] = lambda _: None,
    ) -> None:
        self._engine, self._save_state, self._rules = engine, save_state, rules
        self._progress, self._note = progress, note

    def through_volume(
        self,
        volume: slicer.vtkMRMLVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        stack: SliceStack,
        pieces: Pieces,
        count: int,
        new: Iterable[str] = (),
        records: Mapping[str, WrittenSlices] | None = None,
    ) -> VolumeResult:
        """Write a volume slice by slice.

        Args:
            volume, segmentation: the nodes.
            segment_id: the segment that is selected for the editor's rules.
            stack: the slices.
            pieces: what to write.
            count: how many slices there will be at most.
            new: IDs of segments that were made for this.
            records: what earlier runs wrote of each segment, by its ID.

        Raises:
            KPrismError: whatever ended the run.
        """
        run: VolumeRun | None = None
        confidence: dict[float, float | None] = {}
        area: dict[float, int] = {}

        def on_step(step: Step, done: int) -> bool:
            self._note(step)
            if not isinstance(step, Lesson):
                where = stack.offset(step.index)
                confidence[where], area[where] = min(step.confidence.values(), default=None), step.area
            return goes_on(self._progress(done, count))

        def on_end(error: Exception | None) -> None:
            if error is not None:
                raise error

        try:
            with temporary_editor(volume, segmentation, segment_id, self._rules) as parameters:
                editor = LogicEditor(parameters, self._save_state)
                runner = DirectRunner()
                run = VolumeRun(
                    editor,
                    self._engine,
                    runner,
                    volume,
                    segmentation,
                    stack,
                    records=records,
                    progress=on_step,
                    finished=on_end,
                )
                run.start(pieces)
        except BaseException:
            if run is None or not run.has_changed_something:
                for one in new:
                    segmentation.GetSegmentation().RemoveSegment(one)
            raise
        return VolumeResult(confidence, area, run.remark)
