"""Doing one row of a table again: the same slice, references and clicks, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset import DatasetFolder, DatasetItem, Slice, SliceRecord, class_mask, classes_of
from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.dice import dice
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.predictor import Predictor, together
from KPrismLib.evaluation.references import ReferencePool
from KPrismLib.evaluation.rows import Row
from KPrismLib.evaluation.trial import run_trial
from KPrismLib.prompts import Click

Pair = tuple[NDArray[np.uint8], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Case:
    """What a row was measured on, read again.

    Attributes:
        measurement: The row.
        piece: The slice.
        target: Where it shows the class: bool, shape (H, W).
        references: Pixels and mask of each reference; empty in the modes without.
    """

    measurement: SliceMeasurement
    piece: Slice
    target: NDArray[np.bool_]
    references: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model made of a case.

    Attributes:
        mask: bool, shape (H, W).
        dice: Against the truth; not a number where both are empty.
        clicks: That led to it.
    """

    mask: NDArray[np.bool_]
    dice: float
    clicks: tuple[Click, ...] = ()


def read_case(row: Row, folders: Mapping[str, DatasetFolder]) -> Case:
    """Read the slice and the references of a row.

    Raises:
        InvalidDataset: The row is of a whole volume, or its set, item, slice or class is not there.
    """
    measured = row.measurement
    if not isinstance(measured, SliceMeasurement):
        raise InvalidDataset("The row is of a whole volume; choose one of a slice.")
    if measured.dataset not in folders:
        raise InvalidDataset(f"There is no dataset {measured.dataset!r}; say with --data where it is.")
    folder = folders[measured.dataset]
    classes = classes_of(folder)
    if measured.cls not in classes:
        raise InvalidDataset(f"{folder.name} has no class {measured.cls!r}; it has {', '.join(classes)}.")
    slices = folder.load(_item(folder, measured.item))
    if measured.index >= len(slices):
        raise InvalidDataset(f"Item {measured.item} of {folder.name} has {len(slices)} slices, none {measured.index}.")
    piece = slices[measured.index]
    pool = ReferencePool(folder, row.reference_split, (), seed=0)
    references = pool.load(measured.cls, [_located(folder, name, measured.cls) for name in row.references])
    return Case(measured, piece, class_mask(piece.labels, classes[measured.cls]), tuple(references))


def replayed(case: Case, predictor: Predictor, *, clicks: int | None = None) -> Prediction:
    """Segment a case with the clicks on record, all of them or the first few.

    Args:
        case: The case.
        predictor: With the weights of the row, so that the masks are the same.
        clicks: How many clicks are made.
    """
    mode = case.measurement.mode
    if not mode.uses_clicks:
        return simulated(case, predictor, clicks=0)
    made = case.measurement.clicks[:clicks]
    told = _guidance(case, predictor)
    image = predictor.encode(case.piece.pixels)
    sessions = together(predictor, batch=1).sessions([image], [told["cls"]], [told["reference"]])
    for click in made:
        sessions.click({0: (click.row, click.column, click.positive)})
    found = sessions.masks[0]
    mask = np.zeros_like(case.target) if found is None else np.asarray(found, dtype=bool)
    return Prediction(mask, dice(mask, case.target), made)


def simulated(case: Case, predictor: Predictor, *, clicks: int) -> Prediction:
    """Segment a case with clicks on the model's own errors, for weights other than the row's."""
    measured = case.measurement
    trial = run_trial(
        predictor,
        predictor.encode(case.piece.pixels),
        case.target,
        mode=measured.mode,
        cls=measured.cls,
        reference=_guidance(case, predictor)["reference"],
        clicks=clicks,
    )
    return Prediction(trial.mask, dice(trial.mask, case.target), trial.clicks)


def _guidance(case: Case, predictor: Predictor) -> dict[str, Any]:
    mode = case.measurement.mode
    return {
        "cls": case.measurement.cls if mode.uses_class else None,
        "reference": predictor.reference(list(case.references)) if mode.uses_references else None,
    }


def _located(folder: DatasetFolder, name: str, cls: str) -> SliceRecord:
    """The slice that a reference ``item:index`` names."""
    item, _, index = name.rpartition(":")
    return SliceRecord(_item(folder, item), int(index), depth=1, present=frozenset({cls}))


def _item(folder: DatasetFolder, item_id: str) -> DatasetItem:
    for item in folder.items():
        if item.id == item_id:
            return item
    raise InvalidDataset(f"{folder.name} has no item {item_id!r}; is it the same version of the set?")
