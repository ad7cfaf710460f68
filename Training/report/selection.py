"""The part of a dataset that a protocol looks at, as a dataset folder of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from KPrismLib.dataset import DatasetFolder, DatasetItem, classes_of, index_slices
from KPrismLib.evaluation.plan import spread
from KPrismLib.evaluation.references import TRAINING_SPLIT
from Training.report.needs import Protocol

SPLIT = "test"
"""What is evaluated."""


def selected(folder: DatasetFolder, protocol: Protocol) -> DatasetFolder | str:
    """The folder with the items that a protocol evaluates and takes references from.

    Returns:
        The folder, or the reason why the protocol does not apply to it.
    """
    if not folder.items(SPLIT):
        return f"has no split {SPLIT!r}"
    if protocol.whole_volumes:
        if not is_volumetric(folder):
            return "holds single slices, no volumes"
        return _with_volumes(folder, protocol.limit, protocol.seed)
    if protocol.exemplar is not None:
        candidates = exemplars(folder, protocol.seed)
        if protocol.exemplar >= len(candidates):
            return f"has only {len(candidates)} items that show all classes"
        return _with_exemplar(folder, candidates[protocol.exemplar])
    return folder


def is_volumetric(folder: DatasetFolder) -> bool:
    """Whether the items of a dataset are volumes; the first one tells."""
    return len(folder.load_labels(folder.description.items[0])) > 1


def exemplars(folder: DatasetFolder, seed: int) -> list[DatasetItem]:
    """Items that show every class, one per patient, in a seeded order: the references of Table 9."""
    split = TRAINING_SPLIT if TRAINING_SPLIT in folder.splits else SPLIT
    shown: dict[DatasetItem, frozenset[str]] = {}
    for record in index_slices(folder, split):
        shown[record.item] = shown.get(record.item, frozenset()) | record.present
    classes = frozenset(classes_of(folder))
    patients = {item.patient: item for item, present in reversed(shown.items()) if present == classes}
    items = sorted(patients.values(), key=lambda item: item.id)
    return [items[position] for position in np.random.default_rng(seed).permutation(len(items))]


def _with_volumes(folder: DatasetFolder, limit: int | None, seed: int) -> DatasetFolder:
    """At most ``limit`` items to evaluate; where none are for training, references come from those left over."""
    volumes = folder.items(SPLIT)
    chosen = [volumes[position] for position in spread(len(volumes), limit, seed)]
    others = [item for item in folder.description.items if item not in chosen]
    if TRAINING_SPLIT in folder.splits:
        others = [item for item in others if item.split != SPLIT]
    else:
        others = [dataclasses.replace(item, split=TRAINING_SPLIT) for item in others]
    return _with_items(folder, [*others, *chosen])


def _with_exemplar(folder: DatasetFolder, exemplar: DatasetItem) -> DatasetFolder:
    """Only ``exemplar`` to take references from; it is not evaluated itself."""
    evaluated = [item for item in folder.items(SPLIT) if item != exemplar]
    return _with_items(folder, [*evaluated, dataclasses.replace(exemplar, split=TRAINING_SPLIT)])


def _with_items(folder: DatasetFolder, items: Sequence[DatasetItem]) -> DatasetFolder:
    return dataclasses.replace(folder, description=dataclasses.replace(folder.description, items=tuple(items)))
