"""``kprism segment --propagate``: one slice segmented, or slices drawn before, and carried through the volume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from KPrismLib.class_names import class_called
from KPrismLib.command.console import print_json, progress, say, show
from KPrismLib.command.failures import without_reader_warnings
from KPrismLib.command.label_map import LabelMap
from KPrismLib.command.outputs import Outputs
from KPrismLib.command.propagation_kept import keep_slices
from KPrismLib.command.propagation_starts import Starts, check_within, drawn_starts, segmented_start
from KPrismLib.command.references import ReferenceFile
from KPrismLib.command.segment_request import Request
from KPrismLib.command.segment_run import amount_text, facts_of, file_facts, say_examples
from KPrismLib.command.slices import ALL, choose_plane, choose_slices, listed
from KPrismLib.errors import InvalidConfig, InvalidPrompt
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.intensity import IntensityWindow, window_for
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import STEPS
from KPrismLib.volumes import Propagation, SliceResult, VolumeStack

#: Sentences name at most so many slices.
_LISTED = 12


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
    """Segment, carry on, write, tell; nothing is written unless everything could be computed.

    When the person cancels between slices, those that are done are kept in a file of their own.
    """
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
    places = choose_slices(volume, stack.plane, request.slices or (middle if carry.mask is None else ALL))
    drawn: Starts | None = None
    if carry.mask is not None:
        drawing = ReferenceFile(image, carry.mask, carry.label, label_option="--mask-label")
        drawn = drawn_starts(drawing, volume, places, are_named=request.slices not in (None, ALL))
    check_within([places[0].index] if drawn is None else drawn.showing, first, last)
    window = window_for(volume.array, rule=request.window, modality=volume.modality)
    predictor = Predictor.load(model, device=device)
    start = time.perf_counter()
    starts = segmented_start(request, volume, places[0], predictor, window) if drawn is None else drawn
    known_class = class_called(starts.segment.name, predictor.classes)
    propagation = Propagation(predictor, stack, window=window, cls=known_class)
    for index, mask in starts.masks.items():
        propagation.accept(index, mask)  # also outside the range, as an example
    left = starts.left(first, last)
    learned = carry.learn and bool(left)
    if learned:
        with progress("Learning", STEPS) as step:
            for _ in propagation.learn():
                step()
    try:
        with progress("Propagating", max(1, len(left))) as step:
            for _ in propagation.propagate(first, last):
                step()
    except KeyboardInterrupt:
        known = propagation.results  # those to start from outside the range, too: whoever goes on needs them
        if known.keys() - starts.masks.keys():
            keep_slices(_label_map(known, stack, starts.segment, window), volume, outputs.segmentation, first, last)
        raise
    within = {index: found for index, found in propagation.results.items() if first <= index <= last}
    result = _label_map(within, stack, starts.segment, window)
    if starts.found is not None:
        result.remark, result.references = starts.found.remark, starts.found.references
    if not left:
        result.remark = " ".join(filter(None, (result.remark, _nothing_left(first, last))))
    result.milliseconds, result.encode_milliseconds = (time.perf_counter() - start) * 1000, None
    outputs.write(result, volume, request.prompts, places[0])
    facts = {
        **file_facts(request, image, outputs),
        **facts_of(result, volume, predictor, outputs),
        "propagation": {
            "learned": learned,
            "guided": propagation.guided,
            **_propagation_facts(propagation, within),
        },
    }
    if as_json:
        print_json(facts)
    else:
        say_examples(result)
        _tell(facts, outputs.segmentation)


def _label_map(
    results: Mapping[int, SliceResult], stack: VolumeStack, segment: Segment, window: IntensityWindow
) -> LabelMap:
    """The slices put together."""
    labels = np.zeros(stack.volume.shape, np.uint8)
    for index, found in results.items():
        stack.place(index).paste(found.mask, into=labels)
    return LabelMap(labels, [segment], [stack.place(index) for index in results], window)


def _nothing_left(first: int, last: int) -> str:
    """Why nothing was carried on, where every slice of the range is one to start from."""
    if first == last:
        return f"Slice {first} is all that was asked for, so nothing was carried on."
    return (
        f"Every slice from {first} to {last} is one to start from, so nothing was carried on; name those that are "
        "right by --slice N,M, and the others are segmented anew."
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
        say(_how_to_go_on(carried, output))
    say(f"Wrote {output} ({facts['milliseconds']:.0f} ms on {facts['device']}, window {facts['window']['rule']}).")


def _how_to_go_on(carried: Mapping[str, Any], output: Path) -> str:
    """How a slice that was corrected in the result changes the others."""
    starts = [one["slice"] for one in carried["slices"] if one["slice"] in carried["from"]]
    right = sorted({*starts, carried["least_certain"]})
    slices = listed(right) if len(right) <= _LISTED else "and the slices that are right"
    return f"Once it is corrected, go on with --mask {output.name} --slice {slices}."
