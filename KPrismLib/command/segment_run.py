"""``kprism segment`` at work: knowledge, slices, one label map, its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from KPrismLib.class_names import row_of_class
from KPrismLib.command.console import print_json, progress, say
from KPrismLib.command.failures import is_debugging
from KPrismLib.command.label_map import Knowledge, LabelMap, predict
from KPrismLib.command.outputs import Outputs
from KPrismLib.command.references import ReferenceFile, encode_references
from KPrismLib.command.slices import ALL, MIDDLE, choose_plane, choose_slices
from KPrismLib.errors import InvalidPrompt
from KPrismLib.imaging.planes import SlicePlacement, slice_count
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import window_for
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Prompt

#: What a structure is called that only clicks or a nameless example describe.
NAMELESS = "Segment_1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asked for; the fields are the options of the command."""

    image: Path
    output: Path
    classes: tuple[str, ...] = ()
    references: tuple[ReferenceFile, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    plane: str | None = None
    slices: str | None = None
    window: str = "auto"
    series_uid: str | None = None
    overlay: Path | None = None
    probability: Path | None = None

    def __post_init__(self) -> None:
        if self.classes and self.references:
            raise InvalidPrompt("Give either --class or --reference, not both; clicks can refine either.")
        if not (self.classes or self.references or self.prompts):
            raise InvalidPrompt("Nothing says what to segment; give --class, --reference, --click or --scribble.")
        if self.prompts and len(self.classes) > 1:
            raise InvalidPrompt("Clicks refine one structure; give a single --class with them.")
        if self.prompts and self.slices == ALL:
            raise InvalidPrompt("Clicks and scribbles lie in one slice; give its number with --slice.")


def run(request: Request, *, model: str, device: str, as_json: bool) -> None:
    """Segment and write; nothing is written unless everything could be computed."""
    if not is_debugging():
        sitk.ProcessObject.SetGlobalWarningDisplay(False)  # they say what the reader's own sentence says better
    outputs = Outputs(request.output, request.overlay, request.probability)
    outputs.check([request.image, *(path for r in request.references for path in (r.image, r.mask))])
    volume = read_volume(request.image, series_uid=request.series_uid)
    outputs.check_fits(volume)
    places = _slices(request, volume)
    window = window_for(volume.array, rule=request.window, modality=volume.modality)
    predictor = Predictor.load(model, device=device)
    knowledge = _knowledge(request, predictor)
    with progress("Segmenting", len(places)) as step:
        result = predict(
            predictor,
            volume,
            places,
            knowledge,
            window=window,
            keep_probability=request.probability is not None,
            after_slice=step,
        )
    outputs.write(result, volume, request.prompts)
    facts = _facts(request, volume, predictor, result)
    if as_json:
        print_json(facts)
    else:
        for segment in facts["segments"]:
            say(f"{segment['name']}: {_size(segment, len(result.places))}")
        say(f"Wrote {request.output} ({facts['milliseconds']:.0f} ms on {facts['device']}, window {window.rule}).")


def _slices(request: Request, volume: Volume) -> list[SlicePlacement]:
    plane = choose_plane(volume, request.plane)
    everything = not request.prompts and not request.references
    places = choose_slices(volume, plane, request.slices or (ALL if everything else MIDDLE))
    last = slice_count(volume, plane) - 1
    if request.slices is None and len(places) > 1:
        say(f"Segmenting all {len(places)} {plane.value} slices; --slice N takes one.")
    elif request.slices is None and last > 0:
        say(f"Segmenting {plane.value} slice {places[0].index}, the middle of 0 to {last}; --slice N takes another.")
    return places


def _knowledge(request: Request, predictor: Predictor) -> Knowledge:
    if request.references:
        references, name = encode_references(predictor, request.references, plane=request.plane, window=request.window)
        return Knowledge([_segment(name or NAMELESS, 1)], reference=references, prompts=request.prompts)
    rows = dict.fromkeys(row_of_class(name, predictor.classes) for name in request.classes)
    names = [predictor.classes[row] for row in rows]
    segments = [_segment(name, label) for label, name in enumerate(names or [NAMELESS], start=1)]
    return Knowledge(segments, classes=tuple(names), prompts=request.prompts)


def _segment(name: str, label: int) -> Segment:
    segment = Segment.of_class(name, label)
    return replace(segment, name=name) if name == NAMELESS else segment


def _size(segment: Mapping[str, Any], slices: int) -> str:
    """An area in one slice, a volume in several; without geometry, pixels."""
    if segment["mm2"] is None:
        return f"{segment['pixels']} pixels"
    if slices == 1:
        return f"{segment['pixels']} pixels, {segment['mm2']:.1f} mm2"
    return f"{segment['pixels']} voxels, {segment['mm3'] / 1000:.1f} ml"


def _facts(request: Request, volume: Volume, predictor: Predictor, result: LabelMap) -> dict[str, Any]:
    pixels = [result.count(segment) for segment in result.segments]
    row, column = result.places[0].spacing
    pixel = None if volume.is_picture else row * column
    voxel = None if volume.is_picture else math.prod(volume.spacing)
    return {
        "image": str(request.image),
        "output": str(request.output),
        "overlay": None if request.overlay is None else str(request.overlay),
        "probability": None if request.probability is None else str(request.probability),
        "model": predictor.name,
        "device": str(predictor.device),
        "plane": result.places[0].plane.value,
        "slices": [place.index for place in result.places],
        "window": result.window.to_dict(),
        "prompts": len(request.prompts),
        "segments": [
            {"name": s.name, "label": s.label, "pixels": n, "mm2": pixel and n * pixel, "mm3": voxel and n * voxel}
            for s, n in zip(result.segments, pixels, strict=True)
        ],
        "mask_area": sum(pixels),
        "mask_mm2": pixel and sum(pixels) * pixel,
        "mask_mm3": voxel and sum(pixels) * voxel,
        "encode_milliseconds": round(result.encode_milliseconds, 3),
        "milliseconds": round(result.milliseconds, 3),
    }
