"""A run of the module panel over one or many slices, off the main thread, with progress and cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from KPrismLib.errors import KPrismError
from KPrismLogic.editor_undo import OneState, keep_state
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.propagation import Propagation, carried
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.segments import find_or_add_segment
from KPrismLogic.slice_controller import Request, SliceController
from KPrismLogic.target import Target
from KPrismLogic.temporary_editor import temporary_editor

if TYPE_CHECKING:
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import Answer, SliceEngine
    from KPrismLogic.slice_plane import SlicePlane


class SliceRun:
    """Runs once.

    Args:
        engine: what answers.
        runner: runs the model beside the main thread.
        progress: called with (slices done, all slices).
        finished: called with one sentence at the end, whatever the end was.
    """

    def __init__(
        self,
        engine: SliceEngine,
        runner: Runner,
        progress: Callable[[int, int], None],
        finished: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._engine, self._progress, self._finished = engine, progress, finished
        self._resources = ExitStack()
        self._controller: SliceController | None = None
        self._propagations: list[Propagation] = []
        self._done = self._all = 0

    def start(
        self,
        volume: Any,
        segmentation: Any,
        segment: str,
        plane: SlicePlane,
        *,
        cls: str | None = None,
        steps: Sequence[int] = (),
    ) -> None:
        """Segment a slice by class, or carry it through neighbours.

        Args:
            volume, segmentation: the nodes.
            segment: name or ID.
            plane: the slice.
            cls: a class; None to carry what is segmented in the slice.
            steps: how many slices to carry it, negative for against the normal.
        """
        try:
            segment_id = find_or_add_segment(segmentation, segment, cls)
            target = Target(volume, segmentation, segment_id, plane)
            parameters = self._resources.enter_context(temporary_editor(volume, segmentation, segment_id, None))
            editor = LogicEditor(parameters, OneState(keep_state))
            self._controller = SliceController(
                editor, self._engine, self._runner, report=self._on_written, fail=self._on_failed
            )
            if cls is not None:
                self._all = 1
                self._controller.ask(Request(target, Guide(cls), anew=True))
                return
            known = ReferenceSlice.of_segment(volume, segmentation, segment_id, plane)
            guide = Guide(references=(known,))
            self._propagations = [
                Propagation(target, carried(target, count), guide, lambda *_: True) for count in steps if count
            ]
            self._all = sum(run.all for run in self._propagations)
            self._continue()
        except KPrismError as error:
            self._on_failed(error)

    def cancel(self) -> None:
        """End now; what is written stays."""
        self._end(f"Stopped after {self._done} of {self._all} slices.")

    def _continue(self) -> None:
        if not self._propagations:
            self._end(f"Done: {self._done} of {self._all} slices.")
        elif self._controller is not None:
            self._propagations[0].start(self._controller)

    def _on_written(self, answer: Answer) -> None:
        self._done += 1
        self._progress(self._done, self._all)
        if not self._propagations:
            self._end(answer.remark or f"Done in {answer.milliseconds:.0f} ms.")
            return
        self._propagations[0].advance(answer)
        if self._propagations[0].finished:
            self._propagations.pop(0)
            self._continue()

    def _on_failed(self, error: Exception) -> None:
        self._end(str(error))

    def _end(self, sentence: str) -> None:
        if self._controller is not None:
            self._controller.close()
            self._controller = None
        self._propagations = []
        self._resources.close()
        self._finished(sentence)
