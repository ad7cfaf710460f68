"""``kprism segment`` at work on one image: read, segment, write, tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from KPrismLib.command.best_references import Example
from KPrismLib.command.console import print_json, progress, say
from KPrismLib.command.failures import without_reader_warnings
from KPrismLib.command.label_map import LabelMap, predict
from KPrismLib.command.outputs import Outputs
from KPrismLib.command.segment_request import Request
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import window_for
from KPrismLib.predictor import Predictor

NOTHING_FOUND = "Nothing was found in any slice."


def run(
    request: Request,
    image: Path,
    outputs: Outputs,
    *,
    series_uid: str | None,
    model: str,
    device: str,
    as_json: bool,
) -> None:
    """Segment and write; nothing is written unless everything could be computed."""
    without_reader_warnings()
    outputs.check([image, *request.reference_files])
    volume = read_volume(image, series_uid=series_uid)
    outputs.check_fits(volume)
    places = request.places(volume)
    request.say_places(volume, places)
    window = window_for(volume.array, rule=request.window, modality=volume.modality)
    predictor = Predictor.load(model, device=device)
    knowledge = request.knowledge(predictor, places[0].plane)
    with progress("Segmenting", len(places)) as step:
        result = predict(
            predictor,
            volume,
            places,
            knowledge,
            window=window,
            keep_probability=outputs.probability is not None,
            after_slice=step,
        )
    outputs.write(result, volume, request.prompts, places[0])
    facts = file_facts(request, image, outputs) | facts_of(result, volume, predictor, outputs)
    if as_json:
        print_json(facts)
        return
    for segment in facts["segments"]:
        say(f"{segment['name']}: {amount_text(segment, len(result.places))}")
    say_examples(result)
    if facts["warning"]:
        say(facts["warning"])
    say(f"Wrote {outputs.segmentation} ({facts['milliseconds']:.0f} ms on {facts['device']}, window {window.rule}).")


def say_examples(result: LabelMap) -> None:
    """Tell which examples were chosen, where it was for one slice; of many slices only JSON and manifest tell it."""
    if len(result.references) == 1:
        (chosen,) = result.references.values()
        drawn = {(one.image, one.mask, one.label) for one in chosen}
        several = len({image for image, *_ in drawn}) < len(drawn)
        say(f"By the example of {', '.join(_example_text(one, with_mask=several) for one in chosen)}.")


def _example_text(example: Example, *, with_mask: bool) -> str:
    label = "" if example.label is None else f", label {example.label}"
    drawn = f" ({example.mask.name}{label})" if with_mask else ""
    return f"{example.image.name} slice {example.index}{drawn}"


def file_facts(request: Request, image: Path, outputs: Outputs) -> dict[str, Any]:
    """What was asked of which file, and where the results are: plain values for JSON."""
    return {
        "image": str(image),
        "output": str(outputs.segmentation),
        "overlay": None if outputs.overlay is None else str(outputs.overlay),
        "probability": None if outputs.probability is None else str(outputs.probability),
        "prompts": len(request.prompts),
    }


def facts_of(result: LabelMap, volume: Volume, predictor: Predictor, outputs: Outputs) -> dict[str, Any]:
    """What was found, with what: plain values for JSON."""
    pixels = [result.count(segment) for segment in result.segments]
    remarks = (result.remark, "" if any(pixels) else NOTHING_FOUND, outputs.remark(volume))
    row, column = result.places[0].spacing
    pixel = None if volume.is_picture else row * column
    # The determinant, not the product of the spacings: a tilted gantry shears its voxels.
    voxel = None if volume.is_picture else abs(float(np.linalg.det(volume.ijk_to_ras[:3, :3])))
    return {
        "model": predictor.name,
        "device": str(predictor.device),
        "plane": result.places[0].plane.value,
        "slices": [place.index for place in result.places],
        "window": result.window.to_dict(),
        "segments": [
            {"name": s.name, "label": s.label, "pixels": n, "mm2": pixel and n * pixel, "mm3": voxel and n * voxel}
            for s, n in zip(result.segments, pixels, strict=True)
        ],
        "references": [
            {
                "slice": index,
                "image": str(chosen.image),
                "mask": str(chosen.mask),
                "label": chosen.label,
                "reference_slice": chosen.index,
            }
            for index, slices in result.references.items()
            for chosen in slices
        ],
        "mask_area": sum(pixels),
        "mask_mm2": pixel and sum(pixels) * pixel,
        "mask_mm3": voxel and sum(pixels) * voxel,
        "warning": " ".join(filter(None, remarks)) or None,
        "encode_milliseconds": None if result.encode_milliseconds is None else round(result.encode_milliseconds, 3),
        "milliseconds": round(result.milliseconds, 3),
    }


def amount_text(segment: Mapping[str, Any], slices: int) -> str:
    """An area in one slice, a volume in several; without geometry, pixels."""
    if segment["mm2"] is None:
        return f"{segment['pixels']} pixels"
    if slices == 1:
        return f"{segment['pixels']} pixels, {segment['mm2']:.1f} mm2"
    return f"{segment['pixels']} voxels, {segment['mm3'] / 1000:.1f} ml"
