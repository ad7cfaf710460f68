"""From clicks to written masks: asks in order, off the main thread, and writes what is still wanted when it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import InvalidImage, InvalidPrompt, KPrismError
from KPrismLib.prompts import Click, Prompt, Scribble
from KPrismLogic.guide import Guide
from KPrismLogic.labelmaps import Mask, fingerprint
from KPrismLogic.matrices import world_from_image, world_from_volume
from KPrismLogic.prompt_states import Dialogue, PromptStates
from KPrismLogic.recently_used import RecentlyUsed
from KPrismLogic.segment_editing import Editor, write_mask
from KPrismLogic.slice_engine import Answer, Question, SliceEngine
from KPrismLogic.slice_image import SliceImage, cut
from KPrismLogic.slice_source import SliceSource, content_key
from KPrismLogic.slice_voxels import SliceVoxels, segment_in_slice, voxels_in
from KPrismLogic.target import NoLongerWanted, Target

if TYPE_CHECKING:
    from KPrismLogic.matrices import Vector
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_plane import SlicePlane

_KEPT_SLICES = 64
_KEPT_VOXELS = 16


@dataclass(frozen=True)
class Stroke:
    """A click or scribble in the world.

    Attributes:
        points: RAS mm, one for a click.
        positive: whether it adds.
    """

    points: tuple[tuple[float, float, float], ...]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Request:
    """One thing that the user asked for.

    Attributes:
        target: where.
        guide: class or references that were chosen then.
        strokes: what is added to what was said about this slice before.
        anew: begin with what the guide gives, whatever is drawn or was said there.
        current: whether the user still looks at the target; asked on the main thread before writing.
        undoable: whether the editor's undo gets a state of its own.
    """

    target: Target
    guide: Guide = field(default_factory=Guide)
    strokes: tuple[Stroke, ...] = ()
    anew: bool = False
    current: Callable[[], bool] = lambda: True
    undoable: bool = True


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request under way, with all that must not change until its answer is written."""

    request: Request
    source: SliceSource
    voxels: SliceVoxels
    dialogue: Dialogue
    state: str
    content: Mask


class SliceController:
    """One editor's requests; every method is for the main thread.

    Args:
        editor: where masks are written.
        engine: what answers; no other thread may use it.
        runner: where it runs.
        states: what was said before, by an earlier controller of the same editor; None begins anew.
        report: called with every written answer.
        fail: called with a sentence, whenever a request ends without a written mask.
    """

    def __init__(
        self,
        editor: Editor,
        engine: SliceEngine,
        runner: Runner,
        *,
        states: PromptStates | None = None,
        report: Callable[[Answer], None] = lambda _: None,
        fail: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._editor, self._engine, self._runner = editor, engine, runner
        self._report, self._fail = report, fail
        self._waiting: deque[Request] = deque()
        self._running = False
        self._states = states or PromptStates()
        self._images: RecentlyUsed[SliceImage] = RecentlyUsed(_KEPT_SLICES)
        self._voxels: RecentlyUsed[SliceVoxels] = RecentlyUsed(_KEPT_VOXELS)

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        return self._running or bool(self._waiting)

    def ask(self, request: Request) -> None:
        """Queue a request; it is answered after those before it."""
        self._waiting.append(request)
        self._next()

    def prefetch(self, volume: Any, planes: Sequence[SlicePlane]) -> None:
        """Encode slices that will probably be asked about, one after the other, as long as nothing else is to do."""
        if not planes or self.busy or self._runner.busy:
            return
        try:
            source = SliceSource.of(volume, self._image(volume, planes[0]))
        except KPrismError:
            source = None  # No neighbour there; nobody asked for it.
        if source is None or self._engine.is_encoded(source):
            self.prefetch(volume, planes[1:])
        else:
            wanted = source
            self._runner.submit(lambda: self._engine.encode(wanted), lambda done: self._continue(volume, planes, done))

    def _continue(self, volume: Any, planes: Sequence[SlicePlane], done: Future[Any]) -> None:
        # What cannot be encoded is said when somebody clicks there.
        if done.exception() is None and volume.GetScene() is not None:
            self.prefetch(volume, planes[1:])

    def prompts(self, target: Target) -> list[tuple[Prompt, list[Vector]]]:
        """The clicks and scribbles that led to the segment in its slice, each with its points in RAS mm."""
        try:
            dialogues = self._states.dialogues(target.segment())
            if not dialogues:
                return []
            image = self._image(target.volume, target.plane)
            source = SliceSource.of(target.volume, image)
            if source.key not in dialogues:
                return []  # Views ask with every step of scrolling; finding voxels would slow it down.
            content = self._voxels_of(target, image, source).read(target.segmentation, target.segment_id)
            dialogue = self._dialogue(target, source, content)
        except KPrismError:
            return []
        prompts = dialogue.prompts if dialogue is not None else ()
        return [(prompt, [image.ras_at(*point) for point in prompt.points]) for prompt in prompts]

    def close(self) -> None:
        """Drop everything that waits or runs; nothing is written any more."""
        self._waiting.clear()
        self._running = False
        self._runner.close()
        self._images.clear()
        self._voxels.clear()

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
        question = Question(asked.source, asked.dialogue.guide, asked.dialogue.start, asked.dialogue.prompts)
        self._runner.submit(lambda: self._engine.answer(question), lambda done: self._finish(asked, done))

    def _prepare(self, request: Request) -> _Asked:
        target = request.target
        segment = target.segment()
        image = self._image(target.volume, target.plane)
        source = SliceSource.of(target.volume, image)
        voxels = self._voxels_of(target, image, source)
        content = voxels.read(target.segmentation, target.segment_id)
        prompts = tuple(_prompt(stroke, image) for stroke in request.strokes)
        earlier = self._dialogue(target, source, content)
        if request.anew:
            dialogue = Dialogue(request.guide, None, prompts, b"")
        elif earlier is not None and earlier.guide == request.guide:
            dialogue = Dialogue(request.guide, earlier.start, (*earlier.prompts, *prompts), b"")
        else:
            # What somebody drew here, or another guide gave, is refined and not thrown away.
            start = segment_in_slice(image, target.segmentation, target.segment_id) if content.any() else None
            dialogue = Dialogue(request.guide, start, prompts, b"")
        return _Asked(request, source, voxels, dialogue, self._states.name(segment), content)

    def _finish(self, asked: _Asked, done: Future[Any]) -> None:
        self._running = False
        try:
            self._write(asked, done.result())
        except (KPrismError, ImportError) as error:
            self._fail(error)
        except Exception as error:
            self._fail(error)
            raise  # A defect: the user learns of it, and the log gets the whole story.
        finally:
            self._next()

    def _write(self, asked: _Asked, answer: Answer) -> None:
        request, target, voxels = asked.request, asked.request.target, asked.voxels
        segment = target.segment()
        if not request.current():
            raise NoLongerWanted("Another slice, segment or effect is shown by now; nothing was changed.")
        if self._states.name(segment) != asked.state:
            raise NoLongerWanted("The segment was undone or edited meanwhile; nothing was changed.")
        image = self._image(target.volume, target.plane)
        if SliceSource.of(target.volume, image).key != asked.source.key:
            raise NoLongerWanted("The volume changed meanwhile; nothing was changed.")
        if self._voxels_of(target, image, asked.source) is not voxels or not np.array_equal(
            voxels.read(target.segmentation, target.segment_id), asked.content
        ):
            # Somebody painted here meanwhile: the click is still meant, so ask again with what is there now.
            self._waiting.appendleft(request)
            return
        if request.undoable:
            self._editor.save_state()
        written = write_mask(
            self._editor, target.segmentation, target.segment_id, voxels, answer.mask & voxels.image.inside
        )
        said = asked.dialogue
        self._states.record(
            segment, asked.source.key, Dialogue(said.guide, said.start, said.prompts, fingerprint(written))
        )
        self._report(answer)

    def _dialogue(self, target: Target, source: SliceSource, content: Mask) -> Dialogue | None:
        """What was said about the slice, if the segment is still what came of it there."""
        dialogue = self._states.dialogues(target.segment()).get(source.key)
        return dialogue if dialogue is not None and fingerprint(content) == dialogue.written else None

    def _image(self, volume: Any, plane: SlicePlane) -> SliceImage:
        if volume.GetImageData() is None:
            raise InvalidImage(f"{volume.GetName()} holds no voxels.")
        key = (content_key(volume), _geometry_key(volume), *plane.point.round(6), *plane.normal.round(9))
        return self._images.get_or_make(key, lambda: cut(volume, plane))

    def _voxels_of(self, target: Target, image: SliceImage, source: SliceSource) -> SliceVoxels:
        geometry = self._editor.geometry()
        if geometry is None:
            raise InvalidImage("The segmentation has no geometry; choose a source volume first.")
        key = (source.key, image.plane.point.round(6).tobytes(), *_grid_key(geometry, target.segmentation))
        return self._voxels.get_or_make(key, lambda: voxels_in(image, target.segmentation, geometry))


def _prompt(stroke: Stroke, image: SliceImage) -> Prompt:
    pixels = list(dict.fromkeys(image.pixel_at(point) for point in stroke.points))
    pixels = [pixel for pixel in pixels if image.contains(*pixel)]
    if not pixels:
        raise InvalidPrompt("The click lies outside the volume; click inside it.")
    if len(stroke.points) == 1:
        return Click(*pixels[0], stroke.positive)
    return Scribble(tuple(pixels), stroke.positive)


def _geometry_key(volume: Any) -> Hashable:
    return world_from_volume(volume).tobytes()


def _grid_key(geometry: Any, segmentation: Any) -> Sequence[Hashable]:
    return segmentation.GetID(), world_from_image(geometry, segmentation).tobytes(), tuple(geometry.GetExtent())
