"""How much faster an evaluation is than calling the predictor slice by slice, on the same slices in the same run.

python -m Training.bench_evaluation DATASET... --limit 20 --model small
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from KPrismLib.command.evaluate import find_datasets
from KPrismLib.command.models import load_or_random
from KPrismLib.dataset import DatasetFolder, class_mask, classes_of
from KPrismLib.evaluation import Mode, evaluate
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.plan import plan
from KPrismLib.evaluation.predictor import Predictor
from KPrismLib.evaluation.settings import EvaluationSettings
from KPrismLib.evaluation.simulated_click import SimulatedClick, next_click

Curve = tuple[float, ...]


def slice_by_slice(
    predictor: Predictor, folders: Sequence[DatasetFolder], settings: EvaluationSettings
) -> tuple[list[Curve], float]:
    """Dice after each click for every (slice, class), as a loop over the predictor gives it; -> and its seconds.

    Each slice is read and encoded for each class, and each click waits for the one before. Reading is not counted.
    """
    curves, spent = [], 0.0
    for part in plan(folders, settings):
        classes = classes_of(part.folder)
        for item, records in part.by_item().items():
            pieces = part.folder.slices(item, [record.index for record in records])
            for record, piece in zip(records, pieces, strict=True):
                for name in (name for name in classes if name in record.present):
                    target = class_mask(piece.labels, classes[name])
                    started = time.perf_counter()
                    curves.append(_clicked(predictor, piece.pixels, target, settings.clicks))
                    spent += time.perf_counter() - started
    return curves, spent


def _clicked(predictor: Predictor, pixels: NDArray[np.uint8], target: NDArray[np.bool_], clicks: int) -> Curve:
    session = predictor.session(predictor.encode(pixels))
    mask = np.zeros_like(target)
    curve = [dice(mask, target)]
    for _ in range(clicks):
        click: SimulatedClick | None = next_click(mask, target)
        if click is not None:
            session.click(click.row, click.column, positive=click.positive)
            mask = np.asarray(session.mask, dtype=bool)
        curve.append(dice(mask, target))
    return tuple(curve)


def main(
    folders: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Dataset folders.")],
    model: Annotated[str, typer.Option("--model", help="small, base or a weights file.")] = "small",
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "test",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Slices of each dataset.")] = 10,
    clicks: Annotated[int, typer.Option("--clicks", min=1, help="Clicks for each slice and class.")] = 10,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Masks in one pass.")] = 4,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "cpu",
    precision: Annotated[str, typer.Option("--precision", help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")] = None,
) -> None:
    """Time both ways of evaluating the interactive mode, and compare every curve."""
    if threads is not None:
        torch.set_num_threads(threads)
    predictor, _ = load_or_random(model, attention="absorbed", device=device, precision=precision)
    datasets = find_datasets(folders)
    settings = EvaluationSettings(split=split, modes=(Mode.INTERACTIVE,), limit=limit, clicks=clicks)
    _clicked(predictor, *_warm_up(predictor.config.image_size), clicks=1)
    curves, before = slice_by_slice(predictor, datasets, settings)
    started = time.perf_counter()
    report = evaluate(predictor, datasets, split=split, modes=settings.modes, limit=limit, clicks=clicks, batch=batch)
    after = time.perf_counter() - started
    found = [row.curve for row in report.slices]
    result: dict[str, Any] = {
        "model": model,
        "device": str(predictor.device),
        "precision": str(predictor.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "batch": batch,
        "pairs": len(curves),
        "clicks": clicks,
        "slice_by_slice_s": round(before, 2),
        "evaluation_s": round(after, 2),
        "ratio": round(before / after, 2),
        "equal_curves": sum(ours == theirs for ours, theirs in zip(found, curves, strict=True)),
        "largest_difference": max(
            float(np.abs(np.subtract(ours, theirs)).max()) for ours, theirs in zip(found, curves, strict=True)
        ),
    }
    typer.echo(json.dumps(result, indent=1))


def _warm_up(size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pixels = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    return pixels, pixels > 200


if __name__ == "__main__":
    typer.run(main)
