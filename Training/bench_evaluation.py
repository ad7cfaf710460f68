"""How much faster an evaluation is than calling the predictor slice by slice, on the same slices in the same run.

Twice: against sessions one after the other, which encode a slice once for each class, and against calls that keep
nothing and encode it for every click. The calls use all threads that they may; an evaluation may share its slices among
processes instead, as it does under torchrun, and may compute in another precision.

python -m Training.bench_evaluation DATASET... --limit 20 --model small --processes 2
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from KPrismLib.command.evaluate import find_datasets
from KPrismLib.command.models import load_or_random
from KPrismLib.dataset import DatasetFolder
from KPrismLib.evaluation import Mode, evaluate
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.plan import plan
from KPrismLib.evaluation.settings import EvaluationSettings
from KPrismLib.evaluation.simulated_click import next_click
from KPrismLib.predictor import Predictor
from KPrismLib.prompts import Click

Curve = tuple[float, ...]

#: Seconds that processes have for loading the model; one that failed would be waited for without end.
_LONGEST_START = 300.0


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
        for piece, targets in part.structures():
            for target in targets:
                _click_through(predictor, piece.pixels, target, settings, loop)
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
    session = predictor.session(image, honour=False)
    mask = np.zeros_like(target)
    curve = [dice(mask, target)]
    for _ in range(settings.clicks):
        click: Click | None = next_click(mask, target)
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
    evaluation_precision: Annotated[
        str | None, typer.Option("--evaluation-precision", help="Of the evaluation, where it is not that of the calls.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes that share the evaluation, and the threads.")
    ] = 1,
) -> None:
    """Time both ways of evaluating the interactive mode, and compare every curve."""
    if threads is not None:
        torch.set_num_threads(threads)
    predictor, _ = load_or_random(model, attention="absorbed", device=device, precision=precision)
    datasets = find_datasets(folders)
    settings = EvaluationSettings(split=split, modes=(Mode.INTERACTIVE,), limit=limit, clicks=clicks)
    _click_through(predictor, *_warm_up(predictor.config.image_size), settings, OneByOne())
    loop = slice_by_slice(predictor, datasets, settings)
    task = _Evaluation(model, device, evaluation_precision or precision, tuple(folders), split, limit, clicks, batch)
    evaluating = predictor if evaluation_precision is None else task.predictor()
    after, found = _evaluated(processes, evaluating, task)
    result: dict[str, Any] = {
        "model": model,
        "device": str(predictor.device),
        "precision": predictor.precision,
        "evaluation_precision": evaluating.precision,
        "threads": torch.get_num_threads(),
        "processes": processes,
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
        # After each click, of all slices.
        "evaluation_dice": np.mean(found, axis=0).round(4).tolist(),
        "sessions_dice": np.mean(loop.curves, axis=0).round(4).tolist(),
    }
    typer.echo(json.dumps(result, indent=1))


@dataclass(frozen=True)
class _Evaluation:
    """What is evaluated, as another process must be told."""

    model: str
    device: str
    precision: str
    folders: tuple[Path, ...]
    split: str
    limit: int
    clicks: int
    batch: int

    def predictor(self) -> Predictor:
        return load_or_random(self.model, attention="absorbed", device=self.device, precision=self.precision)[0]

    def run(self, predictor: Predictor, journal: Path | None, rank: int, processes: int) -> list[Curve]:
        """The curves of all slices, or, in all processes but the last one to finish, of some."""
        report = evaluate(
            predictor,
            find_datasets(list(self.folders)),
            split=self.split,
            modes=(Mode.INTERACTIVE,),
            limit=self.limit,
            clicks=self.clicks,
            precision=predictor.precision,
            batch=self.batch,
            journal=journal,
            rank=rank,
            processes=processes,
        )
        return [row.curve for row in report.slices]


def _evaluated(processes: int, predictor: Predictor, task: _Evaluation) -> tuple[float, list[Curve]]:
    """Seconds from when all processes have the model until the last of them is done, and all curves."""
    if processes == 1:
        started = time.perf_counter()
        curves = task.run(predictor, None, 0, 1)
        return time.perf_counter() - started, curves
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // processes)
    with tempfile.TemporaryDirectory() as folder:
        ready = context.Barrier(processes + 1)
        workers = [
            context.Process(target=_share, args=(task, Path(folder) / "bench", rank, processes, threads, ready))
            for rank in range(processes)
        ]
        for worker in workers:
            worker.start()
        ready.wait(timeout=_LONGEST_START)
        started = time.perf_counter()
        for worker in workers:
            worker.join()
        after = time.perf_counter() - started
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("A process of the evaluation failed; what it said stands above.")
        # All is in the journal: nothing is measured again.
        return after, task.run(predictor, Path(folder) / "bench", 0, processes)


def _share(task: _Evaluation, journal: Path, rank: int, processes: int, threads: int, ready: Barrier) -> None:
    torch.set_num_threads(threads)
    predictor = task.predictor()
    _click_through(predictor, *_warm_up(predictor.config.image_size), EvaluationSettings(clicks=1), OneByOne())
    ready.wait(timeout=_LONGEST_START)
    task.run(predictor, journal, rank, processes)


def _warm_up(size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pixels = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    return pixels, pixels > 200


if __name__ == "__main__":
    typer.run(main)
