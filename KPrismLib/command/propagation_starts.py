"""The slices that ``kprism segment --propagate`` carries on: one segmented first, or those of a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from KPrismLib.command.console import say
from KPrismLib.command.label_map import LabelMap, predict
from KPrismLib.command.references import ReferenceFile, read_drawing
from KPrismLib.command.segment_request import NAMELESS, Request, segment_called
from KPrismLib.command.slices import ranges_text
from KPrismLib.errors import InvalidConfig, InvalidMask
from KPrismLib.imaging.planes import SlicePlacement
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import Predictor


@dataclass(frozen=True, eq=False)
class Starts:
    """What is known before anything is carried on.

    Attributes:
        segment: the structure.
        masks: bool (rows, columns), by slice; one without a pixel says that the structure is not in that slice.
        found: all that is known of a slice that was segmented; None of drawn ones.
    """

    segment: Segment
    masks: Mapping[int, npt.NDArray[np.bool_]]
    found: LabelMap | None = None

    @property
    def showing(self) -> list[int]:
        """The slices that show the structure."""
        return [index for index, mask in self.masks.items() if mask.any()]

    def left(self, first: int, last: int) -> list[int]:
        """The slices of the range of which nothing is known."""
        return [index for index in range(first, last + 1) if index not in self.masks]


def check_within(showing: Sequence[int], first: int, last: int) -> None:
    """Raise InvalidConfig when none of the slices that show the structure lies in the range."""
    if not any(first <= index <= last for index in showing):
        raise InvalidConfig(
            f"The structure is known in slice {ranges_text(showing)}, outside the range {first} to {last}; widen "
            "--from and --to, or choose another --slice."
        )


def segmented_start(
    request: Request, volume: Volume, place: SlicePlacement, predictor: Predictor, window: IntensityWindow
) -> Starts:
    """The slice that ``--slice`` names, segmented by what the request says.

    Raises:
        InvalidMask: nothing was found in it.
    """
    if request.slices is None:
        say(f"Starting from {place.plane.value} slice {place.index}, the middle; --slice N takes another.")
    found = predict(predictor, volume, [place], request.knowledge(predictor, place.plane), window=window)
    mask = place.extract(found.array) != 0
    if not mask.any():
        raise InvalidMask(
            f"Nothing was found in {place.plane.value} slice {place.index}, so there is nothing to carry on; choose "
            "another --slice, or add clicks."
        )
    return Starts(found.segments[0], {place.index: mask}, found)


def drawn_starts(
    drawing: ReferenceFile, volume: Volume, places: Sequence[SlicePlacement], *, are_named: bool
) -> Starts:
    """Slices of a drawing.

    Args:
        drawing: the image, the mask and its label.
        volume: the image.
        places: the slices that count.
        are_named: somebody named them, so that they count also where nothing is drawn; else those that are drawn.

    Raises:
        InvalidMask: nothing is drawn in any of them.
    """
    mask, name = read_drawing(volume, drawing)
    masks = {place.index: place.extract(mask) for place in places}
    shown = [index for index, pixels in masks.items() if pixels.any()]
    empty = [index for index in masks if index not in shown]
    plane, file = places[0].plane.value, drawing.mask.name
    if not shown:  # of all slices together a mask is never empty
        raise InvalidMask(
            f"{file} shows nothing in {plane} slice {ranges_text(empty)}; choose another --slice, or leave it out."
        )
    if are_named and empty:
        say(f"{file} shows nothing in {plane} slice {ranges_text(empty)}, so the structure is taken not to be there.")
    elif not are_named and len(shown) > 1:
        say(
            f"Starting from the {len(shown)} {plane} slices drawn in {file}, {ranges_text(shown)}; --slice N,M takes "
            "only those, and segments the others anew."
        )
    counting = masks if are_named else {index: masks[index] for index in shown}
    return Starts(segment_called(name or NAMELESS, 1), counting)
