"""How much faster an evaluation is than calling the predictor slice by slice, on the same slices in the same run.

Twice: against sessions one after the other, which encode a slice once for each class, and against calls that keep
nothing and encode it for every click.

python -m Training.bench_evaluation DATASET... --limit 20 --model small
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass
class OneByOne:
    """A loop over the predictor.

    Attributes:
        curves: Dice after each click for every (slice, class).
        seconds: what the loop took, reading of files not counted.
        encoding: which of them went into encoding.
        clicked: how many clicks were made.
    """

    curves: list[Curve] = field(default_factory=list)
    seconds: float = 0.0
    encoding: float = 0.0
    clicked: int = 0

    def keeping_nothing(self) -> float:
        """The seconds that the same clicks take when each call encodes its slice."""
        return self.seconds - self.encoding + self.encoding / max(1, len(self.curves)) * self.clicked


def slice_by_slice(predictor: Predictor, folders: Sequence[DatasetFolder], settings: EvaluationSettings) -> OneByOne:
    """Each slice is read and encoded for each class, and each click waits for the one before."""
    loop = OneByOne()
    for part in plan(folders, settings):
        classes = classes_of(part.folder)
        for item, records in part.by_item().items():
            pieces = part.folder.slices(item, [record.index for record in records])
            for record, piece in zip(records, pieces, strict=True):
                for name in (name for name in classes if name in record.present):
                    _click_through(predictor, piece.pixels, class_mask(piece.labels, classes[name]), settings, loop)
    return loop


def _click_through(
    predictor: Predictor,
    pixels: NDArray[np.uint8],
    target: NDArray[np.bool_],
    settings: EvaluationSettings,
    loop: OneByOne,
) -> None:
    """Ten clicks, or how many are asked for, on one class of one slice; adds to ``loop``."""
    started = time.perf_counter()
    image = predictor.encode(pixels)
    loop.encoding += time.perf_counter() - started
    session = predictor.session(image)
    mask = np.zeros_like(target)
    curve = [dice(mask, target)]
    for _ in range(settings.clicks):
        click: SimulatedClick | None = next_click(mask, target)
        if click is not None:
            session.click(click.row, click.column, positive=click.positive)
            mask = np.asarray(session.mask, dtype=bool)
            loop.clicked += 1
        curve.append(dice(mask, target))
    loop.curves.append(tuple(curve))
    loop.seconds += time.perf_counter() - started


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
    _click_through(predictor, *_warm_up(predictor.config.image_size), settings, OneByOne())
    loop = slice_by_slice(predictor, datasets, settings)
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
        "pairs": len(loop.curves),
        "clicks": clicks,
        "evaluation_s": round(after, 2),
        "sessions_s": round(loop.seconds, 2),
        "times_sessions": round(loop.seconds / after, 2),
        "keeping_nothing_s": round(loop.keeping_nothing(), 2),
        "times_keeping_nothing": round(loop.keeping_nothing() / after, 2),
        "equal_curves": sum(ours == theirs for ours, theirs in zip(found, loop.curves, strict=True)),
        "largest_difference": max(
            float(np.abs(np.subtract(ours, theirs)).max()) for ours, theirs in zip(found, loop.curves, strict=True)
        ),
    }
    typer.echo(json.dumps(result, indent=1))


def _warm_up(size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pixels = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    return pixels, pixels > 200


if __name__ == "__main__":
    typer.run(main)
