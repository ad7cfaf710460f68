"""``kprism evaluate``: the paper's protocol on dataset folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KPrismLib.command.evaluation_options import (
    Absent,
    Clicks,
    Folders,
    Limit,
    Output,
    References,
    Rows,
    Seed,
    Split,
)
from KPrismLib.command.options import DEFAULT_MODEL, Device, Model, Precision

if TYPE_CHECKING:
    from KPrismLib.dataset import DatasetFolder


def evaluate(
    folders: Folders,
    split: Split = "test",
    modes: Annotated[
        str,
        typer.Option(
            "--modes", help="semantic, in-context, interactive, refine-semantic, refine-in-context; commas between."
        ),
    ] = "semantic,in-context,interactive",
    limit: Limit = None,
    model: Model = DEFAULT_MODEL,
    clicks: Clicks = 10,
    references: References = 1,
    seed: Seed = 0,
    absent: Absent = True,
    device: Device = "auto",
    precision: Precision = "auto",
    rows: Rows = None,
    output: Output = None,
    honour: Annotated[
        bool,
        typer.Option(
            "--honour-clicks", help="Masks hold what clicks said of their pixels, as for a user; the paper's do not."
        ),
    ] = False,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Masks in one pass; default 16 on a GPU, 4 elsewhere.")
    ] = None,
) -> None:
    """Measure Dice and clicks to quality, with 95 % intervals over patients.

    With --json or --rows an evaluation that was interrupted goes on where it stopped. Under torchrun the processes
    share the slices; the one that finishes last writes the results.
    """
    from KPrismLib.command.console import say, show
    from KPrismLib.command.evaluation_outputs import EvaluationOutputs
    from KPrismLib.evaluation import evaluate as run
    from KPrismLib.evaluation.journal import discard
    from KPrismLib.evaluation.progress import progress_bar
    from KPrismLib.evaluation.table import report_table
    from KPrismLib.imaging.atomic_file import write_atomically
    from KPrismLib.predictor import Predictor
    from KPrismLib.weights import find_weights

    outputs = EvaluationOutputs(output, rows)
    datasets = find_datasets(folders)
    outputs.check(datasets)
    part = share(os.environ)
    predictor = Predictor.load(model, device=part.device(device), precision=precision)
    with progress_bar() as progress:
        report = run(
            predictor,
            datasets,
            split=split,
            modes=[mode.strip() for mode in modes.split(",") if mode.strip()],
            limit=limit,
            clicks=clicks,
            seed=seed,
            references=references,
            absent_classes=absent,
            honour_clicks=honour,
            model=predictor.name,
            precision=predictor.precision,
            progress=progress,
            batch=batch or (16 if predictor.device.type == "cuda" else 4),
            journal=outputs.journal,
            fingerprint=hashlib.sha256(find_weights(model).read_bytes()).hexdigest(),
            rank=part.rank,
            processes=part.processes,
        )
    if report.missing:
        say(f"This process is done; others still have {report.missing} slices, and the last one writes the results.")
        return
    # Written before it is shown: whoever reads the table may be gone.
    if output is not None:
        report.write(output, rows=rows)
    elif rows is not None:
        write_atomically(rows, report.to_csv().encode())
    if outputs.journal is not None:
        discard(outputs.journal)
    show(report_table(report))
    for skipped in report.skipped:
        what = " ".join(
            str(part) for part in (skipped.dataset, skipped.cls, skipped.mode and skipped.mode.value) if part
        )
        say(f"Skipped {what}: {skipped.reason}.")


@dataclass(frozen=True)
class Share:
    """Which of several processes this one is; alone where nobody says otherwise."""

    rank: int
    processes: int
    local_rank: int

    def device(self, asked: str) -> str:
        """The asked device; where that is left open and there are several of CUDA, each process has its own."""
        from KPrismLib.devices import choose_device

        if self.processes > 1 and asked == "auto" and choose_device("auto").type == "cuda":
            return f"cuda:{self.local_rank}"
        return asked


def share(environment: Mapping[str, str]) -> Share:
    """What torchrun tells a process.

    Raises:
        InvalidConfig: a rank that is no number.
    """
    from KPrismLib.errors import InvalidConfig

    try:
        rank, processes = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
        return Share(rank, processes, int(environment.get("LOCAL_RANK", rank)))
    except ValueError:
        raise InvalidConfig("RANK, LOCAL_RANK and WORLD_SIZE must be numbers, as torchrun sets them.") from None


def find_datasets(folders: list[Path]) -> list[DatasetFolder]:
    """Every folder with a ``dataset.json`` among ``folders`` and directly inside them, in order of name.

    Raises:
        InvalidDataset: a folder without any, or a broken one.
    """
    from KPrismLib.dataset import DatasetFolder
    from KPrismLib.errors import InvalidDataset

    found: list[DatasetFolder] = []
    for folder in folders:
        if (folder / "dataset.json").is_file() or not folder.is_dir():
            found.append(DatasetFolder.open(folder))
            continue
        inside = sorted(path.parent for path in folder.glob("*/dataset.json"))
        if not inside:
            raise InvalidDataset(f"There is no dataset.json in {folder}, nor in the folders inside it.")
        found.extend(DatasetFolder.open(path) for path in inside)
    return found
