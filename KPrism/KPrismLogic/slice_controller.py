"""From clicks to written masks: asks in order, off the main thread, and writes what is still wanted when it comes."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import InvalidImage, KPrismError
from KPrismLogic.editable_area import check_editable_area
from KPrismLogic.grid_coverage import LEFT_OUT, nothing_covered, pixels_outside
from KPrismLogic.labelmaps import Mask
from KPrismLogic.prompt_states import Dialogue, shared_states
from KPrismLogic.segment_editing import Editor
from KPrismLogic.slice_engine import Answer, Question, SliceEngine
from KPrismLogic.slice_request import Request
from KPrismLogic.slice_store import ShownSlice, SliceStore
from KPrismLogic.slice_voxels import SliceVoxels, segment_in_slice
from KPrismLogic.taken_voxels import TakenVoxels, write_and_give_back
from KPrismLogic.target import NoLongerWanted, Target

if TYPE_CHECKING:
    import slicer

    from KPrismLib.prompts import Prompt
    from KPrismLogic.matrices import Vector
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_plane import SlicePlane


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request under way, with all that must not change until its answer is written."""

    request: Request
    shown: ShownSlice
    voxels: SliceVoxels
    dialogue: Dialogue
    state: str
    content: Mask


class SliceController:
    """One editor's requests; every method is for the main thread.

    Args:
        editor: where masks are written.
        engine: what answers.
        runner: where it runs.
        report: called with every written answer.
        fail: called with a sentence, whenever a request ends without a written mask.
        found: whether what a target's segment holds in some voxels is what a run through the volume left there; what
            neither it nor clicks nor a guide wrote somebody drew.
    """

    def __init__(
        self,
        editor: Editor,
        engine: SliceEngine,
        runner: Runner,
        *,
        report: Callable[[Answer], None] = lambda _: None,
        fail: Callable[[Exception], None] = lambda _: None,
        found: Callable[[Target, SliceVoxels, Mask], bool] = lambda *_: False,
    ) -> None:
        self._editor, self._engine, self._runner = editor, engine, runner
        self._report, self._fail, self._found = report, fail, found
        self._waiting: deque[Request] = deque()
        self._running = False
        self._states = shared_states()
        self._store = SliceStore()

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        return self._running or bool(self._waiting)

    def ask(self, request: Request) -> None:
        """Queue a request; it is answered after those before it.

        Those that wait and would be begun anew by it are dropped: turning the wheel over a list of classes asks for
        all of them, and each answer would cost an undo state.
        """
        if request.anew:
            self._waiting = deque(one for one in self._waiting if not request.supersedes(one))
        self._waiting.append(request)
        self._next()

    def prefetch(self, volume: Any, planes: Sequence[SlicePlane]) -> None:
        """Encode slices that will probably be asked about, one after the other, as long as nothing else is to do."""
        if not planes or self.busy or self._runner.busy:
            return
        try:
            source = self._store.slice(volume, planes[0]).source
        except KPrismError:
            source = None  # No neighbour there; nobody asked for it.
        if source is None or self._engine.is_encoded(source):
            self.prefetch(volume, planes[1:])
        else:
            encode = functools.partial(self._engine.encode, source)
            self._runner.submit(encode, lambda done: self._continue(volume, planes, done))

    def _continue(self, volume: Any, planes: Sequence[SlicePlane], done: Future[Any]) -> None:
        # What cannot be encoded is said when somebody clicks there.
        if done.exception() is None and volume.GetScene() is not None:
            self.prefetch(volume, planes[1:])

    def look_at(self, target: Target) -> None:
        """Find what the first click in a slice would have to find, while nobody waits for it."""
        geometry = self._editor.geometry()
        try:
            self._store.content(self._store.slice(target.volume, target.plane), target, geometry)
        except KPrismError:
            return  # It is said when somebody clicks there.

    def prompts(self, target: Target) -> list[tuple[Prompt, list[Vector]]]:
        """The clicks and scribbles that led to the segment in its slice, each with its points in RAS mm."""
        try:
            dialogues = self._states.dialogues(target.segment())
            if not dialogues:
                return []
            shown = self._store.slice(target.volume, target.plane)
            if all(topic.slice_key != shown.source.key for topic in dialogues):
                return []  # Views ask with every step of scrolling; finding voxels would slow it down.
            dialogue = self._dialogue(target, shown, self._editor.geometry())
        except KPrismError:
            return []
        prompts = dialogue.prompts if dialogue is not None else ()
        return [(prompt, [shown.image.ras_at(*point) for point in prompt.points]) for prompt in prompts]

    def answered(self, target: Target) -> list[SlicePlane]:
        """The planes, parallel to the target's, in which the segment still is what was made of it there.

        Raises:
            KPrismError: volume or segment are gone.
        """
        geometry = self._editor.geometry()
        found = []
        # Of hundreds of slices a few were talked about; to cut all of them takes seconds.
        for dialogue in self._states.dialogues(target.segment()).values():
            if not dialogue.plane.is_parallel(target.plane):
                continue
            try:
                shown = self._store.slice(target.volume, dialogue.plane)
                drawn = self._store.content(shown, target, geometry).any()
            except InvalidImage:
                continue  # The volume lay elsewhere then, or it was another one.
            if drawn and self._dialogue(target, shown, geometry) is dialogue:
                found.append(dialogue.plane)
        return found

    def close(self) -> None:
        """Drop everything that waits or runs; nothing is written any more, and nobody is told or kept alive."""
        self._report, self._fail, self._found = lambda _: None, lambda _: None, lambda *_: False
        self._waiting.clear()
        self._running = False
        self._runner.close()
        self._store.clear()

    def _next(self) -> None:
        while self._waiting and not self._running:
            request = self._waiting.popleft()
            try:
                asked = self._prepare(request)
            except KPrismError as error:
                self._fail(error)
                continue
            self._submit(asked)

    def _submit(self, asked: _Asked) -> None:
        self._running = True
        said = asked.dialogue
        question = Question(asked.shown.source, said.guide, said.start, said.drawn, said.prompts)
        # Nothing of the main thread goes to the other one, which would destroy what is closed meanwhile.
        answer = functools.partial(self._engine.answer, question)
        self._runner.submit(answer, lambda done: self._finish(asked, done))

    def _prepare(self, request: Request) -> _Asked:
        target, segment = request.target, request.segment()
        geometry = self._editor.geometry()
        shown = self._store.slice(target.volume, target.plane)
        voxels = self._store.voxels(shown, target, geometry)
        content = self._store.content(shown, target, geometry)
        prompts = tuple(stroke.prompt(shown.image) for stroke in request.strokes)
        earlier = self._dialogue(target, shown, geometry) if request.continues else None
        if request.anew:
            dialogue = Dialogue(target.plane, request.guide, None, False, prompts, b"")
        elif earlier is not None and earlier.guide == request.guide:
            dialogue = replace(earlier, plane=target.plane, prompts=(*earlier.prompts, *prompts), written=b"")
        else:
            # What somebody drew here, or another guide gave, is refined and not thrown away.
            start = segment_in_slice(shown.image, target.segmentation, target.segment_id) if content.any() else None
            drawn = start is not None and earlier is None and not self._found(target, voxels, content)
            dialogue = Dialogue(target.plane, request.guide, start, drawn, prompts, b"")
        return _Asked(request, shown, voxels, dialogue, self._states.name(segment), content)

    def _finish(self, asked: _Asked, done: Future[Any]) -> None:
        self._running = False
        failure = done.exception()
        # Raised here, it would hold this frame, and that would hold it: a circle.
        expected = failure if isinstance(failure, (KPrismError, ImportError)) else None
        try:
            if expected is None:
                self._write(asked, done.result())
        except (KPrismError, ImportError) as error:
            self._fail(error)
        except Exception as error:
            self._fail(error)
            raise  # A defect: the user learns of it, and the log gets the whole story.
        else:
            if expected is not None:
                self._fail(expected)
        finally:
            self._next()

    def _write(self, asked: _Asked, answer: Answer) -> None:
        request, target, voxels = asked.request, asked.request.target, asked.voxels
        segment = request.segment()
        if not request.current():
            raise NoLongerWanted("Another slice, segment or effect is shown by now; nothing was changed.")
        if self._states.name(segment) != asked.state:
            raise NoLongerWanted("The segment was undone or edited meanwhile; nothing was changed.")
        shown, geometry = self._store.slice(target.volume, target.plane), self._editor.geometry()
        if shown.source.key != asked.shown.source.key:
            raise NoLongerWanted("The volume changed meanwhile; nothing was changed.")
        content = self._store.content(shown, target, geometry)
        if self._store.voxels(shown, target, geometry) is not voxels or not np.array_equal(content, asked.content):
            # Somebody painted here meanwhile: the click is still meant, so ask again with what is there now.
            self._waiting.appendleft(request)
            return
        mask = answer.mask & voxels.image.inside
        if mask.any() and not voxels.wanted(mask, np.zeros_like(content)).any():
            raise nothing_covered()
        wanted, said, earlier = voxels.wanted(mask, content), asked.dialogue, self._dialogue(target, shown, geometry)
        if not np.array_equal(wanted, content) or self._is_news(asked, earlier):
            check_editable_area(self._editor, target.segmentation, target.segment_id, voxels, wanted, content)
            self._editor.save_state()
            topic = self._store.topic(shown, target, geometry)
            # Of the last dialogue, also where somebody changed the segment since: that is asked voxel by voxel.
            last = self._states.dialogues(segment).get(topic)
            before = TakenVoxels() if last is None else last.taken
            held = functools.partial(self._store.content, shown, target, geometry)
            taken = write_and_give_back(self._editor, target, voxels, wanted, held, before)
            written = voxels.fingerprint(held())
            self._states.record(segment, topic, replace(said, written=written, taken=taken))
        if geometry is not None and pixels_outside(shown.image, mask, target.segmentation, geometry):
            answer = replace(answer, remark=" ".join(filter(None, (answer.remark, LEFT_OUT))))
        self._report(answer)

    def _is_news(self, asked: _Asked, earlier: Dialogue | None) -> bool:
        """Whether an answer that changes no voxel is to be remembered all the same, by an undo state of its own."""
        said, content = asked.dialogue, asked.content
        if earlier is not None:
            return not said.repeats(earlier)
        # Asked for in a slice that a run found, it makes this slice the user's own.
        asked_for = content.any() and self._found(asked.request.target, asked.voxels, content)
        return bool(said.prompts or said.start is not None or asked_for)

    def _dialogue(
        self, target: Target, shown: ShownSlice, geometry: slicer.vtkOrientedImageData | None
    ) -> Dialogue | None:
        """What was said about the slice, if the segment is still what came of it there."""
        dialogues = self._states.dialogues(target.segment())
        dialogue = dialogues.get(self._store.topic(shown, target, geometry)) if dialogues else None
        if dialogue is None:
            return None
        voxels = self._store.voxels(shown, target, geometry)
        written = voxels.fingerprint(self._store.content(shown, target, geometry))
        return dialogue if written == dialogue.written else None
