"""One dataset on its way through a model: slices are read once, and several share the passes of the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import class_called
from KPrismLib.dataset import DatasetItem, Slice, SliceRecord, class_mask, classes_of
from KPrismLib.errors import InvalidDataset, InvalidImage, InvalidReference
from KPrismLib.evaluation.dice import VolumeDice, counts
from KPrismLib.evaluation.journal import Journal, Place
from KPrismLib.evaluation.measurements import ReferenceChoice, Skipped, SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.plan import FolderPlan
from KPrismLib.evaluation.predictor import Predictor, together
from KPrismLib.evaluation.references import ReferencePool
from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import Mode
from KPrismLib.evaluation.trial import Question, Trial, blind_trial, run_trials
from KPrismLib.image_checks import is_blank


@dataclass(frozen=True)
class _Task:
    """One class of a slice in one mode; ``references`` is empty where none are needed, or where there are none."""

    name: str
    mode: Mode
    references: tuple[SliceRecord, ...] = ()

    @property
    def possible(self) -> bool:
        """False where references are needed, but no other patient has any."""
        return bool(self.references) or not self.mode.uses_references


@dataclass(frozen=True, eq=False)
class _Case:
    """A slice with what is asked of it; ``image`` is None where nothing is, or where there is nothing to see."""

    record: SliceRecord
    piece: Slice
    tasks: Sequence[_Task]
    image: Any


class FolderRun:
    """Measures one dataset.

    Args:
        predictor: The model.
        part: Which slices.
        report: What was skipped is put on record here at once, everything else by :meth:`close`.
        journal: Where finished slices are noted, and known from.
        batch: Slices in a block, and masks that the model makes in one pass at most.
    """

    def __init__(
        self, predictor: Predictor, part: FolderPlan, report: EvaluationReport, journal: Journal | None, *, batch: int
    ) -> None:
        self._predictor = predictor
        self._together = together(predictor, batch, honour=report.settings.honour_clicks)
        self._plan = part
        self._report = report
        self._settings = report.settings
        self._journal = journal
        self._batch = batch
        self._classes = classes_of(part.folder)
        self._modes = {name: self._modes_of(name) for name in self._classes}
        self._rows: dict[Place, Sequence[SliceMeasurement]] = {}
        self._read: dict[str, list[Slice]] = {}
        self._encoded: dict[tuple[str, str], Any] = {}
        self._chosen: dict[tuple[str, str], tuple[SliceRecord, ...]] = {}
        self._noted: set[ReferenceChoice] = set()

    @property
    def blocks(self) -> Sequence[Sequence[SliceRecord]]:
        """The slices, in blocks that are measured together.

        Blocks follow from the plan alone, so that the same slices share a pass of the model however often an evaluation
        is interrupted and however many processes share it: in reduced precision a mask can depend on its company.
        """
        records, size = self._plan.records, self._batch
        return [records[start : start + size] for start in range(0, len(records), size)]

    def cost(self, block: Sequence[SliceRecord]) -> float:
        """Roughly how many passes of the model a block takes."""
        return sum(
            1 + sum(self._settings.clicks if task.mode.uses_clicks else 1 for task in self._tasks(record))
            for record in block
        )

    def measure(self, blocks: Sequence[Sequence[SliceRecord]]) -> Iterator[SliceRecord]:
        """Measure what is not in the journal; iterating does the work and gives every slice when it is finished."""
        for block in blocks:
            if all(self._known(record) for record in block):
                yield from block
            else:
                yield from self._run(list(self._cases(block)))
        self._read.clear()

    def close(self) -> None:
        """Put everything on record, in the order of the plan, whoever measured it."""
        finished = {} if self._journal is None else self._journal.done
        found = [finished.get(place, self._rows.get(place)) for place in map(self._place, self._plan.records)]
        for record, rows in zip(self._plan.records, found, strict=True):
            for task in self._tasks(record):
                self._note(task, record.item.patient)
            if rows is None:
                self._report.missing += 1
            else:
                self._report.slices.extend(rows)
        if not self._settings.absent_classes:
            return
        measured = {self._place(record): rows for record, rows in zip(self._plan.records, found, strict=True)}
        for item, records in self._plan.by_item().items():
            of_item = [measured[self._place(record)] for record in records]
            if 1 < records[0].depth == len(records) and None not in of_item:
                self._record_volumes(item, [row for rows in of_item for row in rows or ()])

    def _cases(self, block: Sequence[SliceRecord]) -> Iterator[_Case]:
        """Read the slices of a block, those of one item together, and encode those that anything is asked of."""
        for item, records in itertools.groupby(block, key=lambda record: record.item):
            slices = list(records)
            pieces = self._pieces(item, [record.index for record in slices])
            for record, piece in zip(slices, pieces, strict=True):
                tasks = [task for task in self._tasks(record) if task.possible]
                seen = bool(tasks) and not is_blank(piece.pixels)
                yield _Case(record, piece, tasks, self._predictor.encode(piece.pixels) if seen else None)

    def _pieces(self, item: DatasetItem, indices: Sequence[int]) -> Iterable[Slice]:
        """Slices of an item; a volume that can only be read as a whole is kept until another one is read."""
        if self._plan.folder.stores_slices(item):
            return self._plan.folder.slices(item, indices)
        if item.id not in self._read:
            self._read = {item.id: self._plan.folder.load(item)}
        return [self._read[item.id][index] for index in indices]

    def _known(self, record: SliceRecord) -> bool:
        return self._journal is not None and self._place(record) in self._journal.done

    def _place(self, record: SliceRecord) -> Place:
        return self._plan.folder.name, record.item.id, record.index

    @cached_property
    def _pool(self) -> ReferencePool:
        return ReferencePool.of(self._plan.folder, self._settings.split, self._settings.seed)

    def _modes_of(self, name: str) -> list[Mode]:
        """The modes in which a class can be evaluated; the others are put on record."""
        known = class_called(name, self._predictor.classes) is not None
        possible = [mode for mode in self._settings.modes if known or not mode.uses_class]
        for mode in self._settings.modes:
            if mode not in possible:
                self._skip(name, mode, "the model does not know the class")
        return possible

    def _tasks(self, record: SliceRecord) -> list[_Task]:
        return [
            _Task(name, mode, self._references(name, record.item.patient) if mode.uses_references else ())
            for name, modes in self._modes.items()
            for mode in modes
            # Where a class is absent there is nothing to click on: only the modes without clicks are asked.
            if name in record.present or (self._settings.absent_classes and not mode.uses_clicks)
        ]

    def _references(self, name: str, patient: str) -> tuple[SliceRecord, ...]:
        if (patient, name) not in self._chosen:
            settings = self._settings
            self._chosen[patient, name] = self._pool.choose(
                name, patient, settings.references, axial=settings.axial_references
            )
        return self._chosen[patient, name]

    def _run(self, cases: Sequence[_Case]) -> Iterator[SliceRecord]:
        """All modes of a block, one mode after the other."""
        trials: dict[tuple[int, _Task], Trial] = {}
        for mode in self._settings.modes:
            asked = [(number, task) for number, case in enumerate(cases) for task in case.tasks if task.mode is mode]
            seen = [(number, task) for number, task in asked if cases[number].image is not None]
            questions = [self._question(cases[number], task) for number, task in seen]
            trials |= zip(
                seen, run_trials(self._together, questions, mode=mode, clicks=self._settings.clicks), strict=True
            )
            trials |= {
                (number, task): blind_trial(self._target(cases[number], task), mode=mode, clicks=self._settings.clicks)
                for number, task in asked
                if cases[number].image is None
            }
        for number, case in enumerate(cases):
            rows = [self._measured(case, task, trials[number, task]) for task in case.tasks]
            yield self._settle(case.record, rows)
        # References of a patient serve all slices of the patient, who may have more.
        last = {case.record.item.patient for case in cases[-1:]}
        self._encoded = {key: encoded for key, encoded in self._encoded.items() if key[0] in last}

    def _question(self, case: _Case, task: _Task) -> Question:
        reference = None
        if task.references:
            key = case.record.item.patient, task.name
            if key not in self._encoded:
                self._encoded[key] = self._encode(task)
            reference = self._encoded[key]
        # As the model calls it.
        cls = class_called(task.name, self._predictor.classes) or task.name
        return Question(case.image, self._target(case, task), cls, reference)

    def _encode(self, task: _Task) -> Any:
        try:
            return self._predictor.reference(self._pool.load(task.name, task.references))
        except (InvalidImage, InvalidReference) as error:
            slices = ", ".join(f"{record.item.id}:{record.index}" for record in task.references)
            raise InvalidDataset(
                f"{self._plan.folder.name}: {slices} cannot serve as an example of {task.name} ({error}); take its "
                "mask away, or the item."
            ) from error

    def _target(self, case: _Case, task: _Task) -> NDArray[np.bool_]:
        return class_mask(case.piece.labels, self._classes[task.name])

    def _settle(self, record: SliceRecord, rows: Sequence[SliceMeasurement]) -> SliceRecord:
        if self._journal is not None and not self._known(record):
            self._journal.finish(self._place(record), rows)
        self._rows[self._place(record)] = rows
        return record

    def _measured(self, case: _Case, task: _Task, trial: Trial) -> SliceMeasurement:
        present = task.name in case.record.present
        return SliceMeasurement(
            dataset=case.piece.dataset,
            item=case.piece.item,
            patient=case.piece.patient,
            index=case.piece.index,
            cls=task.name,
            mode=task.mode,
            present=present,
            curve=trial.curve if present else (),
            found=bool(trial.mask.any()),
            milliseconds=trial.milliseconds,
            clicks=trial.clicks,
            pixels=counts(trial.mask, self._target(case, task)),
        )

    def _record_volumes(self, item: DatasetItem, rows: Sequence[SliceMeasurement]) -> None:
        present = {row.cls for row in rows if row.present}
        volumes: dict[tuple[str, Mode], VolumeDice] = {}
        for row in rows:
            if row.cls in present and not row.mode.uses_clicks:
                volumes.setdefault((row.cls, row.mode), VolumeDice()).add_counts(row.pixels)
        self._report.volumes.extend(
            VolumeMeasurement(self._plan.folder.name, item.id, item.patient, name, mode, score.value)
            for (name, mode), score in volumes.items()
        )

    def _note(self, task: _Task, patient: str) -> None:
        """Which references were used, or that there were none."""
        if not task.possible:
            self._skip(task.name, task.mode, "there is no other patient to take a reference from")
        elif task.references:
            names = tuple(f"{record.item.id}:{record.index}" for record in task.references)
            choice = ReferenceChoice(self._plan.folder.name, patient, task.name, self._pool.split, names)
            if choice not in self._noted:
                self._noted.add(choice)
                self._report.references.append(choice)

    def _skip(self, name: str, mode: Mode, reason: str) -> None:
        skipped = Skipped(self._plan.folder.name, reason, name, mode)
        if skipped not in self._report.skipped:
            self._report.skipped.append(skipped)
