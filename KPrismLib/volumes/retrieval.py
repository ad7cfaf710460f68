"""Which segmented slices make the best references for a new one: those that the network can make use of.

Slices that look alike as a whole are hardly better references than any others. What counts is what the network does
with a reference. The read-out (Eq. 5-6) tells at little cost which are worth a closer look: the structure must have a
counterpart among the features of the new slice, and the mask that is carried over must agree with what the other
references of the library carry over. With those the slice is segmented: the best is the one whose mask is sure of
itself and agrees with the masks that the others make.

Where the structure is a class that the network has learned, the class's own mask of the slice is a better measure than
the company of the others: references are then preferred that carry over, and make, what the class finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.devices import memory_guard
from KPrismLib.encoded_image import EncodedImage, ReferenceSet
from KPrismLib.errors import InvalidConfig, InvalidReference
from KPrismLib.evaluation.dice import dice, soft_dice
from KPrismLib.network import EncodedReference
from KPrismLib.network.readout import affinity
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.agreement import agreement
from KPrismLib.volumes.class_guidance import OF_HELP

#: With so many slices of a library a new one is segmented before they are suggested; each costs a pass of the decoder.
LOOKED_AT = 16


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
    """A slice of the library and its score: larger is better, comparable only within one answer.

    Attributes:
        slice: of the library.
        reference: what it was added with; for :meth:`~KPrismLib.predictor.Predictor.combine`.
        score: in [0, 1], how much its mask agrees with those of others, or with that of the class, times its mean
            probability inside.
    """

    slice: LibrarySlice
    reference: EncodedReference
    score: float


class ReferenceLibrary:
    """Segmented slices, remembered by their features at 1/16; pixels and masks stay with the caller.

    Args:
        predictor: which encoded all of it: features of other weights cannot be compared.

    Example:
        >>> library = ReferenceLibrary(predictor)  # doctest: +SKIP
        >>> (part,) = predictor.reference([(pixels, mask)]).parts  # doctest: +SKIP
        >>> library.add(LibrarySlice("case 7", 31, "liver", "CT"), part)  # doctest: +SKIP
        >>> image = predictor.encode(new)  # doctest: +SKIP
        >>> best = library.suggest(image, "liver", modality="CT", count=3)  # doctest: +SKIP
        >>> support = predictor.combine([one.reference for one in best])  # doctest: +SKIP
        >>> mask = predictor.segment(image, reference=support).mask  # doctest: +SKIP
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._kept: dict[LibrarySlice, EncodedReference] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, slice_: LibrarySlice) -> bool:
        return slice_ in self._kept

    def add(self, slice_: LibrarySlice, reference: EncodedReference) -> None:
        """Take in a slice with its mask, encoded as a reference.

        Raises:
            InvalidReference: the library has it already.
        """
        if slice_ in self._kept:
            raise InvalidReference(
                f"The library has {slice_.structure} in slice {slice_.index} of {slice_.case} already."
            )
        self._kept[slice_] = reference

    def suggest(
        self,
        image: EncodedImage,
        structure: str,
        *,
        cls: str | None = None,
        modality: str | None = None,
        preferred: str | None = None,
        without: str | None = None,
        count: int = 5,
    ) -> list[Suggestion]:
        """The best references for a structure in a new slice, best first.

        Costs a pass of the decoder for each of :data:`LOOKED_AT` slices, or of ``count`` where that is more, and one
        for the class.

        Args:
            image: the new slice, encoded.
            structure: what is to be segmented.
            cls: the class of the structure, where the model knows it. It is asked only as long as one of the references
                makes what it finds (Dice 0.5); otherwise it means something else here.
            modality: only slices of this modality, or, where there are none, of an unknown one.
            preferred: only slices of this modality, where there are any; all of them otherwise.
            without: a case that is left out, the new slice's own say.
            count: how many at most.

        Raises:
            InvalidReference: the library has no such slice.
            UnknownClass: the model does not know ``cls``.
            InvalidConfig: ``count`` below 1.
            OutOfMemory: the device is full.
        """
        if count < 1:
            raise InvalidConfig(f"At least 1 reference must be asked for, not {count}.")
        candidates = self._candidates(structure, modality, without)
        if preferred is not None:
            candidates = [known for known in candidates if known.modality == preferred] or candidates
        by_class = None if cls is None else self._probability(image, cls=cls)
        looked_at = self._worth_a_look(image, candidates, by_class)[: max(LOOKED_AT, count)]
        scores = self._scores(image, looked_at, by_class)
        best = sorted(range(len(looked_at)), key=lambda number: -scores[number])[:count]
        return [Suggestion(looked_at[number], self._kept[looked_at[number]], float(scores[number])) for number in best]

    def _worth_a_look(
        self, image: EncodedImage, candidates: list[LibrarySlice], by_class: Tensor | None
    ) -> list[LibrarySlice]:
        """All candidates, those first that the read-out can make use of; ``by_class`` as :meth:`_probability`."""
        query = image.features.maps.s16[0].flatten(1).float()
        # Not in the predictor's precision: distances are differences of large numbers.
        with torch.inference_mode(), memory_guard(self._predictor.device):
            compared = [_compare(self._kept[candidate], query) for candidate in candidates]
        consensus = np.mean([carried for carried, _ in compared], axis=0)
        in_accord = np.array([soft_dice(carried, consensus) for carried, _ in compared])
        counterpart = np.array([nearness for _, nearness in compared])
        scores = _standardised(in_accord) + _standardised(counterpart)
        if by_class is not None:
            rows, columns = image.features.maps.s16.shape[-2:]
            found = F.adaptive_avg_pool2d(by_class[None], (rows, columns)).flatten().cpu().numpy()
            scores = scores + _standardised(np.array([soft_dice(carried, found) for carried, _ in compared]))
        return [candidates[number] for number in sorted(range(len(candidates)), key=lambda number: -scores[number])]

    def _scores(
        self, image: EncodedImage, candidates: list[LibrarySlice], by_class: Tensor | None
    ) -> NDArray[np.float64]:
        """How far the mask that each candidate makes of the image is to be trusted; ``by_class`` as above."""
        height, width = image.canvas.content
        masks, certainty = [], []
        for candidate in candidates:
            alone = self._predictor.combine([self._kept[candidate]])
            probability = self._probability(image, reference=alone)[:height, :width].cpu().numpy()
            mask = probability >= 0.5
            masks.append(mask)
            certainty.append(float(probability[mask].mean()) if mask.any() else 0.0)
        trust = agreement(masks)
        if by_class is not None:
            found = by_class[:height, :width].cpu().numpy() >= 0.5
            alike = np.array([dice(mask, found, both_empty=0.0) for mask in masks])
            trust = alike if alike.max() >= OF_HELP else trust
        return trust * np.array(certainty)

    def _probability(
        self, image: EncodedImage, *, cls: str | None = None, reference: ReferenceSet | None = None
    ) -> Tensor:
        """What a class or a reference alone finds, float32 (H, W) on the canvas."""
        return self._predictor.predict_logits(image, cls=cls, reference=reference, prompt=None)[0, 0].sigmoid()

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


def _compare(reference: EncodedReference, query: Tensor) -> tuple[NDArray[np.float32], float]:
    """What a reference carries over to a query (C, hw), float32 (hw,), and how near its structure is to it there."""
    keys, fraction = reference.keys[0].float(), reference.fraction[0].float()
    scores = affinity(keys[None], query[None])[0]  # (hw, n), Eq. 14
    carried = scores.softmax(dim=-1) @ fraction
    inside = fraction > 0.5
    if not inside.any():
        inside = fraction == fraction.max()  # a tiny structure fills no position
    # The term that the softmax cancels matters here: distances to different queries are compared.
    nearest = (scores - query.square().sum(0)[:, None] / query.shape[0] ** 0.5)[:, inside].amax(dim=0)
    return carried.cpu().numpy(), float(nearest.mean())


def _standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean 0 and deviation 1; zeros where all are equal."""
    deviation = float(values.std())
    return np.asarray((values - values.mean()) / (deviation if deviation > 0 else 1.0), dtype=np.float64)
