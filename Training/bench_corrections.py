"""How well clicks correct a mask that somebody drew: what becomes of it, and what changes where nothing was wrong.

True masks are damaged in one place: a fifth is cut off, or a lobe is added. One click at a time into the largest error
then mends them, once as a drawing (only what a click touches changes) and once as a model's mask (clicks may change
everything).

python -m Training.bench_corrections DATASET... --limit 8 --clicks 3
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import ndimage

from KPrismLib.command.evaluate import find_datasets
from KPrismLib.command.models import load_or_random
from KPrismLib.dataset import DatasetFolder
from KPrismLib.encoded_image import EncodedImage
from KPrismLib.evaluation import Mode
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.plan import plan
from KPrismLib.evaluation.settings import EvaluationSettings
from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.predictor import Predictor

Mask = NDArray[np.bool_]

#: How masks are damaged, and how sessions take them.
DAMAGES = ("cut", "lobe")
WAYS: Mapping[str, bool] = MappingProxyType({"drawn": True, "found": False})

CUT_SHARE = 0.2
#: Where the lobe begins along its direction, as a share of the structure, and how far it sticks out, as a share of the
#: side of a square of the structure's area.
LOBE_FROM, LOBE_OUT = 0.6, 0.35
#: Structures of fewer pixels have no place for damage.
SMALLEST = 60
#: Pixels nearer to the damage than this may change without anybody minding.
AROUND = 4


@dataclass(frozen=True)
class Correction:
    """Dice before and after each click, and the share of the structure that each has changed away from the damage."""

    dice: tuple[float, ...]
    elsewhere: tuple[float, ...]


def damaged(truth: Mask, damage: str, direction: float) -> Mask:
    """A mask with an error in one place.

    Args:
        truth: bool (rows, columns), not empty.
        damage: ``cut`` takes away the farthest fifth in a direction, ``lobe`` adds the structure again, moved that way.
        direction: angle in radians; 0 points along the columns, pi / 2 along the rows.
    """
    down, right = np.sin(direction), np.cos(direction)
    rows, columns = np.mgrid[: truth.shape[0], : truth.shape[1]]
    along = rows * down + columns * right
    if damage == "cut":
        return np.asarray(truth & (along <= np.quantile(along[truth], 1 - CUT_SHARE)))
    out = LOBE_OUT * np.sqrt(truth.sum())
    moved = ndimage.shift(truth.astype(np.uint8), (out * down, out * right), order=0) > 0
    return np.asarray(truth | (moved & (along > np.quantile(along[truth], LOBE_FROM))))


def correct(
    predictor: Predictor, image: EncodedImage, given: Mask, truth: Mask, *, drawn: bool, clicks: int
) -> Correction:
    """Click into the largest error of a mask, again and again.

    Args:
        predictor: the model.
        image: what the mask is of.
        given: bool (rows, columns), the mask to correct.
        truth: bool (rows, columns).
        drawn: whether clicks change only what they touch.
        clicks: how many.
    """
    elsewhere = ndimage.distance_transform_edt(given == truth) > AROUND
    session, mask = predictor.session(image, mask=given, drawn=drawn), given
    curve, changed = [dice(mask, truth)], [0.0]
    for _ in range(clicks):
        click = next_click(mask, truth)
        if click is not None:
            session.click(click.row, click.column, positive=click.positive)
            mask = session.mask
        curve.append(dice(mask, truth))
        changed.append(float(((mask != given) & elsewhere).sum() / truth.sum()))
    return Correction(tuple(curve), tuple(changed))


def _structures(
    predictor: Predictor, folders: Sequence[DatasetFolder], settings: EvaluationSettings
) -> Iterator[tuple[EncodedImage, Mask]]:
    for part in plan(folders, settings):
        for piece, truths in part.structures():
            image = predictor.encode(piece.pixels)
            yield from ((image, truth) for truth in truths if truth.sum() >= SMALLEST)


def main(
    folders: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Dataset folders.")],
    model: Annotated[str, typer.Option("--model", help="small, base or a weights file.")] = "small",
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "test",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Slices of each dataset.")] = 8,
    clicks: Annotated[int, typer.Option("--clicks", min=1, help="Clicks for each mask.")] = 3,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "cpu",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")] = None,
) -> None:
    """Damage masks, correct them by clicks, and tell Dice and what changed elsewhere after each click."""
    if threads is not None:
        torch.set_num_threads(threads)
    predictor, _ = load_or_random(model, attention="absorbed", device=device, precision="auto")
    settings = EvaluationSettings(split=split, modes=(Mode.INTERACTIVE,), limit=limit, clicks=clicks)
    directions = np.random.default_rng(settings.seed)
    found: dict[tuple[str, str], list[Correction]] = {(damage, way): [] for damage in DAMAGES for way in WAYS}
    for image, truth in _structures(predictor, find_datasets(folders), settings):
        direction = directions.uniform(0, 2 * np.pi)
        for damage in DAMAGES:
            given = damaged(truth, damage, direction)
            for way, drawn in WAYS.items():
                found[damage, way].append(correct(predictor, image, given, truth, drawn=drawn, clicks=clicks))
    result: dict[str, Any] = {"model": model, "clicks": clicks, "structures": len(found[DAMAGES[0], "drawn"])}
    for (damage, way), corrections in found.items():
        numbers = {
            "dice": np.mean([one.dice for one in corrections], axis=0),
            "elsewhere": np.mean([one.elsewhere for one in corrections], axis=0),
            "elsewhere_median": np.median([one.elsewhere for one in corrections], axis=0),
        }
        result.setdefault(damage, {})[way] = {name: values.round(4).tolist() for name, values in numbers.items()}
    typer.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
