"""The references that the library suggests, against ten drawn at random, and against ten for all slices (Table 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import class_called
from KPrismLib.dataset import DatasetFolder
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.plan import spread
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary
from KPrismLib.volumes.encoded_stack import EncodedStack
from Training.volume_measures.cases import WINDOW, Case, cases_in

#: How often references are drawn at random.
DRAWS = 10

#: How many suggestions are used together, as one support set.
TOGETHER = 5

_Key = tuple[str, int, str]

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
        self._library = ReferenceLibrary(predictor)
        self._parts: dict[_Key, EncodedReference] = {}
        self._middles: dict[str, dict[str, int]] = {}  # by volume and class
        items = folder.items("train")
        for position in spread(len(items), LIBRARY_VOLUMES, seed=0):
            self._take_in(list(cases_in(folder, items[position])))
        most = max((len(classes) for classes in self._middles.values()), default=0)
        everything = [volume for volume, classes in self._middles.items() if len(classes) == most]
        self._exemplars = [everything[place] for place in spread(len(everything), DRAWS, seed=0)]

    def measure(self, case: Case) -> dict[str, Any] | None:
        """Dice of the middle slice from suggested references and from random ones; None without any reference.

        ``suggested`` and ``random_*`` are of one reference, ``suggested_five`` and ``five_random_*`` of five in one
        set. ``percentile`` and ``five_percentile``: share of the random draws of the same size that the suggestion
        beats, ties counted half; ``five_percentile_of_ones``: share of the single random references. ``random_p90``:
        the Dice that nine of ten random references do not reach. ``told_*``: the same with the class told, where the
        model knows it.

        ``exemplar_*``: of ten volumes that show every class, each of which is the reference for all cases, as in
        Table 9, by its middle slice of the class; fewer where the library has no ten.
        """
        pool = sorted(key for key in self._parts if key[2] == case.cls)
        image = EncodedStack(self._predictor, case.stack, window=WINDOW, memory=1).image(case.middle)
        if not pool or image is None:
            return None
        suggested = self._suggested(image, case, None)
        draw = np.random.default_rng(sum(case.key.encode()))
        singles = draw.choice(len(pool), size=min(DRAWS, len(pool)), replace=False)
        sets = [draw.choice(len(pool), size=len(suggested), replace=False) for _ in range(DRAWS)]
        truth = case.truth[case.middle]

        def quality(keys: Sequence[_Key]) -> float:
            reference = self._predictor.combine([self._parts[key] for key in keys])
            return dice(self._predictor.segment(image, reference=reference).mask, truth)

        told = self._suggested(image, case, cls) if (cls := class_called(case.cls, self._predictor.classes)) else None
        one, five = quality(suggested[:1]), quality(suggested)
        ones = np.array([quality([pool[number]]) for number in singles])
        fives = np.array([quality([pool[number] for number in numbers]) for numbers in sets])
        return {
            "suggested": one,
            "random_mean": float(ones.mean()),
            "random_p90": float(np.quantile(ones, 0.9)),
            "random_best": float(ones.max()),
            "percentile": _percentile(one, ones),
            "suggested_five": five,
            "five_random_mean": float(fives.mean()),
            "five_percentile": _percentile(five, fives),
            "five_percentile_of_ones": _percentile(five, ones),
            **({} if told is None else _told(quality(told[:1]), quality(told), ones, fives)),
        } | {
            f"exemplar_{number}": quality([(volume, self._middles[volume][case.cls], case.cls)])
            for number, volume in enumerate(self._exemplars, start=1)
        }

    def _suggested(self, image: EncodedImage, case: Case, cls: str | None) -> list[_Key]:
        best = self._library.suggest(image, case.cls, cls=cls, count=TOGETHER)
        return [(one.slice.case, one.slice.index, case.cls) for one in best]

    def _take_in(self, cases: list[Case]) -> None:
        """Every slice of a volume that shows something; all cases are classes of that volume."""
        if not cases:
            return
        self._middles[cases[0].item] = {case.cls: case.middle for case in cases}
        stack = EncodedStack(self._predictor, cases[0].stack, window=WINDOW, memory=1)
        for index in range(len(cases[0].stack)):
            for case in cases:
                if case.truth[index].any() and stack.image(index) is not None:
                    part = stack.reference(index, case.truth[index])
                    self._library.add(LibrarySlice(case.item, index, case.cls), part)
                    self._parts[case.item, index, case.cls] = part


def _told(one: float, five: float, ones: NDArray[np.float64], fives: NDArray[np.float64]) -> dict[str, float]:
    return {
        "told": one,
        "told_percentile": _percentile(one, ones),
        "told_five": five,
        "told_five_percentile": _percentile(five, fives),
        "told_five_percentile_of_ones": _percentile(five, ones),
    }


def _percentile(value: float, others: NDArray[np.float64]) -> float:
    """Share of the others that are smaller, ties counted half."""
    return float(np.mean(others < value) + 0.5 * np.mean(others == value))
