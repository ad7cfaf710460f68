"""The reference that the library suggests, against ten drawn at random (the spread of Table 9)."""

from __future__ import annotations

from typing import Any

import numpy as np

from KPrismLib.dataset import DatasetFolder
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.plan import spread
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary
from KPrismLib.volumes.encoded_stack import EncodedStack
from Training.volume_measures.cases import WINDOW, Case, cases_in

RANDOM_REFERENCES = 10

#: Volumes of the training split that make the library.
LIBRARY_VOLUMES = 20


class RetrievalMeasure:
    """A library of training volumes of one dataset, and queries against it.

    Args:
        predictor: the model.
        folder: the dataset; its ``train`` split becomes the library, so that no patient is both asked and suggested.
    """

    def __init__(self, predictor: Predictor, folder: DatasetFolder) -> None:
        self._predictor = predictor
        self._library = ReferenceLibrary()
        self._parts: dict[tuple[str, int, str], EncodedReference] = {}
        items = folder.items("train")
        for position in spread(len(items), LIBRARY_VOLUMES, seed=0):
            self._take_in(list(cases_in(folder, items[position])))

    def measure(self, case: Case) -> dict[str, Any] | None:
        """Dice of the middle slice from the suggested reference and from random ones; None without any reference.

        ``percentile``: share of the random references that the suggested one beats, ties counted half.
        """
        pool = sorted(key for key in self._parts if key[2] == case.cls)
        image = EncodedStack(self._predictor, case.stack, window=WINDOW, memory=1).image(case.middle)
        if not pool or image is None:
            return None
        (best,) = self._library.suggest(image, case.cls, count=1)
        draw = np.random.default_rng(sum(case.key.encode()))
        drawn = draw.choice(len(pool), size=min(RANDOM_REFERENCES, len(pool)), replace=False)
        truth = case.truth[case.middle]

        def quality(key: tuple[str, int, str]) -> float:
            reference = self._predictor.combine([self._parts[key]])
            return dice(self._predictor.segment(image, reference=reference).mask, truth)

        suggested = quality((best.slice.case, best.slice.index, case.cls))
        at_random = np.array([quality(pool[number]) for number in drawn])
        return {
            "suggested": suggested,
            "random_mean": float(at_random.mean()),
            "random_best": float(at_random.max()),
            "percentile": float(np.mean(at_random < suggested) + 0.5 * np.mean(at_random == suggested)),
        }

    def _take_in(self, cases: list[Case]) -> None:
        """Every slice of a volume that shows something; all cases are classes of that volume."""
        if not cases:
            return
        stack = EncodedStack(self._predictor, cases[0].stack, window=WINDOW, memory=1)
        for index in range(len(cases[0].stack)):
            for case in cases:
                if case.truth[index].any() and stack.image(index) is not None:
                    part = stack.reference(index, case.truth[index])
                    self._library.add(LibrarySlice(case.item, index, case.cls), part)
                    self._parts[case.item, index, case.cls] = part
