"""One run that a user started, in one slice or through a volume, beside the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from KPrismDesktop.status_line import failure
from KPrismLogic.guide import Guide
from KPrismLogic.segment_editing import Editor
from KPrismLogic.slice_controller import SliceController
from KPrismLogic.slice_request import Request
from KPrismLogic.target import NoLongerWanted
from KPrismLogic.volume_run import VolumeRun
from KPrismLogic.volume_work import Pieces, Step
from KPrismLogic.written_slices import WrittenSlices

if TYPE_CHECKING:
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import Answer, SliceEngine
    from KPrismLogic.slice_stack import SliceStack
    from KPrismLogic.target import Target


class DesktopRun:
    """Runs once.

    Args:
        editor_of: gives the editor that writes to a target, for as long as the run lasts.
        engine: what answers.
        runner: runs the model beside the main thread.
        progress: called with each slice of a volume that was written and each lesson before, how many slices are
            written, and of how many.
        finished: called with one sentence at the end, whatever the end was.
    """

    def __init__(
        self,
        editor_of: Callable[[Target], AbstractContextManager[Editor]],
        engine: SliceEngine,
        runner: Runner,
        progress: Callable[[Step, int, int], None],
        finished: Callable[[str], None],
    ) -> None:
        self._editor_of, self._engine, self._runner = editor_of, engine, runner
        self._progress, self._finished = progress, finished
        self._resources = ExitStack()
        self._controller: SliceController | None = None
        self._volume_run: VolumeRun | None = None
        self._cancelled = False
        self._fruitless = True

    @property
    def fruitless(self) -> bool:
        """Whether an error or the user has ended it before it changed anything."""
        return self._fruitless

    def segment_slice(self, target: Target, class_name: str) -> None:
        """Segment a slice by class.

        Raises:
            InvalidImage: the nodes are in no scene.
        """
        self._controller = SliceController(
            self._resources.enter_context(self._editor_of(target)),
            self._engine,
            self._runner,
            report=self._on_written,
            fail=self._on_failed,
        )
        self._controller.ask(Request(target, Guide(class_name), anew=True))

    def through_volume(
        self,
        target: Target,
        stack: SliceStack,
        pieces: Pieces,
        count: int,
        records: Mapping[str, WrittenSlices] | None = None,
        *,
        advise: Callable[[], str] = lambda: "",
    ) -> None:
        """Write a volume slice by slice.

        Args:
            target: the nodes; its plane does not matter.
            stack: the slices.
            pieces: what to write.
            count: how many slices there will be at most.
            records: what earlier runs wrote of each segment, by its ID.
            advise: asked at the end of a run that came to its end for what the user could do better, or "".

        Raises:
            InvalidImage: the nodes are in no scene.
        """

        def on_step(step: Step, done: int) -> bool:
            self._progress(step, done, count)
            return True

        def on_end(error: Exception | None) -> None:
            self._fruitless = (error is not None or self._cancelled) and not run.has_changed_something
            if error is None and run.done == 0 and not self._cancelled:
                self._end("Done: in this range there was nothing left to segment.")
            elif error is None:
                self._end(" ".join(filter(None, self._outcome(run, advise))))
            elif isinstance(error, NoLongerWanted) and _is_deleted(target):
                # Its slices read as empty, which looks like an undo to whoever wrote them.
                self._end("The segment was deleted; the rest was not segmented.")
            else:
                self._on_failed(error)

        editor = self._resources.enter_context(self._editor_of(target))
        run = self._volume_run = VolumeRun(
            editor,
            self._engine,
            self._runner,
            target.volume,
            target.segmentation,
            stack,
            records=records,
            progress=on_step,
            finished=on_end,
        )
        run.start(pieces)

    def cancel(self) -> None:
        """End now; what is written stays."""
        self._cancelled = True
        if self._volume_run is not None:
            self._volume_run.cancel()
        else:
            self._end("Stopped; nothing was changed.")

    def _outcome(self, run: VolumeRun, advise: Callable[[], str]) -> Iterator[str]:
        """What is to be said of a run that no error ended."""
        if run.written or not run.done:
            yield f"{'Stopped' if self._cancelled else 'Done'}: {run.written} slices written."
        yield run.remark
        # How to find more is nobody's question before what was found can be written.
        if run.written and not self._cancelled:
            yield advise()

    def _on_written(self, answer: Answer) -> None:
        self._fruitless = False
        self._end(answer.remark or f"Done in {answer.milliseconds:.0f} ms.")

    def _on_failed(self, error: Exception) -> None:
        self._end(failure(error))

    def _end(self, sentence: str) -> None:
        if self._controller is not None:
            self._controller.close()
            self._controller = None
        self._volume_run = None
        self._resources.close()
        self._finished(sentence)


def _is_deleted(target: Target) -> bool:
    """Whether the segment is gone from a segmentation that is still there."""
    content = target.segmentation.GetSegmentation()
    return target.segmentation.GetScene() is not None and content.GetSegment(target.segment_id) is None
