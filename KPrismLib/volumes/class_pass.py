"""Classes through a whole stack (Eq. 2), slice by slice, so that only result and claims grow with the volume.

Asked for through a whole volume, a network that sees one slice at a time finds something of a class in many slices
where it is not. Only when all slices are known does each class get what it is surest of and nobody else has a better
claim to (:mod:`~KPrismLib.volumes.awards`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import row_of_class
from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidPrompt
from KPrismLib.image_checks import is_blank, size_text
from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.awards import award, paint
from KPrismLib.volumes.claims import Claim, claims_in
from KPrismLib.volumes.confidence import expected_dice
from KPrismLib.volumes.merging import merge
from KPrismLib.volumes.stack import Stack
from KPrismLib.volumes.structures import by_slice

#: Of a class whose mask promises less (:func:`~KPrismLib.volumes.confidence.expected_dice`), nothing is in a slice,
PROMISE = 0.8

#: except what continues the structure from the next slice, and promises this at least.
PROMISE_BESIDE = 0.7


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice of a label map.

    Attributes:
        index: the slice.
        labels: uint8 (rows, columns), read-only; 0 is background, n the n-th of the classes asked for.
        probability: float32 (classes, rows, columns) in [0, 1], as the network gives it: before conflicts are
            resolved and anything is taken away; None of a slice that came before, and comes once more as all slices
            together tell it.
        confidence: of each class, in [0, 1]: Dice that its probabilities promise in this slice
            (:func:`~KPrismLib.volumes.confidence.expected_dice`).
    """

    index: int
    labels: NDArray[np.uint8]
    probability: NDArray[np.float32] | None
    confidence: tuple[float, ...]

    def __post_init__(self) -> None:
        self.labels.setflags(write=False)


def segment_classes(
    predictor: Predictor,
    stack: Stack,
    classes: Sequence[str],
    *,
    window: IntensityWindow,
    first: int = 0,
    last: int | None = None,
    batch: int = 8,
    every_piece: bool = False,
) -> Iterator[LabelledSlice]:
    """Segment classes in the slices ``first`` to ``last``, in order.

    Whoever stops before the end has each slice as it was found by itself, with nothing settled among the slices.

    Every slice is encoded once for all classes. A pixel that several classes claim goes to the most probable of those
    that are sure in the slice, and to none where all are less probable than not; it stays there as long as that class
    keeps the piece. A slice whose pixels are all equal, padding for example, stays empty.

    With two slices or more, a class has no claim in a slice where its mask is hardly certain. When all slices are known
    it is settled for all classes together which structure belongs to which: a class keeps the one that it is surest of,
    what continues it, and others that it is half as sure of, and leaves what another class is surer of. Near the other
    classes it is surer. Specks of less than 1 % of a class in a slice go. Slices that change then come once more.

    Args:
        predictor: the model.
        stack: the slices.
        classes: what to look for, each once.
        window: intensity window of the whole volume.
        first: first slice.
        last: last slice, included; None for the last of the stack.
        batch: how many masks the decoder makes at a time; a few slices with one class, or one slice with many.
        every_piece: keep what is hardly certain and what is elsewhere, as for lesions of all sizes.

    Returns:
        One result for every slice, and then one more for each that looks different now that all are known.

    Raises:
        UnknownClass: the model does not know a class.
        InvalidPrompt: no class, or one twice.
        InvalidImage: no such slices; or, as slices come, slices of different sizes.
        InvalidConfig: ``batch`` below 1.
    """
    asked = (classes,) if isinstance(classes, str) else classes
    names = [predictor.classes[row_of_class(name, predictor.classes)] for name in asked]
    if not names:
        raise InvalidPrompt("Nothing says what to segment; give at least one class.")
    if len(set(names)) < len(names):
        raise InvalidPrompt("A class is asked for twice; give each once.")
    if batch < 1:
        raise InvalidConfig(f"The decoder must make at least 1 mask at a time, not {batch}.")
    last = len(stack) - 1 if last is None else last
    if not 0 <= first <= last < len(stack):
        raise InvalidImage(f"There are no slices {first} to {last}; choose from 0 to {len(stack) - 1}.")
    indices = range(first, last + 1)
    if every_piece or len(indices) == 1:
        return _found(predictor, stack, names, window, indices, batch, promise=0.0)
    return _settled(_found(predictor, stack, names, window, indices, batch, promise=PROMISE), len(names))


def _settled(found: Iterator[LabelledSlice], classes: int) -> Iterator[LabelledSlice]:
    """Every slice, and then again those that change; of all slices only labels and claims are kept."""
    pieces: dict[int, LabelledSlice] = {}
    claims: list[Claim] = []
    for piece in found:
        pieces[piece.index] = replace(piece, probability=None)
        if piece.probability is not None:
            claims += claims_in(piece.index, piece.probability, piece.confidence, PROMISE_BESIDE)
        yield piece
    held = by_slice(award(claims, classes, PROMISE))
    for index, piece in pieces.items():
        labels = paint(held.get(index, ()), piece.labels)
        if not np.array_equal(labels, piece.labels):
            yield replace(piece, labels=labels)


def _found(
    predictor: Predictor,
    stack: Stack,
    names: Sequence[str],
    window: IntensityWindow,
    indices: range,
    batch: int,
    promise: float,
) -> Iterator[LabelledSlice]:
    """Every slice; a class has no claim in one where its mask promises less than ``promise``."""
    shape: tuple[int, ...] | None = None
    at_once = max(1, batch // len(names))
    for start in range(0, len(indices), at_once):
        piece = indices[start : start + at_once]
        pixels = {index: stack.pixels(index) for index in piece}
        for index in piece:
            shape = shape or pixels[index].shape[:2]
            if pixels[index].shape[:2] != shape:
                raise InvalidImage(
                    f"The slices of a stack must have one size, but slice {indices[0]} is {size_text(shape)} and slice "
                    f"{index} is {size_text(pixels[index].shape[:2])}."
                )
        seen = [index for index in piece if not is_blank(pixels[index])]
        found: dict[int, NDArray[np.float32]] = {}
        if seen:
            images = predictor.encode_batch([pixels[index] for index in seen], window=window, spacing=stack.spacing)
            parts = [
                predictor.class_probabilities(images, names[some : some + batch])
                for some in range(0, len(names), batch)
            ]
            found = dict(zip(seen, np.concatenate(parts, axis=1), strict=True))
        for index in piece:
            probability = found.get(index)
            if probability is None:
                probability = np.zeros((len(names), *pixels[index].shape[:2]), dtype=np.float32)
            promises = tuple(expected_dice(one) for one in probability)
            claims = [
                one if sure >= promise else np.zeros_like(one) for one, sure in zip(probability, promises, strict=True)
            ]
            yield LabelledSlice(index, merge(claims), probability, promises)
