"""``ablations``: train the paper's ablations, one process each, and evaluate them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from KPrismLib.command.options import DEFAULT_MODEL
from Training.report.options import (
    RESULTS,
    ClickLimit,
    Clicks,
    Limit,
    Redo,
    ResultsFolder,
    RunsFolder,
    Seed,
    Workplace,
    effort,
)


def ablations(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The full network, such as ablation-small.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the datasets.")],
    runs: RunsFolder = Path("runs"),
    results: ResultsFolder = RESULTS,
    only: Annotated[
        str,
        typer.Option(help="Some runs, commas between: full, or ablations joined by +; default, all that tables need."),
    ] = "",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Runs at the same time, each on a GPU of its own if there are.")
    ] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Processor threads of each run.")] = 1,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda or mps.")] = "cpu",
    limit: Limit = None,
    click_limit: ClickLimit = None,
    clicks: Clicks = 10,
    seed: Seed = 0,
    evaluation: Annotated[bool, typer.Option("--evaluate/--no-evaluate", help="Evaluate what is trained.")] = True,
    redo: Redo = False,
) -> None:
    """Train the paper's ablations and evaluate them; interrupt and start it as you like.

    Finished runs are skipped, interrupted ones go on from their checkpoint. Several runs are a process each, with a
    log beside its folder.
    """
    from KPrismLib.errors import KPrismError
    from Training.report.fleet import Fleet, cuda_devices
    from Training.report.measuring import evaluate_ablation, runner
    from Training.report.needs import ABLATION_TABLES, ablation_runs
    from Training.report.options import use_threads
    from Training.report.training_runs import TrainingRuns

    names = [name.strip() for name in only.split(",") if name.strip()] or list(ablation_runs(*ABLATION_TABLES))
    asked = effort(limit=limit, click_limit=click_limit, volumes=None, clicks=clicks, exemplars=10, seed=seed)
    trained = TrainingRuns(config, data, runs, accelerator, at_once=workers)
    for name in names:
        trained.settings(name)  # a wrong name or setting is told before anything runs
    if len(names) == 1:
        use_threads(threads)
        weights = trained.train(names[0])
        if evaluation:
            place = Workplace((data,), results, DEFAULT_MODEL, "auto" if accelerator != "cpu" else "cpu", seed)
            with runner(place, redo=redo) as run:
                evaluate_ablation(run, names[0], weights, place.device, asked)
        return
    trained.pack()
    shared = [str(config), "--data", str(data), "--runs", str(runs), "--results", str(results)]
    shared += [
        "--workers",
        str(workers),
        "--threads",
        str(threads),
        "--accelerator",
        accelerator,
        "--clicks",
        str(clicks),
        "--seed",
        str(seed),
    ]
    for option, value in (("--limit", limit), ("--click-limit", click_limit)):
        shared += [] if value is None else [option, str(value)]
    shared += [*(["--redo"] if redo else []), *([] if evaluation else ["--no-evaluate"])]
    command = [sys.executable, "-m", "Training.report", "ablations", *shared]
    fleet = Fleet(workers, threads, runs, cuda_devices(accelerator, os.environ))
    failed = fleet.run({name: [*command, "--only", name] for name in names})
    if failed:
        raise KPrismError(
            f"{len(failed)} of {len(names)} runs failed: {', '.join(failed)}; their logs in {runs} say why. The others "
            "are done; the same command tries again."
        )
