"""Of many segmented slices those that are the best references for the slice in hand (``--best``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.class_names import class_called
from KPrismLib.encoded_image import EncodedImage, ReferenceSet
from KPrismLib.errors import InvalidConfig
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import MAXIMUM_REFERENCES, Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary

#: All slices of a library show the one structure that is asked for.
_STRUCTURE = "structure"


def check_best(count: int) -> None:
    """Raise InvalidConfig if so many references cannot be used together."""
    if not 1 <= count <= MAXIMUM_REFERENCES:
        raise InvalidConfig(f"--best must be from 1 to {MAXIMUM_REFERENCES}, not {count}.")


@dataclass(frozen=True)
class Example:
    """A slice of an image file, as a mask file draws the structure in it.

    Attributes:
        image, mask: the files.
        label: of the structure in the mask; None for all that is drawn.
        index: the slice.
    """

    image: Path
    mask: Path
    label: str | None
    index: int


class BestReferences:
    """A library of the slices of all reference files, and the best of them for each new slice.

    Args:
        predictor: the model.
        count: how many are used together, as :func:`check_best` has it.
    """

    def __init__(self, predictor: Predictor, count: int) -> None:
        self._predictor, self._count = predictor, count
        self._library = ReferenceLibrary(predictor)
        self._examples: dict[LibrarySlice, Example] = {}
        self._classes: set[str | None] = set()

    def __len__(self) -> int:
        return len(self._library)

    def add(self, example: Example, part: EncodedReference, *, kind: str | None, name: str | None = None) -> None:
        """Take in a slice that shows the structure; one that is there already, of the same mask and label, stays.

        Where the ``name`` of the structure is a class of the model in all of them, its class helps to choose.
        """
        self._classes.add(None if name is None else class_called(name, self._predictor.classes))
        drawn = f"{example.image}, {example.mask}, {example.label}"  # an image may be drawn in more than once
        slice_ = LibrarySlice(drawn, example.index, _STRUCTURE, kind)
        if slice_ not in self._library:
            self._library.add(slice_, part)
            self._examples[slice_] = example

    def choose(self, image: EncodedImage, *, kind: str | None) -> tuple[ReferenceSet, Sequence[Example]]:
        """The support set for a slice, and what is in it, best first; of its own kind of image where there are any."""
        (cls,) = self._classes if len(self._classes) == 1 else (None,)
        best = self._library.suggest(image, _STRUCTURE, cls=cls, preferred=kind, count=self._count)
        return self._predictor.combine([one.reference for one in best]), [self._examples[one.slice] for one in best]
