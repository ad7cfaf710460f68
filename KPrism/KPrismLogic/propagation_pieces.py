"""What a segment's propagation gives to be written; it knows no nodes, which the model's thread would destroy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.engine_propagation import EnginePropagation
from KPrismLogic.lesson import Lesson
from KPrismLogic.volume_piece import Piece

if TYPE_CHECKING:
    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLogic.accepted_slices import AcceptedSlices
    from KPrismLogic.slice_stack import SliceStack
    from KPrismLogic.volume_work import Step


class PropagationPieces:
    """Of run after run, with what the engine knows from the ones before; the main thread changes what it is given.

    Args:
        segment_id: the segment.
        accepted: what is accepted.
        confidence, areas: by slice, of what was written.
    """

    def __init__(
        self,
        segment_id: str,
        accepted: AcceptedSlices,
        confidence: Mapping[int, float],
        areas: Mapping[int, int],
    ) -> None:
        self._segment_id, self._accepted = segment_id, accepted
        self._confidence, self._areas = confidence, areas
        #: What the model encoded; None to begin anew.
        self.engine: EnginePropagation | None = None
        #: Why the last run went no further, by the last slice that it saw; nothing of a run that was stopped.
        self.ends: Mapping[int, str] = {}

    def forget_model(self) -> None:
        """Hold nothing of the model, as far as no run is under way; any thread may ask. The next run begins with it."""
        self.engine = None

    def steps(
        self,
        predictor: Predictor,
        window: IntensityWindow,
        *,
        stack: SliceStack,
        name: str,
        first: int,
        last: int,
        learn: bool,
        by_class: Collection[int] = (),
    ) -> Iterator[Step]:
        """What to write into the slices ``first`` to ``last``, nearest to the accepted ones first; for any thread.

        Args:
            predictor: the model.
            window: intensity window of the volume.
            stack: the slices.
            name: of the structure, which may be that of a class.
            first, last: the range.
            learn: learn the structure from the accepted slices before, unless nothing of them changed since it was
                learned; otherwise what was learned is forgotten.
            by_class: the slices that a run of a class wrote last: what it found elsewhere stays.

        Raises:
            KPrismError: as ``KPrismLib.volumes.Propagation.propagate`` and ``learn``.
        """
        from KPrismLib.class_names import class_called

        # Only as far as the class finds the accepted slices, which the engine sees to.
        cls = class_called(name, predictor.classes)
        engine = self.engine
        if engine is None or not engine.is_of(predictor, stack, cls):
            engine = self.engine = EnginePropagation(predictor, stack, window, cls)
        self.ends = {}
        accepted, planes = self._accepted.masks, self._accepted.planes
        reached = set(accepted)
        for step in engine.steps(accepted, first, last, learn=learn):
            if isinstance(step, Lesson):
                yield step
            else:
                reached.add(step.index)
                yield Piece(step.index, {self._segment_id: step.mask}, {self._segment_id: step.confidence})
        self.ends = engine.ends
        # An engine that is new does not know that the structure, by what is accepted now, reaches less far than before.
        nothing = np.zeros_like(next(iter(accepted.values())))
        for index in [one for one, area in sorted(self._areas.items()) if area and first <= one <= last]:
            if index in self._confidence and index not in reached and index not in by_class:
                yield Piece(index, {self._segment_id: nothing}, {self._segment_id: 1.0})
        for index, mask in sorted(accepted.items()):
            if first <= index <= last:
                yield Piece(index, {self._segment_id: mask}, accepted=planes[index])
