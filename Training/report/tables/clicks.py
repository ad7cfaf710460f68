"""Tables 4 and 5d: how many clicks a quality costs, and what a number of clicks gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.settings import PAPER_CAP, WIDE_CAP, Mode
from Training.report import paper_numbers
from Training.report.comparability import unlike
from Training.report.document import MISSING, Section, Table, percent, plain, printed, signed
from Training.report.needs import ABLATION_SETS
from Training.report.sets import PAPER_SETS, Group
from Training.report.statistics import (
    Metric,
    Number,
    clicks_made,
    clicks_to,
    dice_after,
    difference,
    mean,
    patients,
    sample,
)
from Training.report.tables.dice import TRAINED_NOTE
from Training.report.verdict import VERDICT_NOTE, verdict
from Training.report.view import Measured, View, remarks, where

_NOC: Mapping[str, float] = MappingProxyType({"noc90": 0.90, "noc95": 0.95})
CLICK_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{name: clicks_to(threshold) for name, threshold in _NOC.items()},
        **{f"dice{clicks}": dice_after(clicks) for clicks in (1, 5)},
    }
)
HEADINGS: Mapping[str, str] = MappingProxyType(
    {"noc90": "NoC90 ↓", "noc95": "NoC95 ↓", "dice1": "Dice(1) ↑", "dice5": "Dice(5) ↑"}
)


def cap_note(rows: Iterable[Sequence[SliceMeasurement]]) -> str:
    """What a failure counts as; with fewer clicks than the paper's that is less, and the numbers look better."""
    cap = min([PAPER_CAP, *filter(None, map(clicks_made, rows))])
    if cap < PAPER_CAP:
        return f"Only {cap} clicks were made: NoC counts a failure as {cap}, and is no match for the paper's."
    return f"NoC counts a failure as {cap} clicks, the cap of the paper's curves."


def shown(metric: str, number: Number | None) -> str:
    """A metric of :data:`CLICK_METRICS` as a cell."""
    return plain(number) if metric.startswith("noc") else percent(number)


def group_of(measured: Measured) -> Group | None:
    """The group that a set counts for here; ``None`` for an external one that the weights learned from."""
    group = PAPER_SETS[measured.name].group
    return None if group is not Group.IN_DISTRIBUTION and measured.was_trained_on else group


def interactive_sets(view: View) -> list[Measured]:
    """All sets of the paper that were clicked on."""
    return view.all_measured("clicks", PAPER_SETS)


def table4(view: View) -> Section | None:
    """Mode-3: means over the groups of sets, and each set."""
    measured = interactive_sets(view)
    if not measured:
        return None
    rows = []
    for group in Group:
        counted = [each for each in measured if group_of(each) is group]
        if counted:
            cells = [
                shown(name, mean([sample(each.slices(Mode.INTERACTIVE), metric) for each in counted], seed=view.seed))
                for name, metric in CLICK_METRICS.items()
            ]
            rows.append([group.value, "**ours** [95 %]", str(len(counted)), _patients(counted), *cells])
        for theirs in paper_numbers.rows("table4"):
            if theirs["group"] == group.value:
                values = [printed(theirs[name]) for name in CLICK_METRICS]
                rows.append([group.value, f"{theirs['method']}, paper", "", "", *values])
    header = ["group", "method", "sets", "patients", *HEADINGS.values()]
    notes = [
        *unlike(each.part.facts for each in measured),
        cap_note(each.slices(Mode.INTERACTIVE) for each in measured),
        *remarks(measured),
    ]
    if any(group_of(each) is None for each in measured):
        notes.append(TRAINED_NOTE)
    return Section("table4", [Table(header, rows), *_wide(measured, view), _per_set(measured, view)], notes=notes)


def _wide(measured: Sequence[Measured], view: View) -> list[Table]:
    """The same counted further, where so many clicks were made: failures hide less behind a higher cap."""
    rows = []
    for group in Group:
        counted = [each for each in measured if group_of(each) is group]
        counted = [each for each in counted if clicks_made(each.slices(Mode.INTERACTIVE)) >= WIDE_CAP]
        found = [each.slices(Mode.INTERACTIVE) for each in counted]
        if found:
            metrics = [clicks_to(threshold, cap=WIDE_CAP) for threshold in _NOC.values()]
            cells = [plain(mean([sample(each, metric) for each in found], seed=view.seed)) for metric in metrics]
            rows.append([group.value, str(len(found)), _patients(counted), *cells])
    header = ["group", "sets", "patients", *(HEADINGS[name] for name in _NOC)]
    return [Table(header, rows, f"Counted up to {WIDE_CAP} clicks")] if rows else []


def _per_set(measured: Sequence[Measured], view: View) -> Table:
    rows = []
    # A folder may stand for two of the paper's sets; it is listed once.
    for each in {each.dataset: each for each in measured}.values():
        found = each.slices(Mode.INTERACTIVE)
        cells = [shown(name, mean([sample(found, metric)], seed=view.seed)) for name, metric in CLICK_METRICS.items()]
        rows.append([where(each), str(sum(row.present for row in found)), _patients([each]), *cells])
    return Table(["set", "pairs", "patients", *HEADINGS.values()], rows, "Each set")


def _patients(measured: Sequence[Measured]) -> str:
    return str(sum(patients(each.slices(Mode.INTERACTIVE)) for each in measured))


def table5d(view: View) -> Section | None:
    """Clicks after an initial mask against clicks from nothing."""
    works = [(view.model, protocol) for protocol in ("clicks", "refined")]
    found = {name: view.measured_on_one((name,), works) for name in ABLATION_SETS}
    pairs = [(each[works[0]], each[works[1]]) for each in found.values() if len(each) == len(works)]
    if not pairs:
        return None
    half = [each for measured in found.values() if len(measured) == 1 for each in measured.values()]
    theirs = paper_numbers.table("table5d")
    rows = []
    for start, refine in pairs:
        position = theirs["sets"].index(start.name)
        base = start.slices(Mode.INTERACTIVE)
        for row in theirs["rows"]:
            mode = Mode(row["mode"])
            rows_of_mode = base if mode is Mode.INTERACTIVE else refine.slices(mode)
            cells = []
            for name in ("noc90", "noc95"):
                metric = CLICK_METRICS[name]
                cells += [plain(mean([sample(rows_of_mode, metric)], seed=view.seed)), printed(row[name][position])]
                if mode is Mode.INTERACTIVE:
                    cells += [MISSING, MISSING]
                    continue
                saved = mean([difference(rows_of_mode, base, metric)], seed=view.seed)
                expected = row[name][position] - theirs["rows"][0][name][position]
                cells += [signed(saved), verdict(saved, expected)]
            rows.append([where(start), _patients([start]), str(row["method"]), *cells])
    header = ["set", "patients", "method"]
    for name in ("noc90", "noc95"):
        header += [HEADINGS[name], "paper", "minus Mode-3, same slices", "with the paper?"]
    return Section(
        "table5d",
        [Table(header, rows)],
        notes=[
            *unlike(each.part.facts for pair in pairs for each in pair),
            *(f"{each.dataset} is left out: only `{each.part.protocol}` was measured on it." for each in half),
            VERDICT_NOTE,
            cap_note([*(start.slices(Mode.INTERACTIVE) for start, _ in pairs)]),
            *remarks([start for start, _ in pairs]),
            *paper_numbers.contradictions("table5d"),
        ],
    )
