"""Which segmented slices make the best references for a new one: those that the read-out can make use of.

Slices that look alike as a whole are hardly better references than any others. What counts is what the network does
with a reference (Eq. 5-6): its structure must have a counterpart among the features of the new slice, and the mask
that it carries over must agree with what the other references of the library carry over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.encoded_image import EncodedImage
from KPrismLib.errors import InvalidConfig, InvalidReference
from KPrismLib.evaluation.dice import soft_dice
from KPrismLib.network import EncodedReference
from KPrismLib.network.readout import affinity


@dataclass(frozen=True)
class LibrarySlice:
    """A slice with a structure that may serve as a reference.

    Attributes:
        case: name of the case that it belongs to.
        index: the slice in that case.
        structure: the structure that its mask shows.
        modality: DICOM modality of the case ("CT", "MR", ...), or None when unknown.
    """

    case: str
    index: int
    structure: str
    modality: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """A slice of the library and its score: larger is better, comparable only within one answer."""

    slice: LibrarySlice
    score: float


@dataclass(frozen=True)
class _Kept:
    """What the library keeps of a reference: half-precision keys (C, n) of Eq. 5 and fractions (n,) of its mask."""

    keys: Tensor
    fraction: Tensor


class ReferenceLibrary:
    """Segmented slices, remembered by their features at 1/16; pixels and masks stay with the caller.

    All of it must be encoded by one predictor: features of other weights cannot be compared.

    Example:
        >>> library = ReferenceLibrary()  # doctest: +SKIP
        >>> (part,) = predictor.reference([(pixels, mask)]).parts  # doctest: +SKIP
        >>> library.add(LibrarySlice("case 7", 31, "liver", "CT"), part)  # doctest: +SKIP
        >>> best = library.suggest(predictor.encode(new), "liver", modality="CT")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._kept: dict[LibrarySlice, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, slice_: LibrarySlice, reference: EncodedReference) -> None:
        """Take in a slice with its mask, encoded as a reference.

        Raises:
            InvalidReference: the library has it already.
        """
        if slice_ in self._kept:
            raise InvalidReference(
                f"The library has {slice_.structure} in slice {slice_.index} of {slice_.case} already."
            )
        self._kept[slice_] = _Kept(reference.keys[0].half(), reference.fraction[0].float())

    def suggest(
        self,
        image: EncodedImage,
        structure: str,
        *,
        modality: str | None = None,
        preferred: str | None = None,
        without: str | None = None,
        count: int = 5,
    ) -> list[Suggestion]:
        """The best references for a structure in a new slice, best first.

        Args:
            image: the new slice, encoded.
            structure: what is to be segmented.
            modality: only slices of this modality, or, where there are none, of an unknown one.
            preferred: only slices of this modality, where there are any; all of them otherwise.
            without: a case that is left out, the new slice's own say.
            count: how many at most.

        Raises:
            InvalidReference: the library has no such slice.
            InvalidConfig: ``count`` below 1.
        """
        if count < 1:
            raise InvalidConfig(f"At least 1 reference must be asked for, not {count}.")
        candidates = self._candidates(structure, modality, without)
        if preferred is not None:
            candidates = [known for known in candidates if known.modality == preferred] or candidates
        query = image.features.maps.s16[0].flatten(1).float()
        with torch.inference_mode():
            compared = [_compare(self._kept[candidate], query) for candidate in candidates]
        consensus = np.mean([carried for carried, _ in compared], axis=0)
        agreement = np.array([soft_dice(carried, consensus) for carried, _ in compared])
        counterpart = np.array([nearness for _, nearness in compared])
        scores = _standardised(agreement) + _standardised(counterpart)
        best = sorted(range(len(candidates)), key=lambda number: -scores[number])[:count]
        return [Suggestion(candidates[number], float(scores[number])) for number in best]

    def _candidates(self, structure: str, modality: str | None, without: str | None) -> list[LibrarySlice]:
        left = [known for known in self._kept if known.case != without]
        if not left and self._kept:
            raise InvalidReference(f"The library holds slices of {without} only, which is left out; add other cases.")
        if not left:
            raise InvalidReference("The library is empty; add segmented slices to it first.")
        showing = [known for known in left if known.structure == structure]
        if not showing:
            others = ", ".join(sorted({known.structure for known in left}))
            raise InvalidReference(f"No slice of the library shows {structure!r}; it has {others}.")
        fitting = [known for known in showing if modality in (None, known.modality)]
        fitting = fitting or [known for known in showing if known.modality is None]
        if not fitting:
            found = ", ".join(sorted({str(known.modality) for known in showing}))
            raise InvalidReference(
                f"The image is {modality} but the references in the library are {found}; add a segmented "
                f"{modality} case."
            )
        return fitting


def _compare(kept: _Kept, query: Tensor) -> tuple[NDArray[np.float32], float]:
    """What a reference carries over to a query (C, hw), float32 (hw,), and how near its structure is to it there."""
    keys = kept.keys.float()
    scores = affinity(keys[None], query[None])[0]  # (hw, n), Eq. 14
    carried = scores.softmax(dim=-1) @ kept.fraction
    inside = kept.fraction > 0.5
    if not inside.any():
        inside = kept.fraction == kept.fraction.max()  # a tiny structure fills no position
    # The term that the softmax cancels matters here: distances to different queries are compared.
    nearest = (scores - query.square().sum(0)[:, None] / query.shape[0] ** 0.5)[:, inside].amax(dim=0)
    return carried.cpu().numpy(), float(nearest.mean())


def _standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean 0 and deviation 1; zeros where all are equal."""
    deviation = float(values.std())
    return np.asarray((values - values.mean()) / (deviation if deviation > 0 else 1.0), dtype=np.float64)
