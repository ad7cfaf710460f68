"""The engine's propagation behind that of a segment: told what is accepted, and taught by it where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from KPrismLogic.lesson import Lesson

if TYPE_CHECKING:
    from KPrismLib.intensity import IntensityWindow
    from KPrismLib.predictor import Predictor
    from KPrismLib.volumes import SliceResult
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_stack import SliceStack


class EnginePropagation:
    """One for a model and a class; for any thread that has the model to itself.

    Args:
        predictor: the model.
        stack: the slices.
        window: intensity window of the volume.
        cls: the class of the structure, or None.
    """

    def __init__(self, predictor: Predictor, stack: SliceStack, window: IntensityWindow, cls: str | None) -> None:
        from KPrismLib.volumes import Propagation

        self._predictor, self._stack, self._cls = predictor, stack, cls
        self._run = Propagation(predictor, stack, window=window, cls=cls)
        self._told: dict[int, Mask] = {}
        self._learned: Mapping[int, Mask] | None = None  # from what; None when nothing is learned

    def is_of(self, predictor: Predictor, stack: SliceStack, cls: str | None) -> bool:
        """Whether it is for this model, these slices and this class."""
        return self._predictor is predictor and self._stack is stack and self._cls == cls

    @property
    def guided(self) -> bool:
        """As ``KPrismLib.volumes.Propagation.guided``."""
        return self._run.guided

    @property
    def ends(self) -> dict[int, str]:
        """As ``KPrismLib.volumes.Propagation.ends``: why the last pass went no further, by the last slice it saw."""
        return {end.index: end.reason.value for end in self._run.ends}

    def steps(
        self, accepted: Mapping[int, Mask], first: int, last: int, *, learn: bool
    ) -> Iterator[Lesson | SliceResult]:
        """Lessons, if there is something new to learn, then the slices ``first`` to ``last`` that are not accepted.

        Args:
            accepted: bool (rows, columns) of each accepted slice.
            first, last: the range.
            learn: learn the structure from the accepted slices; otherwise what was learned is forgotten.

        Raises:
            KPrismError: as ``KPrismLib.volumes.Propagation.propagate`` and ``learn``.
        """
        self._tell(accepted)
        # Nothing is segmented yet; but where the range is wrong, nobody wants to wait for lessons to hear it.
        results = self._run.propagate(first, last)
        if learn:
            yield from self._lessons(accepted)
        else:
            self._run.unlearn()
            self._learned = None
        new = set()
        for result in results:
            new.add(result.index)
            yield result
        # What was computed before may have been undone since; the run writes only what is not there. In the order in
        # which it came then: oblique slices share voxels, and the last of them decides.
        seeds = [index for index, mask in accepted.items() if mask.any()]
        known = sorted(self._run.results.items(), key=lambda one: (min(abs(one[0] - seed) for seed in seeds), one[0]))
        for index, result in known:
            if first <= index <= last and index not in new and not result.accepted:
                yield result

    def _tell(self, accepted: Mapping[int, Mask]) -> None:
        """Let the engine know what is accepted now."""
        for index, mask in sorted(accepted.items()):
            if index not in self._told or not np.array_equal(mask, self._told[index]):
                self._run.accept(index, mask)
                self._told[index] = mask
        # At the end: the engine forgets what it found as soon as no accepted slice is left.
        for index in self._told.keys() - accepted.keys():
            self._run.retract(index)
            del self._told[index]

    def _lessons(self, accepted: Mapping[int, Mask]) -> Iterator[Lesson]:
        from KPrismLib.specialist import STEPS

        if self._learned is not None and _same(self._learned, accepted):
            return
        for step, _ in enumerate(self._run.learn(), 1):
            yield Lesson(step, STEPS)
        self._learned = accepted


def _same(some: Mapping[int, Mask], others: Mapping[int, Mask]) -> bool:
    return some.keys() == others.keys() and all(np.array_equal(mask, others[index]) for index, mask in some.items())
