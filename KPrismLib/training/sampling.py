"""What a training step sees, as a function of the step alone.

Every sample comes from a generator seeded by (seed, step, position in the global batch): a run that is killed and
resumed at step n sees the same samples as one that was not, without any state to save, and the global batch is the same
however many processes share it. The mode is drawn for the step, so that all ranks work on the same mode.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from KPrismLib.errors import InvalidDataset
from KPrismLib.training.modes import MODE_PROBABILITIES, TrainingMode
from KPrismLib.training.packing import PackedDataset, PackedSlice


@dataclass(frozen=True)
class Sample:
    """A slice and the class to segment in it, with a reference slice of another patient for the in-context mode."""

    dataset: PackedDataset
    target: PackedSlice
    name: str
    reference: PackedSlice | None


class Sampler:
    """Draws samples: a set by weight, a class of the set evenly, a slice that shows it.

    Args:
        datasets: packed sets.
        weights: relative frequency of each set by name; sets that are not named weigh 1.
        seed: of the whole run.
        holdout: fraction of patients kept out for validation; ``validation`` selects which side is drawn.
        modes: probability of each mode.
        absent: how often a semantic or in-context sample asks for a class that the slice does not show.
        same_volume: how often a reference is another slice of the target's own volume (as when a mask is carried
            through a volume) instead of another patient's.
        exclude: items that are left out, as ``SET:ITEM``.

    Raises:
        InvalidDataset: nothing is left to draw from, or a set or an item that is named is not there.
    """

    def __init__(
        self,
        datasets: Sequence[PackedDataset],
        *,
        weights: Mapping[str, float],
        seed: int,
        holdout: float = 0.0,
        validation: bool = False,
        modes: Mapping[TrainingMode, float] = MODE_PROBABILITIES,
        absent: float = 0.0,
        same_volume: float = 0.0,
        exclude: Collection[str] = (),
    ) -> None:
        self._datasets = list(datasets)
        check_sets(datasets, weights, "dataset_weights")
        prefixes = tuple(f"{dataset.name}:" for dataset in datasets)
        check_sets(datasets, [item for item in exclude if not item.startswith(prefixes)], "exclude")
        _check_items(datasets, exclude)
        self._seed = seed
        self._modes = {m: p for m, p in modes.items() if p > 0}
        self._absent = absent
        self._same_volume = same_volume
        self._by_class: list[dict[str, list[PackedSlice]]] = []
        self._without_class: list[dict[str, list[PackedSlice]]] = []
        kept = []
        for dataset in datasets:
            slices = [
                s
                for s in dataset.slices
                if (_held_out(s.patient, holdout) == validation or holdout == 0)
                and f"{dataset.name}:{s.item}" not in exclude
            ]
            table: dict[str, list[PackedSlice]] = {}
            without: dict[str, list[PackedSlice]] = {}
            for entry in slices:
                for name in entry.classes:
                    table.setdefault(name, []).append(entry)
                for name in entry.absent:
                    without.setdefault(name, []).append(entry)
            self._by_class.append(table)
            self._without_class.append(without)
            kept.append(weights.get(dataset.name, 1.0) if table else 0.0)
        if sum(kept) <= 0:
            raise InvalidDataset(
                "No training slice is left; check the splits, the holdout and the weights of the sets."
            )
        self._probabilities = np.asarray(kept) / sum(kept)
        drawn = [table for table, weight in zip(self._by_class, kept, strict=True) if weight > 0]
        self.has_references = any(_patients(slices) > 1 for table in drawn for slices in table.values())

    def mode(self, step: int) -> TrainingMode:
        """The mode of a step, the same on every rank."""
        generator = np.random.default_rng((self._seed, step))
        names = list(self._modes)
        weights = np.asarray([self._modes[m] for m in names])
        return names[generator.choice(len(names), p=weights / weights.sum())]

    def require_references(self) -> None:
        """Refuse in-context samples where there is no reference for any.

        Raises:
            InvalidDataset: no class is shown by two patients of a set.
        """
        if not self.has_references:
            raise InvalidDataset(
                "No class is shown by two patients of one set, so there is no reference for the in-context mode; add "
                "patients, or start a new run without it: --no-resume --set modes.in-context=0."
            )

    def batch(self, step: int, positions: Iterable[int], mode: TrainingMode) -> list[Sample]:
        """The samples at ``positions`` of a step's global batch; in-context samples carry a reference.

        Raises:
            InvalidDataset: in-context samples, but no class is shown by two patients.
        """
        if mode is TrainingMode.IN_CONTEXT:
            self.require_references()
        return [self._draw(np.random.default_rng((self._seed, step, position, 1)), mode) for position in positions]

    def _draw(self, generator: np.random.Generator, mode: TrainingMode) -> Sample:
        while True:
            index = int(generator.choice(len(self._datasets), p=self._probabilities))
            table = self._by_class[index]
            name = list(table)[generator.integers(len(table))]
            targets = table[name]
            if mode is not TrainingMode.INTERACTIVE and generator.random() < self._absent:
                targets = self._without_class[index].get(name, targets)
            target = targets[generator.integers(len(targets))]
            if mode is not TrainingMode.IN_CONTEXT:
                return Sample(self._datasets[index], target, name, None)
            references = self._references(generator, table[name], target)
            if references:
                return Sample(self._datasets[index], target, name, references[generator.integers(len(references))])

    def _references(
        self, generator: np.random.Generator, slices: Sequence[PackedSlice], target: PackedSlice
    ) -> list[PackedSlice]:
        """Slices that show the class, from which the reference of ``target`` is drawn."""
        if generator.random() < self._same_volume:
            neighbours = [s for s in slices if s.item == target.item and s.index != target.index]
            if neighbours:
                return neighbours
        return [s for s in slices if s.patient != target.patient]


def check_sets(datasets: Sequence[PackedDataset], names: Iterable[str], setting: str) -> None:
    """Refuse a setting for a set that is not there: it would change nothing, and nobody would know.

    Raises:
        InvalidDataset: a name that no set has.
    """
    unknown = sorted(set(names) - {dataset.name for dataset in datasets})
    if unknown:
        there = ", ".join(dataset.name for dataset in datasets)
        raise InvalidDataset(f"{setting} names {', '.join(unknown)}, which is not among the sets of the run: {there}.")


def _check_items(datasets: Sequence[PackedDataset], exclude: Iterable[str]) -> None:
    """Refuse to leave out an item that no ``dataset.json`` lists: the one that is meant would be learned from.

    Raises:
        InvalidDataset: such an item.
    """
    unknown = sorted(set(exclude) - {f"{dataset.name}:{item}" for dataset in datasets for item in dataset.items})
    if unknown:
        raise InvalidDataset(
            f"exclude names {', '.join(unknown)}, which no dataset.json lists; write SET:ITEM with the id of the item."
        )


def classes_without_slices(datasets: Sequence[PackedDataset]) -> list[str]:
    """Classes that a set lists and no slice of any set shows: they have a name in the network and are never learned."""
    listed = dict.fromkeys(name for dataset in datasets for name in dataset.classes)
    shown = {name for dataset in datasets for entry in dataset.slices for name in entry.classes}
    return [name for name in listed if name not in shown]


def _patients(slices: Sequence[PackedSlice]) -> int:
    return len({s.patient for s in slices})


def holds_out(
    datasets: Sequence[PackedDataset],
    fraction: float,
    *,
    weights: Mapping[str, float] = MappingProxyType({}),
    exclude: Collection[str] = (),
) -> bool:
    """Whether anything can be drawn for validation: of few patients a small fraction may be none.

    Args:
        datasets: packed sets.
        fraction: of the patients that are kept out.
        weights, exclude: as :class:`Sampler` takes them.
    """
    return any(
        _held_out(entry.patient, fraction) and entry.classes and f"{dataset.name}:{entry.item}" not in exclude
        for dataset in datasets
        if weights.get(dataset.name, 1.0) > 0
        for entry in dataset.slices
    )


def _held_out(patient: str, fraction: float) -> bool:
    """A fixed, evenly spread share of patients, independent of the order of the files."""
    return (zlib.crc32(patient.encode()) % 10_000) < fraction * 10_000
