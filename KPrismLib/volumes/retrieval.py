"""Which segmented slices make the best references for a new one: those that look like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidReference
from KPrismLib.volumes.descriptor import Descriptor, describe_layout, unit


@dataclass(frozen=True)
class LibrarySlice:
    """A segmented slice that may serve as a reference.

    Attributes:
        case: name of the case that it belongs to.
        index: the slice in that case.
        structures: names of the structures that it shows.
        modality: DICOM modality of the case ("CT", "MR", ...), or None when unknown.
    """

    case: str
    index: int
    structures: frozenset[str]
    modality: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """A slice of the library, and how much it looks like the new one: cosine similarity, from -1 to 1."""

    slice: LibrarySlice
    similarity: float


class ReferenceLibrary:
    """Segmented slices, remembered by what they look like; pixels and masks stay with the caller.

    All images must be encoded by one predictor: features of other weights cannot be compared.

    Example:
        >>> library = ReferenceLibrary()  # doctest: +SKIP
        >>> slice_ = LibrarySlice("case 7", 31, frozenset({"liver"}), "CT")  # doctest: +SKIP
        >>> library.add(slice_, predictor.encode(pixels))  # doctest: +SKIP
        >>> best = library.suggest(predictor.encode(new), structure="liver", modality="CT")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._slices: list[LibrarySlice] = []
        self._descriptors: list[Descriptor] = []

    def __len__(self) -> int:
        return len(self._slices)

    def add(self, slice_: LibrarySlice, image: EncodedImage) -> None:
        """Take in a slice.

        Args:
            slice_: what it is.
            image: the slice, encoded.

        Raises:
            InvalidReference: it shows no structure, or the library has it already.
        """
        if not slice_.structures:
            raise InvalidReference(f"Slice {slice_.index} of {slice_.case} shows no structure; leave it out.")
        if any((known.case, known.index) == (slice_.case, slice_.index) for known in self._slices):
            raise InvalidReference(f"The library has slice {slice_.index} of {slice_.case} already.")
        self._slices.append(slice_)
        self._descriptors.append(describe_layout(image))

    def suggest(
        self,
        image: EncodedImage,
        *,
        structure: str | None = None,
        modality: str | None = None,
        without: str | None = None,
        count: int = 5,
    ) -> list[Suggestion]:
        """The slices that look most like a new one, best first.

        Args:
            image: the new slice, encoded.
            structure: only slices that show it.
            modality: only slices of this modality, or, where there are none, of an unknown one.
            without: a case that is left out, the new slice's own say.
            count: how many at most.

        Raises:
            InvalidReference: the library has no such slice.
            InvalidConfig: ``count`` below 1.
        """
        if count < 1:
            raise InvalidConfig(f"At least 1 reference must be asked for, not {count}.")
        candidates = self._candidates(structure, modality, without)
        # What all slices of the library share says nothing about which of them is nearest.
        common = np.mean(self._descriptors, axis=0)
        query = unit(describe_layout(image) - common)
        alike = {number: float(unit(self._descriptors[number] - common) @ query) for number in candidates}
        best = sorted(candidates, key=lambda number: (-alike[number], number))[:count]
        return [Suggestion(self._slices[number], alike[number]) for number in best]

    def _candidates(self, structure: str | None, modality: str | None, without: str | None) -> list[int]:
        left = [number for number, known in enumerate(self._slices) if known.case != without]
        if not left:
            raise InvalidReference("The library is empty; add segmented slices to it first.")
        showing = [number for number in left if structure is None or structure in self._slices[number].structures]
        if not showing:
            known = sorted(frozenset[str]().union(*(self._slices[number].structures for number in left)))
            raise InvalidReference(f"No slice of the library shows {structure!r}; it has {', '.join(known)}.")
        fitting = [number for number in showing if modality in (None, self._slices[number].modality)]
        fitting = fitting or [number for number in showing if self._slices[number].modality is None]
        if not fitting:
            found = sorted({str(self._slices[number].modality) for number in showing})
            raise InvalidReference(
                f"The image is {modality} but the references in the library are {', '.join(found)}; "
                f"add a segmented {modality} case."
            )
        return fitting
