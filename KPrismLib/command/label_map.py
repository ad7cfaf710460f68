"""Predictions of one or many slices and structures, put together into one label map."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from KPrismLib.command.best_references import BestReferences, Example
from KPrismLib.encoded_image import EncodedImage, ReferenceSet, Segmentation
from KPrismLib.image_checks import is_blank
from KPrismLib.imaging.kinds import foreign_reference, kind_of, other_plane
from KPrismLib.imaging.planes import Plane, SlicePlacement, pixel_spacing
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Click, Prompt
from KPrismLib.volumes import VolumeStack, segment_classes
from KPrismLib.volumes.merging import merge


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What says which structures are meant.

    Attributes:
        segments: the structures, with labels from 1.
        classes: their classes, or empty.
        reference: the example that all slices have, or None.
        best: what chooses examples for each slice, or None.
        prompts: clicks and scribbles, in order; only with a single structure.
        kinds: of the images that the example is from, as ``kind_of`` gives them.
        planes: of the slices that the example is from, as far as they are known.
        every_piece: classes in many slices keep what is hardly certain and what is elsewhere.
    """

    segments: Sequence[Segment]
    classes: tuple[str, ...] = ()
    reference: ReferenceSet | None = None
    best: BestReferences | None = None
    prompts: tuple[Prompt, ...] = ()
    kinds: frozenset[str | None] = frozenset()
    planes: frozenset[Plane] = frozenset()
    every_piece: bool = False


@dataclass(eq=False)
class LabelMap:
    """A segmentation of some slices of a volume.

    Attributes:
        array: uint8 ``(k, j, i)``; 0 is background, and whatever was not segmented.
        segments: what the numbers mean.
        places: the segmented slices.
        window: the intensity window of the volume.
        probability: float32 ``(segments, k, j, i)``, if it was asked for.
        milliseconds: of all predictions, encoding included; ``encode_milliseconds`` of encoding alone, or None where
            slices were encoded and segmented in batches.
        remark: what the user should know, or "".
        references: the slices that were chosen as examples, by the index of the slice that they were chosen for.
    """

    array: npt.NDArray[np.uint8]
    segments: Sequence[Segment]
    places: Sequence[SlicePlacement]
    window: IntensityWindow
    probability: npt.NDArray[np.float32] | None = None
    milliseconds: float = field(default=0.0)
    encode_milliseconds: float | None = field(default=0.0)
    remark: str = ""
    references: dict[int, Sequence[Example]] = field(default_factory=dict)

    def count(self, segment: Segment) -> int:
        """Voxels of a segment."""
        return int((self.array == segment.label).sum())

    def fullest(self) -> SlicePlacement:
        """The slice with the largest segmented area."""
        return max(self.places, key=lambda place: int((place.extract(self.array) != 0).sum()))


def predict(
    predictor: Predictor,
    volume: Volume,
    places: Sequence[SlicePlacement],
    knowledge: Knowledge,
    *,
    window: IntensityWindow,
    keep_probability: bool = False,
    after_slice: Callable[[], None] = lambda: None,
) -> LabelMap:
    """Segment slices; where structures overlap, the more probable one gets the pixel.

    Classes in all slices of a plane go through the network in batches, every slice encoded once for all classes.

    Raises:
        InvalidImage: the only slice is constant. (Of several slices the constant ones, padding, stay empty.)
        InvalidPrompt: a click outside the slice, or contradictory clicks.
    """
    result = LabelMap(np.zeros(volume.shape, np.uint8), knowledge.segments, places, window)
    kind = kind_of(volume.modality, window, colour=volume.is_colour)
    plane = None if volume.is_picture else places[0].plane
    remarks = foreign_reference(kind, knowledge.kinds), other_plane(plane, knowledge.planes)
    result.remark = " ".join(filter(None, remarks))
    if keep_probability:
        result.probability = np.zeros((len(knowledge.segments), *volume.shape), np.float32)
    if len(places) > 1 and knowledge.classes and not knowledge.prompts:
        _class_pass(predictor, volume, result, knowledge, after_slice)
        return result
    encoding = 0.0
    for place in places:
        pixels = place.extract(volume.array)
        if len(places) > 1 and is_blank(pixels):
            after_slice()
            continue
        image = predictor.encode(pixels, window=window, spacing=pixel_spacing(volume, place))
        reference = knowledge.reference
        if knowledge.best is not None:
            reference, result.references[place.index] = knowledge.best.choose(image, kind=kind)
        predictions = _predict_all(predictor, image, knowledge, reference)
        place.paste(merge([prediction.probability for prediction in predictions]), into=result.array)
        if result.probability is not None:
            for layer, prediction in zip(result.probability, predictions, strict=True):
                place.paste(prediction.probability, into=layer)
        encoding += image.milliseconds
        result.milliseconds += image.milliseconds + sum(prediction.milliseconds for prediction in predictions)
        after_slice()
    result.encode_milliseconds = encoding
    return result


def _class_pass(
    predictor: Predictor,
    volume: Volume,
    result: LabelMap,
    knowledge: Knowledge,
    after_slice: Callable[[], None],
) -> None:
    """Fill ``result``, whose places are neighbours in one plane."""
    stack = VolumeStack(volume, result.places[0].plane)
    first, last = result.places[0].index, result.places[-1].index
    start = time.perf_counter()
    pieces = segment_classes(
        predictor,
        stack,
        knowledge.classes,
        window=result.window,
        first=first,
        last=last,
        every_piece=knowledge.every_piece,
    )
    for piece in pieces:
        place = stack.place(piece.index)
        place.paste(piece.labels, into=result.array)
        if piece.probability is None:
            continue  # The slice was counted when it came first.
        if result.probability is not None:
            for layer, probability in zip(result.probability, piece.probability, strict=True):
                place.paste(probability, into=layer)
        after_slice()
    result.milliseconds, result.encode_milliseconds = (time.perf_counter() - start) * 1000, None


def _predict_all(
    predictor: Predictor, image: EncodedImage, knowledge: Knowledge, reference: ReferenceSet | None
) -> list[Segmentation]:
    if not knowledge.prompts:
        if reference is not None:
            return [predictor.segment(image, reference=reference)]
        return [predictor.segment(image, cls=name) for name in knowledge.classes]
    session = predictor.session(image, cls=knowledge.classes[0] if knowledge.classes else None, reference=reference)
    spent = session.result.milliseconds
    for prompt in knowledge.prompts:
        if isinstance(prompt, Click):
            session.click(prompt.row, prompt.column, positive=prompt.positive)
        else:
            session.scribble(prompt.points, positive=prompt.positive)
        spent += session.result.milliseconds
    last = session.result
    return [Segmentation(last.mask, last.probability, spent, last.window)]
