"""Whether what a model has learned of a class is of help in a volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import row_of_class
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation.dice import dice
from KPrismLib.predictor import Predictor

#: A class that finds the accepted slices worse than with this mean Dice means something else here: another modality,
#: another view, or a segment that bears its name by chance.
OF_HELP = 0.5

#: How many accepted slices are asked at most, evenly spread: each costs an encoding before the first result.
ASKED = 8


class ClassGuidance:
    """A class (Eq. 2) as further guidance, where it finds the slices that are known.

    Args:
        predictor: the model.
        image_of: the encoded slice of a number, None for a blank one.
        cls: the class; None never helps.

    Raises:
        UnknownClass: the model does not know it.
    """

    def __init__(self, predictor: Predictor, image_of: Callable[[int], EncodedImage | None], cls: str | None) -> None:
        self._predictor, self._image_of = predictor, image_of
        self._cls = None if cls is None else predictor.classes[row_of_class(cls, predictor.classes)]
        self._found: dict[tuple[int, int], float] = {}

    def of_help(self, known: Mapping[tuple[int, int], NDArray[np.bool_]]) -> str | None:
        """The class, if it finds the structure.

        Args:
            known: accepted masks, bool (rows, columns), by slice and version of its mask; at least one.
        """
        if self._cls is None:
            return None
        slices = sorted(known)
        asked = [
            slices[position]
            for position in np.linspace(0, len(slices) - 1, min(ASKED, len(slices))).round().astype(int)
        ]
        for version in asked:
            if version not in self._found:
                self._found[version] = self._dice(version[0], known[version])
        return self._cls if np.mean([self._found[version] for version in asked]) >= OF_HELP else None

    def _dice(self, index: int, mask: NDArray[np.bool_]) -> float:
        """How well the class's own mask of a slice is the accepted one."""
        image = self._image_of(index)
        return 0.0 if image is None else dice(self._predictor.segment(image, cls=self._cls).mask, mask)
