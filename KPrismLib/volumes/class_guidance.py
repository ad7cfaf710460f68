"""What helps a propagation beside its slices: a class that the model knows, or what it learns of the accepted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import row_of_class
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation.dice import dice
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Example, Specialist

#: A class that finds the accepted slices worse than with this mean Dice means something else here: another modality,
#: another view, or a segment that bears its name by chance.
OF_HELP = 0.5

#: How many accepted slices are asked at most, evenly spread: each costs an encoding before the first result.
ASKED = 8

#: What a class has to say beside the in-context mask and the one that follows the neighbour, which have 1 each; and
#: what a specialist has, which saw the structure in this very volume.
CLASS_SHARE = 1.0
SPECIALIST_SHARE = 2.0


@dataclass(frozen=True)
class SemanticGuide:
    """Whom to ask for a class (Eq. 2), and how much the answer counts."""

    predictor: Predictor
    cls: str
    share: float


class ClassGuidance:
    """A class (Eq. 2) as further guidance, where it finds the slices that are known; a specialist, once there is one.

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
        self._learned: SemanticGuide | None = None

    def learn(self, examples: Sequence[Example]) -> Iterator[float]:
        """Make a specialist, and ask it from now on; the loss of each step.

        Raises:
            InvalidMask, OutOfMemory: as :class:`~KPrismLib.specialist.Specialist`.
        """
        specialist = Specialist(self._predictor, examples)
        yield from specialist.learn()
        learned = specialist.predictor  # in place only now: whoever stops before loses nothing
        self._learned = SemanticGuide(learned, learned.classes[0], SPECIALIST_SHARE)

    def unlearn(self) -> bool:
        """Ask the specialist no longer; -> whether there was one."""
        learned, self._learned = self._learned, None
        return learned is not None

    def of_help(self, known: Mapping[tuple[int, int], NDArray[np.bool_]]) -> SemanticGuide | None:
        """The specialist, or the class if it finds the structure.

        Args:
            known: accepted masks, bool (rows, columns), by slice and version of its mask; at least one.
        """
        if self._learned is not None or self._cls is None:
            return self._learned
        slices = sorted(known)
        asked = [
            slices[position]
            for position in np.linspace(0, len(slices) - 1, min(ASKED, len(slices))).round().astype(int)
        ]
        for version in asked:
            if version not in self._found:
                self._found[version] = self._dice(version[0], known[version])
        finds = np.mean([self._found[version] for version in asked]) >= OF_HELP
        return SemanticGuide(self._predictor, self._cls, CLASS_SHARE) if finds else None

    def _dice(self, index: int, mask: NDArray[np.bool_]) -> float:
        """How well the class's own mask of a slice is the accepted one."""
        image = self._image_of(index)
        return 0.0 if image is None else dice(self._predictor.segment(image, cls=self._cls).mask, mask)
