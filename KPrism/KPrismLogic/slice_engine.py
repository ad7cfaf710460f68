"""From a question about a slice to a mask; the only part that runs beside the main thread, and knows no nodes."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from KPrismLib.errors import InvalidConfig, OutOfMemory
from KPrismLib.prompts import Click, Prompt
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.labelmaps import Mask
from KPrismLogic.model import Model, shared_model
from KPrismLogic.recently_used import RecentlyUsed
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.volume_window import VolumeWindow

if TYPE_CHECKING:
    from KPrismLib.encoded_image import EncodedImage, ReferenceSet
    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLib.session import Session
    from KPrismLogic.slice_stack import SliceStack

Result = TypeVar("Result")

#: What the user should know once the GPU was left for the CPU.
LEFT_GPU = "The GPU was out of memory; the CPU went on."

_KEPT_SESSIONS = 16


@dataclass(frozen=True, eq=False)
class Question:
    """What to segment in a slice.

    Attributes:
        source: the slice.
        guide: class, references, or neither.
        start: bool (rows, columns), the mask to refine; None to let the guide give one.
        drawn: whether somebody drew ``start``, which then changes only where prompts touch it.
        prompts: all clicks and scribbles, oldest first.
    """

    source: SliceSource
    guide: Guide
    start: Mask | None = None
    drawn: bool = False
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask and how it came about.

    Attributes:
        mask: bool (rows, columns) of the slice.
        milliseconds: of the last prediction, encoding included where it was needed.
        device: where it ran.
        remark: something the user should know, or "".
    """

    mask: Mask
    milliseconds: float
    device: str
    remark: str = ""


class SliceEngine:
    """Answers questions, and keeps what makes the next answer quick; any thread may ask, one is served at a time.

    Args:
        model: the model.
        capacity: how many encoded slices to keep.
        window: intensity rule for all volumes, as ``KPrismLib.intensity.RULES``.
    """

    def __init__(self, model: Model, *, capacity: int = 24, window: str = "auto") -> None:
        self.model = model
        self.window = window
        self._generation = model.generation
        self._images: RecentlyUsed[EncodedImage] = RecentlyUsed(capacity)
        self._references: RecentlyUsed[ReferenceSet] = RecentlyUsed(capacity)
        self._sessions: RecentlyUsed[Session] = RecentlyUsed(min(capacity, _KEPT_SESSIONS))
        model.when_replaced(self.forget)

    @property
    def capacity(self) -> int:
        """How many encoded slices are kept."""
        return self._images.capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        if not isinstance(capacity, Integral):
            raise InvalidConfig(f"capacity is {capacity!r}; give a whole number of slices.")
        self._images.capacity = capacity
        self._references.capacity = capacity
        # Sessions hold the encoded slices that they began with.
        self._sessions.capacity = min(capacity, _KEPT_SESSIONS)

    @property
    def kept(self) -> int:
        """How many encoded slices are in memory now."""
        return len(self._images) + len(self._references)

    def forget(self) -> None:
        """Give all memory of slices back."""
        for store in (self._images, self._references, self._sessions):
            store.clear()

    def encode(self, source: SliceSource) -> None:
        """Encode a slice ahead of the first question about it."""
        with self._alone():
            self._image(self._ready(), source)

    def encode_reference(self, reference: ReferenceSlice) -> None:
        """Encode a reference ahead of its first use; a full GPU is left for the CPU.

        Raises:
            KPrismError: whatever is wrong with the image or the weights, in a sentence.
        """
        self.lend(lambda predictor: self._reference(predictor, reference))

    def is_encoded(self, source: SliceSource) -> bool:
        """Whether a question about the slice would cost the decoder only."""
        window = source.window.known(self.window)
        return self._generation == self.model.generation and window is not None and (source.key, window) in self._images

    def lend(self, work: Callable[[Predictor], Result], *, anew: Callable[[Predictor], Result] | None = None) -> Result:
        """Let somebody work with the predictor, alone, for the length of one call; a full GPU is left for the CPU.

        Args:
            work: what is done.
            anew: what is done on the CPU instead, after the GPU was full; None for the same.
        """
        with self._alone():
            try:
                return work(self._ready())
            except OutOfMemory:
                if self.model.device == "cpu":
                    raise
            self.model.choose(self.model.name, "cpu")
            return (anew or work)(self._ready())

    def best_references(
        self, source: SliceSource, references: Sequence[ReferenceSlice], count: int, structure: str = ""
    ) -> list[ReferenceSlice]:
        """Those of some references that suit a slice best, best first; a full GPU is left for the CPU.

        Args:
            source: the slice.
            references: at least one; where some are known to be of the slice's kind of image, others are left out.
            count: how many at most.
            structure: what they show; where it is the name of a class, the class helps to choose.

        Raises:
            KPrismError: whatever is wrong with an image or the weights, in a sentence.
        """
        return self.lend(lambda predictor: self._best_references(predictor, source, references, count, structure))

    def window_of(self, stack: SliceStack) -> IntensityWindow:
        """The intensity window of a volume, the same as for a click in one of its slices."""
        return VolumeWindow(stack.state, stack.grid.voxels, stack.modality).by(self.window)

    def answer(self, question: Question) -> Answer:
        """Segment a slice; a full GPU is left for the CPU.

        Raises:
            KPrismError: whatever is wrong with image, class, references, prompts or weights, in a sentence.
        """
        return self.lend(
            lambda predictor: self._answer(predictor, question, ""),
            anew=lambda predictor: self._answer(predictor, question, LEFT_GPU),
        )

    def _best_references(
        self,
        predictor: Predictor,
        source: SliceSource,
        references: Sequence[ReferenceSlice],
        count: int,
        structure: str,
    ) -> list[ReferenceSlice]:
        from KPrismLib.class_names import class_called
        from KPrismLib.volumes import LibrarySlice, ReferenceLibrary

        library = ReferenceLibrary(predictor)
        for number, one in enumerate(references):
            (part,) = self._reference(predictor, one).parts
            library.add(LibrarySlice("", number, structure, self._kind(one.source)), part)
        image = self._image(predictor, source)
        cls = class_called(structure, predictor.classes)
        best = library.suggest(image, structure, cls=cls, preferred=self._kind(source), count=count)
        return [references[suggestion.slice.index] for suggestion in best]

    def _answer(self, predictor: Predictor, question: Question, remark: str) -> Answer:
        began = time.perf_counter()
        session = self._session(predictor, question)
        mask = session.mask
        spent = (time.perf_counter() - began) * 1000
        remark = remark or self._foreign(question)
        return Answer(mask, spent, str(predictor.device), remark)

    def _foreign(self, question: Question) -> str:
        """A sentence when a reference is of another modality than the slice; else ""."""
        from KPrismLib.imaging.kinds import foreign_reference

        references = [self._kind(one.source) for one in question.guide.references]
        return foreign_reference(self._kind(question.source), references) if references else ""

    def _kind(self, source: SliceSource) -> str | None:
        from KPrismLib.imaging.kinds import kind_of

        return kind_of(source.window.modality, source.window.by(self.window), colour=source.pixels.ndim == 3)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The predictor for one caller; if it is not the model's any more by the end, nothing is left of its work."""
        with self.model.in_use:
            try:
                yield
            finally:
                if self._generation != self.model.generation:
                    self.forget()

    def _ready(self) -> Predictor:
        predictor = self.model.predictor()
        if self._generation != self.model.generation:
            self.forget()
            self._generation = self.model.generation
        return predictor

    def _session(self, predictor: Predictor, question: Question) -> Session:
        """A session that stands where the question's prompts lead, with as little computing as possible."""
        guide, start, drawn = question.guide, question.start, question.drawn
        beginning = None if start is None else np.packbits(start).tobytes()
        key = (question.source.key, question.source.window.by(self.window), guide, beginning, drawn)
        session = self._sessions.get(key)
        if session is None:
            image = self._image(predictor, question.source)
            reference = self._reference_set(predictor, guide.references) if guide.references else None
            session = predictor.session(image, cls=guide.cls, reference=reference, mask=start, drawn=drawn)
            self._sessions.put(key, session)
        _stand_at(session, question.prompts)
        for prompt in question.prompts[len(session.prompts) :]:
            if isinstance(prompt, Click):
                session.click(prompt.row, prompt.column, positive=prompt.positive)
            else:
                session.scribble(prompt.points, positive=prompt.positive)
        return session

    def _image(self, predictor: Predictor, source: SliceSource) -> EncodedImage:
        window = source.window.by(self.window)
        return self._images.get_or_make(
            (source.key, window), lambda: predictor.encode(source.pixels, window=window, spacing=source.spacing)
        )

    def _reference_set(self, predictor: Predictor, references: tuple[ReferenceSlice, ...]) -> ReferenceSet:
        parts: list[Any] = []
        for one in references:
            parts.extend(self._reference(predictor, one).parts)
        return predictor.combine(parts)

    def _reference(self, predictor: Predictor, one: ReferenceSlice) -> ReferenceSet:
        source, window = one.source, one.source.window.by(self.window)
        # By what it shows: each search of the scene cuts the same slices anew.
        return self._references.get_or_make(
            (source.key, np.packbits(one.mask).tobytes(), window),
            lambda: predictor.reference([(source.pixels, one.mask)], window=window, spacing=source.spacing),
        )


@functools.cache
def shared_engine() -> SliceEngine:
    """The engine of all editors, the panel and the console, so that what one has encoded serves the others too."""
    return SliceEngine(shared_model())


def _stand_at(session: Session, prompts: tuple[Prompt, ...]) -> None:
    """Undo and redo until the session's prompts are the first of ``prompts``, as many of them as it knows."""
    while session.prompts != prompts[: len(session.prompts)]:
        session.undo()
    while session.can_redo:
        session.redo()
        if session.prompts != prompts[: len(session.prompts)]:
            session.undo()
            return
