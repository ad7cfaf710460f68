"""Classes through a whole stack (Eq. 2), slice by slice, so that only the result grows with the volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import row_of_class
from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidPrompt
from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import Predictor
from KPrismLib.volumes.encoded_stack import is_blank
from KPrismLib.volumes.merging import merge
from KPrismLib.volumes.stack import Stack


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice of a label map.

    Attributes:
        index: the slice.
        labels: uint8 (rows, columns); 0 is background, n the n-th of the classes asked for.
        probability: float32 (classes, rows, columns) in [0, 1], before conflicts are resolved.
    """

    index: int
    labels: NDArray[np.uint8]
    probability: NDArray[np.float32]


def segment_classes(
    predictor: Predictor,
    stack: Stack,
    classes: Sequence[str],
    *,
    window: IntensityWindow,
    first: int = 0,
    last: int | None = None,
    batch: int = 8,
) -> Iterator[LabelledSlice]:
    """Segment classes in the slices ``first`` to ``last``, in order; stop whenever you like.

    Every slice is encoded once for all classes. A pixel that several classes claim goes to the most probable, and to
    none where all are less probable than not. A slice whose pixels are all equal, padding for example, stays empty.

    Args:
        predictor: the model.
        stack: the slices.
        classes: what to look for, each once.
        window: intensity window of the whole volume.
        first: first slice.
        last: last slice, included; None for the last of the stack.
        batch: how many masks the decoder makes at a time; a few slices with one class, or one slice with many.

    Returns:
        One result for every slice.

    Raises:
        UnknownClass: the model does not know a class.
        InvalidPrompt: no class, or one twice.
        InvalidImage: no such slices.
        InvalidConfig: ``batch`` below 1.
    """
    names = [predictor.classes[row_of_class(name, predictor.classes)] for name in classes]
    if not names:
        raise InvalidPrompt("Nothing says what to segment; give at least one class.")
    if len(set(names)) < len(names):
        raise InvalidPrompt("A class is asked for twice; give each once.")
    if batch < 1:
        raise InvalidConfig(f"The decoder must make at least 1 mask at a time, not {batch}.")
    last = len(stack) - 1 if last is None else last
    if not 0 <= first <= last < len(stack):
        raise InvalidImage(f"There are no slices {first} to {last}; choose from 0 to {len(stack) - 1}.")
    return _pieces(predictor, stack, names, window, range(first, last + 1), batch)


def _pieces(
    predictor: Predictor, stack: Stack, names: Sequence[str], window: IntensityWindow, indices: range, batch: int
) -> Iterator[LabelledSlice]:
    at_once = max(1, batch // len(names))
    for start in range(0, len(indices), at_once):
        piece = indices[start : start + at_once]
        pixels = {index: stack.pixels(index) for index in piece}
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
            yield LabelledSlice(index, merge(probability), probability)
