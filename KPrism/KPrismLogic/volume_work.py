"""What a run through a volume does beside the main thread; it knows no nodes, which the other thread would destroy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from KPrismLogic.lesson import Lesson
from KPrismLogic.volume_piece import Piece

if TYPE_CHECKING:
    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLogic.slice_engine import SliceEngine
    from KPrismLogic.slice_stack import SliceStack

#: Something to write, or a lesson before it.
Step = Piece | Lesson

#: Makes the pieces; called beside the main thread, as is every step of what it returns. It holds no node either.
Pieces = Callable[["Predictor", "IntensityWindow"], Iterator[Step]]


class VolumeWork:
    """Goes one step at a time with the model of an engine; where that is another one by now, once more from the start.

    Args:
        engine: whose model works.
        stack: the slices of the volume.
        pieces: makes the steps.
    """

    def __init__(self, engine: SliceEngine, stack: SliceStack, pieces: Pieces) -> None:
        self._engine, self._stack = engine, stack
        self._pieces: Pieces | None = pieces
        self._iterator: Iterator[Step] | None = None
        self._predictor: Predictor | None = None  # that the iterator works with
        #: Whether the GPU was full, so that the CPU went on.
        self.left_gpu = False

    def step(self) -> Step | None:
        """The next step, or None at the end."""
        if self._predictor is not None and not self._engine.model.uses(self._predictor):
            self._iterator = self._predictor = None  # Not to stay in memory beside the one that is loaded now.
        return self._engine.lend(self._go_on, anew=self._begin_on_cpu)

    def end(self) -> None:
        """Give everything back; any thread may ask, also while another is at a step, which is the last one then."""
        # What is half learned takes as much memory as the model.
        self._pieces = self._iterator = self._predictor = None

    def _begin_on_cpu(self, predictor: Predictor) -> Step | None:
        """Once more from the start: what the run holds on the GPU is worth nothing here, and is found again."""
        self.left_gpu = True
        return self._begin(predictor)

    def _begin(self, predictor: Predictor) -> Step | None:
        pieces = self._pieces
        if pieces is None:
            return None  # Ended while the model was loaded, or was at work for somebody else.
        self._predictor = predictor
        self._iterator = pieces(predictor, self._engine.window_of(self._stack))
        return self._go_on(predictor)

    def _go_on(self, predictor: Predictor) -> Step | None:
        if predictor is not self._predictor:
            return self._begin(predictor)
        iterator = self._iterator
        return None if iterator is None else next(iterator, None)
