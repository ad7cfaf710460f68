"""A propagation whose masks can be told in advance: each slice is flooded like the nearest accepted slice.

Once it has learned, each is flooded like all those that it learned from, too.

The engine's own is tested in ``Testing/engine/volumes``; here it is what nodes, undo and the user's changes make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KPrismLib.errors import InvalidMask
from KPrismLib.specialist import STEPS

_PATIENCE = 2


@dataclass(frozen=True, eq=False)
class FloodResult:
    index: int
    mask: np.ndarray
    confidence: float
    accepted: bool = False


class FloodPropagation:
    """As ``KPrismLib.volumes.Propagation``."""

    guided = True  # or the end of a run comes with advice
    ends = ()

    def __init__(self, predictor, stack, *, window, cls=None):
        self.cls = cls
        self._predictor, self._stack, self._window = predictor, stack, window
        self._results, self._bases, self._versions = {}, {}, {}
        self._learned, self._learning = (), 0

    @property
    def results(self):
        return dict(sorted(self._results.items()))

    def accept(self, index, mask):
        assert mask.shape == self._stack.pixels(index).shape[:2]
        self._results[index] = FloodResult(index, mask, 1.0, accepted=True)
        self._versions[index] = self._versions.get(index, 0) + 1

    def retract(self, index):
        assert self._results[index].accepted
        del self._results[index]
        self._bases.pop(index, None)

    def learn(self):
        known = {index: one.mask for index, one in self._results.items() if one.accepted}
        self._predictor.lessons.append({index: int(mask.sum()) for index, mask in sorted(known.items())})
        try:
            for number in range(STEPS):
                if self._predictor.before_lesson is not None:
                    self._predictor.before_lesson(number)
                yield float(STEPS - number)
        except GeneratorExit:
            self._predictor.lessons_given_up += 1
            raise
        self._learned = tuple((self._stack.pixels(index), mask) for index, mask in known.items() if mask.any())
        self._learning += 1

    def unlearn(self):
        self._learning += bool(self._learned)
        self._learned = ()

    def propagate(self, first=0, last=None):
        last = len(self._stack) - 1 if last is None else last
        known = [index for index, one in self._results.items() if one.accepted and one.mask.any()]
        if not any(first <= index <= last for index in known):
            raise InvalidMask(f"No accepted slice from {first} to {last} shows the structure.")
        return self._pass(first, last, known)

    def _pass(self, first, last, known):
        walks = [[seed, step, 0] for seed in known for step in (-1, 1)]
        while walks:
            for walk in list(walks):
                walk[0] += walk[1]
                index = walk[0]
                ends = not first <= index <= last or (index in self._results and self._results[index].accepted)
                if ends or walk[2] >= _PATIENCE:
                    walks.remove(walk)
                    continue
                nearest = min(known, key=lambda seed: (abs(seed - index), seed))
                basis = nearest, self._versions[nearest], self._learning
                if self._bases.get(index) != basis:
                    self._bases[index], self._results[index] = basis, self._segment(index, nearest)
                    yield self._results[index]
                walk[2] = 0 if self._results[index].mask.any() else walk[2] + 1

    def _segment(self, index, nearest):
        image = self._predictor.encode(self._stack.pixels(index), window=self._window, spacing=self._stack.spacing)
        pair = self._stack.pixels(nearest), self._results[nearest].mask
        found = self._predictor.segment(image, reference=self._predictor.reference([pair, *self._learned]))
        return FloodResult(index, found.mask, self._predictor.certainty(image))
