"""Tables 2 and 3: Dice in the modes without clicks, by the paper's protocol and by a stricter one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from KPrismLib.evaluation.settings import Mode
from Training.report import paper_numbers
from Training.report.comparability import unlike
from Training.report.document import MISSING, Section, Table, percent, printed
from Training.report.needs import ONE_SHOT
from Training.report.sets import Group, in_group
from Training.report.statistics import dice_after, false_positives, mean, patients, sample, volume_sample
from Training.report.view import Measured, View, remarks, where

TRAINED_NOTE = (
    "† The weights learned from this set's training split, or from another set with patients of this one: it is no "
    "external set here, and no mean of external sets counts it."
)
_AVERAGE_NOTE = "Means over sets count every set the same; the paper's are recomputed over the same sets."
_TITLES = {"table2": "", "table3": "External sets", "table3_unseen": "Unseen classes"}
_MODE_NAMES = {Mode.SEMANTIC: "semantic", Mode.IN_CONTEXT: "in-context"}


def table2(view: View) -> Section | None:
    """The twelve training sets, and other folders the weights learned from."""
    names = in_group(Group.IN_DISTRIBUTION)
    measured = view.all_measured("masks", names)
    trained = [each for each in view.others("masks") if each.was_trained_on]
    if not (measured or trained):
        return None
    tables = [_against_paper(measured, "table2", view)] if measured else []
    return Section(
        "table2",
        [*tables, *_without_paper(trained, view), *_strict([*names, *(each.name for each in trained)], view)],
        notes=[
            *unlike(each.part.facts for each in (*measured, *trained)),
            *_missing(names, measured),
            *remarks(measured),
            _AVERAGE_NOTE,
            *paper_numbers.contradictions("table2"),
        ],
    )


def table3(view: View) -> Section | None:
    """The external sets and the unseen classes, and other folders that are new to the weights."""
    external, unseen = in_group(Group.EXTERNAL), in_group(Group.UNSEEN)
    measured = view.all_measured("masks", (*external, *unseen))
    new = [each for each in view.others("masks") if not each.was_trained_on]
    if not (measured or new):
        return None
    groups = [
        (key, [each for each in measured if each.name in names])
        for key, names in (("table3", external), ("table3_unseen", unseen))
    ]
    tables = [_against_paper(group, key, view) for key, group in groups if group]
    notes = [
        *unlike(each.part.facts for each in (*measured, *new)),
        *_missing((*external, *unseen), measured),
        *remarks(measured),
    ]
    if any(each.was_trained_on for each in measured):
        notes.append(TRAINED_NOTE)
    return Section(
        "table3",
        [
            *tables,
            *_without_paper(new, view),
            *_strict([*external, *unseen, *(each.name for each in new)], view),
        ],
        notes=[*notes, _AVERAGE_NOTE, *paper_numbers.contradictions("table3")],
    )


def _against_paper(measured: Sequence[Measured], key: str, view: View) -> Table:
    header = ["paper's set", "measured on", "pairs", "patients"]
    for mode in _MODE_NAMES.values():
        header += [f"{mode}: ours [95 %]", "paper", "paper's best other"]
    rows = [
        [
            each.name,
            each.dataset if key == "table2" else where(each),
            _pairs(each),
            str(_patients(each)),
            *(cell for mode in ONE_SHOT for cell in _cells(each, mode, key, view)),
        ]
        for each in measured
    ]
    counted = [each for each in measured if key == "table2" or not each.was_trained_on]
    if len(counted) > 1:
        examined = str(sum(map(_patients, counted)))
        rows.append(["**mean of sets**", _how_many(counted), "", examined, *_mean_cells(counted, key, view)])
    return Table(header, rows, _TITLES[key])


def _how_many(counted: Sequence[Measured]) -> str:
    """How many sets the columns average: the weights may lack the classes of a set, and have no Dice by class."""
    numbers = {mode: sum(any(row.present for row in each.slices(mode)) for each in counted) for mode in ONE_SHOT}
    shown = {mode: number for mode, number in numbers.items() if number}
    if len(set(shown.values())) < 2:
        return f"{max(numbers.values())} sets"
    return ", ".join(f"{_MODE_NAMES[mode]}: {number} set{'s' * (number > 1)}" for mode, number in shown.items())


def _cells(measured: Measured, mode: Mode, key: str, view: View) -> list[str]:
    best = paper_numbers.best_other(key, measured.name, mode.value)
    return [
        percent(mean([sample(measured.slices(mode), dice_after(0))], seed=view.seed)),
        printed(paper_numbers.dice_of_set(key, measured.name, mode.value)),
        MISSING if best is None else f"{best[0]} {best[1]:.2f}",
    ]


def _mean_cells(measured: Sequence[Measured], key: str, view: View) -> list[str]:
    cells = []
    for mode in ONE_SHOT:
        samples = {each.name: sample(each.slices(mode), dice_after(0)) for each in measured}
        names = [name for name, found in samples.items() if found is not None]
        theirs = [paper_numbers.dice_of_set(key, name, mode.value) for name in names]
        printed_values = [value for value in theirs if value is not None]
        cells += [
            percent(mean(list(samples.values()), seed=view.seed)),
            printed(statistics.fmean(printed_values) if printed_values else None),
            "",
        ]
    return cells


def _without_paper(measured: Sequence[Measured], view: View) -> list[Table]:
    if not measured:
        return []
    rows = [
        [
            each.dataset,
            _pairs(each),
            str(_patients(each)),
            *(percent(mean([sample(each.slices(mode), dice_after(0))], seed=view.seed)) for mode in ONE_SHOT),
        ]
        for each in measured
    ]
    return [Table(["set", "pairs", "patients", "semantic", "in-context"], rows, "Sets that the paper does not have")]


def _strict(names: Sequence[str], view: View) -> list[Table]:
    """Whole volumes: what the paper's protocol gives on them, Dice per volume, and what is found where nothing is."""
    rows = []
    for each in _with_volumes(names, view):
        for mode in ONE_SHOT:
            slices, volumes = each.slices(mode), each.volumes(mode)
            if volumes:
                absent = [row for row in slices if not row.present]
                rows.append(
                    [
                        each.dataset,
                        _MODE_NAMES[mode],
                        str(len({volume.item for volume in volumes})),
                        str(patients(volumes)),
                        percent(mean([sample(slices, dice_after(0))], seed=view.seed)),
                        percent(mean([volume_sample(volumes)], seed=view.seed)),
                        percent(mean([false_positives(slices)], seed=view.seed)),
                        str(len(absent)),
                    ]
                )
    if not rows:
        return []
    header = [
        *("set", "mode", "volumes", "patients", "Dice per slice (paper's protocol)", "Dice per volume"),
        *("false positives on slices without the class", "such (slice, class) pairs"),
    ]
    return [Table(header, rows, "A stricter protocol: whole volumes, slices without the class included")]


def _with_volumes(names: Sequence[str], view: View) -> list[Measured]:
    others = {each.name: each for protocol in ("masks", "volumes") for each in view.others(protocol)}
    found: dict[str, Measured] = {}
    for name in names:
        candidates = (
            [others[name]] if name in others else [view.measured(protocol, name) for protocol in ("volumes", "masks")]
        )
        for each in candidates:
            if each is not None and any(each.volumes(mode) for mode in ONE_SHOT):
                found.setdefault(each.dataset, each)
    return list(found.values())


def _pairs(measured: Measured) -> str:
    """How many (slice, class) pairs: those of the mode with most, since a class may be unknown to the weights."""
    return str(max(sum(row.present for row in measured.slices(mode)) for mode in ONE_SHOT))


def _patients(measured: Measured) -> int:
    """Likewise of patients."""
    return max(patients(measured.slices(mode)) for mode in ONE_SHOT)


def _missing(names: Sequence[str], measured: Sequence[Measured]) -> list[str]:
    there = {each.name for each in measured}
    missing = [name for name in names if name not in there]
    return [f"Not measured, for want of data: {', '.join(missing)}."] if missing else []
