"""Running a model over dataset folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation.folder_run import FolderRun
from KPrismLib.evaluation.journal import Journal
from KPrismLib.evaluation.measurements import Skipped
from KPrismLib.evaluation.plan import plan
from KPrismLib.evaluation.predictor import Predictor
from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.sharing import share_of
from KPrismLib.evaluation.truth import images_fingerprint, truth_fingerprint

Progress = Callable[[int, int, str], None]
"""Called with slices done, slices in all and the name of the dataset; may raise ``Cancelled``."""


def evaluate(
    predictor: Predictor,
    folders: Sequence[DatasetFolder],
    *,
    split: str = "test",
    modes: Sequence[Mode | str] = ("semantic", "in_context", "interactive"),
    limit: int | None = None,
    clicks: int = 10,
    seed: int = 0,
    references: int = 1,
    axial_references: bool = False,
    absent_classes: bool = True,
    honour_clicks: bool = False,
    model: str = "",
    precision: str = "",
    progress: Progress | None = None,
    batch: int = 4,
    journal: Path | None = None,
    fingerprint: str = "",
    rank: int = 0,
    processes: int = 1,
) -> EvaluationReport:
    """Evaluate a model by the paper's protocol: Dice per (slice, class present), at the original resolution.

    Args:
        predictor: The model.
        folders: The datasets, each with a name of its own.
        split: Which split; datasets without it are listed as skipped.
        modes: Names of modes, or :class:`Mode` values.
        limit: At most so many slices per dataset, spread evenly over those that show a class.
        clicks: Clicks per (slice, class) in the interactive modes.
        seed: Decides the spread of ``limit``, the references and the bootstrap.
        references: References per (patient, class).
        axial_references: Take the references of a volume at Table 10's positions instead of at random.
        absent_classes: Also segment classes that a slice does not show (false-positive rate, per-volume Dice).
        honour_clicks: Masks hold what clicks said of their pixels, as for a user; the paper measures the network alone.
        model: Which weights; recorded in the report.
        precision: In which the model computes; recorded, too. A journal of another one is refused.
        progress: Called after every slice.
        batch: Slices that are in work together, and masks in one pass of the model. In full precision on a processor
            it changes nothing but the time it takes.
        journal: Finished slices are noted in files whose names begin so, and not measured again by the same evaluation
            after an interruption; without it everything is kept in memory.
        fingerprint: Of the weights, so that a journal of other weights is refused.
        rank: Which of the ``processes`` that share the slices this is; they need a ``journal``, and whoever finishes
            last has the whole report, the others one with ``missing`` slices.
        processes: How many there are.

    Raises:
        InvalidConfig: A setting is out of range, two datasets share a name, or the journal is of another evaluation.
        InvalidDataset: No dataset has the split, or a file breaks the contract.
        CannotWrite: The journal cannot be written.
        Cancelled: ``progress`` raised it; nothing but the journal has been written by then.
    """
    settings = EvaluationSettings(
        model=model,
        split=split,
        modes=tuple(dict.fromkeys(mode if isinstance(mode, Mode) else Mode.parse(mode) for mode in modes)),
        limit=limit,
        clicks=clicks,
        seed=seed,
        references=references,
        axial_references=axial_references,
        absent_classes=absent_classes,
        honour_clicks=honour_clicks,
        precision=precision,
    )
    if not 0 <= rank < processes or (processes > 1 and journal is None):
        raise InvalidConfig(
            f"Process {rank} of {processes} cannot take part: ranks go from 0, and processes share their results "
            "through a journal."
        )
    if batch < 1:
        raise InvalidConfig(f"The model must make at least 1 mask at a time, not {batch}.")
    plans = plan(folders, settings)
    report = EvaluationReport(settings)
    planned = {part.folder.name for part in plans}
    report.skipped.extend(
        Skipped(folder.name, f"has no split {settings.split!r}") for folder in folders if folder.name not in planned
    )
    kept = None
    if journal is not None:
        names = {part.folder.name: _run_name(part.folder, settings, batch, fingerprint) for part in plans}
        kept = Journal(journal, names, rank=rank)
    runs = [FolderRun(predictor, part, report, kept, batch=batch) for part in plans]
    blocks = [(number, block) for number, run in enumerate(runs) for block in run.blocks]
    ours = [blocks[i] for i in share_of([runs[number].cost(block) for number, block in blocks], rank, processes)]
    total = sum(len(block) for _, block in ours)
    done = 0
    for number, (run, part) in enumerate(zip(runs, plans, strict=True)):
        for _ in run.measure([block for owner, block in ours if owner == number]):
            done += 1
            if progress is not None:
                progress(done, total, part.folder.name)
    if kept is not None:
        kept.refresh()
    for run in runs:
        run.close()
    return report


def _run_name(folder: DatasetFolder, settings: EvaluationSettings, batch: int, fingerprint: str) -> str:
    """Changes with whatever changes the numbers."""
    digest = hashlib.sha256(json.dumps([asdict(settings), batch, fingerprint]).encode())
    digest.update((folder.path / "dataset.json").read_bytes())
    digest.update(truth_fingerprint(folder).encode())
    digest.update(images_fingerprint(folder).encode())
    return digest.hexdigest()[:16]
