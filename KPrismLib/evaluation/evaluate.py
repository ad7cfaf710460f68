"""Running a model over dataset folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from KPrismLib.dataset import DatasetFolder, DatasetItem, Slice, SliceRecord, class_mask, classes_of
from KPrismLib.evaluation.dice import VolumeDice
from KPrismLib.evaluation.measurements import ReferenceChoice, Skipped, SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.plan import FolderPlan, plan
from KPrismLib.evaluation.predictor import Predictor
from KPrismLib.evaluation.references import ReferencePool
from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.trial import Trial, run_trial

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
    model: str = "",
    progress: Progress | None = None,
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
        model: Which weights; recorded in the report.
        progress: Called after every slice.

    Raises:
        InvalidConfig: A setting is out of range, or two datasets share a name.
        InvalidDataset: No dataset has the split, or a file breaks the contract.
        Cancelled: ``progress`` raised it; nothing has been written by then.
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
    )
    plans = plan(folders, settings)
    report = EvaluationReport(settings)
    planned = {part.folder.name for part in plans}
    report.skipped.extend(
        Skipped(folder.name, f"has no split {split!r}") for folder in folders if folder.name not in planned
    )
    total, done = sum(len(part.records) for part in plans), 0
    for part in plans:
        for _ in _FolderRun(predictor, part, report):
            done += 1
            if progress is not None:
                progress(done, total, part.folder.name)
    return report


class _FolderRun:
    """One dataset on its way through the model; iterating it does the work, slice by slice."""

    def __init__(self, predictor: Predictor, part: FolderPlan, report: EvaluationReport) -> None:
        self._predictor = predictor
        self._plan = part
        self._report = report
        self._settings = report.settings
        self._classes = classes_of(part.folder)
        self._modes = {name: self._modes_of(name) for name in self._classes}
        self._references: dict[tuple[str, str], Any] = {}

    def __iter__(self) -> Iterator[SliceRecord]:
        for item, records in self._plan.by_item().items():
            slices = self._plan.folder.load(item)
            volumes: dict[tuple[str, Mode], VolumeDice] = {}
            for record in records:
                self._run_slice(slices[record.index], record, volumes)
                yield record
            if self._settings.absent_classes and 1 < len(slices) == len(records):
                self._record_volumes(item, records, volumes)

    @cached_property
    def _pool(self) -> ReferencePool:
        return ReferencePool.of(self._plan.folder, self._settings.split, self._settings.seed)

    def _modes_of(self, name: str) -> list[Mode]:
        """The modes in which a class can be evaluated; the others are put on record."""
        known = name in self._predictor.classes
        possible = [mode for mode in self._settings.modes if known or not mode.uses_class]
        for mode in self._settings.modes:
            if mode not in possible:
                self._skip(name, mode, "the model does not know the class")
        return possible

    def _run_slice(self, piece: Slice, record: SliceRecord, volumes: dict[tuple[str, Mode], VolumeDice]) -> None:
        tasks = [
            (name, mode)
            for name, modes in self._modes.items()
            for mode in modes
            # Where a class is absent there is nothing to click on: only the modes without clicks are asked.
            if name in record.present or (self._settings.absent_classes and not mode.uses_clicks)
        ]
        if not tasks:
            return
        image = self._predictor.encode(piece.pixels)
        for name, mode in tasks:
            reference = self._reference(name, piece.patient) if mode.uses_references else None
            if mode.uses_references and reference is None:
                self._skip(name, mode, "there is no other patient to take a reference from")
                continue
            target = class_mask(piece.labels, self._classes[name])
            trial = run_trial(
                self._predictor,
                image,
                target,
                mode=mode,
                cls=name,
                reference=reference,
                clicks=self._settings.clicks,
            )
            self._report.slices.append(_measured(piece, name, mode, trial, present=name in record.present))
            if not mode.uses_clicks:
                volumes.setdefault((name, mode), VolumeDice()).add(trial.mask, target)

    def _reference(self, name: str, patient: str) -> Any:
        """The encoded references of a patient's class; kept until the next patient."""
        if (patient, name) not in self._references:
            if any(kept != patient for kept, _ in self._references):
                self._references.clear()
            self._references[patient, name] = self._choose_reference(name, patient)
        return self._references[patient, name]

    def _choose_reference(self, name: str, patient: str) -> Any:
        chosen = self._pool.choose(name, patient, self._settings.references, axial=self._settings.axial_references)
        if not chosen:
            return None
        names = tuple(f"{record.item.id}:{record.index}" for record in chosen)
        choice = ReferenceChoice(self._plan.folder.name, patient, name, self._pool.split, names)
        if choice not in self._report.references:
            self._report.references.append(choice)
        return self._predictor.reference(self._pool.load(name, chosen))

    def _record_volumes(
        self, item: DatasetItem, records: Sequence[SliceRecord], volumes: dict[tuple[str, Mode], VolumeDice]
    ) -> None:
        present = frozenset[str]().union(*(record.present for record in records))
        self._report.volumes.extend(
            VolumeMeasurement(self._plan.folder.name, item.id, item.patient, name, mode, score.value)
            for (name, mode), score in volumes.items()
            if name in present
        )

    def _skip(self, name: str, mode: Mode, reason: str) -> None:
        skipped = Skipped(self._plan.folder.name, reason, name, mode)
        if skipped not in self._report.skipped:
            self._report.skipped.append(skipped)


def _measured(piece: Slice, name: str, mode: Mode, trial: Trial, *, present: bool) -> SliceMeasurement:
    return SliceMeasurement(
        dataset=piece.dataset,
        item=piece.item,
        patient=piece.patient,
        index=piece.index,
        cls=name,
        mode=mode,
        present=present,
        curve=trial.curve if present else (),
        found=bool(trial.mask.any()),
        milliseconds=trial.milliseconds,
        clicks=trial.clicks,
    )
