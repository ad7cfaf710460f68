"""Tables 5a to 5c and 7: what the parts of the network are good for, each run beside the full one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from KPrismLib.evaluation.settings import Mode
from KPrismLib.network.parameters import PAPER_TOTALS
from Training.report import paper_numbers
from Training.report.comparability import of_several_weights, unlike
from Training.report.costs import PARAMETER_ROWS, exact_parameters
from Training.report.document import MISSING, Section, Table, printed, signed, signed_percent
from Training.report.needs import ABLATION_SETS, PLAIN_DECODER
from Training.report.results import ablation_model
from Training.report.statistics import Metric, Number, dice_after, difference, mean, patients, sample
from Training.report.tables.clicks import CLICK_METRICS, HEADINGS, cap_note, shown
from Training.report.verdict import VERDICT_NOTE, verdict
from Training.report.view import Measured, View, Work, protocol_lines, remarks

#: Column to (heading, protocol, mode, metric).
_COLUMNS: Mapping[str, tuple[str, str, Mode, Metric]] = MappingProxyType(
    {
        "semantic": ("semantic Dice ↑", "masks", Mode.SEMANTIC, dice_after(0)),
        "in_context": ("in-context Dice ↑", "masks", Mode.IN_CONTEXT, dice_after(0)),
        **{name: (HEADINGS[name], "clicks", Mode.INTERACTIVE, metric) for name, metric in CLICK_METRICS.items()},
    }
)
_NOTES = (
    "Each run was trained once. The intervals tell how other patients would change a number, not how another random "
    "start of the training would.",
    "Every number is the mean over the two sets. The paper trains on M&Ms and Breast Cancer and evaluates on ACDC and "
    "BUS; here test images of the sets trained on stand in where those are not at hand.",
)
_PLAIN_ROW: Mapping[str, Any] = {"method": "1 (Plain)", "run": PLAIN_DECODER}


@dataclass(frozen=True)
class Change:
    """What leaving something out changes.

    Attributes:
        method: The row, as the paper calls it.
        column: ``semantic``, ``in_context``, ``noc90``, ``noc95``, ``dice1`` or ``dice5``.
        ours: Dice as a share, or clicks.
        paper: Dice in percentage points, or clicks; ``None`` where the paper has no such number.
    """

    method: str
    column: str
    ours: Number
    paper: float | None


def ablation_table(key: str, view: View) -> Section | None:
    """One of the ablation tables; ``None`` before any of its runs has results.

    Args:
        key: One of :data:`~Training.report.needs.ABLATION_TABLES`.
        view: The results.
    """
    theirs, columns, found = _rows(key), _columns(key), _found(key, view)
    present = [row for row in theirs if any(_measured(row["run"], name, found) for name in columns)]
    if not present:
        return None
    has_parameters = any("parameters" in row for row in theirs)
    header = ["method", "run", *(["parameters of `base`, exact", "paper"] if has_parameters else [])]
    rows = []
    for row in theirs:
        cells = [str(row["method"]), f"`{row['run']}`"]
        if has_parameters:
            cells += _parameter_cells(row)
        for name in columns:
            _, _, mode, metric = _COLUMNS[name]
            samples = [sample(each.slices(mode), metric) for each in _measured(row["run"], name, found)]
            cells += [shown(name, mean(samples, seed=view.seed)), printed(row.get(name))]
        rows.append(cells)
    for name in columns:
        header += [_COLUMNS[name][0], "paper"]
    tables = [Table(header, rows)]
    changes = _differences(key, view)
    if changes is not None:
        tables.append(changes)
    used = [each for row in present for name in columns for each in _measured(row["run"], name, found)]
    clicked = [each.slices(Mode.INTERACTIVE) for each in used if each.part.protocol == "clicks"]
    return Section(
        key,
        tables,
        notes=[
            _training_note(used),
            *_NOTES,
            _patients_note(used),
            VERDICT_NOTE,
            *([cap_note(clicked)] if clicked else []),
            *of_several_weights(each.part for each in used),
            *unlike(each.part.facts for each in used),
            *(line.removeprefix("- ") for line in protocol_lines(each.part.facts for each in used)),
            *remarks(used),
            *paper_numbers.contradictions(key),
        ],
    )


def _training_note(used: Sequence[Measured]) -> str:
    """What the runs were, beside the paper's: only the same training could give the same numbers."""
    ours = "; ".join(sorted({each.part.facts.training for each in used} - {""}))
    known = f"Ours: {ours}. The paper's: network `base`, 75 epochs. " if ours else ""
    return known + "Of another network or a shorter training only which change helps and which hurts can be compared."


def _patients_note(used: Sequence[Measured]) -> str:
    """How many patients the intervals are over: those of the run that has most of them."""
    found: dict[tuple[str, str], int] = {}
    for each in used:
        examined = max(patients(each.slices(mode)) for mode in Mode)
        place = each.dataset, each.part.protocol
        found[place] = max(found.get(place, 0), examined)
    return f"Patients: {', '.join(f'{count} of {name} (`{protocol}`)' for (name, protocol), count in found.items())}."


def _found(key: str, view: View) -> list[dict[Work, Measured]]:
    """What was measured of a table, for each of the sets: all its runs and columns on one folder."""
    works = {(ablation_model(row["run"]), _COLUMNS[name][1]): None for row in _rows(key) for name in _columns(key)}
    return [view.measured_on_one((name,), list(works)) for name in ABLATION_SETS]


def _measured(run: str, column: str, found: Sequence[Mapping[Work, Measured]]) -> list[Measured]:
    """The sets on which a run has what a column needs: a run trained for one mode lacks the others."""
    _, protocol, mode, _ = _COLUMNS[column]
    work = (ablation_model(run), protocol)
    return [each[work] for each in found if work in each and each[work].slices(mode)]


def ablation_changes(key: str, view: View) -> list[Change]:
    """Every run of a table minus its first one, on the same slices; changes that nobody measured are left out.

    Args:
        key: One of :data:`~Training.report.needs.ABLATION_TABLES`.
        view: The results.
    """
    reference, *others = _rows(key)
    found = _found(key, view)
    changes = []
    for name in _columns(key):
        _, _, mode, metric = _COLUMNS[name]
        whole = {each.dataset: each.slices(mode) for each in _measured(reference["run"], name, found)}
        for row in others:
            samples = [
                difference(each.slices(mode), whole[each.dataset], metric)
                for each in _measured(row["run"], name, found)
                if each.dataset in whole
            ]
            ours = mean(samples, seed=view.seed)
            if ours is not None:
                paper = row[name] - reference[name] if name in row and name in reference else None
                changes.append(Change(str(row["method"]), name, ours, paper))
    return changes


def _differences(key: str, view: View) -> Table | None:
    """The changes as a table, and whether the paper's have the same sign."""
    changes = {(change.method, change.column): change for change in ablation_changes(key, view)}
    if not changes:
        return None
    rows = []
    for method in dict.fromkeys(method for method, _ in changes):
        cells = [method]
        for name in _columns(key):
            change = changes.get((method, name))
            if change is None:
                cells += [MISSING] * 3
            else:
                ours = signed(change.ours) if name.startswith("noc") else signed_percent(change.ours)
                cells += [ours, printed(change.paper), verdict(change.ours, change.paper)]
        rows.append(cells)
    header = ["method"]
    for name in _columns(key):
        header += [_COLUMNS[name][0], "paper", "with the paper?"]
    return Table(header, rows, f"Difference from `{_rows(key)[0]['run']}`, same slices")


def _rows(key: str) -> list[Mapping[str, Any]]:
    return [*paper_numbers.rows(key), *([_PLAIN_ROW] if key == "table7b" else [])]


def _columns(key: str) -> list[str]:
    return [name for name in _COLUMNS if any(name in row for row in _rows(key))]


def _parameter_cells(row: Mapping[str, Any]) -> list[str]:
    name = PARAMETER_ROWS.get(str(row["run"]))
    exact = exact_parameters().get(name) if name else None
    paper = PAPER_TOTALS.get(name) if name else None
    return [
        MISSING if exact is None else f"{exact:,}",
        MISSING if paper is None else f"{paper / 1e6:.2f} M",
    ]
