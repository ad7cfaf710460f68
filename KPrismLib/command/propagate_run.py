"""``kprism segment --propagate``: one slice segmented, or slices drawn before, and carried through the volume."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from KPrismLib.class_names import class_called
from KPrismLib.command.console import print_json, progress, say, show
from KPrismLib.command.failures import without_reader_warnings
from KPrismLib.command.label_map import LabelMap, predict
from KPrismLib.command.outputs import Outputs
from KPrismLib.command.references import ReferenceFile, read_drawing
from KPrismLib.command.segment_request import NAMELESS, Request, segment_called
from KPrismLib.command.segment_run import amount_text, facts_of, file_facts, say_examples
from KPrismLib.command.slices import ALL, choose_plane, choose_slices
from KPrismLib.errors import InvalidConfig, InvalidMask, InvalidPrompt
from KPrismLib.imaging.planes import SlicePlacement
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import IntensityWindow, window_for
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import STEPS
from KPrismLib.volumes import Propagation, SliceResult, VolumeStack

_Mask = npt.NDArray[np.bool_]

#: Sentences name at most so many slices.
_LISTED = 5


@dataclass(frozen=True)
class Carry:
    """How a slice is carried on; the fields are options of the command.

    Attributes:
        mask: a drawing of the structure in one or more slices of the image, or None to segment a slice first.
        label: its label, as for references.
        first, last: range of the slices that are written, both included; None for the ends of the volume. What the
            mask draws outside serves as an example.
        learn: make a specialist of the slices to start from first.
    """

    mask: Path | None = None
    label: str | None = None
    first: int | None = None
    last: int | None = None
    learn: bool = False

    def check(self, request: Request, outputs: Outputs) -> None:
        """Find what does not go together.

        Raises:
            InvalidPrompt, InvalidConfig: in a sentence that says what to leave out.
        """
        if self.mask is not None and (request.classes or request.references or request.prompts):
            raise InvalidPrompt(
                "--mask says where the structure is; leave out --class, --reference, --click, --scribble."
            )
        if self.mask is None and self.label is not None:
            raise InvalidConfig("--mask-label says something about a mask, but there is no --mask.")
        if len(request.classes) > 1:
            raise InvalidPrompt("One structure is carried on at a time; give a single --class.")
        if self.mask is None and request.slices == ALL:
            raise InvalidPrompt("--propagate starts from one slice; give its number with --slice.")
        if request.every_piece:
            raise InvalidConfig("--every-piece is for classes in all slices at once; leave it or --propagate out.")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise InvalidConfig(f"--from {self.first} lies behind --to {self.last}; give the smaller number first.")
        if outputs.probability is not None:
            raise InvalidConfig("--propagate gives masks with a confidence for each slice; leave out --probability.")


def run(
    request: Request,
    carry: Carry,
    image: Path,
    outputs: Outputs,
    *,
    series_uid: str | None,
    model: str,
    device: str,
    as_json: bool,
) -> None:
    """Segment, carry on, write, tell; nothing is written unless everything could be computed."""
    without_reader_warnings()
    carry.check(request, outputs)
    outputs.check([image, *request.reference_files, *([] if carry.mask is None else [carry.mask])])
    volume = read_volume(image, series_uid=series_uid)
    outputs.check_fits(volume)
    stack = VolumeStack(volume, choose_plane(volume, request.plane))
    first, last = carry.first or 0, len(stack) - 1 if carry.last is None else carry.last
    # What is wrong is told before the model is loaded.
    for end in (first, last):
        stack.place(end)
    middle = str((first + last) // 2)
    starts = choose_slices(volume, stack.plane, request.slices or (middle if carry.mask is None else ALL))
    drawn = None if carry.mask is None else _drawn_seeds(carry, image, volume, starts)
    _check_within([start.index for start in starts] if drawn is None else drawn[1], first, last)
    window = window_for(volume.array, rule=request.window, modality=volume.modality)
    predictor = Predictor.load(model, device=device)
    start = time.perf_counter()
    segment, seeds, seed = (
        (*drawn, None) if drawn is not None else _segmented_seed(request, volume, starts[0], predictor, window)
    )
    known_class = class_called(segment.name, predictor.classes)
    propagation = Propagation(predictor, stack, window=window, cls=known_class)
    labels = np.zeros(volume.shape, np.uint8)
    for index, mask in seeds.items():
        propagation.accept(index, mask)  # also outside the range, as an example
        if first <= index <= last:
            stack.place(index).paste(mask, into=labels)
    if carry.learn:
        with progress("Learning", STEPS) as step:
            for _ in propagation.learn():
                step()
    with progress("Propagating", max(1, last - first + 1)) as step:
        for found in propagation.propagate(first, last):
            stack.place(found.index).paste(found.mask, into=labels)
            step()
    within = {index: found for index, found in sorted(propagation.results.items()) if first <= index <= last}
    result = LabelMap(labels, [segment], [stack.place(index) for index in within], window)
    if seed is not None:
        result.remark, result.references = seed.remark, seed.references
    result.milliseconds, result.encode_milliseconds = (time.perf_counter() - start) * 1000, None
    outputs.write(result, volume, request.prompts, starts[0])
    facts = {
        **file_facts(request, image, outputs),
        **facts_of(result, volume, predictor, outputs),
        "propagation": {
            "learned": carry.learn,
            "guided": propagation.guided,
            **_propagation_facts(propagation, within),
        },
    }
    if as_json:
        print_json(facts)
    else:
        say_examples(result)
        _tell(facts, outputs.segmentation)


def _segmented_seed(
    request: Request, volume: Volume, place: SlicePlacement, predictor: Predictor, window: IntensityWindow
) -> tuple[Segment, dict[int, _Mask], LabelMap]:
    """The slice that ``--slice`` names, segmented by what the request says, and all that is known of it."""
    if request.slices is None:
        say(f"Starting from {place.plane.value} slice {place.index}, the middle; --slice N takes another.")
    found = predict(predictor, volume, [place], request.knowledge(predictor, place.plane), window=window)
    mask = place.extract(found.array) != 0
    if not mask.any():
        raise InvalidMask(
            f"Nothing was found in {place.plane.value} slice {place.index}, so there is nothing to carry on; choose "
            "another --slice, or add clicks."
        )
    return found.segments[0], {place.index: mask}, found


def _drawn_seeds(
    carry: Carry, image: Path, volume: Volume, places: Sequence[SlicePlacement]
) -> tuple[Segment, dict[int, _Mask]]:
    """The slices in which the mask shows the structure; with ``--slice`` only that one."""
    assert carry.mask is not None
    drawing, name = read_drawing(volume, ReferenceFile(image, carry.mask, carry.label, label_option="--mask-label"))
    masks = {place.index: place.extract(drawing) for place in places}
    seeds = {index: mask for index, mask in masks.items() if mask.any()}
    if not seeds:
        where = f"{places[0].plane.value} slice {places[0].index}"  # of all slices together a mask is never empty
        raise InvalidMask(f"{carry.mask.name} shows nothing in {where}; choose another --slice, or leave it out.")
    return segment_called(name or NAMELESS, 1), seeds


def _check_within(seeds: Collection[int], first: int, last: int) -> None:
    """Raise InvalidConfig when the range holds no slice to start from."""
    if not any(first <= index <= last for index in seeds):
        started = ", ".join(str(index) for index in sorted(seeds)[:_LISTED]) + (" ..." if len(seeds) > _LISTED else "")
        raise InvalidConfig(
            f"The structure is known in slice {started}, outside the range {first} to {last}; widen --from and --to, "
            "or choose another --slice."
        )


def _propagation_facts(propagation: Propagation, within: Mapping[int, SliceResult]) -> dict[str, Any]:
    """What became of the slices ``within`` the range; those that it started from may lie outside as well."""
    return {
        "from": list(propagation.accepted),
        "slices": [
            {
                "slice": index,
                "confidence": round(found.confidence, 4),
                "pixels": int(found.mask.sum()),
                "references": list(found.references),
            }
            for index, found in within.items()
        ],
        "ends": [{"slice": end.index, "reason": end.reason.value} for end in propagation.ends],
        "least_certain": propagation.least_certain(),
    }


def _tell(facts: Mapping[str, Any], output: Path) -> None:
    carried = facts["propagation"]
    table = Table("slice", "pixels", "confidence")
    for one in carried["slices"]:
        confidence = "start" if one["slice"] in carried["from"] else f"{one['confidence']:.3f}"
        table.add_row(str(one["slice"]), str(one["pixels"]), confidence)
    show(table)
    for end in carried["ends"]:
        say(f"Stopped at slice {end['slice']}: {end['reason']}.")
    (segment,) = facts["segments"]
    say(f"{segment['name']}: {amount_text(segment, len(carried['slices']))}")
    if facts["warning"]:
        say(facts["warning"])
    if carried["least_certain"] is not None:
        if not carried["guided"]:
            say("The model does not know this structure here; --learn finds more of it.")
        say(f"Most pixels in doubt: slice {carried['least_certain']}; look at it first.")
    say(f"Wrote {output} ({facts['milliseconds']:.0f} ms on {facts['device']}, window {facts['window']['rule']}).")
