"""What helps a propagation beside its slices: a class that the model knows, and what it learns of the accepted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import row_of_class
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation.dice import dice
from KPrismLib.evenly import evenly
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Example, Specialist

#: A class that finds the accepted slices worse than with this mean Dice means something else here: another modality,
#: another view, or a segment that bears its name by chance.
OF_HELP = 0.5

#: How many accepted slices are asked at most, evenly spread: each costs an encoding before the first result.
ASKED = 8

#: An accepted mask, bool (rows, columns), by slice and version of its mask.
Known = Mapping[tuple[int, int], NDArray[np.bool_]]


@dataclass(frozen=True)
class SemanticGuide:
    """Whom to ask for a class (Eq. 2), and what the answer counts, where each other opinion counts 1."""

    predictor: Predictor
    cls: str
    share: float = 1.0


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
        self._specialist: SemanticGuide | None = None

    def learn(self, examples: Sequence[Example]) -> Iterator[float]:
        """Make a specialist, and ask it from now on; the loss of each step.

        Args:
            examples: the accepted slices, those without the structure included.

        Raises:
            InvalidMask, OutOfMemory: as :class:`~KPrismLib.specialist.Specialist`.
        """
        specialist = Specialist(self._predictor, examples)
        yield from specialist.learn()
        learned = specialist.predictor  # in place only now: whoever stops before loses nothing
        # One slice may show what is peculiar to it; the more there are, the more the specialist knows.
        showing = sum(bool(np.any(example.mask)) for example in examples)
        self._specialist = SemanticGuide(learned, learned.classes[0], 2 - 1 / showing)

    def unlearn(self) -> bool:
        """Ask the specialist no longer; -> whether there was one."""
        forgotten, self._specialist = self._specialist, None
        return forgotten is not None

    def guides(self, known: Known) -> tuple[SemanticGuide, ...]:
        """The class, if it finds the structure, and the specialist, if there is one.

        Args:
            known: accepted masks that show the structure; at least one.
        """
        found = [] if self._specialist is None else [self._specialist]
        if self._cls is not None and self._helps(known):
            found.insert(0, SemanticGuide(self._predictor, self._cls))
        return tuple(found)

    def _helps(self, known: Known) -> bool:
        asked = evenly(sorted(known), ASKED)
        for version in asked:
            if version not in self._found:
                self._found[version] = self._dice(version[0], known[version])
        return bool(np.mean([self._found[version] for version in asked]) >= OF_HELP)

    def _dice(self, index: int, mask: NDArray[np.bool_]) -> float:
        """How well the class's own mask of a slice is the accepted one."""
        image = self._image_of(index)
        return 0.0 if image is None else dice(self._predictor.segment(image, cls=self._cls).mask, mask)
